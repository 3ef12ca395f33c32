"""The Forget page: links, rules, filters, a data set of one's own."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from .looking import fine


def to_forget(test: AppTest) -> str:
    return next(m.value for m in test.markdown if "to forget**" in m.value or "Nothing chosen" in m.value)


def test_a_link_restores_a_set_and_follows_it(app):
    test = fine(app("forget.py", data="digits", forget="class:3:0.25:2"))
    assert to_forget(test).startswith("**33 to forget** · 33 of 131")
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
    assert "**128 to forget** · 128 of 128 “0”" in to_forget(fine(test))
    test = fine(test.switch_page("unlearn.py").run())
    assert any("forget 128 of 128 “0”" in m.value for m in test.markdown)


def test_the_gallery_is_filtered_by_class_index_and_confidence(app, tiny_run):
    store, result = tiny_run
    test = fine(app("forget.py", store=store.url, run=result["key"], data="digits"))
    caption = lambda: next(c.value for c in test.caption if " samples" in c.value and "training" not in c.value)  # noqa: E731
    assert caption() == "1,293 samples, 1–200 here"
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


def test_the_most_memorised_of_an_experiment_are_taken_by_a_click(app, tiny_run):
    store, result = tiny_run
    test = fine(app("forget.py", store=store.url, run=result["key"], data="digits"))
    test.segmented_control(key="rule_kind").set_value("most_memorised").run()
    assert any("Of the 64 samples that the experiment in view forgot" in c.value for c in test.caption)
    test.button(key="rule_replace").click().run()
    assert to_forget(fine(test)).startswith("**20 to forget**")
    test.segmented_control(key="rule_kind").set_value("twins").run()
    fine(test)
