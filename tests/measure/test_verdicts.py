"""Verdict counts against closed forms and against the plainest possible loop."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from rurk_core.errors import RurkError, UsageError
from rurk_core.measure.frozen import Judge, frozen_copy
from rurk_core.measure.verdicts import (
    EACH,
    LOG_ODDS_BOUND,
    count_on_themselves,
    count_verdicts,
    log_odds,
    verdicts_from_bytes,
    verdicts_to_bytes,
)
from rurk_core.models import MODELS, create_model
from rurk_core.perturb.copies import ATTACKS, copies
from rurk_core.store.tensors import load_tensors, save_tensors, tensor_metadata

CLASSES = 4
TAUS = (0.0, 0.05, 0.2)
DRAWS = 12


@pytest.fixture(scope="module")
def models():
    names = ("original", "m", "reference-1", "reference-2")
    return {name: create_model("cnn:4", (1, 8, 8), CLASSES, seed=k).eval() for k, name in enumerate(names)}


@pytest.fixture(scope="module")
def samples():
    pixels = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return pixels, torch.tensor([0, 1, 2, 3, 0, 1, 2]), [3, 5, 8, 13, 21, 34, 55]


def count(models, samples, attack, **more):
    pixels, labels, ids = samples
    settings = {"taus": TAUS, "draws": DRAWS, "seed": 4, "classes": CLASSES, "source": "m"} | more
    return count_verdicts(models, ["reference-1", "reference-2"], pixels, labels, ids, attack=attack, **settings)


def test_linear_model_under_gaussian_noise_matches_the_closed_form():
    """Pr[m(x') = y] = Φ(margin / (τ‖w‖)) for two classes, when no pixel is near the edge of [0, 1]."""
    model = nn.Linear(50, 2)
    generator = torch.Generator().manual_seed(1)
    pixels = 0.5 + 0.02 * torch.randn(20, 50, generator=generator)
    labels = torch.zeros(20, dtype=torch.int64)
    taus, draws = (0.01, 0.05), 4000
    counted = count_verdicts(
        {"m": model}, [], pixels, labels, range(20), attack="gaussian", taus=taus, draws=draws, seed=0, classes=2
    ).recognised("m")
    with torch.no_grad():
        margin = (model(pixels)[:, 0] - model(pixels)[:, 1]).numpy()
        length = (model.weight[0] - model.weight[1]).norm().item()
    for t, tau in enumerate(taus):
        p = norm.cdf(margin / (tau * length))
        spread = np.sqrt(draws * p * (1 - p)) + 1
        assert (abs(counted[:, t] - draws * p) < 4.5 * spread).all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_counts_equal_judging_every_copy_one_by_one(attack, models, samples):
    pixels, labels, ids = samples
    counted = count(models, samples, attack)
    attacked = frozen_copy(models["m"], torch.device("cpu"), pixels)
    assert counted.counts.shape == (4, 7, 3, CLASSES) and (counted.counts.sum(-1) == DRAWS).all()
    for t, tau in enumerate(TAUS):
        moved = copies(attack, pixels, labels, ids=ids, tau=tau, draws=DRAWS, seed=4, classes=CLASSES, model=attacked)
        with torch.no_grad():
            taken = {
                name: model(moved.flatten(0, 1)).argmax(1).view(7, DRAWS).numpy() for name, model in models.items()
            }
        for index, name in enumerate(models):
            plain = np.stack([np.bincount(row, minlength=CLASSES) for row in taken[name]])
            assert (counted.counts[index, :, t] == plain).all()
            for k, reference in enumerate(("reference-1", "reference-2")):
                same = (taken[name] == taken[reference]).sum(1)
                assert (counted.agreement[index, k, :, t] == same).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "cnn:4", "resnet9:4"])
