"""The Overview: the numbers it says are those that were stored, and it stands without data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cases import case
from streamlit.testing.v1 import AppTest
from ui.sections.story import Story, fourth_beat

from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.parts import part_words, parts
from rurk_core.evidence.words import set_words, short_words
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store


@pytest.fixture
def opened(app, tiny_store, tiny_run):
    def open_page(**query: str) -> AppTest:
        test = app("overview.py", tiny_store, **{"run": tiny_run[1]["key"]} | query)
        assert not test.error
        return test

    return open_page


def words(app):
    return " ".join(item.body for item in app.get("html"))


def test_it_is_the_first_page_and_says_what_was_counted(opened, tiny_run):
    store, result = tiny_run
    app = opened()
    assert app.title[0].value.startswith("What does an unlearned model")
    opened_case = open_case(store, result["key"], method="gd")
    own = 100 * np.mean(opened_case.verdicts.recognised("gd")[:, 1:]) / opened_case.verdicts.draws
    each = 100 * np.mean(opened_case.verdicts.reference_recognised()[:, :, 1:]) / opened_case.verdicts.draws
    text = words(app)
    assert f"2 re-trained models <b>{each:.1f}%</b> on average" in text and f"GD (<b>{own:.1f}%</b>)" in text
    found = find(opened_case)
    assert short_words(found) in text.partition("Copies of the forgotten samples")[2]
    assert any(set_words(found) in item.value.replace("\\", "") for item in app.markdown)


@pytest.mark.parametrize("page", ["overview", "neighbourhood", "compare", "evidence", "review"])
def test_what_must_be_known_beforehand_stands_on_top_of_every_page_of_numbers(app, tiny_store, tiny_run, page):
    test = app(f"{page}.py", tiny_store, run=tiny_run[1]["key"])
    assert [item.value for item in test.warning if "2 re-trained models; findings need at least" in item.value]


def test_of_several_seeds_each_says_its_own():
    def page():
        from ui.sections.standing import caution

        def of(seed, right):
            reference = {"role": "reference", "key": "r", "name": "reference-2", "retain_accuracy": right}
            others = [{"role": "reference", "key": "r", "name": "reference-1", "retain_accuracy": 0.9}] * 4
            return {"seed": seed, "models": [*others, reference], "notes": []}

        caution(of(1, 0.9), of(2, 0.1))

    (said,) = AppTest.from_function(page).run().warning
    assert said.value.replace("\\", "").startswith("Seed 2: Re-trained model 2 is right on 10.0%")


def test_one_button_leads_to_the_sample_it_shows(opened):
    app = opened()
    app.button(key="look_around").click().run()
    assert not app.exception and app.title[0].value == "Neighbourhood"
    assert app.query_params["sample"][0].isdigit()


def test_without_the_data_curve_and_verdict_stay(opened, monkeypatch, tmp_path):
    from ui.session import state

    from rurk_core.errors import RurkError

    def gone(name):
        raise RurkError("The data are not there.")

    monkeypatch.setattr(state, "dataset", gone)
    app = opened()
    assert any("not there" in warning.value for warning in app.warning)
    assert "Copies of the forgotten samples" in words(app) and "Who still knows it?" in words(app)


def test_the_four_beats_say_what_the_evidence_says(app):
    """On the bundled experiment there is a method for every part; their counts are the findings'."""
    text = words(app("overview.py"))
    store = Store(Path(__file__).parents[2] / "assets" / "demo")
    (key,) = [entry.key for entry in store.list("run")]
    found = {name: find(open_case(store, key, method=name)) for name in ("gd", "scrub", "ssd", "rurk-paper", "rurk")}
    told = parts(found)
    assert told.leaves and told.destroys and told.nearest
    third, _, fourth = text.partition("Who still knows it?")[2].partition("And all samples together?")
    for of in found.values():
        assert f">{part_words(of)}</" in fourth and short_words(of) in fourth
    assert fourth.count('class="rk-card"') == 3 and third.count("<tr>") == 7
    first = found[told.leaves].samples[0]
    many = len(found["gd"].samples)
    assert f"Training sample {first.sample}," in text
    assert f"Of {many} it is <b>the one most beyond a re-training</b>, not a usual one:" in text


def test_every_one_of_seventeen_methods_has_a_place():
    """Three as cards, the others folded behind a line that counts them."""
    model = np.zeros(40)
    plain, leaves = find(case(model=model)), find(case(model=np.full(40, 11.0)))
    found = {f"m{at}": leaves if at == 9 else plain for at in range(17)}
    looks = {name: SimpleNamespace(label=lambda name=name: f"[{name}]") for name in found}
    story = Story(SimpleNamespace(looks=looks), found, parts(found))  # type: ignore[arg-type]
    assert story.order[0] == "m9" and sorted(story.order) == sorted(found)
    text = fourth_beat(story, {"models": []})
    assert [text.count(f"[{name}]") for name in found] == [1] * 17
    assert text.count('class="rk-card"') == 3 and "<h3>Leaves knowledge</h3>" in text.partition("[m9]")[0]
    assert "<summary>14 more methods: 14 × not told from a re-training</summary>" in text
    few = {name: found[name] for name in ("m9", "m1", "m2", "m3")}
    text = fourth_beat(Story(story.view, few, parts(few)), {"models": []})
    assert "<details" not in text and text.count("[m") == 4


@pytest.mark.slow
def test_one_sample_one_re_trained_model_one_copy_and_no_radius_above_0(app, tmp_path):
    store = Store(tmp_path / "smallest")
    asked = {"references": 1, "taus": "0", "draws": 1, "train": {"epochs": 1}, "relearn": 0}
    made = run(make_spec("iris", forget="indices:3", methods="gd:epochs=1", title="A <b>title</b>", **asked), store)
    test = app("overview.py", store, run=made["key"])
    text = words(test)
    assert "Copies of the forgotten sample still recognised, at τ = 0: the re-trained model <b>" in text
    assert "was to forget it. It is the only one:" in text and "1 sample by % of copies" in text
    assert "1 copy (τ = 0, " in text and "<b>title" not in text
    caption = app("evidence.py", store, run=made["key"]).caption[0].value
    assert caption.endswith("finding. It takes 3 re-trained models.")
