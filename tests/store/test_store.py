"""The store: whole entries or none, an index that is never trusted, names that cannot leave the folder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rurk_core.cli import main
from rurk_core.errors import RurkError, UsageError
from rurk_core.store.names import canonical_json, check_key, clean_title
from rurk_core.store.store import Store
from rurk_core.store.tensors import load_tensors, save_tensors, tensor_metadata

SPEC = {"seed": 7, "title": "First"}
FILES = {"result.json": b'{"r": 1.5}', "model.safetensors": b"0123456789"}


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "folder":
        yield Store(tmp_path / "store")
    else:
        yield Store(f"memory://{tmp_path.name}")
        fsspec.filesystem("memory").store.clear()


@pytest.fixture
def local(tmp_path):
    return Store(tmp_path / "store")


def add(store, seed=7, kind="run", **more):
    spec = {"seed": seed, **more}
    key = store.key(kind, spec)
    store.put(key, spec, FILES)
    return key


def on_disk(store):
    return sorted(os.listdir(os.path.join(store.root, "runs")))


def forget_index(store):
    """As after somebody deleted the file: the folders are the truth."""
    for file in Path(store.root).glob("index.sqlite*"):
        file.unlink()


class TestEntries:
    def test_what_is_put_can_be_read(self, store):
        key = store.key("run", SPEC)
        assert not store.has(key)
        store.put(key, SPEC, FILES)
        assert store.has(key)
        assert store.read(key, "model.safetensors") == b"0123456789"
        assert store.read_json(key, "result.json") == {"r": 1.5}

    def test_spec_file_says_what_made_it(self, store):
        key = store.key("run", SPEC)
        store.put(key, SPEC, FILES)
        document = store.read_json(key, "spec.json")
        assert (document["key"], document["kind"], document["spec"]) == (key, "run", SPEC)
        assert document["title"] == "First" and set(document["versions"]) == {"rurk", "python", "torch"}
        assert document["created"].endswith("+00:00")

    def test_second_put_changes_nothing(self, store):
        key = add(store)
        store.put(key, {"seed": 8}, {"result.json": b"{}"})
        assert store.read_json(key, "result.json") == {"r": 1.5}

    def test_delete(self, store):
        key, other = add(store, 1), add(store, 2)
        store.delete(key)
        store.delete(key)
        assert not store.has(key) and [e.key for e in store.list()] == [other]
        with pytest.raises(RurkError, match="no entry"):
            store.read(key, "result.json")
        assert add(store, 1) == key and store.has(key)

    def test_unknown_file(self, store):
        with pytest.raises(RurkError, match=r"has no file 'nothing\.json'"):
            store.read(add(store), "nothing.json")

    def test_rename(self, store):
        key = add(store, title="Old")
        store.rename(key, " <b>New</b>\n title ")
        assert store.list()[0].title == "<b>New</b> title"
        forget_index(store)
        assert store.list()[0].title == "<b>New</b> title" and store.has(key)
        with pytest.raises(UsageError):
            store.rename("run-0123456789abcdef", "x")

    def test_remote_entry_without_spec_does_not_exist(self, tmp_path):
        store = Store(f"memory://{tmp_path.name}")
        key = store.key("run", SPEC)
        store.fs.pipe_file(f"{store.root}/runs/{key}/result.json", b"{}")
        assert not store.has(key) and store.list() == []

    def test_a_url_reopens_the_store(self, store):
        key = add(store)
        assert Store(store.url).read(key, "model.safetensors") == b"0123456789"

    def test_odd_folder_names_are_folders(self, tmp_path):
        odd = Store(tmp_path / "a::b #1 ü")
        key = add(odd)
        assert Store(odd.url).has(key) and (tmp_path / "a::b #1 ü" / "runs" / key).is_dir()


class TestKeys:
    def test_order_of_names_does_not_matter(self):
        assert Store.key("run", {"a": 1, "b": [0.1]}) == Store.key("run", {"b": (0.1,), "a": 1})
        assert Store.key("run", {"a": 1}) != Store.key("run", {"a": 2})
        assert Store.key("run", {"a": 1}) != Store.key("original", {"a": 1})

    @pytest.mark.parametrize("spec", [{"a": float("nan")}, {"a": float("inf")}, {"a": object()}, {"a": {1, 2}}])
    def test_only_json_has_a_key(self, spec):
        with pytest.raises(UsageError, match="plain JSON"):
            Store.key("run", spec)

    @pytest.mark.parametrize("kind", ["", "Run", "../run", "a/b", "é", "run-"])
    def test_kinds(self, kind):
        with pytest.raises(UsageError):
            Store.key(kind, {})

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )

    @given(st.dictionaries(st.text(), json_values, max_size=4))
    def test_canonical_json_reads_back(self, spec):
        text = canonical_json(spec)
        assert json.loads(text) == spec and canonical_json(json.loads(text)) == text

    hostile = (
        "../x",
        "/etc/passwd",
        "run-0123456789abcdeg",
        "run-0123456789abcdef\n",
        "run-0123456789abcdef/..",
        "run-０123456789abcdef",
        "rün-0123456789abcdef",
        "",
        ".tmp-0123456789abcdef",
        "run-0123456789ABCDEF",
        "a" * 10_000,
        None,
        7,
    )

    @pytest.mark.parametrize("key", hostile)
    def test_hostile_keys_touch_nothing(self, local, key):
        for use in (
            local.has,
            local.delete,
            lambda k: local.read(k, "a"),
            lambda k: local.put(k, {}, {}),
            lambda k: local.rename(k, "x"),
        ):
            with pytest.raises(UsageError, match="is not the key"):
                use(key)
        assert not os.path.exists(local.root)

    @given(st.text(max_size=40))
    def test_whatever_passes_is_one_plain_name(self, text):
        try:
            key = check_key(text)
        except UsageError:
            return
        assert os.path.basename(key) == key and key.isascii() and not key.startswith(".")

    @pytest.mark.parametrize("name", ["../x", "/x", "a/b", ".hidden", "", "spec.json", "title.txt", "ü", "a\0b"])
    def test_hostile_file_names(self, local, name):
        with pytest.raises(UsageError, match="name of a stored file"):
            local.put(local.key("run", SPEC), SPEC, {name: b""})
        assert local.list() == []

    @given(st.text() | st.none() | st.integers())
    def test_titles_are_one_line_of_text(self, title):
        cleaned = clean_title(title)
        assert len(cleaned) <= 200 and cleaned.isprintable() and cleaned == clean_title(cleaned)
        cleaned.encode()


class TestWholeOrNothing:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    @pytest.mark.parametrize("written", [0, 1, 2])
    def test_full_disk(self, local, monkeypatch, number, written):
        """The disk is full at the first, second or last file: nothing is left, and later it works."""
        calls = []

        def full(handle):
            calls.append(handle)
            if len(calls) > written:
                raise OSError(number, "full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(RurkError, match="disk is full"):
                add(local)
        assert on_disk(local) == [] and local.list() == []
        assert local.has(add(local))

    def test_full_bucket(self, tmp_path, monkeypatch):
        store = Store(f"memory://{tmp_path.name}")
        real = store.fs.pipe_file

        def full(path, data, **more):
            if path.endswith("spec.json"):
                raise OSError(errno.ENOSPC, "full")
            real(path, data, **more)

        monkeypatch.setattr(store.fs, "pipe_file", full)
        with pytest.raises(RurkError, match="disk is full"):
            add(store)
        assert store.fs.find(store.root) == []

    def test_interrupt_leaves_nothing(self, local, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            add(local)
        assert on_disk(local) == []

    def test_forbidden(self, local, monkeypatch):
        def forbidden(*_):
            raise PermissionError(errno.EACCES, "no")

        monkeypatch.setattr(os, "rename", forbidden)
        with pytest.raises(RurkError, match="permissions"):
            add(local)
        assert on_disk(local) == []

    def test_remains_without_spec_are_replaced(self, local):
        key = local.key("run", {"seed": 7})
        os.makedirs(f"{local.root}/runs/{key}")
        open(f"{local.root}/runs/{key}/model.safetensors", "w").close()
        assert not local.has(key) and local.list() == []
        assert add(local) == key
        assert local.read(key, "model.safetensors") == b"0123456789"
        assert on_disk(local) == [key]

    def test_loser_of_a_race_drops_its_copy(self, local, monkeypatch):
        """Another process stores the same entry between our look and our rename."""
        spec = {"seed": 7}
        key = local.key("run", spec)
        other = Store(local.url)
        real = os.rename

        def late(source, target):
            monkeypatch.setattr(os, "rename", real)
            other.put(key, spec, {"result.json": b'{"first": true}'})
            real(source, target)

        monkeypatch.setattr(os, "rename", late)
        local.put(key, spec, FILES)
        assert local.read_json(key, "result.json") == {"first": True}
        assert on_disk(local) == [key]

    def test_old_leftovers_are_swept(self, local):
        add(local)
        for name, age in ((".tmp-old", 7200), (".tmp-new", 60)):
            folder = f"{local.root}/runs/{name}"
            os.mkdir(folder)
            then = os.stat(folder).st_mtime - age
            os.utime(folder, (then, then))
        add(Store(local.url), 1)
        names = on_disk(local)
        assert ".tmp-new" in names and ".tmp-old" not in names and len(names) == 3

    @pytest.mark.slow
    def test_many_processes_at_once(self, local):
        command = [sys.executable, "-c", PUT_MANY, local.url]
        workers = [subprocess.Popen(command) for _ in range(4)]
        assert [worker.wait() for worker in workers] == [0] * 4
        assert len(local.list()) == 10 and len(on_disk(local)) == 10
        assert all(local.read(e.key, "model.safetensors") == b"0123456789" for e in local.list())

    def test_many_threads_at_once(self, store):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: (add(store, i % 5), store.list()), range(40)))
        assert len(store.list()) == 5


PUT_MANY = """
import sys
from pathlib import Path
from rurk_core.store.store import Store
store = Store(sys.argv[1])
for seed in range(10):
    key = store.key("run", {"seed": seed})
    store.put(key, {"seed": seed}, {"model.safetensors": b"0123456789"})
    assert key in [entry.key for entry in store.list()]
