"""Titles of experiments as a person would give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data import DATASETS, plain_name
from ..unlearning import METHODS

STAGES = {"References": "Re-trained models", "Members": "Further Originals"}
"""Stages of a plan, as people call what they make."""
TRAINED = ("Pre-training", "Original", *STAGES, *STAGES.values())
"""Stages whose loss is the cross-entropy; an unlearning method's is its own objective, which may be negative."""
BY_LOSS = {"hardest": "hardest", "easiest": "easiest", "memorised": "easiest"}
"""Rules that order samples by the Original's loss, and which come first; older versions wrote memorised."""
SHARES = {1.0: "all", 0.5: "half", 0.25: "a quarter", 0.75: "three quarters"}


def spoken_title(spec: Any, classes: Sequence[str] = ()) -> str:
    """Data, what is forgotten, how many methods.

    Args:
        spec: of an experiment, as plain values; anything else gives what can be said; classes: names of the classes.

    >>> spoken_title({"dataset": "digits", "forget": "class:0:0.5", "methods": ["gd", "rurk", "scrub"]})
    'Handwritten digits, 8×8 · half of “0” · 3 methods'
    >>> spoken_title({"dataset": "fashion", "forget": "random:60", "methods": ["gd"]})
    'Fashion-MNIST, small · 60 random samples · GD'
    """
    if not isinstance(spec, dict):
        return "An experiment"
    name = str(spec.get("dataset", "?"))
    forgotten = forgotten_words(str(spec.get("forget", "")), classes)
    return " · ".join(filter(None, [data_words(name), forgotten, _methods(spec)]))[:120]


def data_words(name: str) -> str:
    """A data set by its title, or by the last part of its path.

    >>> data_words("fashion"), data_words("/data/birds/")
    ('Fashion-MNIST, small', 'birds')
    """
    known = DATASETS.get(plain_name(name))
    return known.title if known else name.rstrip("/").rsplit("/", 1)[-1]


def model_words(label: str) -> str:
    """An unlearned model by its method's title; any other label as it is.

    >>> model_words("gd"), model_words("rurk-paper"), model_words("original"), model_words("mine")
    ('GD', 'RURK paper', 'Original', 'mine')
    """
    if label == "original":
        return "Original"
    # the longest: "rurk" begins "rurk-paper" as well as a method of that name
    key = max((key for key in METHODS if label == key or label.startswith(f"{key}-")), key=len, default="")
    return METHODS[key].title + label.removeprefix(key).replace("-", " ") if key else label


def stage_words(stage: str) -> str:
    """A stage of an experiment as people call what it makes.

    >>> stage_words("References"), stage_words("gd"), stage_words("rurk, its strength")
    ('Re-trained models', 'GD', 'RURK, its strength')
    >>> stage_words("Verdicts, FGSM on gd"), stage_words("Verdicts, FGSM on held-out samples")
    ('Verdicts, FGSM on GD', 'Verdicts, FGSM on held-out samples')
    """
    if stage.startswith("Verdicts, "):
        head, on, source = stage.rpartition(" on ")
        return head + on + model_words(source) if on else stage.replace(" of members", " of further Originals")
    label, comma, rest = stage.partition(", ")
    return STAGES.get(label, model_words(label)) + comma + rest


def loss_words(stage: str) -> str:
    """What the loss of a stage is."""
    return "training loss (cross-entropy)" if stage in TRAINED else "the method’s own objective"


def forgotten_words(rule: str, classes: Sequence[str]) -> str:
    """A rule that chooses what to forget; names of classes, where they are known.

    >>> forgotten_words("class:0:0.5", ["T-shirt", "Trouser"]), forgotten_words("indices:3,5-9", [])
    ('half of “T-shirt”', '6 chosen samples')
    """
    kind, _, rest = rule.partition(":")
    parts = rest.split(":")
    if kind == "class" and rest:
        name = parts[0]
        if name.isdigit() and int(name) < len(classes):
            name = classes[int(name)]
        return f"{_share(parts[1] if len(parts) > 1 else '1')} of “{name}”"
    if kind == "random" and rest:
        return f"{parts[0]} random {'sample' if parts[0] == '1' else 'samples'}"
    if kind == "indices" and rest:
        count = sum(_length(part) for part in rest.split(","))
        return f"{count} chosen {'sample' if count == 1 else 'samples'}"
    if kind in BY_LOSS and rest:
        return f"the {BY_LOSS[kind]} sample" if rest == "1" else f"the {rest} {BY_LOSS[kind]} samples"
    if kind == "twins" and rest:
        return f"{rest} near-{'twin' if rest == '1' else 'twins'}"
    if kind == "canaries":
        return "the canaries"
    if kind == "file":
        return "a list of samples"
    return f"forget {rule[:40]}" if rule else ""


def _length(part: str) -> int:
    low, _, high = part.partition("-")
    return int(high) - int(low) + 1 if low.isdigit() and high.isdigit() else 1


def _share(text: str) -> str:
    try:
        share = float(text)
    except ValueError:
        return text
    return SHARES.get(share, f"{100 * share:.3g}%")


def _methods(spec: dict[str, Any]) -> str:
    found = spec.get("methods")
    if not isinstance(found, list | tuple) or not found:
        return ""
    if len(found) > 1:
        return f"{len(found)} methods"
    key = found[0]["method"] if isinstance(found[0], dict) and "method" in found[0] else str(found[0]).partition(":")[0]
    return METHODS[key].title if key in METHODS else str(key)
