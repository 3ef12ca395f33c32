"""Images that are not held: the same results, bit for bit, in memory that does not grow with the set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rurk_core.data import Streamed, batches, held, joined, load_dataset
from rurk_core.data.dataset import fingerprint_of
from rurk_core.data.recipes import TrainConfig
from rurk_core.data.stream import InMemory, Kept
from rurk_core.device import logits_of
from rurk_core.errors import RurkError
from rurk_core.models import create_model
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store
from rurk_core.training.fit import fit
from rurk_core.training.references import fit_references, fit_stacked

from .test_sources import write_parquet


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three classes of twenty small pictures, not all alike."""
    rng = np.random.default_rng(0)
    for label in range(3):
        (tmp_path / "set" / f"class{label}").mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 100, (9, 10, 3)) + 70 * label
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "set" / f"class{label}" / f"{number:02d}.png")
    return tmp_path / "set"


def unheld(monkeypatch, *, cache: bool) -> None:
    """Nothing fits in memory, and with ``cache`` off nor on the disk."""
    monkeypatch.setenv("RURK_IMAGES_GB", "0")
    monkeypatch.setenv("RURK_CACHE_GB", "1" if cache else "0")


def pixels(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (n, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_streamed_images_are_indexed_like_a_tensor(tmp_path):
    images = pixels(12)
    np.save(tmp_path / "x.npy", images.numpy())
    for streamed in (Streamed(InMemory(images)), Streamed(Kept.open(tmp_path / "x.npy"))):
        assert streamed.shape == images.shape and streamed.dim() == 4 and streamed.nbytes == images.nbytes
        order = torch.tensor([3, 4, 5, 1, 1, 11])
        for what in (order, [2, -1], slice(1, 7, 2), 5, -2, images[:, 0, 0, 0] > 100, torch.tensor(4)):
            assert torch.equal(streamed[what], images[what]), what
        chosen, again = streamed.take(order), torch.tensor([5, 0, 1])
        assert torch.equal(chosen[again], images[order][again]) and len(chosen.take(again)) == 3
        assert all(torch.equal(a, b) for a, b in zip(chosen.split(4), images[order].split(4), strict=True))


def test_what_fits_the_budget_is_held_and_what_does_not_is_streamed(monkeypatch):
    images, index = pixels(40), torch.tensor([7, 3, 30])
    monkeypatch.setenv("RURK_IMAGES_GB", str(10 * images[0].nbytes / 1e9))
    few, many = held(images, index, "cpu"), held(images, None, "cpu")
    assert isinstance(few, torch.Tensor) and torch.equal(few, images[index])
    assert isinstance(many, Streamed) and torch.equal(many[:], images)
    assert torch.equal(held(many, index, "cpu"), images[index])
    assert isinstance(held(many, None, "cpu"), Streamed)
    both = joined([images[:8], images[8:]])
    assert isinstance(both, Streamed) and torch.equal(both[:], images) and torch.equal(both[[9, 2]], images[[9, 2]])
    assert held(torch.rand(40, 3, 8, 8), None, "cpu").dtype == torch.float32  # floats have no source to stream from
    monkeypatch.setenv("RURK_IMAGES_GB", "much")
    with pytest.raises(RurkError, match="RURK_IMAGES_GB must be a number of GB, not 'much'"):
        held(images, None, "cpu")


def test_an_error_while_reading_ahead_reaches_whoever_reads():
    class Broken(InMemory):
        def read(self, index):
            if 3 in index:
                raise RurkError("gone")
            return super().read(index)

    read = batches(Streamed(Broken(pixels(8))), torch.arange(8).split(2))
    assert len(next(read)) == 2
    with pytest.raises(RurkError, match="gone"):
        list(read)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["alone", "workers", "stacked"])
def test_training_on_streamed_images_is_training_on_the_tensor(how):
    images, labels = pixels(50), torch.arange(50) % 3
    config = TrainConfig(epochs=2, lr=0.05, batch=16, augment="crop_flip")

    def build(seed):
        return create_model("resnet9:2", (3, 8, 8), 3, seed=seed)

    def trained(images):
        if how == "alone":
            return [fit(build(1), images, labels, config, seed=1)]
        several = fit_stacked if how == "stacked" else fit_references
        return [model for _, model in sorted(several(build, images, labels, config, seeds=[1, 2]), key=lambda m: m[0])]

    for ours, theirs in zip(trained(Streamed(InMemory(images))), trained(images), strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        )
        assert torch.equal(logits_of(ours, Streamed(InMemory(images))), logits_of(theirs, images))


def test_a_set_has_the_same_pixels_and_fingerprint_however_it_is_read(folder, tmp_path, monkeypatch):
    rows = [file.read_bytes() for file in sorted(folder.rglob("*.png"))]
    write_parquet(tmp_path / "train.parquet", rows, [n // 20 for n in range(60)], names="abc")
    for name in (str(folder), str(tmp_path / "train.parquet")):
        whole = load_dataset(name)
        monkeypatch.setenv("RURK_CACHE", str(tmp_path / "other"))
        for kept in (False, True):
            unheld(monkeypatch, cache=kept)
            for _ in range(2):  # looked through, then known
                found = load_dataset(name)
                assert isinstance(found.train_images, Streamed) and isinstance(found.test_images, Streamed)
                assert found.fingerprint == whole.fingerprint
                assert torch.equal(found.train_images[:], whole.train_images)
                assert torch.equal(found.test_labels, whole.test_labels)
                assert bool(list((tmp_path / "other").rglob("train.npy"))) == (kept or name != str(folder))
        monkeypatch.undo()
        monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))


def test_grey_and_colour_in_one_set(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "mixed" / label).mkdir(parents=True)
        for number in range(5):
            shape = (8, 8, 3) if label == "b" and number == 4 else (8, 8)
            picture = Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8))
            picture.save(tmp_path / "mixed" / label / f"{number}.png")
    whole = load_dataset(str(tmp_path / "mixed"))
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "other"))
    unheld(monkeypatch, cache=False)
    found = load_dataset(str(tmp_path / "mixed"))
    assert found.input_shape == whole.input_shape == (3, 8, 8) and found.fingerprint == whole.fingerprint


