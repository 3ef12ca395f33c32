"""Whole experiments: exported, imported, checked and cleaned; and files made to do harm."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rurk_core.cli import main
from rurk_core.errors import RurkError, UsageError
from rurk_core.run import archive
from rurk_core.run.archive import entries_of, export, import_file, unused, verify
from rurk_core.run.experiment import run
from rurk_core.run.result import load_result
from rurk_core.store.store import Store


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory) -> Path:
    store, result = tiny_run
    path = tmp_path_factory.mktemp("export") / "tiny.rurk"
    assert export(store, result["key"], path) == len(store.list())
    return path


def rewritten(source: Path, target: Path, change) -> Path:
    """The archive with ``change(name, data)`` in place of each file; None leaves it out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(info.filename, data)
    return target


def test_an_experiment_travels_as_one_file(exported, tiny_run, tiny_spec, tmp_path):
    source, result = tiny_run
    target = Store(tmp_path / "store")
    assert import_file(target, exported) == (result["key"], len(source.list()))
    assert load_result(target, result["key"]) == result
    assert verify(target) == {}
    assert next(e.title for e in target.list("run")) == next(e.title for e in source.list("run"))
    assert import_file(target, exported) == (result["key"], 0)
    assert run(tiny_spec, target) == result  # nothing has to be made again


def test_what_an_experiment_rests_on(tiny_run):
    store, result = tiny_run
    keys = entries_of(store, result["key"])
    assert set(keys) == {entry.key for entry in store.list()} and keys[0] == result["key"]
    assert set(result["entries"]) == set(keys[1:])


def test_a_damaged_entry_of_the_store_is_replaced_by_the_one_imported(exported, tiny_run, tmp_path):
    target = Store(tmp_path)
    import_file(target, exported)
    key = tiny_run[1]["models"][0]["key"]
    (tmp_path / "runs" / key / "model.safetensors").write_bytes(b"")
    assert list(verify(target)) == [key]
    assert import_file(target, exported)[1] == 1 and verify(target) == {}


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "/etc/rurk",
        "run-0123456789abcdef/../../outside",
        "run-0123456789abcdef/sub/file.json",
        "run-0123456789abcdef/.hidden",
        "run-0123456789abcdef",
        "runs\\x",
    ],
)
def test_names_that_leave_the_store(name, exported, tmp_path):
    bad = shutil.copy(exported, tmp_path / "bad.rurk")
    with zipfile.ZipFile(bad, "a") as file:
        file.writestr(name, b"x")
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="which no exported experiment does"):
        import_file(store, Path(bad))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.rurk", "store"] and not store.list()


def test_changed_content_is_refused(exported, tiny_run, tmp_path):
    def flip(name, data):
        return data[:-1] + bytes([data[-1] ^ 1]) if name.endswith("model.safetensors") else data

    bad = rewritten(exported, tmp_path / "bad.rurk", flip)
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="damaged or was changed"):
        import_file(store, bad)
    assert not store.list("original") and not store.list("run")


def test_an_entry_under_the_name_of_another_is_refused(exported, tmp_path):
    def claim(name, data):
        if name.startswith("original-") and name.endswith("spec.json"):
            document = json.loads(data)
            document["spec"]["seed"] += 1
            return json.dumps(document).encode()
        return data

    with pytest.raises(UsageError, match="not what its name says"):
        import_file(Store(tmp_path / "store"), rewritten(exported, tmp_path / "bad.rurk", claim))


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path):
    bomb = tmp_path / "bomb.rurk"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("run-0123456789abcdef/model.safetensors", bytes(50_000_000))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(UsageError, match="compressed"):
        import_file(Store(tmp_path / "store"), bomb)


def test_size_is_bounded(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="larger than any experiment"):
        import_file(Store(tmp_path), exported)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4))
def test_any_damage_to_the_file_is_one_sentence(exported, tmp_path_factory, cut, flips):
    data = bytearray(exported.read_bytes())
    for at, value in flips:
        data[int(at * (len(data) - 1))] = value
    folder = tmp_path_factory.mktemp("any")
    path = folder / "file"
    path.write_bytes(data[: int(len(data) * (1 - cut**4))])
    store = Store(folder / "store")
    try:
        import_file(store, path)
    except UsageError as error:
        assert "\n" not in str(error)
    assert verify(store) == {}
    assert sorted(p.name for p in folder.iterdir()) == ["file", "store"]


def test_only_stages_nobody_needs_are_unused(exported, tiny_run, tmp_path):
    store = Store(tmp_path)
    key, _ = import_file(store, exported)
    orphan = store.key("original", {"of": "a stopped run"})
    store.put(orphan, {"of": "a stopped run"}, {"x": b"1"})
    assert unused(store) == [orphan]
    store.delete(key)
    assert set(unused(store)) == {entry.key for entry in store.list()}


def test_the_commands(exported, tiny_run, tmp_path, capsys):
    def rurk(*arguments):
        code = main([*map(str, arguments), "--store", str(tmp_path / "s"), "--json"])
        return code, json.loads(capsys.readouterr().out or "null")

    key = tiny_run[1]["key"]
    assert rurk("store", "import", exported)[1]["key"] == key
    assert key in [row["key"] for row in rurk("store", "ls", "--kind", "run")[1]]
    assert rurk("store", "verify") == (0, {"entries": len(tiny_run[0].list()), "damaged": {}})
    assert rurk("store", "export", key, tmp_path / "again.rurk")[1]["entries"] == len(tiny_run[0].list())
    code, rows = rurk("doctor")
    assert code == 0 and {"Python", "packages", "CPU", "store", "free space"} <= {row["what"] for row in rows}, rows
    victim = tmp_path / "s" / "runs" / key / "result.json"
    victim.write_text("{}")
    code, found = rurk("store", "verify")
    assert code == 1 and list(found["damaged"]) == [key]
    code, rows = rurk("doctor")
    assert code == 1 and any(key in row["advice"] for row in rows)
    assert rurk("store", "rm", key)[0] == 0
    assert rurk("store", "gc", "--dry-run")[1]["bytes"] > 0
    assert len(rurk("store", "gc")[1]["deleted"]) > 3 and rurk("store", "ls")[1] == []
    assert rurk("store", "rm", "run-0123456789abcdef")[0] == 2
    assert rurk("store", "export", key, tmp_path / "none.rurk")[0] == 1


def test_an_export_that_fails_leaves_no_file(tiny_run, tmp_path):
    with pytest.raises(RurkError):
        export(tiny_run[0], tiny_run[1]["key"], tmp_path / "no" / "folder.rurk")
    assert list(tmp_path.iterdir()) == []
