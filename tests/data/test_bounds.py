"""Small files that unpack to much: refused in one sentence, in a moment and in little memory."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from rurk_core.data import forget_set, load_dataset
from rurk_core.data.decoding import Encoded, decode
from rurk_core.data.forget import parse_indices
from rurk_core.data.forget_lists import indices_of
from rurk_core.errors import RurkError, UsageError


def one_value_many_times(path: Path) -> None:
    value = pa.DictionaryArray.from_arrays(pa.array([0] * 1500, pa.int32()), pa.array([b"x" * 2_400_000], pa.binary()))
    image = pa.StructArray.from_arrays([value, pa.array(["a"] * 1500)], ["bytes", "path"])
    pq.write_table(pa.table({"image": image, "label": [0, 1] * 750}), path, compression="zstd")


def many_empty_rows(path: Path) -> None:
    nothing = pa.nulls(8_000_000, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image": nothing, "label": pa.nulls(8_000_000, pa.int64())}), path)


def long_labels(path: Path) -> None:
    label = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 750, pa.int32()), ["x" * 2_000_000, "y" * 2_000_000])
    pq.write_table(pa.table({"image": [b"x"] * 1500, "label": label}), path, compression="zstd")


def well_packed(path: Path) -> None:
    pq.write_table(pa.table({"image": [bytes(80_000_000)], "label": [0]}), path, compression="zstd")


PARQUET = {
    "one value 1,500 times": (one_value_many_times, "few images many times"),
    "8 million empty rows": (many_empty_rows, "claims 8,000,000 rows"),
    "labels of 2 MB": (long_labels, "labels of more than"),
    "80 MB of zeros": (well_packed, "unpacks to far more"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", PARQUET)
def test_parquet_that_unpacks_to_much(what, tmp_path, monkeypatch):
    make, reason = PARQUET[what]
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))
    make(path := tmp_path / "a.parquet")
    before, started = pa.total_allocated_bytes(), time.monotonic()
    with pytest.raises(RurkError, match=reason) as refusal:
        load_dataset(str(path))
    assert "\n" not in str(refusal.value) and time.monotonic() - started < 20
    assert pa.total_allocated_bytes() - before < 50e6


def sixteen_bits(side: int) -> bytes:
    """A PNG of 16 bits of zeros, written by hand so that the test itself takes no memory."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer, rows = zlib.compressobj(9), b""
    for _ in range(side):
        rows += packer.compress(bytes(1 + 2 * side))
    head = struct.pack(">IIBBBBB", side, side, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows + packer.flush()) + part(b"IEND", b"")


@pytest.mark.slow
def test_pictures_far_larger_than_their_bytes(tmp_path, monkeypatch):
    data, started = sixteen_bits(7000), time.monotonic()
    assert len(data) < 200_000
    with pytest.raises(RurkError, match="claims 49,000,000 pixels in"):
        decode(Encoded("a.png", lambda: data))
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "set" / name / f"{number}.png").write_bytes(data)
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))
    before = psutil.Process().memory_info().rss
    with pytest.raises(RurkError, match="claims 49,000,000 pixels"):
        load_dataset(str(tmp_path / "set"))
    assert psutil.Process().memory_info().rss - before < 200e6 and time.monotonic() - started < 20


def test_sixteen_bits_are_scaled_in_parts():
    """Hand-worked: white is 65535, and so 257 is 1."""
    values = np.full((600, 5), 257, np.uint16)
    values[299] = 65_535
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    found = decode(Encoded("a.png", buffer.getvalue))
    assert found.dtype == np.uint8 and (found[299] == 255).all() and (np.delete(found, 299, 0) == 1).all()


@pytest.mark.slow
def test_arrays_that_unpack_to_much(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x_train=np.zeros((70_000, 32, 32), np.uint8), y_train=np.zeros(70_000))
    with pytest.raises(RurkError, match="unpacks to far more"):
        load_dataset(str(tmp_path / "a.npz"))
    (tmp_path / "idx").mkdir()
    with gzip.open(tmp_path / "idx" / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, 100_000, 28, 28))
        for _ in range(80):
            file.write(bytes(10**6))
    with pytest.raises(RurkError, match="unpacks to far more"):
        load_dataset(str(tmp_path / "idx"))


@pytest.mark.parametrize("text", [",".join(["0-49999"] * 8000), ",".join(["7"] * 60_000), "0-49999,0"])
def test_a_list_names_no_more_samples_than_there_are(text):
    """A link of 56 kB once took 7 GB: the bound is the value's, not that of the box it is typed into."""
    tracemalloc.start()
    with pytest.raises(UsageError, match="more than so many indices"):
        parse_indices(text, limit=50_000)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert parse_indices("0-49999", limit=50_000) == list(range(50_000))
    with pytest.raises(UsageError):
        forget_set(load_dataset("digits"), f"indices:{text}")


@pytest.mark.slow
def test_lists_of_torch_that_never_end(monkeypatch):
    """Read in a process of its own, which is ended; a header that claims much is refused."""
    from rurk_core.apart import reading

    monkeypatch.setattr(reading, "SECONDS", 2.0)
    buffer = io.BytesIO()
    torch.save({"indices": torch.tensor([3, 5])}, buffer)
    assert indices_of("a.pt", buffer.getvalue(), 10) == [3, 5]
    nested = b"\x80\x02}(" + b")" + b"".join(b"q%c" % k + b"h%c" % k + b"\x86" for k in range(40)) + b"K\x01u."
    assert pickle.dumps({}, protocol=2)[:2] == nested[:2]
    hostile = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(hostile, "w") as new:
        for part in old.infolist():
            new.writestr(part.filename, nested if part.filename.endswith("data.pkl") else old.read(part))
    with pytest.raises(UsageError, match="takes longer than 2 s"):
        indices_of("a.pt", hostile.getvalue(), 10)
    array = io.BytesIO()
    np.save(array, np.arange(4))
    with pytest.raises(UsageError, match="damaged"):
        indices_of("a.npy", array.getvalue().replace(b"(4,)", b"(9999999999999,)"), 10)
