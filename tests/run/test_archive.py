"""Whole experiments: exported, imported, checked and cleaned; and files made to do harm."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.errors import RurkError, UsageError
from rurk_core.measure.verdicts import verdicts_from_bytes, verdicts_to_bytes
from rurk_core.run import archive
from rurk_core.run.archive import Imported, entries_of, export, import_apart, import_file, unused, verify, verify_deep
from rurk_core.run.checking import contradictions, recount
from rurk_core.run.experiment import run
from rurk_core.run.provenance import makers, words
from rurk_core.run.result import load_result
from rurk_core.run.signing import key_file, own_key
from rurk_core.run.stored import load_verdicts
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
    assert import_file(target, exported) == Imported(result["key"], len(source.list()))
    assert load_result(target, result["key"]) == result
    assert verify(target) == {}
    assert next(e.title for e in target.list("run")) == next(e.title for e in source.list("run"))
    assert import_file(target, exported) == Imported(result["key"], 0)
    assert all(entry.imported for entry in target.list()) and target.own() == []


def test_nothing_builds_on_what_nobody_vouches_for(exported, tiny_run, tiny_spec, tmp_path):
    """The very experiment is made here, and then it is one's own."""
    target = Store(tmp_path / "store")
    import_file(target, exported)
    made = run(tiny_spec, target)
    assert [row["made"] for row in made["models"]] == [row["made"] for row in tiny_run[1]["models"]]
    assert {entry.key for entry in target.own()} == {entry.key for entry in tiny_run[0].list()}
    assert not any(entry.imported for entry in target.list())
    again = import_file(target, exported)
    assert again.new == 0 and made["key"] in again.differs, "another time of training is another result"
    assert load_result(target, made["key"]) == made


@pytest.fixture
def signed(tiny_run, tmp_path, monkeypatch) -> Path:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "theirs"))
    export(tiny_run[0], tiny_run[1]["key"], tmp_path / "signed.rurk", signed=True)
    return tmp_path / "signed.rurk"


def test_what_a_trusted_key_signed_is_as_ones_own(signed, tiny_run, tiny_spec, tmp_path, monkeypatch):
    source, result = tiny_run
    key = own_key()
    assert key == own_key() and key_file().stat().st_mode & 0o077 == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    assert own_key() != key
    target = Store(tmp_path / "store")
    assert import_file(target, signed, trust=key) == Imported(result["key"], len(source.list()), key)
    assert run(tiny_spec, target) == result  # nothing has to be made again
    origin = target.document(result["key"])["origin"]
    assert origin["signer"] == key and origin["file"] == "signed.rurk" and origin["by"]
    assert target.document(result["key"])["versions"] == source.document(result["key"])["versions"]
    (sentence,) = words(makers(target, result))
    assert sentence.startswith("Imported, from signed.rurk on 20") and key in sentence


def test_whose_word_is_not_taken(signed, exported, tiny_run, tmp_path, monkeypatch):
    theirs = own_key()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="not the key you trust"):
        import_file(store, signed, trust=own_key())
    with pytest.raises(UsageError, match="is not signed"):
        import_file(store, exported, trust=theirs)
    for nonsense in ("somebody", "ed25519:AAAA", "ed25519:!!", str(tmp_path)):
        with pytest.raises(UsageError, match="public key"):
            import_file(store, signed, trust=nonsense)

    def retitle(name, data):
        return data.replace(b"Tiny digits", b"Tiny digitz") if name.endswith("spec.json") else data

    with pytest.raises(UsageError, match="damaged or was changed"):
        import_file(store, rewritten(signed, tmp_path / "a.rurk", retitle), trust=theirs)

    def reordered(name, data):
        return json.dumps(json.loads(data), sort_keys=True).encode() if name == "rurk.json" else data

    with pytest.raises(UsageError, match="not of this content"):
        import_file(store, rewritten(signed, tmp_path / "b.rurk", reordered), trust=theirs)
    assert store.list() == []
    assert import_file(store, signed, trust=theirs).new


