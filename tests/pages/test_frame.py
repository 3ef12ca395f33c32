"""Every page in the states it can be in, run without a browser; ``tests/e2e`` drives a real one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rurk_core.store.store import Store

from .looking import fine, words

PAGES = sorted(path.name for path in (Path(__file__).parents[2] / "pages").glob("*.py") if path.name != "frame.py")


@pytest.mark.parametrize("page", PAGES)
def test_a_first_visitor_sees_the_experiment_that_came_with_the_app(app, page):
    assert fine(app(page)).title[0].value


@pytest.mark.parametrize("page", PAGES)
def test_with_no_experiment_at_all_every_page_stands(app, page):
    test = fine(app(page, bundled=False))
    if page in ("neighbourhood.py", "unlearn.py"):
        assert "Run the digits experiment" in [button.label for button in test.button]


@pytest.mark.parametrize("page", PAGES)
def test_hostile_link_parameters_are_left_out(app, page):
    bad = {
        "run": "../../etc/passwd",
        "sample": "-1",
        "tau": "nan",
        "method": "<script>",
        "attack": "`x`",
        "data": "/etc",
        "forget": "file:/etc/passwd",
    }
    test = fine(app(page, **bad))
    assert "<script>" not in words(test)


def test_what_a_link_says_wrongly_is_named_in_a_note(app):
    test = fine(app(run="nonsense", tau="7", method="none"))
    (note,) = test.warning
    lines = note.value.split("  \n")
    assert len(lines) == 3 and all("does not exist here" in line for line in lines)
    assert not fine(test.run()).warning, "it is said once"


def test_a_page_that_there_is_not_is_one_sentence_on_the_overview(app):
    test = fine(app("overview.py", nowhere="<b>Nonsense</b>"))
    (note,) = test.warning
    assert "There is no page" in note.value and "<b>" not in note.value and "nowhere" not in test.query_params
    assert not fine(app("overview.py", nowhere="overview")).warning


def test_a_data_root_that_is_not_there_is_one_sentence(app, tmp_path):
    test = app("forget.py", data="cifar10")
    test.text_input(key="data_root").set_value(str(tmp_path / "nowhere")).run()
    assert not test.exception
    assert len(test.error) == 1 and str(tmp_path / "nowhere") in test.error[0].value.replace("\\", "")


def test_a_damaged_run_is_one_sentence_and_can_be_deleted(app, tiny_run, tmp_path):
    store, result = tiny_run
    copy = tmp_path / "damaged"
    shutil.copytree(store.url, copy)
    (copy / "runs" / result["key"] / "result.json").write_text("{")
    for page in PAGES:
        test = app(page, store=copy, run=result["key"])
        assert not test.exception, page
        assert test.error or page not in ("neighbourhood.py", "unlearn.py")
    test = app("unlearn.py", store=copy, run=result["key"])
    test.button(key=f"delete-{result['key']}").click().run()
    assert not Store(copy).has(result["key"])


def test_experiments_of_one_title_begin_with_what_tells_them_apart(monkeypatch):
    from ui.session import state

    from rurk_core.store.index import Entry

    facts = {"a": ("seed 7", "3 re-trained"), "b": ("seed 8", "3 re-trained"), "c": ("seed 7", "3 re-trained")}
    monkeypatch.setattr(state, "facts_of", facts.__getitem__)
    entries = [Entry(f"{key}", "run", f"2026-11-28T13:4{at}:00", 1, "Digits") for at, key in enumerate("ab")]
    assert state.names_of(entries) == {"a": "seed 7 · Digits", "b": "seed 8 · Digits"}
    alone = Entry("c", "run", "", 1, "Fashion")
    assert state.names_of([*entries, alone])["c"] == "Fashion"
    same = state.names_of([*entries, Entry("c", "run", "2026-11-28T13:49:00", 1, "Digits")])
    assert same == {
        "a": "seed 7 · Digits · 11-28 13:40 · a",
        "b": "seed 8 · Digits",
        "c": "seed 7 · Digits · 11-28 13:49 · c",
    }
    monkeypatch.setattr(state, "facts_of", lambda key: ("", ""))
    assert len(set(state.names_of(entries).values())) == 2, "also where they cannot be read"


def test_the_list_beside_a_page_and_that_of_experiments_say_the_seed(app, tiny_store, tiny_run):
    test = app("unlearn.py", tiny_store, run=tiny_run[1]["key"])
    seed = f"seed {tiny_run[1]['seed']}"
    assert any(seed in caption.value and "re-trained" in caption.value for caption in test.sidebar.caption)
    assert any(f"UTC · {seed} · " in item.value for item in test.main.markdown)
