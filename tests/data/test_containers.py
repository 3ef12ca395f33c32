"""Other containers of images: every one gives the pixels and labels that were put in; pickles are never opened."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sys
import tarfile
import types
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from rurk_core.data import load_dataset, registry
from rurk_core.errors import RurkError

RNG = np.random.default_rng(0)
GREY, GREY_TEST = (RNG.integers(0, 256, (n, 8, 8), dtype=np.uint8) for n in (12, 6))
RGB, RGB_TEST = (RNG.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for n in (12, 6))
Y, Y_TEST = np.arange(12) % 3, np.arange(6) % 3


@pytest.fixture(autouse=True)
def nothing_is_held_out(monkeypatch):
    """What is read is tested here; a part of the training samples would be held out of it."""
    monkeypatch.setattr(registry, "_ELSEWHERE", replace(registry._ELSEWHERE, validation=0.0))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))


def check(data, train, test, labels=Y, test_labels=Y_TEST):
    def planes(x):
        return torch.from_numpy(x[:, None] if x.ndim == 3 else np.ascontiguousarray(x.transpose(0, 3, 1, 2)))

    assert torch.equal(data.train_images, planes(train)) and torch.equal(data.test_images, planes(test))
    assert data.train_labels.tolist() == labels.tolist() and data.test_labels.tolist() == test_labels.tolist()
    assert data.train_images.dtype == torch.uint8


class TestArrays:
    def test_keras_keys(self, tmp_path):
        np.savez(tmp_path / "mnist.npz", x_train=GREY, y_train=Y, x_test=GREY_TEST, y_test=Y_TEST)
        check(load_dataset(str(tmp_path / "mnist.npz")), GREY, GREY_TEST)

    def test_medmnist_keys_prefer_test_and_name_what_is_left(self, tmp_path):
        np.savez_compressed(
            tmp_path / "pathmnist.npz",
            train_images=RGB, train_labels=Y[:, None], val_images=RGB_TEST[::-1], val_labels=Y_TEST[:, None],
            test_images=RGB_TEST, test_labels=Y_TEST[:, None].astype(np.uint8),
        )  # fmt: skip
        data = load_dataset(str(tmp_path / "pathmnist.npz"))
        check(data, RGB, RGB_TEST)
        assert any("Left aside" in note and "validation" in note for note in data.notes)

    def test_channels_first_and_one_split(self, tmp_path):
        np.savez(tmp_path / "a.npz", images=RGB.transpose(0, 3, 1, 2), labels=Y)
        data = load_dataset(str(tmp_path / "a.npz"))
        assert data.input_shape == (3, 8, 8) and (len(data.train_labels), len(data.test_labels)) == (9, 3)
        again = load_dataset(str(tmp_path / "a.npz"))
        assert again.fingerprint == data.fingerprint

    def test_floats_in_0_to_1_stay_floats(self, tmp_path):
        np.savez(tmp_path / "a.npz", x_train=GREY / 255, y_train=Y, x_test=GREY_TEST / 255, y_test=Y_TEST)
        data = load_dataset(str(tmp_path / "a.npz"))
        assert data.train_images.dtype == torch.float32
        assert torch.allclose(data.train_images * 255, torch.from_numpy(GREY[:, None]).float(), atol=1e-3)

    @pytest.mark.parametrize(
        ("arrays", "reason"),
        [
            ({"foo": GREY}, "must hold x_train and y_train.*it has foo"),
            ({"x_train": GREY.astype(int) - 5, "y_train": Y}, "bytes from 0 to 255"),
            ({"x_train": GREY + 0.5, "y_train": Y}, "bytes from 0 to 255|fractions"),
            ({"x_train": GREY, "y_train": Y[:5]}, "12 images and 5 labels"),
            ({"x_train": GREY, "y_train": np.eye(3)[Y]}, "one label per image"),
            ({"x_train": GREY[0], "y_train": Y}, "shape"),
            ({"x_train": np.array([{}], object), "y_train": Y}, "pickled objects"),
        ],
    )
    def test_what_is_no_set(self, arrays, reason, tmp_path):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(RurkError, match=reason):
            load_dataset(str(tmp_path / "a.npz"))


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx(packed, tmp_path):
    for name, array in (
        ("train-images-idx3-ubyte", GREY), ("train-labels-idx1-ubyte", Y.astype(np.uint8)),
        ("t10k-images-idx3-ubyte", GREY_TEST), ("t10k-labels-idx1-ubyte", Y_TEST.astype(np.uint8)),
    ):  # fmt: skip
        data = idx(array)
        (tmp_path / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)
    check(load_dataset(str(tmp_path)), GREY, GREY_TEST)
    (tmp_path / ("t10k-labels-idx1-ubyte" + ".gz" * packed)).unlink()
    with pytest.raises(RurkError, match="one of labels"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("fine", [False, True])
def test_cifars_binary_version(fine, tmp_path):
    images, tests = (RNG.integers(0, 256, (n, 3072), dtype=np.uint8) for n in (12, 6))

    def rows(pixels, labels):
        head = [np.full((len(labels), 1), 9)] if fine else []
        return np.concatenate([*head, labels[:, None], pixels], 1).astype(np.uint8).tobytes()

    if fine:
        (tmp_path / "train.bin").write_bytes(rows(images, Y))
        (tmp_path / "test.bin").write_bytes(rows(tests, Y_TEST))
    else:
        (tmp_path / "data_batch_1.bin").write_bytes(rows(images[:6], Y[:6]))
        (tmp_path / "data_batch_2.bin").write_bytes(rows(images[6:], Y[6:]))
        (tmp_path / "test_batch.bin").write_bytes(rows(tests, Y_TEST))
    data = load_dataset(str(tmp_path))
    assert (
        torch.equal(data.train_images.flatten(1), torch.from_numpy(images)) and data.train_labels.tolist() == Y.tolist()
    )
    assert torch.equal(data.test_images.flatten(1), torch.from_numpy(tests))


def png(array):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def test_a_saved_hugging_face_set(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, images, labels in (("train", RGB, Y), ("validation", RGB_TEST, Y_TEST)):
        (tmp_path / split).mkdir()
        table = pa.table({"image": pa.array([{"bytes": png(i), "path": None} for i in images], kind), "label": labels})
        about = {"info": {"features": {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
        path = str(tmp_path / split / "data-00000-of-00001.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
        (tmp_path / split / "state.json").write_text(json.dumps(state))
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    data = load_dataset(str(tmp_path))
    check(data, RGB, RGB_TEST)
    assert data.classes == ("a", "b", "c")
    assert sum(map(len, (load_dataset(str(tmp_path / "train")).train_labels,))) == 9


@pytest.mark.parametrize("kind", ["cls", "json", "name"])
def test_webdataset_tars(kind, tmp_path):
    for split, images, labels in (("train", RGB, Y), ("val", RGB_TEST, Y_TEST)):
        with tarfile.open(tmp_path / f"set-{split}-000000.tar", "w") as tar:
            for at, (image, label) in enumerate(zip(images, labels, strict=True)):
                texts = {"cls": str(label), "json": json.dumps({"label": int(label)}), "name": "abc"[label]}
                suffix = "json" if kind == "json" else "cls"
                for name, data in ((f"{at:06}.png", png(image)), (f"{at:06}.{suffix}", texts[kind].encode())):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    data = load_dataset(str(tmp_path))
    check(data, RGB, RGB_TEST)
    assert data.classes == (("a", "b", "c") if kind == "name" else ("0", "1", "2"))


def test_a_tar_without_labels(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        data = png(RGB[0])
        info = tarfile.TarInfo("0.png")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    with pytest.raises(RurkError, match="needs a label"):
        load_dataset(str(tmp_path / "a.tar"))


def test_pickles_say_what_to_convert_them_to(tmp_path):
    (tmp_path / "set.pkl").write_bytes(pickle.dumps({"data": GREY}))
    with pytest.raises(RurkError, match=r"is a pickle.*numpy\.savez\('set\.npz'"):
        load_dataset(str(tmp_path / "set.pkl"))
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x02")
    with pytest.raises(RurkError, match="is a pickle"):
        load_dataset(str(tmp_path / "cifar-10-batches-py"))


def test_the_hub(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": png(i), "path": None} for i in RGB], kind)
    asked = []

    def snapshot_download(name, *, repo_type, revision, allow_patterns):
        asked.append((name, repo_type, revision))
        folder = tmp_path / revision.replace("/", "-")
        (folder / "default" / "train").mkdir(parents=True, exist_ok=True)
        if revision != "main":
            pq.write_table(pa.table({"image": images, "label": Y}), folder / "default" / "train" / "0000.parquet")
        return str(folder)

    fake = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    data = load_dataset("hf://datasets/owner/name")
    assert asked == [("owner/name", "dataset", "main"), ("owner/name", "dataset", "refs/convert/parquet")]
    assert len(data.train_labels) == 9 and data.name == "name"
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(RurkError, match="pip install huggingface_hub"):
        load_dataset("hf://datasets/owner/name")
    with pytest.raises(RurkError, match="as hf://datasets/owner/name"):
        load_dataset("hf://datasets/a/b/c")
