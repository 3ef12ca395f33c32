"""The evidence against known truth, on synthetic counts and on the references of a real experiment."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rurk_core.cli import main
from rurk_core.errors import UsageError
from rurk_core.evidence.calibration import calibrate, score_synthetic, synthetic_audit
from rurk_core.evidence.samples import sample_evidence
from rurk_core.measure.residual import Verdicts


def table(rng, *, planted: float) -> Verdicts:
    """A verdict table with an Original that still knows a share of 100 samples, and six references."""
    audit = synthetic_audit(rng, references=6, planted=planted)
    recognised = np.concatenate([audit.u[None], audit.v])
    names = ("original", *(f"reference-{k + 1}" for k in range(6)))
    return Verdicts(
        attack="gaussian",
        source="",
        draws=audit.draws,
        seed=0,
        taus=np.array([0.1]),
        samples=np.arange(100),
        labels=np.zeros(100, int),
        models=names,
        references=names[1:],
        counts=np.stack([recognised, audit.draws - recognised], -1),
        agreement=np.zeros((7, 6, 100, 1), int),
    )


@pytest.mark.slow
def test_errors_stay_at_the_stated_rates():
    """50 synthetic audits; benchmarks/calibration.py runs more of them, and harder ones."""
    rng = np.random.default_rng(2)
    scores = [score_synthetic(synthetic_audit(rng)) for _ in range(50)]
    assert 0.92 <= np.mean([s.covered for s in scores]) <= 0.99
    assert np.mean([s.alarms for s in scores]) <= 0.06
    assert np.mean([s.false_discoveries for s in scores]) <= 0.07
    assert np.mean([s.found for s in scores]) > 0.35
    assert np.mean([s.wrongly_clear for s in scores]) <= 0.05


def test_truth_of_a_synthetic_audit_is_what_it_says():
    """With a million draws counts are probabilities: excess = u / c − μ, and μ is the mean of many references."""
    audit = synthetic_audit(np.random.default_rng(3), samples=200, references=400, draws=10**6)
    mean = audit.u[:, 0] / audit.draws - audit.excess
    assert np.abs(audit.v[:, :, 0].mean(0) / audit.draws - mean).max() < 0.1
    assert (audit.u[audit.planted] / audit.draws).mean() == pytest.approx(30 / 31, abs=0.02)


def test_references_handed_in_are_not_accused_and_the_original_is():
    found = calibrate(table(np.random.default_rng(4), planted=0.5)).to_dict()
    json.dumps(found, allow_nan=False)
    assert (found["null"]["models"], found["planted"]["models"]) == (6, 6)
    assert [row["references"] for row in found["models"]] == [5] * 12
    assert found["null"]["alarms_residual"] <= 0.08 and found["null"]["listed_residual"] <= 0.02
    assert found["planted"]["listed_residual"] > 0.1
    assert set(found["checks"]) == {"variance", "unanimous", "largest", "between"}


def test_a_model_handed_in_gets_the_evidence_it_would_get_anywhere():
    one = table(np.random.default_rng(6), planted=0.3)
    more = np.concatenate([one.counts, one.counts[:, ::-1], one.counts], axis=2)
    verdicts = replace(one, taus=np.array([0.1, 0.2, 0.3]), counts=more, agreement=np.zeros((7, 6, 100, 3), int))
    found = calibrate(verdicts).planted[0]
    expected = sample_evidence(replace(verdicts, references=verdicts.references[1:]), "original")
    for name in ("p_residual", "p_forgotten", "excess", "low", "high", "detectable"):
        assert getattr(found.combined, name) == pytest.approx(getattr(expected.combined, name), nan_ok=True)
    assert found.overall == pytest.approx(expected.overall) and (found.verdict == expected.verdict).all()


def test_what_cannot_be_calibrated_is_refused():
    verdicts = table(np.random.default_rng(5), planted=0)
    with pytest.raises(UsageError, match="random draws"):
        calibrate(replace(verdicts, source="original", attack="fgsm"))
    with pytest.raises(UsageError, match="there are 2"):
        calibrate(replace(verdicts, references=verdicts.references[:2]))


@pytest.mark.slow
def test_the_command(capsys, tmp_path):
    arguments = ["--references", "3", "--tau", "0.2", "--draws", "10", "--train", "epochs=1"]
    assert main(["calibrate", "--json", "--store", str(tmp_path), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["attacks"]["gaussian"]["null"]["models"] == 3
    assert main(["calibrate", "--store", str(tmp_path), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "reference-3" in printed and "planted, mean" in printed
    assert main(["calibrate", "--store", str(tmp_path), *arguments, "--attack", "fgsm"]) == 2
    assert "random draws" in capsys.readouterr().err
