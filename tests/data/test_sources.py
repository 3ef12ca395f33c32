"""Real files of every kind: what is readable loads, what is not is one sentence and leaves nothing behind."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import struct
import threading
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from rurk_core.data import images as decoded
from rurk_core.data import load_dataset, load_dataset_apart
from rurk_core.data.images import cache_folder
from rurk_core.data.sources import fetch, read_cifar_archive
from rurk_core.errors import RurkError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))


def encoded(array, kind="PNG", mode=None) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(array), mode).save(out, kind)
    return out.getvalue()


def square(shade: int, size: int = 6) -> np.ndarray:
    return np.full((size, size, 3), shade, np.uint8)


def write_parquet(path, images, labels, names=("cat", "dog"), label="label"):
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": data, "path": None} for data in images],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            label: pa.array(labels, pa.int64()),
        }
    )
    if names:
        about = {"info": {"features": {label: {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, path)


def folder_of(root, **classes):
    for name, images in classes.items():
        (root / name).mkdir(parents=True)
        for at, data in enumerate(images):
            (root / name / f"{at:03}.png").write_bytes(data)
    return root


def test_for_a_server_a_path_is_decoded_by_another_process(tmp_path, monkeypatch):
    def elsewhere(*given):
        assert os.getpid() != here, "decoded in the server"
        make(*given)

    here, make, told = os.getpid(), decoded._make, []
    monkeypatch.setattr(decoded, "_make", elsewhere)
    name = str(folder_of(tmp_path / "set", cat=[encoded(square(s)) for s in range(5)], dog=[encoded(square(9))] * 5))
    data = load_dataset_apart(name + "?validation=0", progress=lambda *step: told.append(step))
    assert told[-1] == (2, 2, "Decoding images") and len(data.train_images) == 8
    assert load_dataset(name + "?validation=0").fingerprint == data.fingerprint


def test_large_pictures_are_decoded_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "BLOCK", 2 * 3 * 6 * 6)  # two of them
    name = str(folder_of(tmp_path / "set", cat=[encoded(square(s)) for s in range(5)], dog=[encoded(square(9))] * 5))
    told = []
    data = load_dataset(name + "?validation=0", progress=lambda *step: told.append(step))
    assert [step[0] for step in told if step[1:] == (8, "Decoding images")] == [2, 4, 6, 8]
    monkeypatch.setattr(decoded, "BLOCK", 2**26)
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "another"))
    assert load_dataset(name + "?validation=0").fingerprint == data.fingerprint


def test_for_a_server_what_a_path_refuses_is_said_as_it_is(tmp_path):
    with pytest.raises(RurkError) as here:
        load_dataset(str(folder_of(tmp_path / "set", cat=[b"hello"] * 5, dog=[encoded(square(9))] * 5)))
    with pytest.raises(RurkError) as apart:
        load_dataset_apart(str(tmp_path / "set"))
    assert str(apart.value) == str(here.value)


class TestParquet:
    def test_pixels_labels_and_names(self, tmp_path):
        shades = [10, 20, 30, 40, 50, 60]
        write_parquet(tmp_path / "train.parquet", [encoded(square(s)) for s in shades], [0, 1, 0, 1, 0, 1])
        write_parquet(tmp_path / "test-00000.parquet", [encoded(square(s)) for s in (70, 80)], [1, 0])
        data = load_dataset(str(tmp_path) + "?validation=0")
        assert data.classes == ("cat", "dog") and data.input_shape == (3, 6, 6)
        assert data.train_images[:, 0, 0, 0].tolist() == shades and data.train_images.dtype == torch.uint8
        assert data.train_labels.tolist() == [0, 1, 0, 1, 0, 1] and data.test_labels.tolist() == [1, 0]

    def test_a_second_load_comes_from_the_cache_and_is_the_same(self, tmp_path, monkeypatch):
        file = tmp_path / "train.parquet"
        write_parquet(file, [encoded(square(s)) for s in range(10)], [0, 1] * 5)
        first = load_dataset(str(file))
        monkeypatch.setattr("rurk_core.data.images.decode", lambda *_: pytest.fail("decoded again"))
        second = load_dataset(str(file))
        assert first.fingerprint == second.fingerprint and torch.equal(first.train_images, second.train_images)

    def test_without_a_test_split_a_fifth_of_each_class_is_held_out(self, tmp_path):
        file = tmp_path / "images.parquet"
        write_parquet(file, [encoded(square(s)) for s in range(20)], [0, 1] * 10)
        data = load_dataset(str(file) + "?validation=0")
        assert torch.bincount(data.train_labels).tolist() == [8, 8]
        assert torch.bincount(data.test_labels).tolist() == [2, 2]

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [([0, 1, 0, 1, 0, 7], "label 7"), ([0, 1, 0, 1, 0, -1], "label -1"), ([0, 0, 0, 0, 0, 1], "single")],
    )
    def test_bad_labels(self, tmp_path, labels, reason):
        write_parquet(tmp_path / "train.parquet", [encoded(square(s)) for s in range(6)], labels)
        write_parquet(tmp_path / "test.parquet", [encoded(square(s)) for s in range(2)], [0, 1])
        with pytest.raises(RurkError, match=reason):
            load_dataset(str(tmp_path))

    @pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
    def test_truncated_files(self, tmp_path, keep):
        file = tmp_path / "train.parquet"
        write_parquet(file, [encoded(square(s)) for s in range(6)], [0, 1] * 3)
        whole = file.read_bytes()
        file.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
        with pytest.raises(RurkError, match="damaged"):
            load_dataset(str(file))

    def test_other_tables(self, tmp_path):
        pq.write_table(pa.table({"x": [1.0, 2.0]}), tmp_path / "a.parquet")
        with pytest.raises(RurkError, match="no image column"):
            load_dataset(str(tmp_path / "a.parquet"))
        pq.write_table(pa.table({"image": pa.array([b"a", b"b"]), "x": [1.0, 2.0]}), tmp_path / "b.parquet")
        with pytest.raises(RurkError, match=r"no column called like labels.*\?label=x"):
            load_dataset(str(tmp_path / "b.parquet"))

    def test_a_missing_image_or_label(self, tmp_path):
        file = tmp_path / "train.parquet"
        write_parquet(file, [encoded(square(1)), None, *[encoded(square(n)) for n in range(4)]], [0, 1] * 3)
        with pytest.raises(RurkError, match="without an image"):
            load_dataset(str(file))


class TestFolder:
    def test_a_folder_per_class(self, tmp_path):
        root = folder_of(tmp_path / "pets", cat=[encoded(square(s)) for s in range(5)], dog=[encoded(square(9))] * 5)
        (root / "notes.txt").write_text("not an image")
        data = load_dataset(str(root) + "?validation=0")
        assert data.classes == ("cat", "dog") and len(data.train_labels) == 8 and len(data.test_labels) == 2
        assert data.name == "pets"

    def test_a_folder_that_is_no_class_is_named(self, tmp_path):
        root = folder_of(tmp_path / "pets", cat=[encoded(square(s)) for s in range(5)], dog=[encoded(square(9))] * 5)
        folder_of(root / "bird" / "deep", a=[encoded(square(1))])
        (root / "fish").mkdir()
        data = load_dataset(str(root))
        assert data.classes == ("cat", "dog")
        assert [note for note in data.notes if note == "No class, since no image lies directly in it: bird, fish."]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
    def test_what_is_no_file_is_named(self, tmp_path):
        root = folder_of(tmp_path / "pets", cat=[encoded(square(s)) for s in range(5)], dog=[encoded(square(9))] * 5)
        os.mkfifo(root / "cat" / "zz.png")
        with pytest.raises(RurkError, match=r"'zz\.png' is not an image"):
            load_dataset(str(root))
        (root / "cat" / "zz.png").unlink()
        (root / "cat" / "zz.png").symlink_to("nowhere")
        with pytest.raises(RurkError, match=r"'zz\.png' is not an image"):
            load_dataset(str(root))

    def test_train_and_test_folders(self, tmp_path):
        for split, count in (("train", 4), ("test", 2)):
            folder_of(tmp_path / split, a=[encoded(square(1))] * count, b=[encoded(square(2))] * count)
        data = load_dataset(str(tmp_path) + "?validation=0")
        assert (len(data.train_labels), len(data.test_labels)) == (8, 4)

    def test_sizes_must_agree_or_be_asked_for(self, tmp_path):
        images = [encoded(square(1)), encoded(square(1)), encoded(square(1, size=9)), encoded(square(1))]
        root = folder_of(tmp_path / "mixed", a=images, b=images)
        with pytest.raises(RurkError, match=r"different sizes.*\?size=32"):
            load_dataset(str(root))
        assert load_dataset(f"{root}?size=8").input_shape == (3, 8, 8)

    def test_conversions(self, tmp_path):
        grey = np.full((4, 4), 100, np.uint8)
        deep = np.full((4, 4), 257 * 50, np.uint16)
        clear = np.zeros((4, 4, 4), np.uint8)
        root = folder_of(
            tmp_path / "kinds",
            alpha=[encoded(clear, mode="RGBA")] * 3,
            deep=[encoded(deep)] * 3,
            grey=[encoded(grey)] * 3,
        )
        data = load_dataset(str(root) + "?validation=0")
        images = torch.cat([data.train_images, data.test_images])
        labels = torch.cat([data.train_labels, data.test_labels])
        assert data.input_shape == (3, 4, 4)
        shades = [images[labels == label].unique().tolist() for label in range(3)]
        assert shades == [[255], [50], [100]]  # transparent is white, 16 bits are scaled, grey is repeated

    def test_all_grey_stays_one_channel(self, tmp_path):
        grey = [encoded(np.full((4, 4), s, np.uint8)) for s in (1, 2, 3)]
        data = load_dataset(str(folder_of(tmp_path / "grey", a=grey, b=grey)))
        assert data.input_shape == (1, 4, 4)

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({"0.png": b"no image at all"}, "damaged or is not"),
            ({"0.png": encoded(square(3))[:40]}, "damaged or is not"),
            ({"0.exe": b"MZ"}, "is not an image"),
        ],
    )
    def test_a_bad_file_is_named_and_leaves_no_cache(self, tmp_path, files, reason):
        root = folder_of(tmp_path / "bad", a=[encoded(square(1))] * 3, b=[encoded(square(2))] * 3)
        for name, data in files.items():
            (root / "a" / name).write_bytes(data)
        with pytest.raises(RurkError, match=reason) as caught:
            load_dataset(str(root))
        assert next(iter(files)) in str(caught.value)
        assert not cache_folder().exists() or not list(cache_folder().iterdir())

    def test_a_decompression_bomb_is_not_decoded(self, tmp_path):
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        root = folder_of(tmp_path / "bomb", a=[bomb] * 3, b=[encoded(square(1))] * 3)
        with pytest.raises(RurkError, match="pixels"):
            load_dataset(str(root))

    def test_too_few(self, tmp_path):
        with pytest.raises(RurkError, match="no class folders"):
            load_dataset(f"{tmp_path}/")
        root = folder_of(tmp_path / "one", a=[encoded(square(1))] * 3, b=[encoded(square(1))])
        with pytest.raises(RurkError, match=r"'b'.*1 image; every class needs at least 3"):
            load_dataset(str(root))
        write_parquet(tmp_path / "two.parquet", [encoded(square(s)) for s in range(5)], [0, 0, 0, 1, 1])
        with pytest.raises(RurkError, match="class 1 has fewer than three"):
            load_dataset(str(tmp_path / "two.parquet"))
        root = folder_of(tmp_path / "single", a=[encoded(square(1))] * 3)
        with pytest.raises(RurkError, match="at least two"):
            load_dataset(str(root))

    def test_nothing_there(self, tmp_path):
        with pytest.raises(RurkError, match="no data set at"):
            load_dataset(f"{tmp_path}/nowhere/at/all")
        with pytest.raises(RurkError, match=r"There is no data set 'cifra10'; choose one of fashion, digits"):
            load_dataset("cifra10")
        (tmp_path / "file").write_text("")
        with pytest.raises(RurkError, match="is a file; name the folder"):
            load_dataset("cifar10", tmp_path / "file")


def test_a_damaged_cache_is_removed_and_says_so(tmp_path):
    root = folder_of(tmp_path / "pets", a=[encoded(square(1))] * 3, b=[encoded(square(2))] * 3)
    load_dataset(str(root))
    next(cache_folder().glob("*/train.npy")).write_bytes(b"\x93NUMPY")
    with pytest.raises(RurkError, match="damaged and has been removed"):
        load_dataset(str(root))
    assert len(load_dataset(str(root)).classes) == 2


class TestFetch:
    """Downloads, against a server of our own."""

    @pytest.fixture
    def served(self, tmp_path):
        asked: list[str | None] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                data, start = (tmp_path / "www" / "file.bin").read_bytes(), self.headers.get("Range")
                asked.append(start)
                at = int(start[6:-1]) if start else 0
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - at))
                self.end_headers()
                self.wfile.write(data[at:])

        (tmp_path / "www").mkdir()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/file.bin", tmp_path / "www" / "file.bin", asked
        server.shutdown()

    def test_it_goes_on_where_it_stopped_and_fetches_once(self, served, tmp_path):
        url, source, asked = served
        content = bytes(range(256)) * 5000
        source.write_bytes(content)
        target = tmp_path / "data" / "file.bin"
        target.parent.mkdir()
        target.with_name("file.bin.part").write_bytes(content[:1000])
        seen = []
        fetch(url, target, hashlib.md5(content).hexdigest(), progress=lambda *event: seen.append(event))
        assert target.read_bytes() == content and asked == ["bytes=1000-"]
        assert seen[-1][:2] == (len(content), len(content))
        fetch(url, target, hashlib.md5(content).hexdigest())
        assert len(asked) == 1

    def test_a_wrong_checksum_is_removed(self, served, tmp_path):
        url, source, _ = served
        source.write_bytes(b"other content")
        with pytest.raises(RurkError, match="checksum"):
            fetch(url, tmp_path / "file.bin", "0" * 32)
        assert not list(tmp_path.glob("file.bin*"))

    def test_offline_it_says_where_to_put_the_file(self, tmp_path):
        with pytest.raises(RurkError, match=r"file\.bin cannot be downloaded from here; put it into .*RURK_DATA"):
            fetch("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", "0" * 32)


def test_cifar_archives_are_read_without_pickle(tmp_path):
    import tarfile

    rng = np.random.default_rng(0)
    rows = {name: rng.integers(0, 10, (4, 3073), dtype=np.uint8) for name in ("data_batch_1", "test_batch")}
    files = {f"{name}.bin": data.tobytes() for name, data in rows.items()} | {"batches.meta.txt": b"cat\ndog\n\n"}
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    found, names = read_cifar_archive(archive, coarse=0, names="batches.meta.txt")
    assert names == ["cat", "dog"]
    assert np.array_equal(found["train"][1], rows["data_batch_1"][:, 0])
    assert np.array_equal(found["test"][0].reshape(4, -1), rows["test_batch"][:, 1:])
    archive.write_bytes(archive.read_bytes()[:50])
    with pytest.raises(RurkError, match="damaged"):
        read_cifar_archive(archive, coarse=0, names="batches.meta.txt")