def forged(exported: Path, target: Path, change) -> Path:
    """The archive with other content of results and tables, and every hash in it put right: ``change(name, data)``."""
    with zipfile.ZipFile(exported) as file:
        held = {name: file.read(name) for name in file.namelist() if name != "rurk.json"}
        about = json.loads(file.read("rurk.json"))
    for name in [name for name in held if not name.endswith("spec.json")]:
        held[name] = change(name, held[name])
        spec = f"{name.split('/')[0]}/spec.json"
        document = json.loads(held[spec])
        document["files"][name.split("/")[1]] = {
            "bytes": len(held[name]),
            "sha256": hashlib.sha256(held[name]).hexdigest(),
        }
        held[spec] = json.dumps(document).encode()
    about["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in held.items()}
    with zipfile.ZipFile(target, "w") as file:
        for name, data in {"rurk.json": json.dumps(about).encode(), **held}.items():
            file.writestr(name, data)
    return target


def edit_result(edit):
    def change(name, data):
        if not name.endswith("result.json"):
            return data
        result = json.loads(data)
        edit(result)
        return json.dumps(result).encode()

    return change


def edit_table(edit):
    def change(name, data):
        if not (name.startswith("verdicts-") and name.endswith(".safetensors")):
            return data
        return verdicts_to_bytes(edit(verdicts_from_bytes(data)))

    return change


def fewer(table):
    """Half as many copies recognised by the unlearned model as were."""
    counts = table.counts.copy()
    for sample, label in enumerate(table.labels):
        moved = counts[1, sample, :, label] // 2
        counts[1, sample, :, label] -= moved
        counts[1, sample, :, (label + 1) % counts.shape[-1]] += moved
    return replace(table, counts=counts)


FORGERIES = {
    "a residual number": edit_result(lambda r: r["residual"][0]["taus"][1].update(r_mean=0.5)),
    "copies recognised": edit_result(lambda r: r["residual"][0]["taus"][0].update(numerator=1)),
    "an accuracy": edit_result(lambda r: r["models"][1].update(test_accuracy=0.999)),
    "the seed": edit_result(lambda r: r["spec"].update(seed=8)),
    "the forget set": edit_result(lambda r: r["forget"]["indices"].pop()),
    "another model's name": edit_result(lambda r: r["models"][0].update(key=r["models"][1]["key"])),
    "a list in place of models": edit_result(lambda r: r.update(models=[1, 2])),
    "counts of the table": edit_table(fewer),
    "counts below zero": edit_table(lambda t: replace(t, counts=t.counts - 1)),
    "samples of the table": edit_table(lambda t: replace(t, samples=t.samples + 1)),
    "labels of the table": edit_table(lambda t: replace(t, labels=t.labels + 100)),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_result_contradicts_itself(what, exported, tmp_path):
    """Every hash is right, but the numbers do not follow from what they are said to rest on."""
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="contradicts itself") as refusal:
        import_file(store, forged(exported, tmp_path / "forged.rurk", FORGERIES[what]))
    assert "\n" not in str(refusal.value) and store.list() == []


def test_a_forged_table_is_noticed_when_copies_are_counted_again(tiny_run, tiny_store):
    """Whoever forges the table and all that follows from it cannot forge what the models say."""
    key = tiny_run[1]["key"]
    data = load_dataset("digits")
    assert list(contradictions(tiny_store, key)) == [] and list(recount(tiny_store, key, data)) == []
    assert verify_deep(tiny_store) == ({}, [])
    entry = tiny_run[1]["residual"][0]
    table = fewer(load_verdicts(tiny_store, entry["verdicts"]))
    spec = tiny_store.document(entry["verdicts"])["spec"]
    tiny_store.delete(entry["verdicts"])
    tiny_store.put(entry["verdicts"], spec, {"verdicts.safetensors": verdicts_to_bytes(table)})
    (sentence, *_) = contradictions(tiny_store, key)
    assert "do not follow from its verdict table" in sentence
    (sentence,) = recount(tiny_store, key, data)
    assert "is not what its models say" in sentence
    assert list(verify_deep(tiny_store)[0]) == [key]
    with pytest.raises(RurkError, match="nothing was counted again"):
        list(recount(tiny_store, key, load_dataset("iris")))


def test_what_the_run_does_not_rest_on_is_refused(exported, tmp_path):
    extra = shutil.copy(exported, tmp_path / "extra.rurk")
    spec = {"of": "nobody"}
    key = Store.key("wholeset", spec)
    with zipfile.ZipFile(extra, "a") as file:
        file.writestr(f"{key}/spec.json", json.dumps({"spec": spec, "files": {}, "kind": "wholeset"}))
    with pytest.raises(UsageError, match="without need"):
        import_file(Store(tmp_path / "store"), Path(extra))


def test_files_of_the_first_format_are_read(exported, tiny_run, tmp_path):
    def old(name, data):
        about = json.loads(data) if name == "rurk.json" else {}
        return json.dumps({"format": "rurk-experiment/1", "key": about["key"]}).encode() if about else data

    store = Store(tmp_path / "store")
    assert import_file(store, rewritten(exported, tmp_path / "old.rurk", old)).key == tiny_run[1]["key"]


def test_what_an_experiment_rests_on(tiny_run):
    store, result = tiny_run
    keys = entries_of(store, result["key"])
    assert set(keys) == {entry.key for entry in store.list()} and keys[0] == result["key"]
    assert set(result["entries"]) == set(keys[1:])


def test_a_damaged_entry_of_the_shelf_is_replaced_by_the_one_imported(exported, tiny_run, tmp_path):
    target = Store(tmp_path)
    import_file(target, exported)
    key = tiny_run[1]["models"][0]["key"]
    (tmp_path / "imported" / "runs" / key / "model.safetensors").write_bytes(b"")
    assert list(verify(target)) == [key]
    assert import_file(target, exported).new == 1 and verify(target) == {}


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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.rurk"] and not store.list()


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

    with pytest.raises(UsageError, match="damaged or was changed"):
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
    assert {p.name for p in folder.iterdir()} <= {"file", "store"}


def test_only_stages_nobody_needs_are_unused(exported, tiny_run, tmp_path):
    store = Store(tmp_path)
    key = import_file(store, exported).key
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
    for name in (key, "latest"):
        assert rurk("store", "export", name, tmp_path / "again.rurk")[1]["entries"] == len(tiny_run[0].list())
    code, rows = rurk("doctor")
    assert code == 0 and {"Python", "packages", "CPU", "store", "free space"} <= {row["what"] for row in rows}, rows
    victim = tmp_path / "s" / "imported" / "runs" / key / "result.json"
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


def test_one_entry_that_differs_is_one(exported, tmp_path, capsys, monkeypatch):
    for keys, said in ((["run-1"], "1 entry is here already"), (["run-1", "run-2"], "2 entries are here already")):
        found = Imported("run-0", 1, "", keys)
        monkeypatch.setattr("rurk_core.run.archive.import_apart", lambda *_, found=found, **__: found)
        assert main(["store", "import", str(exported), "--store", str(tmp_path / "s")]) == 0
        printed = capsys.readouterr().out
        assert said in printed and "1 new entry." in printed


def test_an_export_that_fails_leaves_no_file(tiny_run, tmp_path):
    with pytest.raises(RurkError):
        export(tiny_run[0], tiny_run[1]["key"], tmp_path / "no" / "folder.rurk")
    assert list(tmp_path.iterdir()) == []


def hostile_model(**about):
    def change(name, data):
        if not (name.startswith("original-") and name.endswith("info.json")):
            return data
        return json.dumps(json.loads(data) | about).encode()

    return change


HOSTILE_MODELS = {
    "a network of 400 GB": {"model": "resnet50:4096"},
    "10^12 classes": {"classes": 10**12},
    "a side of 90,000": {"input_shape": [1, 90_000, 90_000], "model": "linear"},
    "a shape of a million sides": {"input_shape": [1] * 10**6},
    "no network": {"model": None},
    "an unknown network": {"model": "../x"},
}


@pytest.mark.parametrize("what", HOSTILE_MODELS)
def test_a_model_that_is_not_what_it_says_allocates_nothing(what, exported, tmp_path):
    """Its description promises far more than its file holds."""
    path = forged(exported, tmp_path / "forged.rurk", hostile_model(**HOSTILE_MODELS[what]))
    before = psutil.Process().memory_info().rss
    with pytest.raises(RurkError) as refusal:
        import_file(Store(tmp_path / "store"), path)
    assert "\n" not in str(refusal.value) and psutil.Process().memory_info().rss - before < 200e6


def test_an_import_is_read_in_a_process_of_its_own(exported, tiny_run, tmp_path):
    store = Store(tmp_path / "store")
    assert import_apart(store, exported) == Imported(tiny_run[1]["key"], len(tiny_run[0].list()))
    bad = rewritten(exported, tmp_path / "bad.rurk", lambda name, data: None if "result" in name else data)
    with pytest.raises(UsageError, match="damaged or was changed"):
        import_apart(store, bad)
    with pytest.raises(UsageError, match="There is no file"):
        import_apart(store, tmp_path / "none.rurk")


def test_members_that_overlap_are_refused(exported, tmp_path):
    """Ten thousand names for one megabyte: 1.4 MB that unpack to gigabytes."""
    path = tmp_path / "overlap.rurk"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("original-0000000000000000/a", bytes(10**6))
        (info,) = file.infolist()
        for number in range(5000):
            other = zipfile.ZipInfo(f"original-0000000000000000/b{number}")
            for name in ("header_offset", "CRC", "compress_size", "file_size", "external_attr", "create_system"):
                setattr(other, name, getattr(info, name))
            file.filelist.append(other)
        file._didModify = True
    with pytest.raises(UsageError, match="damaged"):
        import_file(Store(tmp_path / "store"), path)


def test_a_zip64_directory_counts(tmp_path):
    """The plain end says little, the record that readers believe says gigabytes."""
    record = b"PK\6\6" + (44).to_bytes(8, "little") + bytes(28) + (3 * 10**9).to_bytes(8, "little") + bytes(8)
    locator = b"PK\6\7" + bytes(4) + (4).to_bytes(8, "little") + (1).to_bytes(4, "little")
    end = b"PK\5\6" + bytes(8) + (46).to_bytes(4, "little") + bytes(6)
    (tmp_path / "a.rurk").write_bytes(b"PK\3\4" + record + locator + end)
    with pytest.raises(UsageError, match="enormous table of contents"):
        import_file(Store(tmp_path / "store"), tmp_path / "a.rurk")
