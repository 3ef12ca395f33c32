"""Specs: what people write becomes one canonical description, or one sentence saying what is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rurk_core.errors import RurkError, UsageError
from rurk_core.run.spec import make_spec, parse_methods, parse_taus, spec_from_dict


def test_defaults_are_the_embedded_example():
    spec = make_spec()
    assert (spec.dataset, spec.model, spec.references, spec.draws, spec.seed) == ("digits", "cnn", 8, 20, 7)
    assert spec.taus[0] == 0 and spec.taus[-1] == 0.3 and len(spec.taus) == 11
    assert [method.label for method in spec.methods] == ["gd", "neggrad_plus", "rurk"]


def test_the_papers_grid_for_photographs():
    taus = make_spec("small_cifar5").taus
    assert len(taus) == 11 and taus[0] == 0 and taus[-1] == 0.0314


def test_round_trip():
    spec = make_spec(methods="gd,rurk@quick look:tau=0.1:v=2", attacks="gaussian,fgsm", train={"epochs": 3})
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_method_settings_and_presets():
    config = parse_methods(["rurk@quick look:v=3"], "x")[0].config
    assert (config.epochs, config.v, config.lambda_f) == (1, 3, 0.03)


def test_a_preset_named_like_the_data_set_is_taken():
    digits = parse_methods("ssd", "digits")[0].config
    assert digits != parse_methods("ssd", "cifar10")[0].config
    assert digits == parse_methods("ssd@digits", "cifar10")[0].config
    assert digits == parse_methods("ssd", "digits?validation=0.2")[0].config


def test_safe_settings_come_first():
    for dataset in ("digits", "fashion", "some/folder"):
        (method,) = parse_methods("rurk", dataset)
        assert method.preset == "safe" and method.config.ceiling == 1
    assert parse_methods("rurk@paper-small-cifar-5", "digits")[0].config.ceiling == 0


def test_the_same_method_twice_gets_two_labels():
    labels = [method.label for method in parse_methods("rurk:v=1,rurk:v=2,rurk", "digits")]
    assert labels == ["rurk", "rurk-2", "rurk-3"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": ""}, "Name a data set"),
        ({"model": "resnet99"}, "no model"),
        ({"methods": "forgetall"}, "no method 'forgetall'"),
        ({"methods": "rurk:tau"}, "name=value"),
        ({"methods": "rurk:tau=-1"}, "'tau' must be a number"),
        ({"methods": "rurk@best"}, "no preset 'best'"),
        ({"methods": ""}, "no method ''"),
        ({"methods": [{"method": "gd", "label": "original"}]}, "is kept"),
        ({"methods": [{"method": "gd", "seed": 1}]}, "has no 'seed'"),
        ({"references": 0}, "'references' must be a whole number"),
        ({"references": "many"}, "'references' must be a whole number"),
        ({"attacks": "laser"}, "no attack 'laser'"),
        ({"attacks": []}, "at least one attack"),
        ({"taus": "0.3:0:5"}, "must rise"),
        ({"taus": "a,b"}, "Radii are written"),
        ({"taus": "-1,0"}, "from 0 to 100"),
        ({"taus": [float("nan")]}, "from 0 to 100"),
        ({"draws": 0}, "'draws' must be"),
        ({"recipe": "slow"}, "no recipe 'slow'"),
        ({"recipe": "paper"}, "no paper recipe for 'digits'"),
        ({"train": {"epochs": -1}}, "'epochs' must be"),
        ({"train": {"warp": 9}}, "no setting 'warp'"),
        ({"seed": -1}, "'seed' must be"),
    ],
)
def test_bad_requests_are_one_sentence(change, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        make_spec(**change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:0.3:4", (0.0, 0.1, 0.2, 0.3)), ("0.1", (0.1,)), ("0, 0.5", (0.0, 0.5)), ("0.2:9:1", (0.2,))],
)
def test_radii(text, expected):
    assert parse_taus(text) == expected


@given(st.text(max_size=30))
def test_radii_from_any_text(text):
    try:
        taus = parse_taus(text)
    except UsageError:
        return
    assert taus and list(taus) == sorted(set(taus)) and all(0 <= tau <= 100 for tau in taus)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1000) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = tuple(make_spec().to_dict())


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4) | JSON)
def test_any_json_is_a_spec_or_a_sentence(values):
    try:
        spec = spec_from_dict(values)
    except RurkError as error:
        assert str(error)
        return
    assert spec_from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("text", "radii"),
    [("8/255", (0.031373,)), ("0,2/255,8/255", (0.0, 0.007843, 0.031373)), ("0:8/255:3", (0.0, 0.0156865, 0.031373))],
)
def test_radii_as_fractions_of_255(text, radii):
    assert parse_taus(text) == radii


def test_a_radius_in_units_of_8_bit_pixels_is_asked_about():
    for attacks in ("gaussian", "fgsm,uniform_l2", "uniform_linf"):
        with pytest.raises(UsageError, match="is 8/255 meant"):
            make_spec(taus="0:8:3", attacks=attacks)
    assert make_spec(taus="0,8", attacks="uniform_l2").taus == (0.0, 8.0)
    with pytest.raises(UsageError, match="Radii are written"):
        parse_taus("8/0")


def test_no_limit_for_gradients_can_be_asked_for():
    """A setting that is left out of the dictionary at its default is a setting all the same."""
    spec = make_spec("moons", train={"clip": 0, "optimizer": "sgd"})
    assert dict(spec.train) == {"clip": 0.0, "optimizer": "sgd"} and spec.training().train.clip == 0
    assert spec_from_dict(spec.to_dict()) == spec
