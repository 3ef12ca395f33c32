"""What copies of a sample tell, draw by draw: antithetic pairs, and draws spent only where a finding is still open.

``python -m benchmarks draws [digits|small_cifar5]`` trains re-trainings and Originals and has them judge the same pairs
x ± τδ. Three things are printed: the variance of the mean log-odds of 20 independent copies ÷ that of 10 pairs; the
noise of n copies beside the variance between re-trainings, and on how many samples an Original is found; and what a
sequential rule would save: n copies of every sample, and the rest of 20 only where the finding would be another if the
log-odds were 1.96 standard errors higher or lower.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from rurk_core.data import dataset_entry, forget_set, load_dataset, retain_indices, to_pixels
from rurk_core.data.recipes import TrainConfig
from rurk_core.evidence.law import FINDINGS, judge
from rurk_core.evidence.null import compressed
from rurk_core.measure.frozen import frozen_copy
from rurk_core.measure.verdicts import log_odds
from rurk_core.models import create_model
from rurk_core.perturb.copies import along_ray
from rurk_core.run.spec import parse_taus
from rurk_core.training.fit import fit

Floats = NDArray[np.floating]
SETTINGS = {
    "digits": ("cnn", TrainConfig(epochs=15, batch=64), 60, 200, 12),
    "small_cifar5": ("resnet9:4", TrainConfig(epochs=8, batch=64, augment="crop_flip"), 24, 60, 9),
}
"""Network, training, samples, pairs, re-trainings."""
ORIGINALS = 2
USED, FULL, TIMES = 8, 20, 40
"""References of a finding; copies that a sequential rule may take; how often draws and references are drawn anew."""


@torch.no_grad()
def paired_log_odds(name: str) -> tuple[Floats, int]:
    """Mean over radii of the log-odds of every copy, [models, samples, pairs, 2], re-trainings first; and how many."""
    network, config, samples, pairs, retrained = SETTINGS[name]
    data = load_dataset(name)
    forget = forget_set(data, "class:0:0.5")
    index, kept = torch.tensor(forget.indices)[:samples], retain_indices(data, forget)
    models = []
    for k in range(retrained + ORIGINALS):
        rows = kept if k < retrained else torch.arange(len(data.train_labels))
        with torch.enable_grad():
            model = create_model(network, data.input_shape, len(data.classes), seed=k)
            fit(model, data.train_images[rows], data.train_labels[rows], config, seed=k)
        models.append(frozen_copy(model, torch.device("cpu"), data.train_images[:1]))
    pixels, labels = to_pixels(data.train_images[index]), data.train_labels[index]
    taus = [tau for tau in parse_taus(dataset_entry(name).taus) if tau]
    generator = torch.Generator().manual_seed(1)
    found = np.zeros((len(models), len(index), pairs, 2))
    for s, label in enumerate(labels):
        delta = torch.randn(pairs, *data.input_shape, generator=generator)
        for side, directions in enumerate((delta, -delta)):
            for tau in taus:
                copies = along_ray(pixels[s : s + 1], directions[None], tau)[0]
                for k, model in enumerate(models):
                    found[k, s, :, side] += log_odds(model(copies), label.expand(pairs)).numpy() / len(taus)
    return found, retrained


def of_copies(each: Floats, n: int, *, paired: bool) -> tuple[Floats, Floats]:
    """Mean of the first n copies, and its variance as all copies tell; the last two axes are pairs and their sides."""
    if paired:
        means = each.mean(-1)
        return means[..., : n // 2].mean(-1), means.var(-1, ddof=1) / (n / 2)
    flat = each.reshape(*each.shape[:-2], -1)
    return each[..., :n, 0].mean(-1), flat.var(-1, ddof=1) / n  # one of every pair: the two depend on each other


def variances(each: Floats, retrained: int) -> None:
    """What pairs save: of one model, and of an Original beyond the mean of re-trainings on the same copies."""
    for what, values in (("of a model", each), ("beyond re-trainings", each[retrained:] - each[:retrained].mean(0))):
        single, pairs = (of_copies(values, FULL, paired=paired)[1] for paired in (False, True))
        ratio = single.mean() / pairs.mean()
        print(f"  variance of the mean log-odds {what}, {FULL} copies: independent ÷ pairs {ratio:.2f}")


def drawn(each: Floats, retrained: int) -> Iterator[tuple[Floats, list[int], int, int]]:
    """Copies in another order, the references used, the model handed in, the Original beside it."""
    rng = np.random.default_rng(0)
    for _ in range(TIMES):
        order, copies = rng.permutation(retrained), rng.permutation(each.shape[2])
        for own in (*range(retrained, len(each)), *order[USED:]):
            beside = retrained if own != retrained else retrained + 1
            yield each[:, :, copies], list(order[:USED]), int(own), beside


def powers(each: Floats, retrained: int) -> None:
    spread = compressed(each[:retrained].mean((-1, -2))).var(0, ddof=1).mean()
    for paired in (False, True):
        for n in (4, 10, FULL):
            slope = (compressed(each + 1e-3) - compressed(each)) / 1e-3
            noise = of_copies(each, n, paired=paired)[1][:retrained] * slope.mean((-1, -2))[:retrained] ** 2
            listed = [
                (judge(values[own], values[used]).finding == FINDINGS.index("residual")).mean()
                for again, used, own, _ in drawn(each, retrained)
                if own >= retrained
                for values in [of_copies(again, n, paired=paired)[0]]
            ]
            print(
                f"  {n} copies{' in pairs' if paired else ''}: noise {100 * noise.mean() / spread:.2f}% of the "
                f"variance between re-trainings; Original found on {100 * np.mean(listed):.1f}% of samples"
            )


def sequential(each: Floats, retrained: int) -> None:
    for paired in (False, True):
        for n in (4, 10):
            rows: list[tuple[float, float, float, float, bool]] = []
            for again, used, own, beside in drawn(each, retrained):
                first, full = (of_copies(again, count, paired=paired)[0] for count in (n, FULL))
                error = np.sqrt(of_copies(again[own] - again[used].mean(0), n, paired=paired)[1])
                calls = [
                    judge(mine, first[used], originals=first[beside]).finding
                    for mine in (first[own], first[own] + 1.96 * error, first[own] - 1.96 * error)
                ]
                last = judge(full[own], full[used], originals=full[beside]).finding
                still = (calls[0] != calls[1]) | (calls[0] != calls[2])
                said = np.where(still, last, calls[0])
                residual = (said == 0).mean(), (last == 0).mean()
                rows.append((still.mean(), (said != last).mean(), *residual, own >= retrained))
            still, other, found, fixed = np.mean([row[:4] for row in rows if row[4]], 0)
            null = 100 * np.mean([row[2:4] for row in rows if not row[4]], 0)
            print(
                f"  sequential, {n} then {FULL}{' in pairs' if paired else ''}: {100 * still:.0f}% of samples open, "
                f"{FULL / (n + (FULL - n) * still):.1f}× fewer passes; Original found on {100 * found:.1f}% "
                f"({100 * fixed:.1f}% by {FULL}), another finding on {100 * other:.1f}%; re-trainings {null[0]:.2f}% "
                f"({null[1]:.2f}%)"
            )


def main(name: str = "") -> None:
    torch.set_num_threads(1)
    for each in [name] if name else SETTINGS:
        print(f"{each}: pairs and sequential draws")
        found = paired_log_odds(each)
        variances(*found)
        powers(*found)
        sequential(*found)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