def test_the_fingerprint_holds_few_large_images_at_once():
    class Counting(InMemory):
        most = 0

        def read(self, rows):
            self.most = max(self.most, len(rows))
            return super().read(rows)

    images = torch.zeros(20, 3, 1500, 1500, dtype=torch.uint8)  # 6.75 MB each: nine in 64 MB
    source = Counting(images)
    labels = torch.zeros(20, dtype=torch.int64)
    assert fingerprint_of((Streamed(source), labels), ["a"]) == fingerprint_of((images, labels), ["a"])
    assert source.most == 9


def test_what_is_wrong_with_an_image_is_one_sentence(folder, monkeypatch):
    unheld(monkeypatch, cache=False)
    found = load_dataset(str(folder))
    (folder / "class0" / "00.png").unlink()
    with pytest.raises(RurkError, match=r"00\.png cannot be read \(No such file"):
        found.train_images[:], found.test_images[:]
    Image.new("RGB", (4, 4)).save(folder / "class0" / "00.png")
    with pytest.raises(RurkError, match=r"different sizes: .*01\.png|different sizes: .*00\.png"):
        load_dataset(str(folder))


@pytest.mark.slow
def test_an_experiment_gives_the_same_bytes_whether_its_data_fit_or_not(folder, tmp_path, monkeypatch):
    methods = "rurk,ssd,bad_teacher,random_label:epochs=2,unsir:per_class=8,fisher:samples=8,cf_k:epochs=2"
    spec = make_spec(
        str(folder),
        model="cnn:2",
        forget="class:0",
        methods=methods,
        references=2,
        taus="0,0.1",
        draws=10,
        train={"epochs": 2, "augment": "flip", "batch": 16},
        relearn=1,
    )
    names = {
        "original": "model",
        "reference": "model",
        "unlearned": "model",
        "scores": "scores",
        "verdicts": "verdicts",
    }

    def contents(store):
        return {
            entry.key: store.read(entry.key, f"{names[entry.kind]}.safetensors")
            for entry in store.list()
            if entry.kind in names
        }

    stores = {}
    for where in ("held", "streamed"):
        if where == "streamed":
            unheld(monkeypatch, cache=False)
            monkeypatch.setenv("RURK_CACHE", str(tmp_path / "other"))
        stores[where] = Store(tmp_path / where)
        result = run(spec, stores[where])
        assert not [row for row in result["models"] if "failed" in row]
    assert contents(stores["streamed"]) == contents(stores["held"])
    assert len(contents(stores["held"])) > 20


MANY = """
import re, sys, torch
from pathlib import Path
from rurk_core.data import ForgetSet
from rurk_core.data import Streamed
from rurk_core.data import held
from rurk_core.data.dataset import make_dataset
from rurk_core.data.stream import Kept
from rurk_core.models import create_model
from rurk_core.measure.scores import score
from rurk_core.data.recipes import TrainConfig
from rurk_core.training.fit import fit

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

images = Streamed(Kept.open(Path(sys.argv[1])))
labels = torch.arange(len(images)) % 2
data = make_dataset("many", (images, labels), (images.take(torch.arange(500)), labels[:500]), ["a", "b"],
                    licence="", source="", fingerprint="0" * 16)
retain = held(images, torch.arange(100, len(images)), "cpu")
assert isinstance(retain, Streamed)
model, config = create_model("linear", data.input_shape, 2), TrainConfig(epochs=1, batch=512)
fit(model, retain.take(torch.arange(2048)), labels[:2048], config, seed=0)
before = peak()
fit(model, retain, labels[100:], config, seed=0)
score(model, data, torch.device("cpu"), ForgetSet("many", "", "", tuple(range(100))))
print(images.nbytes, peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_set(tmp_path, monkeypatch):
    """200 MB of images, all of them trained on and scored: the peak grows by a few batches."""
    monkeypatch.setenv("RURK_IMAGES_GB", "0.01")
    n = 200_000_000 // (3 * 32 * 32)
    with (tmp_path / "many.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, 3, 32, 32)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + n * 3 * 32 * 32)  # a hole: zeros that take no disk
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path / "many.npy")], capture_output=True, text=True, check=True
    )
    size, grown = map(int, done.stdout.split())
    assert size > 190_000_000 and grown < 90_000_000, f"{grown / 1e6:.0f} MB more"


@pytest.mark.slow
def test_resnet50_trains_and_scores_at_224_pixels(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):  # as photographs come: JPEG, each of a size of its own
            picture = Image.fromarray(rng.integers(0, 256, (240 + 9 * number, 300 - 7 * number, 3)).astype(np.uint8))
            picture.save(tmp_path / "photos" / label / f"{number}.jpg")
    unheld(monkeypatch, cache=False)
    data = load_dataset(f"{tmp_path / 'photos'}?size=224")
    assert data.input_shape == (3, 224, 224) and isinstance(data.train_images, Streamed)
    model = create_model("resnet50:4", data.input_shape, 2, seed=0)
    before = logits_of(model, data.test_images)
    fit(model, data.train_images, data.train_labels, TrainConfig(epochs=1, batch=4, augment="crop_flip"), seed=0)
    after = logits_of(model, data.test_images)
    assert after.isfinite().all() and not torch.equal(before, after)
