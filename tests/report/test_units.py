"""The unit of τ is the attack's, on every axis."""

from __future__ import annotations

import pytest
import torch

from rurk_core.measure.residual import Verdicts
from rurk_core.perturb.copies import ATTACKS
from rurk_core.perturb.transforms import TRANSFORMS
from rurk_core.report.figures import recognition
from rurk_core.report.looks import looks_of
from rurk_core.report.units import PIXELS, SHARES, tau_title, unit_of


def test_every_attack_has_a_unit():
    shares = {attack for attack, about in ATTACKS.items() if about.ball == "share"}
    assert set(SHARES) == shares and {unit_of(attack) for attack in set(ATTACKS) - shares} == {PIXELS}


@pytest.mark.parametrize(("attack", "tau"), [("shift", 0.25), ("occlusion", 0.5)])
def test_a_share_of_the_side_is_one(attack, tau):
    """The furthest that the transform goes at τ is τ of the side."""
    picture = torch.zeros(1, 1, 16, 16)
    picture[..., :8] = 1.0
    moved = TRANSFORMS[attack](picture, torch.ones(1, 3), tau)
    changed = (moved != picture).any(2)[0, 0].nonzero()
    assert unit_of(attack) == "share of the side" and 0 < len(changed) <= tau * 16 + 1


@pytest.mark.parametrize("attack", ["gaussian", "rotation"])
def test_a_figure_names_the_unit_of_its_attack(attack, tiny_run):
    from rurk_core.evidence.case import open_case

    store, result = tiny_run
    table: Verdicts = open_case(store, result["key"], method="rurk").verdicts
    svg = recognition(replaced(table, attack), None, looks_of(result["models"]))
    other = {"gaussian": "rotation", "rotation": "gaussian"}[attack]
    assert tau_title(attack) in svg and tau_title(other) not in svg


def replaced(table: Verdicts, attack: str) -> Verdicts:
    from dataclasses import replace

    return replace(table, attack=attack)
