"""The Compare page: one highlight for all of it, more seeds, old results."""

from __future__ import annotations

from rurk_core.store.store import Store

from .looking import fine


def test_a_method_in_the_link_is_highlighted_everywhere(app):
    test = fine(app("compare.py", method="rurk"))
    assert test.query_params["method"] in ("rurk", ["rurk"])
    assert test.pills[0].value == "rurk"


def test_one_seed_says_so_and_offers_more(app):
    test = fine(app("compare.py"))
    assert any("1 seed" in m.value for m in test.markdown)
    assert any("Run 2 more seeds" in button.label for button in test.button)


def test_choosing_another_model_changes_the_link(app):
    test = fine(app("compare.py", method="rurk"))
    test.pills[0].set_value("gd").run()
    assert test.query_params["method"] in ("gd", ["gd"])
    test.pills[0].set_value(None).run()
    assert "method" not in test.query_params
    fine(test)


def test_an_old_result_without_the_new_metrics_is_shown(app, tiny_run, tmp_path):
    import json

    _, result = tiny_run
    old = json.loads(json.dumps(result))
    del old["cka"]
    for row in old["models"]:
        for name in ("mia_accuracy", "mia_samples", "avg_gap", "relearn", "peak_memory_mb", "cost_share", "scores"):
            row.pop(name, None)
    place = Store(tmp_path / "old")
    place.put(result["key"], {"title": "Old"}, {"result.json": json.dumps(old).encode()})
    test = fine(app("compare.py", tmp_path / "old", bundled=False))
    assert any("older than this view" in caption.value for caption in test.caption)


def test_no_experiment_at_all(app):
    fine(app("compare.py", bundled=False))


def test_sixteen_methods_can_be_told_apart():
    from rurk_core.report.looks import looks_of

    rows = [{"name": f"m{i}", "role": "unlearned"} for i in range(16)]
    looks = [looks_of(rows)[row["name"]] for row in rows]
    assert len({(look.colour, look.symbol) for look in looks}) == len({look.letter for look in looks}) == 16


def test_a_figure_that_is_undefined_everywhere_says_so_in_place_of_an_empty_chart(app, tiny_store, tiny_run):
    import json

    _, result = tiny_run
    other = json.loads(json.dumps(result))
    for entry in other["residual"]:
        for row in entry["taus"]:
            row["ratio_of_means"] = None
    key = tiny_run[1]["key"]
    files = {"result.json": json.dumps(other).encode()}
    tiny_store.delete(key)
    tiny_store.put(key, {"title": "No copy recognised"}, files)
    test = fine(app("compare.py", tiny_store, run=key))
    assert any("Undefined at every radius: no re-trained model" in info.value for info in test.info)
