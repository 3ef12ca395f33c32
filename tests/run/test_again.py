"""What is given to be copied really runs, and gives the very result that it was taken from."""

from __future__ import annotations

import shlex

import pytest
from safetensors.torch import save_file

from rurk_core.cli import main
from rurk_core.run.again import as_command, as_python
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
