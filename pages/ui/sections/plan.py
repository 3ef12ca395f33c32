"""What an experiment will run, counted, and how long it will take."""

from __future__ import annotations

from rurk_core.data import Dataset, ForgetSet, dataset_entry
from rurk_core.perturb.copies import ATTACKS
from rurk_core.progress import duration
from rurk_core.run.plan import Stage, Work, expected_seconds
from rurk_core.run.spec import Spec
from ui.glossary import term
from ui.jobs.line import ahead, over_words, same_under_way, title_of
from ui.jobs.runs import speeds_here
from ui.session import state
from ui.text import escape

TRIAL = 2.0
"""By how much a time may be wrong that only a short trial of the network tells."""


def plan(spec: Spec, dataset: Dataset, forget: ForgetSet) -> str:
    """What will run, counted, and about how long it will take, as HTML."""
    from rurk_core.evidence.words import power_words

    methods, k, chosen = len(spec.methods), spec.references, len(forget.indices)
    each = chosen * len(spec.taus) * spec.draws
    verdicts = 0
    for attack in spec.attacks:
        # random draws serve all models at once; an attack is made on the Original and on each unlearned model
        verdicts += each * ((methods + 1) * (k + 2) - 1 if ATTACKS[attack].uses_model else methods + 1 + k)
    s = "s" if methods != 1 else ""
    models = "models" if k > 1 else "model"
    pretrained = " after pre-training on CIFAR-10," if _pretrains(spec) else ""
    further = f" and {spec.members} like it" if spec.members else ""
    verdicts += each * spec.members * len(spec.attacks)
    return (
        f'<div class="rk-plan"><b>What will run:</b>{pretrained} 1 {term("original", "Original")}{further} on '
        f"{len(dataset.train_labels):,} samples, {k} {term('re-trained')} {models} on "
        f"{len(dataset.train_labels) - chosen:,}, {methods} unlearning run{s} ({escape(spec.model)}); then {chosen:,} "
        f"{'sample' if chosen == 1 else 'samples'} × {len(spec.taus)} "
        f"{term('radius' if len(spec.taus) == 1 else 'radii')} × {spec.draws} "
        f"{term('copy' if spec.draws == 1 else 'copies')}, <b>{verdicts:,}</b> "
        f"{term('verdicts')} in all. {time_words(spec, dataset, forget)} {power_words(k)}</div>"
    )


def time_words(spec: Spec, dataset: Dataset, forget: ForgetSet) -> str:
    """How long it will take, and how that is known; of one that is under way already, that it is."""
    if job := same_under_way(spec):
        return f"<b>This very experiment is under way already</b>, as “{escape(title_of(job))}”."
    before = over_words(ahead({"device": "auto"}))
    queue = escape(f", once {before}" if before else "")
    stages = missing(spec, dataset, forget)
    if not stages:
        return f"<b>Everything is in the store already</b>: the result is there at once{queue}."
    speeds, source = speeds_here(spec.model, dataset.input_shape, len(dataset.classes))
    if speeds is None:
        return f"No estimate of the time: {source}."
    time = f"It takes <b>{spoken(seconds_of(stages, speeds), source)}</b> here ({source}){queue}."
    return " ".join([time, *heaviest_words(stages, speeds)])


SHORTER = {
    "pretrained": ("Pre-training", "fewer epochs of it, or none, make the whole shorter"),
    "original": ("Training Originals", "fewer epochs of training make it shorter"),
    "reference": ("Re-training", "fewer re-trained models or epochs make it shorter"),
    "unlearned": ("Unlearning", "fewer methods or epochs of theirs make it shorter"),
    "verdicts": ("Verdicts on the forget set", "fewer perturbations, radii or copies make it shorter"),
    "peers": ("Verdicts on held-out samples", "fewer perturbations, radii or copies make it shorter"),
    "members": ("Verdicts of further Originals", "fewer of them, or fewer radii or copies, make it shorter"),
}
"""What takes time, by kind of stage, and what would make it short."""
LONG = 600.0
"""Seconds of a run from which on it is said what takes them."""


def heaviest_words(stages: list[Stage], speeds: dict[str, float]) -> list[str]:
    """What takes most of a long run, its share, and what would make it shorter; nothing of a short one."""
    by_kind = {kind: [stage for stage in stages if stage.kind == kind] for kind in SHORTER}
    taken = {kind: expected_seconds(found, speeds) for kind, found in by_kind.items()}
    kind, whole = max(taken, key=taken.__getitem__), expected_seconds(stages, speeds)
    if whole < LONG:
        return []
    title, shorter = SHORTER[kind]
    return [f"{title} takes {taken[kind] / whole:.0%} of it; {shorter}, and so does a smaller network."]


def _pretrains(spec: Spec) -> bool:
    recipe = spec.training().pretrain
    return bool(recipe and recipe.epochs)


def missing(spec: Spec, dataset: Dataset, forget: ForgetSet) -> list[Stage]:
    """The stages that are to be made."""
    from rurk_core.device import default_device
    from rurk_core.run.estimate import missing_stages

    start_on = dataset_entry(spec.dataset).pretrain_on
    start_data = state.dataset(start_on) if start_on and _pretrains(spec) else None
    return missing_stages(Work(spec, state.store(), dataset, start_data, default_device(), forget=forget))


def seconds_of(stages: list[Stage], speeds: dict[str, float]) -> float:
    """How long it takes to make them, from the start of a process."""
    from rurk_core.run.estimate import START_SECONDS

    return START_SECONDS + expected_seconds(stages, speeds)


def spoken(seconds: float, source: str) -> str:
    """A time that finished runs tell; of a trial of the network alone, between which two it lies."""
    if source.startswith("from your finished runs"):
        return f"about {duration(seconds)}"
    return f"{duration(seconds / TRIAL)} to {duration(seconds * TRIAL)}"
