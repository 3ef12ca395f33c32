"""Layouts that people have: each is read as it is meant, or asked about; validation images are never trained on."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from rurk_core.data import load_dataset, registry
from rurk_core.data.labels import numbered
from rurk_core.data.splits import is_junk, split_of, split_word
from rurk_core.errors import RurkError, UsageError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RURK_CACHE", str(tmp_path / "cache"))
    # what is held out of what was read is another matter: test_registry.py
    monkeypatch.setattr(registry, "_ELSEWHERE", replace(registry._ELSEWHERE, validation=0.0))


def png(shade, size=16, kind="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), shade, np.uint8)).save(out, kind, **options)
    return out.getvalue()


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def images(count, start=0):
    return pa.array([{"bytes": png(start + at), "path": None} for at in range(count)], IMAGE)


def table(path, count, start=0, names=None, **columns):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    found = pa.table({"image": images(count, start)} | (columns or {"label": [0, 1] * (count // 2)}))
    if names:
        features = {column: {"names": list(given), "_type": "ClassLabel"} for column, given in names.items()}
        found = found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(found, path)


def put(path, shade, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(shade, **options))


@pytest.fixture(autouse=True)
def nothing_is_held_out(monkeypatch):
    """What is read is tested here; a part of the training samples would be held out of it."""
    monkeypatch.setattr(registry, "_ELSEWHERE", replace(registry._ELSEWHERE, validation=0.0))


def sizes(data):
    return len(data.train_labels), len(data.test_labels)


def shades(split):
    return sorted(split[:, 0, 0, 0].tolist())


VALIDATION = ["val", "dev", "valid", "eval", "validation", "VAL", "Validation", "evaluation"]
TEST = ["test", "Test", "TEST", "testing"]


class TestParquetSplits:
    @pytest.mark.parametrize("word", [*VALIDATION, *TEST])
    @pytest.mark.parametrize(
        "layout",
        [
            "{}-00000-of-00001.parquet",
            "data/{}-00000-of-00001.parquet",
            "{}/0000.parquet",
            "plain_text/{}-00000-of-00001.parquet",
            "default/{}/0000.parquet",
            "my_{}_part.parquet",
        ],
    )
    def test_every_word_in_every_layout(self, word, layout, tmp_path):
        root = tmp_path / "set"
        table(root / layout.format("train" if word.islower() else "TRAIN"), 24)
        table(root / layout.format(word), 8, 50)
        data = load_dataset(str(root))
        assert sizes(data) == (24, 8) and shades(data.test_images) == list(range(50, 58))
        assert "Training samples" in data.notes[0] and word in data.notes[0]

    def test_test_is_taken_before_validation_and_the_rest_is_left_aside(self, tmp_path):
        root = tmp_path / "set"
        for name, count, start in (("train", 24, 0), ("val", 8, 50), ("test", 6, 80)):
            table(root / f"{name}.parquet", count, start)
        data = load_dataset(str(root))
        assert sizes(data) == (24, 6) and shades(data.test_images) == list(range(80, 86))
        assert any("Left aside" in note and "val.parquet" in note for note in data.notes)

    def test_hidden_labels_fall_back_to_validation(self, tmp_path):
        root = tmp_path / "set"
        table(root / "train.parquet", 24)
        table(root / "validation.parquet", 8, 50)
        table(root / "test.parquet", 6, 80, label=[-1] * 6)
        data = load_dataset(str(root))
        assert sizes(data) == (24, 8) and shades(data.test_images) == list(range(50, 58))
        assert any("hidden (-1)" in note for note in data.notes)
        (root / "validation.parquet").unlink()
        assert sum(sizes(load_dataset(str(root)))) == 24

    def test_words_are_whole(self, tmp_path):
        table(tmp_path / "set" / "values-testimony-devices.parquet", 20)
        data = load_dataset(str(tmp_path / "set"))
        assert sum(sizes(data)) == 20 and "a seeded fifth" in data.notes[0]

    def test_several_configurations_are_asked_about(self, tmp_path):
        for name in ("small", "large"):
            table(tmp_path / "set" / name / "train.parquet", 20)
        with pytest.raises(RurkError, match=r"several sets, large, small; name the folder"):
            load_dataset(str(tmp_path / "set"))
        assert sum(sizes(load_dataset(str(tmp_path / "set" / "small")))) == 20

    def test_only_test_files(self, tmp_path):
        table(tmp_path / "set" / "test.parquet", 8)
        with pytest.raises(RurkError, match=r"no training samples.*only test\.parquet"):
            load_dataset(str(tmp_path / "set"))


class TestLabels:
    @pytest.mark.parametrize(
        ("values", "classes", "labels"),
        [
            (["cat", "dog"], ("cat", "dog"), [0, 1]),
            ([True, False], ("false", "true"), [1, 0]),
            ([0.0, 1.0], ("0", "1"), [0, 1]),
            ([1, 2], ("1", "2"), [0, 1]),
            ([2, 1], ("1", "2"), [1, 0]),
            (["10", "9"], ("9", "10"), [1, 0]),
        ],
    )
    def test_kinds(self, values, classes, labels, tmp_path):
        table(tmp_path / "train.parquet", 24, label=values * 12)
        table(tmp_path / "test.parquet", 8, 50, label=values * 4)
        data = load_dataset(str(tmp_path))
        assert data.classes == classes and data.train_labels.tolist() == labels * 12
        assert data.test_labels.tolist() == labels * 4

    def test_one_based_with_names(self, tmp_path):
        table(tmp_path / "a.parquet", 24, names={"label": ["cat", "dog"]}, label=[1, 2] * 12)
        data = load_dataset(str(tmp_path / "a.parquet"))
        assert data.classes == ("cat", "dog") and set(data.train_labels.tolist()) == {0, 1}
        assert any("Labels run from 1" in note for note in data.notes)

    def test_dictionary_encoded_text(self, tmp_path):
        table(tmp_path / "a.parquet", 20, label=pa.array(["x", "y"] * 10).dictionary_encode())
        assert load_dataset(str(tmp_path / "a.parquet")).classes == ("x", "y")

    def test_a_fraction_is_no_label(self, tmp_path):
        table(tmp_path / "a.parquet", 20, label=[0.5, 1.0] * 10)
        with pytest.raises(RurkError, match="fractions"):
            load_dataset(str(tmp_path / "a.parquet"))

    def test_text_beside_an_id(self, tmp_path):
        table(tmp_path / "a.parquet", 24, patient=[i // 8 for i in range(24)], species=["cat", "dog"] * 12)
        data = load_dataset(str(tmp_path / "a.parquet"))
        assert data.classes == ("cat", "dog") and any("'species' was taken" in note for note in data.notes)

    def test_whole_numbers_of_another_name_are_asked_about(self, tmp_path):
        path = tmp_path / "a.parquet"
        table(path, 24, patient=[i // 8 for i in range(24)], grade=[0, 1] * 12)
        with pytest.raises(RurkError, match=r"no column called like labels.*\?label=patient.*'patient', 'grade'"):
            load_dataset(str(path))
        data = load_dataset(f"{path}?label=grade")
        assert data.classes == ("0", "1") and load_dataset(f"{path}?label=patient").classes == ("0", "1", "2")
        assert load_dataset(f"{path}?size=8&label=grade").input_shape == (3, 8, 8)

    def test_file_names_are_no_classes(self, tmp_path):
        table(tmp_path / "a.parquet", 20, file=[f"{i}.png" for i in range(20)], n=[0, 1] * 10)
        with pytest.raises(RurkError, match="no column called like labels"):
            load_dataset(str(tmp_path / "a.parquet"))

    def test_a_declared_class_column_of_any_name(self, tmp_path):
        table(tmp_path / "a.parquet", 20, names={"species": ["a", "b"]}, patient=list(range(20)), species=[0, 1] * 10)
        assert load_dataset(str(tmp_path / "a.parquet")).classes == ("a", "b")

    def test_several_image_columns_are_asked_about(self, tmp_path):
        path = tmp_path / "a.parquet"
        table(path, 20, other=images(20, 100), label=[0, 1] * 10)
        with pytest.raises(RurkError, match=r"several image columns, 'image', 'other'.*\?image=image"):
            load_dataset(str(path))
        assert min(shades(load_dataset(f"{path}?image=other").train_images)) >= 100
        with pytest.raises(UsageError, match=r"A path takes \?size=, \?image=, \?label=, .*, not 'lable'"):
            load_dataset(f"{path}?lable=x")

    def test_classes_of_one_split_alone_are_named(self, tmp_path):
        table(tmp_path / "train.parquet", 24, label=["a", "b"] * 12)
        table(tmp_path / "test.parquet", 6, label=["a", "c", "a", "a", "a", "b"])
        data = load_dataset(str(tmp_path))
        assert data.classes == ("a", "b", "c")
        assert any("Only the test samples have the class 'c'" in note for note in data.notes)

    def test_numbers_of_mixed_kinds(self):
        with pytest.raises(RurkError, match="mixed"):
            numbered({"train": np.array(["a", None], object)})


class TestFolders:
    @pytest.mark.parametrize("word", [*VALIDATION, *TEST])
    @pytest.mark.parametrize("layout", ["{}", "data/{}", "archive/pets/{}", "seg_{0}/seg_{0}"])
    def test_every_word_in_every_layout(self, word, layout, tmp_path):
        root = tmp_path / "set"
        for name in ("cat", "dog"):
            for at in range(4):
                put(root / layout.format("train") / name / f"{at}.png", at)
                put(root / layout.format(word) / name / f"{at}.png", 99 + at)
        data = load_dataset(str(root))
        assert sizes(data) == (8, 8) and min(shades(data.test_images)) >= 99 and max(shades(data.train_images)) < 99
        assert data.classes == ("cat", "dog") and word in data.notes[0]

    def test_flat_unlabelled_test_folder(self, tmp_path):
        for name in ("cat", "dog"):
            for at in range(4):
                put(tmp_path / "g" / "train" / name / f"{at}.png", at)
        for at in range(6):
            put(tmp_path / "g" / "test" / f"{at}.png", at)
        with pytest.raises(RurkError, match=r"'test' in .* holds images without class folders"):
            load_dataset(str(tmp_path / "g"))

    def test_flat_splits(self, tmp_path):
        for split in ("train", "test"):
            for at in range(4):
                put(tmp_path / "h" / split / f"cat.{at}.png", at)
        with pytest.raises(RurkError, match="hold images without class folders, so nothing says their classes"):
            load_dataset(str(tmp_path / "h"))

    def test_a_class_may_be_called_like_a_split(self, tmp_path):
        for name in ("train", "plane"):
            for at in range(5):
                put(tmp_path / "v" / name / f"{at}.png", at)
        assert load_dataset(str(tmp_path / "v")).classes == ("plane", "train")

    def test_what_is_not_taken_is_said(self, tmp_path):
        for name in ("cat", "dog"):
            for at in range(4):
                put(tmp_path / "k" / "seg_train" / name / f"{at}.png", at)
                put(tmp_path / "k" / "seg_test" / name / f"{at}.png", at)
        put(tmp_path / "k" / "seg_pred" / "0.png", 3)
        data = load_dataset(str(tmp_path / "k"))
        assert sizes(data) == (8, 8) and any("seg_pred" in note for note in data.notes)

    def test_two_folders_of_one_split_are_asked_about(self, tmp_path):
        for split in ("train", "test_a", "test_b"):
            for name in ("cat", "dog"):
                for at in range(3):
                    put(tmp_path / "k" / split / name / f"{at}.png", at)
        with pytest.raises(RurkError, match="Both 'test_a' and 'test_b'"):
            load_dataset(str(tmp_path / "k"))

    def test_a_class_of_the_test_folder_alone(self, tmp_path):
        for name in ("cat", "dog", "owl"):
            for at in range(3):
                put(tmp_path / "k" / "test" / name / f"{at}.png", at)
                if name != "owl":
                    put(tmp_path / "k" / "train" / name / f"{at}.png", at)
        data = load_dataset(str(tmp_path / "k"))
        assert data.classes == ("cat", "dog", "owl") and any("class 'owl'" in note for note in data.notes)

    def test_junk_is_passed_over(self, tmp_path):
        root = tmp_path / "set"
        for name in ("cat", "dog"):
            for at in range(5):
                put(root / name / f"{at}.png", at)
            for junk in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png", "Icon\r"):
                (root / name / junk).write_bytes(b"x")
            put(root / name / "@eaDir" / "0.png", 9)
        for junk in (
            "__MACOSX",
            "@eaDir",
            "#recycle",
            "$RECYCLE.BIN",
            "System Volume Information",
            ".ipynb_checkpoints",
        ):
            put(root / junk / "0.png", 9)
            put(root / junk / "1.png", 9)
        data = load_dataset(str(root))
        assert data.classes == ("cat", "dog") and sum(sizes(data)) == 10


class TestImages:
    def test_the_content_counts_and_not_the_suffix(self, tmp_path):
        for name in ("a", "b"):
            for at in range(4):
                put(tmp_path / "s" / name / f"{at}.png", 10 * at)
            put(tmp_path / "s" / name / "jpeg.png", 200, kind="JPEG")
            put(tmp_path / "s" / name / "nothing", 210)
            put(tmp_path / "s" / name / "scan.tif", 220)  # a PNG by content
        data = load_dataset(str(tmp_path / "s"))
        assert sum(sizes(data)) == 14 and any("2 images hold is another format" in note for note in data.notes)

    def test_rotation_of_cameras_is_applied(self, tmp_path):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[0] = 255  # a white line at the top
        turned = Image.Exif()
        turned[274] = 6  # to be shown a quarter turn clockwise: the line is then at the right
        for name in ("a", "b"):
            for at in range(4):
                path = tmp_path / "s" / name / f"{at}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path, exif=turned)
        data = load_dataset(str(tmp_path / "s"))
        assert (data.train_images[:, :, :, -1] == 255).all() and data.train_images[:, :, 1:, :-1].sum() == 0
        assert any("(EXIF) was applied to 8 images" in note for note in data.notes)

    @pytest.mark.parametrize(("bits", "said"), [(8, True), (10, True), (12, True), (16, False)])
    def test_greys_of_fewer_bits_in_16_bit_files(self, bits, said, tmp_path):
        white = 2**bits - 1
        for name in ("a", "b"):
            for at, value in enumerate((0, white // 2, white, white)):
                path = tmp_path / "s" / name / f"{at}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((8, 8), value, np.uint16)).save(path)
        data = load_dataset(str(tmp_path / "s"))
        found = torch.cat([data.train_images, data.test_images]).unique().tolist()
        assert found == [0, 127, 255] or found == [0, 128, 255]
        assert any(f"use {bits} bits" in note for note in data.notes) is said

    def test_a_streamed_set_is_scaled_alike(self, tmp_path, monkeypatch):
        for name in ("a", "b"):
            for at in range(4):
                path = tmp_path / "s" / name / f"{at}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((8, 8), 4095 - at, np.uint16)).save(path)
        kept = load_dataset(str(tmp_path / "s"))
        monkeypatch.setenv("RURK_CACHE", str(tmp_path / "other"))
        monkeypatch.setenv("RURK_CACHE_GB", "0")
        for _ in range(2):
            streamed = load_dataset(str(tmp_path / "s"))
            assert streamed.fingerprint == kept.fingerprint
            assert torch.equal(streamed.train_images[torch.arange(len(kept.train_labels))], kept.train_images)
            assert streamed.notes == kept.notes


def test_quotes_and_home_in_paths(tmp_path, monkeypatch):
    for name in ("a", "b"):
        for at in range(4):
            put(tmp_path / "My Pictures" / name / f"{at}.png", at)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in (f"'{tmp_path}/My Pictures'", f'"{tmp_path}/My Pictures"', "~/My Pictures", '"~/My Pictures?size=8"'):
        assert sum(sizes(load_dataset(text))) == 8


def test_words_and_junk():
    assert split_word("trainvalues") is None and split_word("contest") is None and split_word("evaluate") is None
    assert split_of(Path("config/train/0000.parquet")) == "train"
    assert split_of(Path("train/test-0.parquet")) == "test"
    assert is_junk("Thumbs.db") and is_junk("THUMBS.DB") and not is_junk("thumbs")
