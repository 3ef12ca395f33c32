"""What is said of who made a result: by hand."""

from __future__ import annotations

from rurk_core.report.document import make_report
from rurk_core.run.archive import export, import_file
from rurk_core.run.provenance import Made, makers, words
from rurk_core.store.store import Store


def made(name: str, **other) -> Made:
    about = {"key": "original-0", "rurk": "1.0", "torch": "2.15", "code": "ab", "now": True, "created": "2026"}
    return Made(name, **(about | {"origin": None, "trusted": True} | other))


def test_what_is_all_here_and_now_needs_no_word():
    assert words([made("the result", now=None), made("original"), made("gd", code="", now=None)]) == []


def test_imports_mixed_versions_and_changed_code_are_said():
    origin = {"file": "a.rurk", "when": "2026-11-27T10:00:00+00:00", "signer": ""}
    assert words([made("the result", origin=origin, trusted=False), made("gd", origin=origin)]) == [
        "Imported, from a.rurk on 2026-11-27; nobody you trust has signed it, and no run builds on it."
    ]
    (sentence,) = words([made("the result"), made("original", origin=origin | {"signer": "ed25519:x"})])
    assert sentence == "Imported: original, from a.rurk on 2026-11-27; signed by the trusted key ed25519:x."
    (sentence,) = words([made("original", torch="2.14"), made("gd"), made("rurk")])
    assert sentence == (
        "Made by different versions. RURK Explorer 1.0 with torch 2.14: original; RURK Explorer 1.0 with torch 2.15: "
        "gd, rurk."
    )
    (sentence,) = words([made(f"reference-{k}", now=False) for k in range(7)])
    assert "changed since these were made: reference-0, " in sentence and "reference-4 and 2 more." in sentence


def test_the_maker_of_every_model_is_named(tiny_run):
    store, result = tiny_run
    found = makers(store, result)
    assert [one.name for one in found] == ["the result", *(row["name"] for row in result["models"])]
    assert all(one.trusted and one.origin is None and one.rurk and one.torch and one.code for one in found)
    assert {one.now for one in found[1:]} == {True} and words(found) == []
    assert all(row["made"]["code"] == one.code for row, one in zip(result["models"], found[1:], strict=True))


def test_a_bundled_run_is_neither_foreign_nor_out_of_date(tmp_path):
    """It was made before digests were noted: nothing tells that its code has changed."""
    from conftest import DEMO

    store = Store(tmp_path, bundled=[DEMO])
    (entry,) = store.list("run")
    assert words(makers(store, store.read_json(entry.key, "result.json"))) == []


def test_pages_and_reports_say_imported(tiny_run, tmp_path, app):
    export(tiny_run[0], tiny_run[1]["key"], tmp_path / "theirs.rurk")
    store = Store(tmp_path / "mine")
    import_file(store, tmp_path / "theirs.rurk")
    report = make_report(store, tiny_run[1]["key"])
    (sentence,) = report.document["makers"]["sentences"]
    assert sentence.startswith("Imported, from theirs.rurk") and sentence in report.html.replace("&#39;", "'")
    for page in ("neighbourhood.py", "compare.py", "unlearn.py"):
        test = app(page, store, run=tiny_run[1]["key"])
        assert any("Imported, from theirs.rurk" in caption.value for caption in test.sidebar.caption), page
