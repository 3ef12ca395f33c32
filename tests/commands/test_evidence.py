"""What the terminal says of the evidence: p and q of the side a sample lies on, and no command that there is not."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rurk_core.commands.evidence import print_evidence

ROW = {
    "sample": 7,
    "recognised": 1,
    "copies": 20,
    "references": [10, 12, 9],
    "finding": "over_forgotten",
    "log_odds": -4.0,
    "expected": 0.5,
    "low": -2.0,
    "high": 3.0,
    "p_residual": 0.31,
    "q_residual": 1.0,
    "p_forgotten": 0.001,
    "q_forgotten": 0.0,
    "specific": "cannot_tell",
}


def printed(*rows: dict, **asked) -> str:
    settling = [{"what": "references", "number": 9, "sentence": "Nine would tell it."}]
    evidence = {"attack": "gaussian", "sentence": "One sentence.", "settling": settling, "samples": list(rows)}
    out = io.StringIO()
    print_evidence("GD", {"evidence": evidence}, Console(file=out, width=200), **asked)
    return out.getvalue()


def test_p_and_q_are_of_the_side_on_which_a_sample_lies():
    said = printed(ROW)
    assert "over-forgotten" in said and "0.001" in said and "< 0.000001" in said and "0.31" not in said
    assert "0.31" in printed(ROW | {"log_odds": 1.0, "finding": "cannot_tell"})


@pytest.mark.parametrize("references", [[], [10], [10, 12]])
def test_of_too_few_re_trained_models_there_is_no_p(references):
    said = printed(ROW | {"references": references})
    assert "0.001" not in said and "< 0.0" not in said
    assert ("Most recognised" in said) == (not references)


def test_models_that_were_made_elsewhere_are_not_made_again():
    assert "Nine would tell it. (the same experiment with --references 9)" in printed(ROW)
    assert "Nine would tell it.\n" in printed(ROW, audit=True) and "--references" not in printed(ROW, audit=True)
