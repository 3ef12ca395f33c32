"""The words of the field, each in one plain sentence, for tooltips and for the list in the sidebar."""

from __future__ import annotations

import streamlit as st

from ui.text import escape

TERMS: dict[str, str] = {
    "original": "The model trained on all training samples, those to be forgotten included.",
    "re-trained": "A model trained from scratch without the forget set: what perfect unlearning would give.",
    "unlearned": "The Original after an unlearning method has tried to remove the forget set from it.",
    "forget set": "The training samples that a model is to forget.",
    "retain set": "The training samples that stay: all but the forget set.",
    "sample unlearning": "Forgetting some samples of a class; the class itself stays known.",
    "class unlearning": "Forgetting every sample of a class.",
    "copy": "The sample with a small change to its pixels, made anew for every draw.",
    "perturbation": "A small change to the pixels of a sample, by chance or made by an attack.",
    "radius": "τ, how far a copy may be from its sample: in pixel units (pixels run from 0 to 1), or for a shift, a "
    "rotation and the like as a share of what τ = 1 would do.",
    "draws": "How many copies of a sample are made at each radius; the paper takes 100.",
    "verdict": "The class a model gives a copy.",
    "recognised": "A copy is recognised when a model still gives it the class of its sample.",
    "residual knowledge": "What an unlearned model recognises around a forgotten sample beyond re-trained models. As a "
    "finding: more than one more re-training would, by the evidence.",
    "finding": "What the evidence says of a sample: residual knowledge, over-forgotten, clear, nothing to see, or "
    "cannot be told. Below three re-trained models nothing is called.",
    "over-forgotten": "A finding: the sample is recognised less than one more re-training would, by the evidence.",
    "clear": "A finding: the Original is told from re-trainings on the sample, and half of what it has beyond them is "
    "excluded.",
    "nothing to see": "A finding: not even the Original can be told from a re-training on the sample.",
    "cannot be told": "A finding: too few copies or re-trained models to say; it is said how many would do, or that no "
    "number of them would.",
    "canary": "A training sample under a wrong label drawn at random, which nobody says who has not seen it.",
    "near-twin": "A sample with a close neighbour of its own class that stays: it may be recognised for that alone.",
    "r̂": "Copies the model recognises divided by the mean that the re-trained models do. Re-trainings are off 1 too: "
    "whether it is residual knowledge is what the finding says.",
    "undefined ratio": "Where no re-trained model recognises any copy there is nothing to divide by; such samples are "
    "counted, never dropped.",
    "ratio of means": "All copies the model recognises, over all copies the re-trained models recognise on average.",
    "mean of ratios": "r̂ averaged over the samples where it is defined, as the paper does. An honest re-training’s is "
    "not 1: samples that no re-trained model recognises are left out, and rarely recognised ones weigh much.",
    "interval": "With 95% probability the true ratio lies in it, as far as the draws can tell (Beta posterior, "
    "Jeffreys’ prior); that re-trainings differ is another matter.",
    "band": "From the lowest to the highest re-trained model: how far honest re-trainings differ from each other.",
    "over-forgetting": "Recognising less than a re-trained model would: the sample is conspicuously unknown.",
    "prevalence": "The share of forget samples of which the unlearned model recognises more copies than a "
    "re-trained one does; the mean over the re-trained models of that against each.",
    "disagreement": "The share of copies to which the unlearned and a re-trained model give different classes.",
    "retain accuracy": "The share of the retain set that a model classifies correctly.",
    "unlearn accuracy": "1 − accuracy on the forget set, as the paper counts it.",
    "test accuracy": "The share of the test samples, which no model was trained on, that a model classifies correctly.",
    "membership inference": "Telling from a model’s output alone whether a sample was among its training samples.",
    "average gap": "The mean distance to the re-trained model over retain, unlearn, test and membership accuracies.",
    "re-learn time": "Epochs of training on the forget set until the model fits it as well as the Original did.",
    "layer similarity": "Linear CKA of two models’ features: 1 where they are equal up to a rotation and a scale, "
    "around 0 where they have nothing in common.",
    "loss": "−log of the probability a model gives the true class (cross-entropy): 0 is certain and right.",
    "confidence": "The probability a model gives the true class.",
    "memorised": "Known better by models that saw a sample than by models that did not.",
    "gaussian": "Normal noise on every pixel; τ is its standard deviation.",
    "l2 ball": "All copies whose pixel changes, squared and summed, stay within τ².",
    "l∞ ball": "All copies in which no pixel changes by more than τ.",
    "fgsm": "Fast gradient sign method: every pixel moves by τ in the direction that changes the loss most.",
    "pgd": "Projected gradient descent: many small gradient steps that stay within τ.",
    "targeted": "The attack pulls towards a wrong class drawn by chance, not just away from the right one.",
    "decision field": "What a model believes on a flat cut through the space of images around the sample: each colour "
    "is a class, and colours mix where the model is unsure.",
    "adversarial direction": "The direction in which the loss of the model in question rises fastest.",
    "epoch": "One pass over all training samples.",
    "seed": "The number all chance is derived from: equal settings with an equal seed give equal results.",
    "reference": "A re-trained model; several with different seeds show how much re-training itself varies.",
    "fingerprint": "A short name computed from the data themselves, so that results never meet other data.",
}
"""Term → one sentence. Keys are lower case."""

_ALSO = {
    "retrained": "re-trained",
    "references": "reference",
    "copies": "copy",
    "τ": "radius",
    "radii": "radius",
    "mia": "membership inference",
    "verdicts": "verdict",
    "findings": "finding",
    "canaries": "canary",
    "near-twins": "near-twin",
    "perturbations": "perturbation",
}


def help_of(name: str) -> str:
    """The sentence for a term, for the ``help`` of a widget.

    >>> help_of("τ") == help_of("radius")
    True
    """
    key = name.lower()
    return TERMS[_ALSO.get(key, key)]


def term(name: str, shown: str = "") -> str:
    """A term that explains itself when pointed at or focused, as HTML for ``st.html``.

    Args:
        name: key of :data:`TERMS` (or a plural or symbol of one); shown: the words on the page, if they differ.
    """
    help = escape(help_of(name))
    return (
        f'<dfn class="rk-term" tabindex="0" data-help="{help}" aria-description="{help}">{escape(shown or name)}</dfn>'
    )


@st.dialog("Glossary", width="large")
def listed() -> None:
    """All terms, or those that hold what is looked for."""
    sought = st.text_input("Look for", key="glossary_sought").strip().lower()
    found = [(name, text) for name, text in sorted(TERMS.items()) if sought in f"{name} {text}".lower()]
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in found)
    st.html(f'<dl class="rk-words">{rows}</dl>' if found else f"<p>No term says “{escape(sought[:40])}”.</p>")
