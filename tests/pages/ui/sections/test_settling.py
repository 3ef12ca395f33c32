"""The buttons that add what would settle a sample, and that look for a method's strength: what each starts."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from rurk_core.evidence.findings import Settling

SCRIPT = """
import streamlit as st
from rurk_core.unlearning import METHODS
from ui.figures.look import looks_of
from ui.sections import settling, strength

result = st.session_state["result"]
for place in (settling, strength):
    place.start = lambda spec, **more: st.session_state.setdefault("started", []).append((spec, more))
st.switch_page = lambda page: None
if "found" in st.session_state:
    settling.offer_settling(result, st.session_state["found"], "here")
else:
    strength.offer_strength(result, looks_of(result["models"]), "here")
"""


class Found:
    """What the buttons read of findings."""

    judged, peers, members = None, {}, 0

    def __init__(self, *settling: Settling) -> None:
        self.settling = lambda: list(settling)


def shown(**given) -> AppTest:
    test = AppTest.from_string(SCRIPT, default_timeout=30)
    for name, value in given.items():
        test.session_state[name] = value
    test.run()
    assert not test.exception, test.exception[0].stack_trace
    return test


def test_each_button_asks_for_the_same_experiment_with_more(tiny_run):
    result = tiny_run[1]
    found = Found(Settling("references", 8, 2, 40), Settling("members", 3, 0, 5))
    test = shown(result=result, found=found)
    assert [button.label for button in test.button] == ["Train 6 more re-trained models", "Train 3 further Originals"]
    assert "What this version made is kept." in test.caption[1].value
    for button in list(test.button):
        test.button(key=button.key).click().run()
    first, second = (spec for spec, _ in test.session_state["started"])
    changed = {"references": 8, "title": "digits, 8 re-trained models"}
    assert first == result["spec"] | changed and second["members"] == 3
    assert not shown(result=result | {"audit": {}}, found=found).button
    enough = Found(Settling("references", 2, 1, 1))
    assert not shown(result=result, found=enough).button, "there are so many already"


@pytest.mark.parametrize("note, label", [("It over-forgets: x.", "Find its strength"), ("first", "")])
def test_a_method_that_over_forgets_has_its_strength_looked_for(tiny_run, note, label):
    result = tiny_run[1]
    rows = [row | ({"notes": [note]} if row["name"] == "rurk" else {"notes": []}) for row in result["models"]]
    test = shown(result=result | {"models": rows})
    assert [button.label for button in test.button] == ([label] if label else [])
    if label:
        assert "at most 3 runs of it" in test.caption[0].value and "over-forgets" in test.caption[0].value
        test.button[0].click().run()
        ((spec, _),) = test.session_state["started"]
        assert [method["config"].get("ceiling") for method in spec["methods"]] == [None, -1.0]


def test_one_without_a_ceiling_is_tuned(tiny_run):
    result = tiny_run[1]
    rows = [
        row | ({"notes": ["It did next to nothing to y."]} if row["name"] == "gd" else {"notes": []})
        for row in result["models"]
    ]
    test = shown(result=result | {"models": rows})
    assert [button.label for button in test.button] == ["Tune it"] and "tries 30 settings" in test.caption[0].value
    test.button[0].click().run()
    ((spec, more),) = test.session_state["started"]
    assert more["kind"] == "tuning" and [method["method"] for method in spec["methods"]] == ["gd"]
    assert spec["title"] == "Tune GD: 30 settings"