def test_judging_in_bfloat16_gives_the_counts_of_float32(name, monkeypatch):
    """Untrained networks are the hard case: nearly every image lies close to a border between classes."""
    generator = torch.Generator().manual_seed(2)
    pixels, labels = torch.rand(12, 3, 16, 16, generator=generator), torch.arange(12) % 5
    models = {f"{k}": create_model(name, (3, 16, 16), 5, seed=k) for k in range(3)}

    def counted():
        return count_verdicts(
            models,
            ["2"],
            pixels,
            labels,
            range(12),
            attack="gaussian",
            taus=(0, 0.1, 0.3),
            draws=64,
            seed=1,
            classes=5,
            batch=64,
        )

    monkeypatch.setattr("rurk_core.measure.verdicts.fast_bfloat16", lambda device: False)
    exact = counted()
    quick, asked = Judge.__call__, []
    monkeypatch.setattr("rurk_core.measure.verdicts.fast_bfloat16", lambda device: True)
    monkeypatch.setattr("rurk_core.measure.frozen.WORTH", 0)
    monkeypatch.setattr("rurk_core.measure.frozen.WORK", 0)
    monkeypatch.setattr(Judge, "__call__", lambda self, *a: (asked.append(self.fast is not None), quick(self, *a))[1])
    fast = counted()
    assert sum(asked) > len(asked) / 2
    assert (fast.counts == exact.counts).all() and (fast.agreement == exact.agreement).all()
    # untrained networks differ by little, and bfloat16's error of a mean is still small against that
    assert abs(fast.margins - exact.margins).max() < 0.05 * exact.margins.std(0, ddof=1).mean()


def test_a_lead_within_doubt_is_decided_in_float32():
    """bfloat16 cannot tell 1 from 1.001: the classes of such logits are float32's all the same."""
    judge = Judge(nn.Linear(2, 2, bias=False), torch.device("cpu"), torch.zeros(1, 2), try_fast=False)
    judge.exact.weight.copy_(torch.eye(2))
    judge.fast = copy.deepcopy(judge.exact).to(torch.bfloat16)
    close = torch.tensor([[1.0, 1.001], [1.001, 1.0], [0.0, 1.0]])
    assert judge(close, 3).argmax(1).tolist() != [1, 0, 1]
    judge.doubt = torch.tensor(0.01)
    assert judge(close, 3).argmax(1).tolist() == [1, 0, 1]
    assert float(judge.doubt) == pytest.approx(0.01)
    judge.fast.weight.fill_(torch.nan)
    assert judge(close, 3).argmax(1).tolist() == [1, 0, 1]


def test_counts_do_not_depend_on_the_chunk(models, samples):
    one, other = count(models, samples, "gaussian", batch=20), count(models, samples, "gaussian", batch=512)
    assert (one.counts == other.counts).all() and (one.agreement == other.agreement).all()
    assert one.margins == pytest.approx(
        other.margins, abs=5e-3
    )  # batches of 20 are judged in bfloat16 where it is fast


def test_log_odds_of_hand_worked_logits():
    """p = 1/2 is 0; softmax of (log 3, 0) is 3/4, odds 3; certain is the bound; undefined is 0."""
    logits = torch.tensor([[1.0, 1.0], [math.log(3), 0.0], [99.0, -99.0], [torch.nan, 0.0], [torch.inf, torch.inf]])
    labels = torch.zeros(5, dtype=torch.int64)
    expected = [0, math.log(3), LOG_ODDS_BOUND, 0, 0]
    assert log_odds(logits, labels).tolist() == pytest.approx(expected, abs=1e-6)
    assert log_odds(logits[:3], labels[:3] + 1).tolist() == pytest.approx([-value for value in expected[:3]], abs=1e-6)


@pytest.mark.parametrize("attack", ATTACKS)
def test_margins_equal_the_mean_over_every_copy_one_by_one(attack, models, samples):
    pixels, labels, ids = samples
    counted = count(models, samples, attack)
    attacked = frozen_copy(models["m"], torch.device("cpu"), pixels)
    for t, tau in enumerate(TAUS):
        moved = copies(attack, pixels, labels, ids=ids, tau=tau, draws=DRAWS, seed=4, classes=CLASSES, model=attacked)
        for name, model in models.items():
            with torch.no_grad():
                p = model(moved.flatten(0, 1)).double().softmax(1)
            own = p.gather(1, labels.repeat_interleave(DRAWS)[:, None])[:, 0]
            plain = (own.log() - (1 - own).log()).clamp(-12, 12).view(7, DRAWS).mean(1).numpy()
            assert counted.margin(name)[:, t] == pytest.approx(plain, abs=1e-4)
            if ATTACKS[attack].uses_model:
                assert counted.halves is None
            else:
                each = (own.log() - (1 - own).log()).clamp(-12, 12).view(7, DRAWS)
                apart = each[:, ::2].mean(1) - each[:, 1::2].mean(1)
                assert counted.halves[list(models).index(name), :, t] == pytest.approx(apart.numpy(), abs=1e-4)


