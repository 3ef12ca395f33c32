"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file

from rurk_core.cli import main
from rurk_core.run.stored import load_model
from rurk_core.store.store import Store

QUICK = ["--methods", "gd:epochs=1", "--references", "1", "--tau", "0,0.2", "--draws", "5", "--train", "epochs=1"]


def rurk(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("what", ["datasets", "models", "methods", "attacks"])
def test_lists(what, capsys):
    code, table, _ = rurk(capsys, what)
    assert code == 0 and table
    code, out, _ = rurk(capsys, what, "--json")
    rows = json.loads(out)
    assert code == 0 and all(row["name"].split()[0] in table for row in rows)


@pytest.mark.parametrize("command", ["run", "tune"])
def test_help_names_every_rule_of_a_forget_set(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    rules = ("class:", "indices:", "random:", "twins:", "hardest:", "easiest:", "file:", "canaries")
    assert not [rule for rule in rules if rule not in said]


def test_the_variable_names_the_store_and_brackets_are_shown_as_they_are(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RURK_STORE", str(tmp_path / "[red]results"))
    _, out, _ = rurk(capsys, "doctor")
    assert "[red]results: 0 entries" in out
    for name in ("ls", "list"):
        _, out, _ = rurk(capsys, "store", name, "--json", "--store", tmp_path / "other")
        assert json.loads(out) == [] and not (tmp_path / "other").exists(), "a look at a store writes nothing"


@pytest.mark.slow
def test_run_prints_one_json_document(capsys, tmp_path):
    code, out, _ = rurk(capsys, "run", *QUICK, "--store", tmp_path, "--json")
    result = json.loads(out)
    assert code == 0 and result["spec"]["dataset"] == "digits"
    code, again, _ = rurk(capsys, "run", *QUICK, "--store", tmp_path, "--json")
    assert code == 0 and json.loads(again) == result


@pytest.mark.slow
def test_run_prints_tables(capsys, tmp_path):
    code, out, _ = rurk(capsys, "run", *QUICK, "--store", tmp_path)
    assert code == 0
    assert "Re-trained 1" in out and "reference-1" not in out and "ratio of means" in out and "/" in out


def test_a_spec_file_with_flags_on_top(capsys, tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(
        json.dumps({"dataset": "iris", "methods": "gd", "references": 1, "draws": 5, "train": {"epochs": 1}})
    )
    code, out, _ = rurk(capsys, "run", "--spec", file, "--draws", "3", "--store", tmp_path / "s", "--json")
    spec = json.loads(out)["spec"]
    assert code == 0 and (spec["dataset"], spec["draws"]) == ("iris", 3)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run", "--dataset", "nonsense"], "no data set 'nonsense'"),
        (["run", "--methods", "nonsense"], "no method 'nonsense'"),
        (["run", "--forget", "class:99"], "no class '99'"),
        (["run", "--forget", "indices:5,5"], "sample 5 twice"),
        (["run", "--tau", "x"], "Radii are written"),
        (["run", "--spec", "nowhere.json"], "no file nowhere.json"),
        (["run", "--train", "epochs"], "name=value"),
        (["run", "--device", "warp"], "no device 'warp'"),
        (["run", "--speed", "9"], "nrecognized arguments"),
        ([], "arguments are required"),
    ],
)
def test_bad_usage_is_one_sentence_and_code_2(arguments, reason, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = rurk(capsys, *arguments)
    assert code == 2 and out == "" and "Traceback" not in err
    *before, sentence = err.strip().splitlines()
    assert reason in sentence and before in ([], ["Reading data (0% done)"])


class TestResidual:
    @pytest.fixture
    def files(self, tiny_run, tmp_path):
        store, result = tiny_run
        paths = {}
        for row in result["models"]:
            weights = load_model(store, row["key"]).state_dict()
            paths[row["name"]] = tmp_path / f"{row['name']}.safetensors"
            save_file(weights, paths[row["name"]])
        torch.save(load_model(store, result["models"][1]["key"]).state_dict(), tmp_path / "gd.pt")
        paths["gd"] = tmp_path / "gd.pt"
        forget = tmp_path / "forget.json"
        forget.write_text(json.dumps(result["forget"]))
        return paths, forget

    def arguments(self, files, **change):
        paths, forget = files
        values = {
            "--dataset": ["digits"],
            "--forget": [forget],
            "--original": [paths["original"]],
            "--unlearned": [paths["gd"]],
            "--retrained": [paths["reference-1"], paths["reference-2"]],
            "--tau": ["0,0.1,0.3"],
            "--draws": ["20"],
        } | change
        return ["residual", *[part for flag, parts in values.items() for part in (flag, *parts)]]

    def test_checkpoints_give_the_numbers_of_the_run(self, files, tiny_run, capsys):
        code, out, _ = rurk(capsys, *self.arguments(files), "--json")
        found = json.loads(out)
        assert code == 0
        run_row = {row["name"]: row for row in tiny_run[1]["models"]}["gd"]
        row = {row["name"]: row for row in found["models"]}["unlearned"]
        assert row["test_accuracy"] == run_row["test_accuracy"]
        at_zero = {e["method"]: e["taus"][0] for e in tiny_run[1]["residual"]}["gd"]
        here = {e["method"]: e["taus"][0] for e in found["residual"]}["unlearned"]
        assert (here["numerator"], here["denominator"]) == (at_zero["numerator"], at_zero["denominator"])

    def test_several_unlearned_models_and_a_table(self, files, capsys):
        both = [files[0]["gd"], files[0]["rurk"]]
        code, out, _ = rurk(capsys, *self.arguments(files, **{"--unlearned": both}))
        assert code == 0 and "unlearned-1" not in out and "gd" in out and "rurk" in out

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda p: None, "no checkpoint at"),
            (lambda p: p.write_bytes(b"\x80\x04nonsense"), "damaged"),
            (lambda p: save_file({"a": torch.zeros(2)}, p), "does not fit the model"),
            (lambda p: p.write_bytes((2**40).to_bytes(8, "little") + b"{}"), "damaged"),
        ],
    )
    def test_bad_checkpoints(self, make, reason, files, capsys, tmp_path):
        bad = tmp_path / "bad.safetensors"
        make(bad)
        code, _, err = rurk(capsys, *self.arguments(files, **{"--unlearned": [bad]}))
        assert code == 2 and reason in err.strip().splitlines()[-1] and "Traceback" not in err

    def test_wrong_shapes_and_nan(self, files, tiny_run, capsys, tmp_path):
        store, result = tiny_run
        weights = load_model(store, result["models"][0]["key"]).state_dict()
        for change, reason in (
            ({"head.weight": torch.zeros(3, 3)}, "'head.weight' is (3, 3), expected (10, 64)"),
            ({"head.bias": torch.full((10,), float("nan"))}, "NaN"),
        ):
            save_file({**weights, **change}, tmp_path / "bad.safetensors")
            code, _, err = rurk(capsys, *self.arguments(files, **{"--unlearned": [tmp_path / "bad.safetensors"]}))
            assert code == 2 and reason in err

    def test_a_pickle_is_refused_and_not_run(self, files, capsys, tmp_path):
        import pickle

        class Evil:
            def __reduce__(self):
                return (os.mkdir, (str(tmp_path / "pwned"),))

        for name in ("evil.pt", "evil.safetensors", "evil.pth"):
            with (tmp_path / name).open("wb") as file:
                pickle.dump(Evil(), file)
            code, _, err = rurk(capsys, *self.arguments(files, **{"--unlearned": [tmp_path / name]}))
            assert code == 2 and ("holds code" in err or "pickle" in err), err
        torch.save(Evil(), tmp_path / "evil.pt")
        assert rurk(capsys, *self.arguments(files, **{"--unlearned": [tmp_path / "evil.pt"]}))[0] == 2
        assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path):
    command = [sys.executable, "-m", "rurk_core", "run", "--store", str(tmp_path), "--json", "--references", "1"]
    slow = [*command, "--methods", "gd:epochs=1000", "--train", "epochs=1", "--draws", "5", "--tau", "0"]
    # a shell's background job ignores the signal, and so would its children
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    running = subprocess.Popen(slow, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **heard)
    store, waited = Store(tmp_path), time.monotonic()
    while not store.list("reference") and time.monotonic() - waited < 60:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130 and "goes on from there" in err and "Traceback" not in err
    assert {entry.kind for entry in store.list()} == {"original", "reference"}