"""


class TestDamage:
    def damaged(self, store, key, name):
        with pytest.raises(RurkError, match=f"{key} is damaged .* run its experiment again"):
            store.read(key, name)
        assert store.has(key)
        store.delete(key)
        add(store)
        assert store.read(key, name)

    def test_truncated(self, local):
        key = add(local)
        os.truncate(f"{local.root}/runs/{key}/model.safetensors", 4)
        self.damaged(local, key, "model.safetensors")

    def test_changed_byte(self, local):
        key = add(local)
        with open(f"{local.root}/runs/{key}/model.safetensors", "r+b") as file:
            file.write(b"X")
        self.damaged(local, key, "model.safetensors")

    def test_missing(self, local):
        key = add(local)
        os.unlink(f"{local.root}/runs/{key}/model.safetensors")
        self.damaged(local, key, "model.safetensors")

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"key": 1}', "[" * 100_000, "\xff"])
    def test_bad_spec(self, local, text):
        key = add(local)
        with open(f"{local.root}/runs/{key}/spec.json", "w", encoding="latin-1") as file:
            file.write(text)
        forget_index(local)
        assert [(e.key, e.title, e.created) for e in local.list()] == [(key, "(damaged)", "")]
        self.damaged(local, key, "model.safetensors")

    def test_not_json(self, store):
        key = store.key("run", SPEC)
        store.put(key, SPEC, {"a.json": b"[1]", "b.json": b"{"})
        for name in ("a.json", "b.json"):
            with pytest.raises(RurkError, match="not a JSON object"):
                store.read_json(key, name)


class TestList:
    def test_newest_first_with_sizes(self, store):
        keys = [add(store, seed, title=f"T{seed}") for seed in range(3)]
        entries = store.list()
        assert [e.key for e in entries] == keys[::-1]
        assert [e.title for e in entries] == ["T2", "T1", "T0"]
        assert store.size() == sum(e.bytes for e in entries) > 3 * 20

    def test_kind(self, store):
        add(store), add(store, kind="unlearned")
        assert [e.kind for e in store.list("unlearned")] == ["unlearned"]
        assert len(store.list()) == 2 and store.list("nothing") == []

    def test_empty(self, store):
        assert store.list() == [] and store.size() == 0

    @pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
    def test_index_gone_or_broken(self, local, content):
        keys = {add(local, 1), add(local, 2)}
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(path := f"{local.root}/index.sqlite{suffix}"):
                os.unlink(path)
        if content is not None:
            with open(f"{local.root}/index.sqlite", "wb") as file:
                file.write(content)
        assert {e.key for e in local.list()} == keys
        assert sqlite3.connect(f"{local.root}/index.sqlite").execute("SELECT count(*) FROM entries").fetchone() == (2,)

    def test_index_that_cannot_be_opened(self, local):
        key = add(local)
        os.unlink(f"{local.root}/index.sqlite")
        os.mkdir(f"{local.root}/index.sqlite")
        add(local, 2)
        assert len(local.list()) == 2 and local.has(key)

    def test_index_of_another_version(self, local):
        key = add(local)
        with sqlite3.connect(f"{local.root}/index.sqlite") as db:
            db.execute("DROP TABLE entries")
            db.execute("PRAGMA user_version = 99")
        assert [e.key for e in local.list()] == [key]

    def test_follows_the_folders(self, local, tmp_path):
        key, other = add(local, 1), add(local, 2)
        shutil.move(f"{local.root}/runs/{key}", tmp_path / key)
        assert [e.key for e in local.list()] == [other]
        shutil.move(tmp_path / key, f"{local.root}/runs/{key}")
        assert {e.key for e in local.list()} == {key, other}
        forget_index(local)
        assert len(local.list()) == 2

    def test_foreign_names_are_ignored(self, local):
        key = add(local)
        for name in ("notes", ".tmp-x", "Run-0123456789abcdef"):
            os.mkdir(f"{local.root}/runs/{name}")
        assert [e.key for e in local.list()] == [key]


class TestBundled:
    @pytest.fixture
    def both(self, tmp_path):
        shipped = Store(tmp_path / "shipped")
        key = add(shipped, 1, title="Demo")
        before = sorted(os.listdir(shipped.root))
        os.unlink(f"{shipped.root}/index.sqlite")
        store = Store(tmp_path / "mine", bundled=[tmp_path / "shipped"])
        yield store, key
        assert sorted(set(os.listdir(shipped.root)) | {"index.sqlite"}) == before, "written to a bundled store"

    def test_looked_up_after_own(self, both):
        store, key = both
        own = add(store, 2)
        assert store.has(key) and store.read_json(key, "result.json") == {"r": 1.5}
        assert [(e.key, e.bundled) for e in store.list()] == [(own, False), (key, True)]
        assert store.size() == store.list()[0].bytes

    def test_not_stored_twice_and_never_changed(self, both):
        store, key = both
        assert add(store, 1, title="Demo") == key
        for change in (store.delete, lambda k: store.rename(k, "x")):
            with pytest.raises(UsageError, match="comes along"):
                change(key)
        assert [e.bundled for e in store.list()] == [True]

    def test_missing_bundle_is_empty(self, tmp_path):
        store = Store(tmp_path / "mine", bundled=[tmp_path / "nothing"])
        assert store.list() == [] and not (tmp_path / "nothing").exists()

    def test_read_only(self, tmp_path):
        store = Store(tmp_path / "x", read_only=True)
        with pytest.raises(UsageError, match="only for reading"):
            add(store)
        assert not (tmp_path / "x").exists()


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


class TestReading:
    def test_reading_writes_nothing(self, local, capsys):
        """Neither into a folder that somebody else filled, nor where there is none yet."""
        key = add(local)
        forget_index(local)
        before = everything(Path(local.root))
        other = Store(local.url)
        assert [e.key for e in other.list()] == [key] and other.size() and other.read(key, "model.safetensors")
        assert main(["store", "ls", "--store", local.url]) == 0 and main(["store", "verify", "--store", local.url]) == 0
        assert everything(Path(local.root)) == before
        assert main(["store", "ls", "--store", f"{local.url}-2"]) == 0 and not os.path.exists(f"{local.url}-2")

    def test_a_store_is_its_owners_alone(self, local):
        add(local)
        for path in (Path(local.root), *Path(local.root).rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path

    def test_links_inside_are_not_followed(self, local, tmp_path):
        """A link to a file elsewhere, or to a whole entry, would let a store that is handed on show what it is not."""
        key, elsewhere = add(local), Store(tmp_path / "elsewhere")
        other = add(elsewhere, 9)
        os.symlink(f"{elsewhere.root}/runs/{other}", f"{local.root}/runs/{other}")
        assert not local.has(other) and [e.key for e in local.list()] == [key]
        (tmp_path / "secret").write_bytes(b"0123456789")
        os.unlink(f"{local.root}/runs/{key}/model.safetensors")
        os.symlink(tmp_path / "secret", f"{local.root}/runs/{key}/model.safetensors")
        with pytest.raises(RurkError, match="is missing"):
            local.read(key, "model.safetensors")

    def test_the_name_must_be_the_hash_of_the_description(self, local):
        key = add(local)
        local.verify(key)
        path = Path(local.root, "runs", key, "spec.json")
        document = json.loads(path.read_text())
        document["spec"]["seed"] = 8
        path.write_text(json.dumps(document))
        with pytest.raises(RurkError, match="not the one its name is the hash of"):
            local.verify(key)


class TestShelf:
    """What others made: it can be read and listed, and nothing builds on it."""

    def test_looked_up_last(self, store):
        spec = {"seed": 7}
        key = store.key("run", spec)
        store.shelf.put(key, spec, {"result.json": b'{"r": 9}'}, origin={"file": "x.rurk"})
        assert store.has(key) and not store.trusts(key) and not store.owns(key)
        assert store.document(key)["origin"] == {"file": "x.rurk"}
        assert [(e.key, e.imported) for e in store.list()] == [(key, True)] and store.size() == 0
        assert store.read_json(key, "result.json") == {"r": 9}
        assert add(store) == key and store.trusts(key), "one's own is made all the same"
        assert store.read_json(key, "result.json") == {"r": 1.5} and "origin" not in store.document(key)
        assert [(e.key, e.imported) for e in store.list()] == [(key, False)]

    def test_renamed_and_deleted_as_others(self, store):
        spec = {"seed": 7}
        key = store.key("run", spec)
        store.shelf.put(key, spec, FILES)
        store.rename(key, "Theirs")
        assert store.list()[0].title == "Theirs"
        store.delete(key)
        assert not store.has(key) and store.list() == []


ADDRESSES = [
    "s3://bucket/x", "gs://bucket/x", "abfs://x@y/z", "sftp://nobody@localhost:1/x", "ftp://localhost:1/x", "smb://h/x",
    "hdfs://h/x", "zip://a::file:///nowhere.zip", "tar://a::file:///nowhere.tar", "reference://x", "dask://x", "git:",
    "github://a:b@c/x", "libarchive://a::file:///nowhere", "simplecache::memory://x", "filecache::memory://y", "dir://x",
    "local://relative/x", "blockcache::memory://x", "http://localhost:1/x", "hf://datasets/a/b", "jupyter:", "data:,",
    "asynclocal://x", "webhdfs://localhost:1/x", "cached://x", "generic://x", "lakefs://x", "a::b::c", "://", "memory:",
    "memory://a::memory://b", "s3::", "::", "root://h//x", "box://x", "oci://x", "dvc://x", "arrow_hdfs://x", "wandb:",
]  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES)
def test_any_address_answers_or_says_one_sentence(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        store = Store(url)
        key = store.key("run", SPEC)
        for use in (
            store.list,
            lambda: store.has(key),
            lambda: add(store),
            lambda: store.read(key, "model.safetensors"),
        ):
            try:
                use()
            except RurkError as error:
                assert "\n" not in str(error) and len(str(error)) < 500
    except RurkError as error:
        assert "\n" not in str(error) and len(str(error)) < 500


class TestOpening:
    def test_root_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("x")
        for place in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(RurkError, match="a file is where a folder must be"):
                Store(place)

    @pytest.mark.parametrize("url", ["", "nosuch://x", "a\0b"])
    def test_impossible_places(self, url):
        with pytest.raises(UsageError):
            Store(url)

    def test_forbidden(self, tmp_path, monkeypatch):
        def forbidden(*_, **__):
            raise PermissionError(errno.EACCES, "no")

        monkeypatch.setattr(os, "makedirs", forbidden)
        with pytest.raises(RurkError, match="permissions"):
            add(Store(tmp_path / "x"))

    def test_job_root(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert Store(tmp_path / "s").job_root == tmp_path / "s" / "jobs"
        one, two = Store("memory://a").job_root, Store("memory://b").job_root
        assert one != two and one.parent == two.parent == tmp_path / "rurk" / "jobs"


class TestTensors:
    def test_round_trip(self):
        tensors = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3), "b": torch.ones(2, dtype=torch.bfloat16)}
        data = save_tensors(tensors, {"about": "me"})
        found = load_tensors(data)
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[n], t) and found[n].dtype == t.dtype for n, t in tensors.items())
        assert tensor_metadata(data) == {"about": "me"} and tensor_metadata(save_tensors(tensors)) == {}
        assert save_tensors(tensors, {"about": "me"}) == data

    def test_views_and_shared_memory(self):
        base = torch.arange(12.0).reshape(3, 4)
        found = load_tensors(save_tensors({"t": base.T, "again": base, "row": base[1], "grad": base.requires_grad_()}))
        assert torch.equal(found["t"], base.T) and torch.equal(found["row"], base[1])

    @pytest.mark.parametrize("keep", [0, 4, 20, -1])
    def test_truncated(self, keep):
        data = save_tensors({"w": torch.ones(4)})[:keep]
        with pytest.raises(RurkError, match="damaged"):
            load_tensors(data)

    @given(st.binary(max_size=100))
    def test_garbage(self, data):
        for read in (load_tensors, tensor_metadata):
            with pytest.raises(RurkError, match="damaged"):
                read(data)
