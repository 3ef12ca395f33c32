"""The buttons that add what would settle a sample, and that look for a method's strength: what each starts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from rurk_core.evidence.findings import Settling

SCRIPT = """
import streamlit as st
from rurk_core.data import load_dataset
from rurk_core.unlearning import METHODS
from ui.figures.look import looks_of
from ui.sections import settling, strength

result = st.session_state["result"]
for place in (settling, strength):
    place.start = lambda spec, **more: st.session_state.setdefault("started", []).append((spec, more))
if "found" in st.session_state:
    dataset = load_dataset("digits") if st.session_state.get("data", True) else None
    settling.offer_settling(result, st.session_state["found"], dataset, "here")
else:
    strength.offer_strength(result, looks_of(result["models"]), "here")
"""


class Found:
    """What the buttons read of findings."""

    judged, peers, members = None, {}, 0

    def __init__(self, *settling: Settling, rows: tuple[dict, ...] = ()) -> None:
        self.settling = lambda: list(settling)
        self.samples = [SimpleNamespace(finding="cannot_tell", row=row) for row in rows]
        self.counts = lambda: {"cannot_tell": 40}


@pytest.fixture(autouse=True)
def own_store(tiny_store, monkeypatch):
    """Each page looks at a copy of the tiny run's store, whose run tells how fast this machine is."""
    monkeypatch.setenv("RURK_STORE", tiny_store.url)


def shown(**given) -> AppTest:
    test = AppTest.from_string(SCRIPT, default_timeout=30)
    for name, value in given.items():
        test.session_state[name] = value
    test.run()
    assert not test.exception, test.exception[0].stack_trace
    return test


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def test_each_button_asks_for_the_same_experiment_with_more_and_says_how_long_it_takes(tiny_run):
    result = tiny_run[1]
    found = Found(Settling("references", 8, 3, 12), Settling("members", 3, 0, 5))
    test = shown(result=result, found=found)
    assert labels(test) == ["Train 6 more re-trained models", "Train 3 further Originals"]
    assert "6 more, 8 in all, would settle about 12 of the 40 samples" in test.caption[0].value
    assert all("It takes about" in caption.value for caption in test.caption)
    assert "What this version made is kept." in test.caption[1].value
    for button in list(test.button):
        test.button(key=button.key).click().run()
    first, second = (spec for spec, _ in test.session_state["started"])
    assert first == result["spec"] | {"references": 8, "title": "Handwritten digits, 8×8, 8 re-trained models"}
    assert second["members"] == 3
    assert not shown(result=result | {"audit": {}}, found=found).button
    assert not shown(result=result, found=found, data=False).button, "a run would read the data"
    enough = Found(Settling("references", 2, 1, 1))
    assert not shown(result=result, found=enough).button, "there are so many already"


def test_without_findings_the_least_that_gives_them_is_offered_too(tiny_run):
    test = shown(result=tiny_run[1], found=Found(Settling("references", 8, 2, 40)))
    assert labels(test) == ["Train 1 more re-trained model", "Train 6 more re-trained models"]
    assert "the least that gives findings" in test.caption[0].value
    assert "With 8 re-trained models" in test.caption[1].value


def test_models_are_not_trained_for_what_more_copies_settle(tiny_run):
    models, copies = Settling("references", 22, 8, 1), Settling("draws", 40, 20, 1)
    both = Found(models, copies, rows=({"settles": 22, "settles_draws": 40},))
    assert labels(shown(result=tiny_run[1], found=both)) == ["Look at 20 more copies"]
    other = Found(models, copies, rows=({"settles": 22, "settles_draws": 0}, {"settles": 0, "settles_draws": 40}))
    assert labels(shown(result=tiny_run[1], found=other))[0] == "Train 20 more re-trained models", "the only way"


def test_what_takes_long_or_nobody_knows_how_long_is_asked_once_more(tiny_run, monkeypatch):
    monkeypatch.setattr("ui.sections.settling.speeds_known", lambda model: None)
    test = shown(result=tiny_run[1], found=Found(Settling("members", 3, 0, 5)))
    assert "It takes" not in test.caption[0].value
    test.button(key="settle-members-3-here").click().run()
    assert not test.exception and "started" not in test.session_state
    assert any("It takes **" in text.value for text in test.markdown)
    test.button(key="settle-here-start").click().run()
    assert len(test.session_state["started"]) == 1


def test_what_is_under_way_already_is_not_begun_again(tiny_run, monkeypatch):
    monkeypatch.setattr("ui.sections.settling.same_under_way", lambda spec: spec)
    test = shown(result=tiny_run[1], found=Found(Settling("members", 3, 0, 5)))
    assert test.button[0].disabled and "It is under way" in test.caption[0].value


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
