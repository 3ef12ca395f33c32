"""Judgements: appended in one go, never lost, the last one counts."""

from __future__ import annotations

import json
import multiprocessing
from itertools import pairwise

import pytest

from rurk_core.errors import RurkError, UsageError
from rurk_core.evidence.reviews import (
    MAX_NOTE,
    VERDICTS,
    Declaration,
    Judgement,
    Note,
    Signature,
    declarations,
    declare,
    history,
    judge,
    keep_note,
    latest,
    notes,
    sign,
    signatures,
)
from rurk_core.store.store import Store

RUN = "run-0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def verdicts(store):
    return {sample: found.verdict for (_, sample), found in latest(history(store, RUN)).items()}


def test_the_last_judgement_counts_and_the_others_stay(store):
    assert history(store, RUN) == []
    for verdict in ("residual", "clear"):
        judge(store, RUN, Judgement(7, "gd", verdict, author="Ada"))
    judge(store, RUN, Judgement(7, "rurk", "cannot_tell"))
    judge(store, RUN, Judgement(9, "gd", "residual"))
    judge(store, RUN, Judgement(9, "gd", ""))
    found = history(store, RUN)
    assert [judgement.verdict for judgement in found] == ["residual", "clear", "cannot_tell", "residual", ""]
    assert all(a.time <= b.time for a, b in pairwise(found)) and found[0].author == "Ada"
    counted = latest(found)
    assert {key: judgement.verdict for key, judgement in counted.items()} == {
        ("gd", 7): "clear",
        ("rurk", 7): "cannot_tell",
    }


@pytest.mark.parametrize(
    "note",
    ["<script>alert(1)</script>", "two\nlines", '{"sample": 1}\n{"broken', "a\x00b\x1b[31m", "ünïcödé 🙂", "**bold**"],
)
def test_notes_are_text_whatever_they_look_like(note, store):
    judge(store, RUN, Judgement(1, "gd", "clear", note=note, author=note))
    judge(store, RUN, Judgement(2, "gd", "clear"))
    first, second = history(store, RUN)
    assert first.note == note.replace("\x00", " ").replace("\x1b", " ") and "\n" not in first.author
    assert second.sample == 2


def test_long_texts_are_cut(store):
    kept = judge(store, RUN, Judgement(1, "gd", "clear", note="x" * 10_000, author="y" * 1000))
    assert (len(kept.note), len(kept.author)) == (MAX_NOTE, 80) and history(store, RUN) == [kept]


def test_a_half_written_line_costs_only_itself(store):
    judge(store, RUN, Judgement(1, "gd", "clear"))
    path = store.beside("reviews") / f"{RUN}.jsonl"
    with path.open("ab") as file:
        file.write(b'{"sample": 2, "meth')
    judge(store, RUN, Judgement(3, "gd", "residual"))
    assert verdicts(store) == {1: "clear", 3: "residual"}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps({"sample": "1", "method": "gd", "verdict": "clear"}),
        json.dumps({"sample": 1, "method": "gd", "verdict": "guilty"}),
        json.dumps({"sample": 1, "more": 2}),
    ],
)
def test_lines_of_another_hand_are_passed_over(line, store):
    judge(store, RUN, Judgement(1, "gd", "clear"))
    with (store.beside("reviews") / f"{RUN}.jsonl").open("a") as file:
        file.write(line + "\n")
    assert verdicts(store) == {1: "clear"}


def _many(url, author):
    for sample in range(100):
        judge(Store(url), RUN, Judgement(sample, "gd", "clear", note=author * 50, author=author))


def test_two_tabs_at_once_lose_nothing(store):
    context = multiprocessing.get_context("fork")
    tabs = [context.Process(target=_many, args=(store.url, name)) for name in "ab"]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join(60)
    found = history(store, RUN)
    assert sorted((j.author, j.sample) for j in found) == [(name, sample) for name in "ab" for sample in range(100)]


def test_what_cannot_be_kept_is_said(store, tmp_path):
    with pytest.raises(UsageError, match="no verdict 'guilty'"):
        judge(store, RUN, Judgement(1, "gd", "guilty"))
    with pytest.raises(UsageError, match="not the key"):
        judge(store, "../../etc/passwd", Judgement(1, "gd", "clear"))
    store.beside("reviews").parent.mkdir(parents=True, exist_ok=True)
    store.beside("reviews").write_text("a file where the folder should be")
    with pytest.raises(RurkError, match="could not be saved"):
        judge(store, RUN, Judgement(1, "gd", "clear"))


def test_every_verdict_is_explained():
    assert list(VERDICTS) == ["clear", "residual", "over_forgotten", "cannot_tell"] and all(VERDICTS.values())


def test_a_store_elsewhere_has_its_judgements_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = Store("memory://reviewed")
    judge(store, RUN, Judgement(1, "gd", "clear"))
    assert verdicts(store) == {1: "clear"} and list((tmp_path / "rurk" / "reviews").rglob("*.jsonl"))


def test_a_note_is_kept_as_it_stands_with_or_without_a_decision(store):
    keep_note(store, RUN, Note(3, "gd", "first thou"))
    keep_note(store, RUN, Note(3, "gd", "first thought", author="Ada"))
    assert history(store, RUN) == [] and notes(store, RUN)["gd", 3].note == "first thought"
    judge(store, RUN, Judgement(3, "gd", "clear", note="decided"))
    judge(store, RUN, Judgement(4, "gd", "clear", note="with it"))
    assert {key: one.note for key, one in notes(store, RUN).items()} == {("gd", 3): "decided", ("gd", 4): "with it"}
    keep_note(store, RUN, Note(3, "gd", ""))
    assert list(notes(store, RUN)) == [("gd", 4)]


def test_declarations_and_signatures_stay_in_order_and_bad_ones_are_one_sentence(store):
    declare(store, RUN, Declaration(0.01, 0.05, 0.5, why="medical\npictures", author="Ada"))
    declare(store, RUN, Declaration(0.02, 0.05, 0.5))
    found = declarations(store, RUN)
    assert [one.residual for one in found] == [0.01, 0.02] and found[0].why == "medical pictures"
    with pytest.raises(UsageError, match="from 0 to 1"):
        declare(store, RUN, Declaration(2, 0, 0))
    sign(store, RUN, Signature("gd", False, 3, 71, author="Ada"))
    with pytest.raises(UsageError, match="with a name"):
        sign(store, RUN, Signature("gd", True, 3, 71))
    assert [(one.accepted, one.author) for one in signatures(store, RUN)] == [(False, "Ada")]
    path = store.beside("reviews") / f"{RUN}.signed.jsonl"
    bad = ("half a line", '{"method": 7}', '{"method": 1, "accepted": 2, "decided": 3, "samples": 4}')
    path.write_text(path.read_text() + "\n".join(bad))
    assert len(signatures(store, RUN)) == 1
