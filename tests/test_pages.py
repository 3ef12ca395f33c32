"""Pages in the states they can be in, run without a browser; ``tests/e2e`` drives a real one."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rurk_core.run.experiment import run
from rurk_core.store.store import Store

PAGES = sorted(path.name for path in (Path(__file__).parents[1] / "pages").glob("*.py") if path.name != "frame.py")


def fine(test: AppTest) -> AppTest:
    """No traceback, and no sentence of an error."""
    assert not test.exception, test.exception[0].stack_trace
    assert not test.error, [error.value for error in test.error]
    return test


def words(test: AppTest) -> str:
    return " ".join(element.body for element in test.get("html")) + " ".join(m.value for m in test.markdown)


# --- every page ---------------------------------------------------------------------------------------------


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
    assert len([warning for warning in test.warning if "does not exist here" in warning.value]) == 3


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


# --- neighbourhood ------------------------------------------------------------------------------------------


def test_the_neighbourhood_says_the_counts_that_were_stored(app, tiny_run):
    from rurk_core.run.stored import load_verdicts

    store, result = tiny_run
    entry = next(e for e in result["residual"] if e["method"] == "rurk")
    verdicts = load_verdicts(store, entry["verdicts"])
    sample, label = int(verdicts.samples[3]), int(verdicts.labels[3])
    test = fine(app(store=store.url, run=result["key"], method="rurk", sample=str(sample), tau="0.1"))
    u = verdicts.recognised("rurk")[3, 1]
    assert f"<b>{u} of {verdicts.draws}</b> copies as “{label}”" in words(test)


def test_another_radius_method_and_sample_are_put_into_the_url(app, tiny_run):
    store, result = tiny_run
    test = fine(app(store=store.url, run=result["key"]))
    first = test.query_params["sample"]
    test.select_slider(key="view_tau").set_value(0.3).run()
    test.selectbox(key="view_method").set_value("rurk").run()
    test.button(key="next").click().run()
    fine(test)
    assert test.query_params["tau"] == "0.3" and test.query_params["method"] == "rurk"
    assert test.query_params["sample"] != first


@pytest.mark.parametrize("attack", ["uniform_l2", "fgsm", "pgd_untargeted"])
def test_an_attack_that_was_not_measured_is_made_for_the_one_sample(app, tiny_run, attack):
    store, result = tiny_run
    test = fine(app(store=store.url, run=result["key"], attack=attack, tau="0.1"))
    assert "of 20</b> copies" in words(test) and "“0”" in words(test)


@pytest.mark.parametrize("query", [{}, {"cut": "samples", "a": "5", "b": "9"}, {"attack": "uniform_linf", "turn": "3"}])
def test_the_decision_map_is_drawn_for_every_model_shown(app, tiny_run, query):
    store, result = tiny_run
    test = app(store=store.url, run=result["key"], **query)
    test.session_state["map_box"] = True
    fine(test.run())
    assert len([e for e in test.get("plotly_chart") if "map-" in str(e.proto.id)]) == 3
    assert words(test).count("takes it for") == 3


def test_two_samples_that_span_no_plane_are_one_sentence(app, tiny_run):
    store, result = tiny_run
    test = app(store=store.url, run=result["key"], cut="samples", a="5", b="5")
    test.session_state["map_box"] = True
    test.run()
    assert not test.exception and "same" in test.error[0].value


def test_the_smallest_changes_are_those_the_core_finds(app, tiny_run):
    from rurk_core.data import load_dataset, to_pixels
    from rurk_core.measure.radius import smallest_radii
    from rurk_core.run.plan import derived_seed
    from rurk_core.run.stored import load_model

    store, result = tiny_run
    sample = result["forget"]["indices"][0]
    test = app(store=store.url, run=result["key"], sample=str(sample), norm="linf")
    test.session_state["distance_box"] = True
    table = next(e.body for e in fine(test.run()).get("html") if "by random directions" in e.body)
    assert table.count("<tr>") == 1 + 4  # the Original, one method, two re-trained
    data = load_dataset("digits")
    key = next(row["key"] for row in result["models"] if row["role"] == "original")
    found = smallest_radii(
        load_model(store, key).requires_grad_(False),
        to_pixels(data.train_images[[sample]]),
        data.train_labels[[sample]],
        [sample],
        norm="linf",
        seed=derived_seed(result["seed"], "draws"),
    )
    shown = float(re.search(r"<b>([0-9.e-]+)</b>", table)[1])
    assert shown == pytest.approx(found.strong[0], rel=0.05)


# --- forget -------------------------------------------------------------------------------------------------


def to_forget(test: AppTest) -> str:
    return next(m.value for m in test.markdown if "to forget**" in m.value or "Nothing chosen" in m.value)


def test_a_link_restores_a_set_and_follows_it(app):
    test = fine(app("forget.py", data="digits", forget="class:3:0.25:2"))
    assert to_forget(test).startswith("**36 to forget** · 36 of 146")
    test.button(key="clear").click().run()
    assert "forget" not in test.query_params and "Nothing chosen" in to_forget(test)
    test.button(key="undo").click().run()
    assert test.query_params["forget"] == "class:3:0.25:2"


@pytest.mark.parametrize(
    "rule", ["file:/etc/passwd", "hardest:5", "class:99", "indices:9999999", "random:0", "x" * 5000]
)
def test_a_link_with_a_set_that_cannot_be_is_left_out(app, rule):
    test = fine(app("forget.py", data="digits", forget=rule))
    assert "Nothing chosen" in to_forget(test) and "left out" in test.warning[0].value


def test_a_rule_chooses_a_whole_class_and_unlearn_takes_it_over(app):
    test = fine(app("forget.py", data="digits"))
    test.segmented_control(key="rule_kind").set_value("class").run()
    test.button(key="rule_replace").click().run()
    assert "**142 to forget** · 142 of 142 “0”" in to_forget(fine(test))
    test = fine(test.switch_page("unlearn.py").run())
    assert any("forget 142 of 142 “0”" in m.value for m in test.markdown)


def test_the_gallery_is_filtered_by_class_index_and_confidence(app, tiny_run):
    store, result = tiny_run
    test = fine(app("forget.py", store=store.url, run=result["key"], data="digits"))
    caption = lambda: next(c.value for c in test.caption if " samples" in c.value and "training" not in c.value)  # noqa: E731
    assert caption() == "1,438 samples, 1–200 here"
    test.text_input(key="view_find").set_value("3, 5-9").run()
    assert caption() == "6 samples"
    test.text_input(key="view_find").set_value("9-3").run()
    assert any("backwards" in c.value for c in test.caption)
    test.text_input(key="view_find").set_value("").run()
    test.slider(key="view_sure").set_value((0, 60)).run()
    assert test.query_params["sure"] == "0-60"
    few = int(caption().split()[0].replace(",", ""))
    assert 0 < few < 1438
    test.selectbox(key="view_class").set_value("0").run()
    assert int(caption().split()[0].replace(",", "")) < few
    fine(test)


def test_a_folder_of_pictures_is_a_data_set(app, tmp_path):
    import numpy as np
    from PIL import Image

    for name in ("cat", "<b>dog"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.random.default_rng(i).integers(0, 255, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / name / f"{i}.png")
    test = fine(app("forget.py"))
    test.session_state["typed_dataset"] = str(tmp_path / "own")  # as the box does with a path somebody types
    test.run()
    assert any("2 classes, 3×12×12" in c.value for c in fine(test).caption)
    test.session_state["typed_dataset"] = str(tmp_path / "nothing")
    test.run()
    assert not test.exception and len(test.error) == 1


# --- Compare ------------------------------------------------------------------------------------------------


class TestCompare:
    def test_a_method_in_the_link_is_highlighted_everywhere(self, app):
        test = fine(app("compare.py", method="rurk"))
        assert test.query_params["method"] in ("rurk", ["rurk"])
        assert test.pills[0].value == "rurk"

    def test_one_seed_says_so_and_offers_more(self, app):
        test = fine(app("compare.py"))
        assert any("1 seed" in m.value for m in test.markdown)
        assert any("Run 2 more seeds" in button.label for button in test.button)

    def test_choosing_another_model_changes_the_link(self, app):
        test = fine(app("compare.py", method="rurk"))
        test.pills[0].set_value("gd").run()
        assert test.query_params["method"] in ("gd", ["gd"])
        test.pills[0].set_value(None).run()
        assert "method" not in test.query_params
        fine(test)

    def test_an_old_result_without_the_new_metrics_is_shown(self, app, tiny_run, tmp_path):
        import json

        from rurk_core.store.store import Store

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

    def test_no_experiment_at_all(self, app):
        fine(app("compare.py", bundled=False))

    def test_sixteen_methods_can_be_told_apart(self):
        from rurk_core.report.looks import looks_of

        rows = [{"name": f"m{i}", "role": "unlearned"} for i in range(16)]
        looks = [looks_of(rows)[row["name"]] for row in rows]
        assert len({(look.colour, look.symbol) for look in looks}) == len({look.letter for look in looks}) == 16


# --- unlearn ------------------------------------------------------------------------------------------------


def test_a_preset_of_the_paper_brings_its_data_set_or_says_what_is_missing(app):
    test = fine(app("unlearn.py", data="digits"))
    test.segmented_control(key="preset").set_value("Paper, small CIFAR-5").run()
    assert not test.exception and test.query_params["data"] == "small_cifar5"


def test_the_plan_counts_and_says_how_long(app):
    test = fine(app("unlearn.py", data="digits", forget="class:3:0.25:2"))
    test.segmented_control(key="preset").set_value("Quick look").run()
    plan = next(e.body for e in fine(test).get("html") if "rk-plan" in e.body)
    # 36 samples × 6 radii × 30 copies × (Original, 2 methods, 1 re-trained)
    assert "<b>25,920</b>" in plan and "36 samples × 6 " in plan
    assert "<b>about" in plan and "from a trial of the network" in plan


def test_what_is_in_the_store_takes_no_time_and_an_impossible_plan_cannot_be_started(app):
    test = fine(app("unlearn.py", data="digits"))
    test.multiselect(key="methods-Thorough").set_value([]).run()
    assert not test.exception and "method" in test.error[0].value
    assert test.button(key="start").disabled


def test_experiments_of_one_title_stay_apart(app, tiny_run, tiny_spec, tmp_path):
    """The words of a selectbox are all it remembers: equal ones would bring the other experiment into view."""
    store = Store(shutil.copytree(tiny_run[0].url, tmp_path / "store"))
    other = run(replace(tiny_spec, seed=tiny_spec.seed + 1, draws=10), store)["key"]
    first = tiny_run[1]["key"]
    for key, draws in ((first, 20), (other, 10)):
        test = fine(app(store=store, bundled=False, run=key))
        names = test.sidebar.selectbox[0].options
        assert len(set(names)) == 2 and all(name.startswith("Tiny digits · ") for name in names)
        slider = test.select_slider(key="view_tau")
        fine(slider.set_value(0.3 if slider.value != 0.3 else 0.1).run())
        assert test.query_params["run"] == key and f"of {draws}</b>" in words(test)


def test_a_run_is_renamed(app, tiny_run, tmp_path):
    store, result = tiny_run
    shutil.copytree(store.url, tmp_path / "copy")
    test = fine(app("unlearn.py", store=tmp_path / "copy"))
    test.text_input(key=f"title-{result['key']}").set_value("Another <b>name</b>").run()
    test.button(key=f"rename-{result['key']}").click().run()
    assert "Another \\<b\\>name\\</b\\>" in words(fine(test))