@pytest.mark.parametrize("attack", [name for name, kind in ATTACKS.items() if kind.uses_model])
def test_on_themselves_every_model_is_the_source(attack, models, samples):
    pixels, labels, ids = samples
    settings = {"attack": attack, "taus": TAUS, "draws": DRAWS, "seed": 4, "classes": CLASSES}
    themselves = count_on_themselves(models, pixels, labels, ids, **settings)
    assert themselves.models == tuple(models) and themselves.source == EACH and themselves.references == ()
    for name in models:
        alone = count(models, samples, attack, source=name)
        assert (themselves.recognised(name) == alone.recognised(name)).all()
        assert themselves.margin(name) == pytest.approx(alone.margin(name), abs=1e-5)
    back = verdicts_from_bytes(verdicts_to_bytes(themselves))
    assert (back.margins == themselves.margins).all() and back.reference_recognised().shape == (0, 7, 3)


def test_on_themselves_needs_an_attack_on_a_model(models, samples):
    with pytest.raises(UsageError, match="not built on a model"):
        count_on_themselves(models, *samples, attack="gaussian", taus=TAUS, draws=1, seed=0, classes=CLASSES)


def test_a_table_without_margins_stays_readable_and_says_so(models, samples):
    data = verdicts_to_bytes(count(models, samples, "gaussian"))
    tensors = load_tensors(data)
    del tensors["margins"]
    old = verdicts_from_bytes(save_tensors(tensors, {"verdicts": tensor_metadata(data)["verdicts"]}))
    assert old.margins is None and old.margin("m") is None
    assert (old.counts == verdicts_from_bytes(data).counts).all()
    assert verdicts_from_bytes(verdicts_to_bytes(old)).margins is None


def test_uint8_images_are_the_same_as_their_floats(models, samples):
    pixels, labels, ids = samples
    bytes_ = (pixels * 255).to(torch.uint8)
    a = count(models, (bytes_, labels, ids), "gaussian")
    b = count(models, (bytes_.float() / 255, labels, ids), "gaussian")
    assert (a.counts == b.counts).all()


def test_round_trip(models, samples):
    counted = count(models, samples, "fgsm")
    back = verdicts_from_bytes(verdicts_to_bytes(counted))
    assert back.models == counted.models and back.source == "m" and back.draws == DRAWS
    assert (back.counts == counted.counts).all() and (back.agreement == counted.agreement).all()
    assert back.margins.dtype == np.float32 and (back.margins == counted.margins).all() and back.halves is None
    random = count(models, samples, "gaussian")
    assert (verdicts_from_bytes(verdicts_to_bytes(random)).halves == random.halves).all()
    assert back.taus.tolist() == list(TAUS)


def test_a_damaged_file_is_one_sentence(models, samples):
    data = verdicts_to_bytes(count(models, samples, "gaussian"))
    for bad in (b"", data[: len(data) // 2], b"\xff" * 64):
        with pytest.raises(RurkError):
            verdicts_from_bytes(bad)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"draws": 0}, "at least one"),
        ({"taus": ()}, "at least one"),
        ({"taus": (-0.1,)}, "at least 0"),
        ({"taus": (math.nan,)}, "at least 0"),
        ({"attack": "pgd", "source": "nobody"}, "no model 'nobody'"),
    ],
)
def test_bad_requests(change, reason, models, samples):
    with pytest.raises(UsageError, match=reason):
        count(models, samples, change.pop("attack", "gaussian"), **change)


def test_progress_reaches_the_end_and_may_stop(models, samples):
    seen = []
    count(models, samples, "gaussian", on_chunk=lambda done, total: seen.append((done, total)), batch=20)
    assert seen[-1][0] == seen[-1][1] == 7 * 3 * DRAWS and [d for d, _ in seen] == sorted(d for d, _ in seen)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count(models, samples, "gaussian", on_chunk=stop)


@pytest.mark.parametrize("name", ["resnet9:4", "resnet18:4", "resnet50:4", "vgg11:4", "cnn:4"])
def test_folding_batch_normalisation_keeps_the_logits(name):
    model = create_model(name, (3, 32, 32), CLASSES, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    pixels = torch.rand(3, 3, 32, 32, generator=generator)
    frozen = frozen_copy(model, torch.device("cpu"), pixels)
    with torch.no_grad():
        expected, got = model.eval()(pixels), frozen(pixels)
    assert torch.allclose(expected, got, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())
    assert any(parameter.requires_grad for parameter in model.parameters())


def test_every_architecture_is_measured():
    assert set(MODELS) == {"linear", "mlp", "cnn", "lenet", "resnet9", "resnet18", "vgg11", "resnet50"}
