"""What is given to be copied really runs, and gives the very result that it was taken from."""

from __future__ import annotations

import shlex

import pytest
from safetensors.torch import save_file

from rurk_core.cli import main
from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.words import sample_words, set_words
from rurk_core.run.again import View, as_command, as_python, view_as_command, view_as_python, view_of
from rurk_core.run.audit import audit
from rurk_core.run.spec import make_spec, spec_from_dict
from rurk_core.run.stored import load_model
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS


def test_python_finds_the_result_again(tiny_run):
    store, result = tiny_run
    names: dict = {}
    exec(as_python(result, store.url), names)
    assert names["result"]["key"] == result["key"] and names["spec"] == spec_from_dict(result["spec"])


def test_the_command_finds_the_result_again(tiny_run, capsys):
    store, result = tiny_run
    before = {entry.key for entry in store.list("run")}
    assert main([*shlex.split(as_command(result, store.url))[1:], "--json"]) == 0
    assert result["key"] in capsys.readouterr().out
    assert {entry.key for entry in store.list("run")} == before


@pytest.mark.parametrize("sample", [None, 0])
def test_the_finding_in_view_is_said_by_what_is_copied(tiny_run, sample, tmp_path, monkeypatch, capsys):
    store, result = tiny_run
    index = None if sample is None else result["forget"]["indices"][sample]
    view = view_of(result, {"method": "rurk", "sample": str(index), "attack": "of another run"})
    assert view == View("rurk", "gaussian", index)
    exec(as_python(result, store.url) + view_as_python(view, store.url), {})
    found = find(open_case(store, result["key"], method="rurk"))
    printed = capsys.readouterr().out
    assert set_words(found) in printed
    assert index is None or sample_words(next(one for one in found.samples if one.sample == index), found) in printed
    monkeypatch.chdir(tmp_path)
    for line in view_as_command(result["key"], view, store.url).splitlines():
        assert main(shlex.split(line)[1:]) == 0
    assert "RURK" in capsys.readouterr().out and (tmp_path / "report").is_dir() == (index is not None)


def test_a_link_to_what_is_not_there_gives_the_first(tiny_run):
    _, result = tiny_run
    for asked in ({}, {"method": "nobody", "sample": "-1"}, {"sample": "x" * 99}):
        assert view_of(result, asked) == View("gd", "gaussian", None)


@pytest.mark.parametrize("key", [key for key, method in METHODS.items() if key != "retrain" and not method.origin])
def test_every_method_and_preset_is_said_in_full(key):
    """By the parser alone: the settings that come back are the ones that went in."""
    for preset in METHODS[key].presets:
        spec = make_spec(
            "small_cifar5", methods=[{"method": key, "preset": preset}], train={"epochs": 3}, title="a 'b'"
        )
        words = shlex.split(as_command({"spec": spec.to_dict()}))
        again = make_spec("small_cifar5", methods=words[words.index("--methods") + 1])
        assert again.methods[0].config == spec.methods[0].config and words[words.index("--title") + 1] == "a 'b'"
        names: dict = {}
        exec(as_python({"spec": spec.to_dict()}).rpartition("result = ")[0], names)
        assert names["spec"] == spec


def test_an_audit_is_found_again(tiny_run, tmp_path, capsys):
    store, result = tiny_run
    files = {}
    for row in result["models"][:3]:
        files[row["name"]] = tmp_path / f"the {row['name']}.safetensors"
        save_file(load_model(store, row["key"]).state_dict(), files[row["name"]])
    original, first, second = files.values()
    kept = Store(tmp_path / "store")
    found = audit(
        kept,
        dataset="digits",
        forget="class:0:0.5",
        original=original,
        unlearned=[first, second],
        taus="0,0.1",
        draws=3,
    )
    names: dict = {}
    exec(as_python(found, kept.url), names)
    assert names["result"]["key"] == found["key"]
    assert main([*shlex.split(as_command(found, kept.url))[1:], "--json"]) == 0
    assert found["key"] in capsys.readouterr().out and len(list(kept.list("run"))) == 1
