"""What the terminal says of residual knowledge with several re-trained models, with one, and with none."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from rurk_core.commands.run import print_residual, print_result

LOOKS: Any = {"gd": SimpleNamespace(title="GD")}


def printed(denominator: float | None, apart: list[float] | None = None) -> str:
    row = {"tau": 0.1, "numerator": 1, "trials": 20, "r_undefined": 0, "among_references": {"prevalence": apart}}
    row |= {"denominator": denominator, "ratio_of_means": denominator and 1 / denominator}
    row |= {"prevalence": None if denominator is None else 0.5, "reference_band": [0.5, 2.0]}
    out = io.StringIO()
    print_residual([{"method": "gd", "taus": [row]}], "FGSM", LOOKS, Console(file=out, width=200))
    return " ".join(out.getvalue().split())


def test_without_references_recognition_is_all_that_is_counted():
    said = printed(None)
    assert "Recognition, FGSM: copies recognised by the model" in said and "1 of 20" in said
    assert "Residual" not in said and "r̂" not in said and "revalence" not in said


def test_only_several_are_compared_with_each_other():
    assert "there, mean over these; re-trained apart: each against the others." in printed(2.0, [0.1, 0.2])
    assert "apart" not in printed(2.0) and "mean over" not in printed(2.0)


def test_a_mean_of_less_than_one_copy_is_not_said_to_be_0():
    assert "1/0.3 = 3.00" in printed(1 / 3)


def test_a_note_that_names_its_model_is_not_named_twice():
    rows = [
        {"name": "gd", "role": "unlearned", "method": "gd", "failed": "No.", "notes": ["GD: a sentence.", "Another."]}
    ]
    result = {"models": rows, "residual": [], "device": "cpu", "notes": []}
    result |= {"dataset": {"name": "digits", "train": 9, "test": 3}, "forget": {"indices": [1], "rule": "indices:1"}}
    out = io.StringIO()
    print_result(result, Console(file=out, width=200))
    assert "GD: GD:" not in out.getvalue() and "\nGD: a sentence." in out.getvalue()
    assert "GD: Another." in out.getvalue()
