"""The Neighbourhood page: what was stored is what is said; other radii, samples, attacks; the map; the distances."""

from __future__ import annotations

import re

import pytest

from .looking import fine, words


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