class TestCompare:
    @pytest.mark.slow
    def test_seeds_make_rows_with_intervals(self, capsys, tmp_path):
        arguments = ["compare", *QUICK, "--seeds", "1,2", "--store", tmp_path]
        code, out, _ = rurk(capsys, *arguments, "--json")
        found = json.loads(out)
        assert code == 0 and found["seeds"] == [1, 2]
        assert [row["name"] for row in found["rows"]] == ["original", "retrained", "gd"]
        assert found["rows"][2]["cells"]["test_accuracy"]["n"] == 2
        for flag, start in (("--csv", "model,settings,metric"), ("--latex", "% ")):
            code, out, _ = rurk(capsys, *arguments, flag)
            assert code == 0 and out.startswith(start) and "GD" in out
        code, out, _ = rurk(capsys, *arguments)
        assert code == 0 and "The target is Re-train" in out

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--seeds", "1,1"], "stands twice"),
            (["--seeds", "x"], "whole number"),
            (["--json", "--csv"], "Choose one of"),
        ],
    )
    def test_bad_usage(self, arguments, reason, capsys, tmp_path):
        code, _, err = rurk(capsys, "compare", *QUICK, *arguments, "--store", tmp_path)
        assert code == 2 and reason in err.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_terminals_that_are_not_utf_8(encoding, tmp_path):
    """Radii, bounds and names have signs that these lack; none ends in a traceback."""
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C", "RURK_STORE": str(tmp_path)}
    good = [["attacks"], ["methods"], ["run", "--plan", "--dataset", "digits", "--methods", "gd", "--tau", "8/255"]]
    code = f"import sys; from rurk_core.cli import main; sys.exit(any(map(main, {good})) or main(sys.argv[1:]))"
    bad = ["run", "--dataset", "digits", "--methods", "grün", "--store", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *bad], capture_output=True, env=env, timeout=120)
    assert done.returncode == 2 and b"Traceback" not in done.stderr, done.stderr[-500:]
    assert b"no method 'gr" in done.stderr, "the last command alone is refused"


def test_help_names_every_setting_of_training():
    from rurk_core.commands.run import TRAINING
    from rurk_core.data.recipes import TrainConfig

    for field in TrainConfig.settings():
        assert field.name in TRAINING
        assert all(option in TRAINING for option in field.metadata.get("options", ()))
