"""Titles as a person would give them, of every rule, and of what is no experiment."""

from __future__ import annotations

import pytest

from rurk_core.run.titles import spoken_title

FASHION = ["T-shirt/top", "Trouser"]


@pytest.mark.parametrize(
    ("spec", "title"),
    [
        (
            {"dataset": "fashion", "forget": "class:0:0.5", "methods": [{"method": "gd"}] * 5},
            "Fashion-MNIST, small · half of “T-shirt/top” · 5 methods",
        ),
        (
            {"dataset": "small_cifar5", "forget": "class:1", "methods": ["rurk"]},
            "Small CIFAR-5 · all of “Trouser” · RURK",
        ),
        ({"dataset": "digits", "forget": "class:cat:0.3:2", "methods": []}, "Handwritten digits, 8×8 · 30% of “cat”"),
        ({"dataset": "/data/own pictures/", "forget": "indices:1-3,9"}, "own pictures · 4 chosen samples"),
        ({"dataset": "digits", "forget": "random:1"}, "Handwritten digits, 8×8 · 1 random sample"),
        ({"dataset": "digits", "forget": "file:/a/b.json"}, "Handwritten digits, 8×8 · a list of samples"),
        ({"dataset": "digits", "forget": "memorised:50"}, "Handwritten digits, 8×8 · the 50 easiest samples"),
        ({"dataset": "digits", "forget": "hardest:1"}, "Handwritten digits, 8×8 · the hardest sample"),
        ({"dataset": "digits", "forget": "twins:50"}, "Handwritten digits, 8×8 · 50 near-twins"),
        ({"dataset": "digits", "forget": "twins:1"}, "Handwritten digits, 8×8 · 1 near-twin"),
        ({"dataset": "digits", "forget": "canaries"}, "Handwritten digits, 8×8 · the canaries"),
        ({}, "?"),
        (None, "An experiment"),
    ],
)
def test_titles(spec, title):
    assert spoken_title(spec, FASHION) == title
    assert len(spoken_title({"dataset": "x" * 500})) <= 120
