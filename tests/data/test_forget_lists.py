"""Lists of samples 3, 5, 8, 100 as people have them, in every kind and encoding."""

from __future__ import annotations

import csv
import json
import pickle

import numpy as np
import pytest
import torch

from rurk_core.data import forget_set, load_dataset
from rurk_core.errors import UsageError

WANTED = (3, 5, 8, 100)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits?validation=0")


def mask(dtype=bool):
    found = np.zeros(1438, dtype)
    found[list(WANTED)] = 1
    return found


def table(path, head, rows, **options):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, **options)
        writer.writerows([head, *rows] if head else rows)


WRITERS = {
    "indices.npy": lambda p: np.save(p, list(WANTED)),
    "int32.npy": lambda p: np.save(p, np.array(WANTED, np.int32)),
    "floats.npy": lambda p: np.save(p, np.array(WANTED, float)),
    "column.npy": lambda p: np.save(p, np.array(WANTED)[:, None]),
    "mask.npy": lambda p: np.save(p, mask()),
    "bytes.npy": lambda p: np.save(p, mask(np.uint8)),
    "list.json": lambda p: p.write_text(json.dumps(WANTED)),
    "mask.json": lambda p: p.write_text(json.dumps(mask().tolist())),
    "named.json": lambda p: p.write_text(json.dumps({"forget_indices": WANTED, "seed": 1})),
    "forget.json": lambda p: p.write_text(json.dumps({"forget": WANTED, "retain": [1, 2]})),
    "lines.txt": lambda p: p.write_text("3\r\n5\r\n8\r\n100\r\n"),
    "commas.txt": lambda p: p.write_text("3, 5, 8,100"),
    "comment.txt": lambda p: p.write_text("# to be forgotten\n3\n5\n\n8\n100"),
    "savetxt.txt": lambda p: np.savetxt(p, WANTED),
    "brackets.txt": lambda p: p.write_text("[3, 5, 8, 100]"),
    "bare.csv": lambda p: table(p, None, [[i] for i in WANTED]),
    "header.csv": lambda p: table(p, ["index"], [[i] for i in WANTED]),
    "any header.csv": lambda p: table(p, ["removed"], [[i] for i in WANTED]),
    "two.csv": lambda p: table(p, ["name", "idx"], [[f"img{i}.png", i] for i in WANTED]),
    "semicolons.csv": lambda p: table(p, ["image_id", "class"], [[i, "x"] for i in WANTED], delimiter=";"),
    "quoted.csv": lambda p: table(p, ["index"], [[i] for i in WANTED], quoting=csv.QUOTE_ALL),
    "mask.csv": lambda p: table(p, ["forget"], [[bool(v)] for v in mask()]),
    "tensor.pt": lambda p: torch.save(torch.tensor(WANTED), p),
    "list.pt": lambda p: torch.save({"forget_idx": list(WANTED)}, p),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind(name, digits, tmp_path):
    WRITERS[name](tmp_path / name)
    found = forget_set(digits, f"file:{tmp_path / name}")
    assert found.indices == WANTED and found.fingerprint == digits.fingerprint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "own.json"])
def test_every_encoding(name, encoding, digits, tmp_path):
    texts = {"a.txt": "3\n5\n8\n100\n", "a.csv": "index\n3\n5\n8\n100\n", "a.json": "[3, 5, 8, 100]"}
    text = texts.get(name) or forget_set(digits, "indices:3,5,8,100").to_json()
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert forget_set(digits, f"file:{tmp_path / name}").indices == WANTED


def test_home_and_quotes(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my list.txt").write_text("3\n5\n8\n100")
    for text in ("~/my list.txt", "'~/my list.txt'", f'"{tmp_path}/my list.txt"'):
        assert forget_set(digits, f"file:{text}").indices == WANTED


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("a.pkl", lambda p: p.write_bytes(pickle.dumps([1])), r"is a pickle.*numpy\.save"),
        ("a.npy", lambda p: np.save(p, np.array([{}], object), allow_pickle=True), "holds pickled objects"),
        ("a.npy", lambda p: np.save(p, np.array([1.5])), "whole numbers"),
        ("a.npy", lambda p: np.save(p, np.zeros(5, bool)), "5 values, and there are 1438"),
        ("a.npy", lambda p: np.save(p, np.zeros((3, 3), int)), "whole numbers"),
        ("a.txt", lambda p: p.write_text("3\n-1\n"), "names sample -1"),
        ("a.txt", lambda p: p.write_text("9999"), "names sample 9999"),
        ("a.txt", lambda p: p.write_text("3 3"), "names sample 3 twice"),
        ("a.txt", lambda p: p.write_text(""), "is empty"),
        ("a.txt", lambda p: p.write_bytes(b"\xff\xd8\xff\xe0"), "no text"),
        ("a.csv", lambda p: p.write_text("name,size\na,1\n"), "nothing says which column"),
        ("a.csv", lambda p: p.write_text("index\nthree\n"), "whole numbers"),
        ("a.json", lambda p: p.write_text('{"a": [1], "b": [2]}'), "whole numbers"),
        ("a.json", lambda p: p.write_text("[[1, 2], [3]]"), "whole numbers"),
        ("a.json", lambda p: p.write_text("[1,"), "not valid JSON"),
        ("a.pt", lambda p: p.write_bytes(b"PK"), "damaged"),
    ],
)
def test_what_is_no_list_is_one_sentence(name, write, reason, digits, tmp_path):
    write(tmp_path / name)
    with pytest.raises(UsageError, match=reason) as caught:
        forget_set(digits, f"file:{tmp_path / name}")
    assert "\n" not in str(caught.value)
