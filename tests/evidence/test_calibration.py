"""Models with known truth handed in as unlearned."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rurk_core.cli import main
from rurk_core.errors import UsageError
from rurk_core.evidence.calibration import calibrate

from .test_findings import case


def test_references_handed_in_are_not_accused_and_the_original_is():
    found = calibrate(case(9))
    json.dumps(found, allow_nan=False)
    assert found["null"]["audits"] == 9 and found["planted"]["audits"] == 1
    assert [row["model"] for row in found["models"]] == ["original", *(f"reference-{k + 1}" for k in range(9))]
    null, planted = found["null"], found["planted"]
    assert null["residual"] <= 0.08 and null["over_forgotten"] <= 0.08 and null["findings"]["residual"] <= 0.01
    assert planted["findings"]["residual"] == 1 and planted["set_residual"] == 1 and planted["specific"] > 0.9
    assert sum(null["findings"].values()) == pytest.approx(1)


def test_a_model_that_saw_others_of_the_class_is_not_said_to_remember():
    """A model as good on held-out samples as on the set: residual as a whole, but memory of no sample."""
    base = case(9, model=np.full(40, 8.0))
    rng = np.random.default_rng(0)
    margins = base.peers.margins.copy()
    margins[base.peers.models.index("m")] = 8 + rng.normal(size=(40, 1))
    found = calibrate(replace(base, peers=replace(base.peers, margins=margins)))
    substitute = case(9, model=8 + rng.normal(size=40))
    substitute = replace(substitute, peers=replace(substitute.peers, margins=margins))
    from rurk_core.evidence.findings import find

    assert find(substitute).counts()["residual"] > 30 and find(substitute).remembered() <= 2
    assert found["null"]["specific"] <= 0.02


def test_too_few_references_are_refused():
    with pytest.raises(UsageError, match="at least 4; there are 3"):
        calibrate(case(3))


@pytest.mark.slow
def test_the_command(capsys, tmp_path):
    arguments = [
        "--references",
        "4",
        "--tau",
        "0.2",
        "--draws",
        "10",
        "--train",
        "epochs=1",
        "--attack",
        "gaussian,fgsm",
    ]
    assert main(["calibrate", "--json", "--store", str(tmp_path), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {name: found["null"]["audits"] for name, found in document["attacks"].items()} == {"gaussian": 4, "fgsm": 4}
    assert main(["calibrate", "--store", str(tmp_path), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "reference-3" in printed and "mean" in printed
