"""Hostile input: whatever is read from people ends in a value or in one sentence, and writes nothing elsewhere.

``python -m benchmarks fuzz [inputs]`` tries that many (10,000 by default), shared out over the targets. The tests
try 500. A target is a strategy of hypothesis and a function that reads what it draws.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rurk_core.apart.reading import Reading
from rurk_core.data import Dataset, ForgetSet, forget_set, load_dataset
from rurk_core.data.forget_lists import indices_of
from rurk_core.device import find_devices
from rurk_core.errors import RurkError
from rurk_core.jobs import control as jobs
from rurk_core.measure.verdicts import verdicts_from_bytes
from rurk_core.models import create_model
from rurk_core.models.checkpoints import load_checkpoint
from rurk_core.models.exported import FORMAT as PROGRAM
from rurk_core.models.exported import OPERATORS, Exported
from rurk_core.models.exported_file import fits
from rurk_core.run.archive import export, import_file
from rurk_core.run.engines import find_engine
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec, spec_from_dict
from rurk_core.store.store import Store
from rurk_core.store.tensors import load_tensors, save_tensors

# --- what people might write ------------------------------------------------------------------------------------

PATHS = st.sampled_from(["../x", "/etc/passwd", "..", "a/../../b", "~root", "\\..\\x", "%2e%2e/x", "x\0y", "con", "."])
WORDS = st.sampled_from(
    [
        "digits",
        "iris",
        "gd",
        "rurk",
        "retrain",
        "gaussian",
        "fgsm",
        "pgd",
        "class:0:0.5",
        "indices:0-9",
        "random:5:1",
        "hardest:3",
        "file:x",
        "0:0.3:4",
        "0,0.1",
        "resnet9:4",
        "cnn",
        "mlp",
        "quick",
        "paper",
        "run-0123456789abcdef",
        "cpu",
        "cuda:0",
        "ray:cpus=2",
        "nan",
        "inf",
        "-1",
        "1e308",
        "99999999999999999999",
    ]
)
TEXTS = WORDS | PATHS | st.text(max_size=40) | st.builds("{}{}{}".format, WORDS, st.sampled_from(":,=@-?. "), WORDS)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.integers(-2, 5)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
FIELDS = tuple(make_spec().to_dict())
SPECS = st.builds(
    lambda changes: make_spec().to_dict() | changes, st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3)
)
DAMAGE = st.tuples(
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.binary(max_size=12),
)


def damaged(data: bytes, how: tuple[float, list[tuple[float, int]], bytes]) -> bytes:
    """Bytes changed, some inserted, the end cut off; short cuts and early places are the likely ones."""
    keep, flips, extra = how
    out = bytearray(data)
    for at, value in flips:
        out[int(at**3 * (len(out) - 1))] = value
    place = int(keep * len(out))
    return bytes((out[:place] + extra + out[place:]) if keep > 0.5 else out[: int(len(out) * 2 * keep)])


# --- what is read -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _digits() -> Dataset:
    return load_dataset("digits")


def read_spec(values: Any, folder: Path) -> None:
    spec = spec_from_dict(values)
    assert spec_from_dict(spec.to_dict()) == spec


def read_forget_file(values: Any, folder: Path) -> None:
    found = ForgetSet.from_json(values if isinstance(values, str) else json.dumps(values), _digits())
    assert 0 < len(found.indices) < len(_digits().train_labels)


def read_rule(rule: str, folder: Path) -> None:
    found = forget_set(_digits(), rule, losses=torch.zeros(len(_digits().train_labels)))
    assert list(found.indices) == sorted(set(found.indices))


def read_names(name: str, folder: Path) -> None:
    """A name from a URL, as the store, the jobs, the data, an engine and a device take it; one refusal is no help."""
    store = Store(folder / "store")
    readers: list[Callable[[], Any]] = [
        lambda: store.read(name, name),
        lambda: store.read("run-0123456789abcdef", name),
        lambda: store.delete(name),
        lambda: store.put(name, {}, {name: b"x"}),
        lambda: jobs.job_status(store, name),
        lambda: jobs.cancel_job(store, name),
        lambda: jobs.delete_job(store, name),
        lambda: find_engine(name),
        lambda: find_devices(name),
        lambda: load_dataset(name if name in ("digits", "iris") else f"{folder}/{name}?size={name}", folder),
    ]
    for read in readers:
        _one_sentence(read)


VALIDATORS = {
    "one of": ("gd", lambda: _page_state().one_of(["gd", "rurk", "a:b"])),
    "whole": (3, lambda: _page_state().whole_of(range(1, 50))),
    "nearest": (0.1, lambda: _page_state().nearest([0.0, 0.1, 0.3])),
    "text": ("", lambda: str),
}
"""What a page takes from a link: its default, and how the text is read."""


@lru_cache(maxsize=1)
def _page_state() -> Any:
    pages = str(Path(__file__).parents[1] / "pages")
    if pages not in sys.path:
        sys.path.insert(0, pages)
    return import_module("ui.session.state")


def read_link(drawn: tuple[str, str, str, bool], folder: Path) -> None:
    """A choice as two links give it, one after the other in one session: valid, stable, and what the URL says."""
    kind, first, second, always = drawn
    (default, valid), state = VALIDATORS[kind], _page_state()
    fake = SimpleNamespace(session_state={}, query_params={})
    with patch.object(state, "st", fake):
        for text in (first, second):
            fake.query_params["x"] = text
            value = state.choice("x", default, valid(), always=always)
            left = fake.query_params.get("x")
            assert value == default or value == valid()(left), "the page shows something else than its link says"
            assert state.choice("x", default, valid(), always=always) == value, "a second look changes it"
            assert fake.query_params.get("x") == left
        notes = fake.session_state.get("notes", [])
        assert len(notes) <= 2 and all(len(note) < 200 for note in notes)
        for note in notes:
            shown = state.plain(note)
            assert all(shown[at - 1] == "\\" for at, c in enumerate(shown) if c in "<[*`$" and at), shown


@lru_cache(maxsize=2)
def _checkpoint(suffix: str) -> bytes:
    weights = create_model("mlp", (4,), 3, seed=0).state_dict()
    if suffix == ".safetensors":
        return save_tensors(weights)
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def read_checkpoint(drawn: tuple[str, Any], folder: Path) -> None:
    suffix, how = drawn
    path = folder / f"model{suffix}"
    path.write_bytes(damaged(_checkpoint(suffix), how))
    model = load_checkpoint(path, "mlp", (4,), 3)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def read_tensors(how: Any, folder: Path) -> None:
    data = damaged(_checkpoint(".safetensors"), how)
    _one_sentence(lambda: load_tensors(data))
    verdicts_from_bytes(data)


@lru_cache(maxsize=1)
def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rows = []
    for number in range(12):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (number * 20, 0, 0)).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue()})
    sink = io.BytesIO()
    pq.write_table(pa.table({"image": rows, "label": [n % 2 for n in range(12)]}), sink)
    return sink.getvalue()


def read_parquet(how: Any, folder: Path) -> None:
    path = folder / "set.parquet"
    path.write_bytes(damaged(_parquet(), how))
    os.environ["RURK_CACHE"] = str(folder / "cache")
    found = load_dataset(str(path))
    assert found.train_images.dtype == torch.uint8


@lru_cache(maxsize=1)
def _picture() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((24, 24), 50).save(buffer, "PNG")
    return buffer.getvalue()


def read_pictures(how: Any, folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "set" / name).mkdir(parents=True)
        for number in range(4):
            (folder / "set" / name / f"{number}.png").write_bytes(_picture())
    (folder / "set" / "a" / "0.png").write_bytes(damaged(_picture(), how))
    os.environ["RURK_CACHE"] = str(folder / "cache")
    load_dataset(str(folder / "set"))


def read_entry(how: Any, folder: Path) -> None:
    """An entry whose description was changed by somebody."""
    store = Store(folder / "store")
    key = store.key("run", {"seed": 1})
    store.put(key, {"seed": 1}, {"result.json": b'{"r": 1}'})
    path = folder / "store" / "runs" / key / "spec.json"
    path.write_bytes(damaged(path.read_bytes(), how))
    store.list()
    _one_sentence(lambda: store.read_json(key, "result.json"))
    store.verify(key)


PLAIN = [
    f"torch.ops.aten.{name}"
    for name in ("relu.default", "mul.Tensor", "add.Tensor", "abs.default", "sigmoid.default", "clone.default")
]
"""Operators that most programs get through with."""


def a_program(seed: int) -> dict[str, Any]:
    """A program that could be one: operators with arguments of the kinds they take, of likely and of absurd sizes."""
    rng, names = random.Random(seed), ["x", "w"]
    sizes = (-1, 0, 1, 2, 3, 8, 64, 2**20, 2**33, 2**62, 2**70)

    def size() -> int:
        return rng.choice(sizes if rng.random() < 0.3 else sizes[:7])

    def argument(kind: str, name: str) -> dict[str, Any] | None:
        if "Tensor[]" in kind:
            return {"as_tensors": [{"name": rng.choice(names)} for _ in range(rng.randint(1, 3))]}
        if kind.startswith("Tensor") or "Tensor" in kind:
            likely = [each for each in names if each != "w"] if rng.random() < 0.9 else names
            return {"as_tensor": {"name": rng.choice(likely)}}
        if "int[" in kind or "SymInt[" in kind:
            return {"as_ints": [size() for _ in range(rng.randint(1, 4))]}
        if "int" in kind or "Int" in kind or "number" in kind or "Scalar" in kind:
            return {"as_int": size()}
        if "float" in kind:
            return {"as_float": rng.choice((0.0, 0.5, 1e308, -1.0))}
        if "bool" in kind:
            return {"as_bool": rng.random() < 0.3} if rng.random() < 0.9 else {"as_int": 1}
        return {"as_string": rng.choice(("none", "mean", "nchw,nchw->n"))} if "str" in kind else None

    nodes = []
    for number in range(rng.randint(1, 12)):
        target = rng.choice(PLAIN if rng.random() < 0.8 else list(OPERATORS))
        call = OPERATORS[target]
        asked = [(each.name, str(each.type)) for each in call._schema.arguments] if hasattr(call, "_schema") else []
        asked = asked or [("a", "int"), ("b", "int")]
        given = {name: argument(kind, name) for name, kind in asked if name != "alpha" and rng.random() < 0.95}
        inputs = [{"name": name, "arg": value} for name, value in given.items() if value]
        nodes.append({"target": target, "inputs": inputs, "outputs": [{"as_tensor": {"name": f"v{number}"}}]})
        names.append(f"v{number}")
    last = rng.choice([each for each in names if each != "w"])
    flat = [{"name": "self", "arg": {"as_tensor": {"name": last}}}, {"name": "start_dim", "arg": {"as_int": 1}}]
    head = [
        {"name": "input", "arg": {"as_tensor": {"name": "f"}}},
        {"name": "weight", "arg": {"as_tensor": {"name": "w"}}},
    ]
    nodes += [
        {"target": "torch.ops.aten.flatten.using_ints", "inputs": flat, "outputs": [{"as_tensor": {"name": "f"}}]},
        {"target": "torch.ops.aten.linear.default", "inputs": head, "outputs": [{"as_tensor": {"name": "y"}}]},
    ]
    about = {"format": PROGRAM, "inputs": ["w"], "pixels": "x", "output": "y", "features": "f"}
    return about | {"nodes": nodes}


def read_program(seed: int, folder: Path) -> None:
    """In a process of its own, as programs are read: within the ceiling of time and memory, whatever it asks for.

    Some operators of torch end the process on absurd arguments; then that is the sentence.
    """
    started = time.monotonic()
    try:
        grown = _reading().ask(f"{__name__}:program_fits", [seed], size=0, what="The program")
        assert grown < 200e6, f"{grown / 1e6:.0f} MB"
    finally:
        assert time.monotonic() - started < 35


def program_fits(seed: int) -> float:
    """Look at a program as an audit does; how many bytes that took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.no_grad():
        fits(Exported(a_program(seed), [torch.zeros(4, 64)]), (1, 8, 8), 4)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024.0


@lru_cache(maxsize=1)
def _reading() -> Reading:
    with contextlib.suppress(RurkError):
        program_fits(0)  # once here, so that the process has what torch loads for this
    return Reading()


def read_list(drawn: tuple[str, Any], folder: Path) -> None:
    """A forget list of another tool, damaged."""
    suffix, how = drawn
    found = indices_of(f"list{suffix}", damaged(_list(suffix), how), len(_digits().train_labels))
    assert all(type(index) is int for index in found)


@lru_cache(maxsize=4)
def _list(suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, np.arange(40))
        return buffer.getvalue()
    numbers = list(range(40))
    return json.dumps({"indices": numbers}).encode() if suffix == ".json" else "\n".join(map(str, numbers)).encode()


def read_archive(drawn: tuple[float, Any], folder: Path) -> None:
    """An exported experiment in which one value of one JSON file is another, every hash put right."""
    at, value = drawn
    forge_archive(_archive(), folder / "a.rurk", at, value)
    import_file(Store(folder / "store"), folder / "a.rurk")


@lru_cache(maxsize=1)
def _archive() -> bytes:
    few = {"references": 1, "taus": "0,0.1", "draws": 3, "relearn": 0, "train": {"epochs": 1}}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "store"))
        key = run(make_spec("iris", "indices:0-9", methods="gd:epochs=1", **few), store)["key"]
        export(store, key, Path(folder, "a.rurk"))
        return Path(folder, "a.rurk").read_bytes()


def forge_archive(source: bytes, target: Path, at: float, value: Any) -> None:
    """Put ``value`` in the place of one of all values in the JSON files of an archive, and hashes right."""
    with zipfile.ZipFile(io.BytesIO(source)) as file:
        held = {name: file.read(name) for name in file.namelist()}
    documents = {name: json.loads(data) for name, data in held.items() if name.endswith(".json")}
    places = [(name, path) for name, document in documents.items() for path in _paths(document)]
    name, path = places[int(at * (len(places) - 1))]
    inner = documents[name]
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    held[name] = json.dumps(documents[name]).encode()
    spec = f"{name.split('/')[0]}/spec.json"
    if "/" in name and name != spec:
        documents[spec]["files"][name.split("/")[1]] = {
            "bytes": len(held[name]),
            "sha256": hashlib.sha256(held[name]).hexdigest(),
        }
        held[spec] = json.dumps(documents[spec]).encode()
    if name != "rurk.json":
        hashes = {each: hashlib.sha256(data).hexdigest() for each, data in held.items() if each != "rurk.json"}
        held["rurk.json"] = json.dumps(documents["rurk.json"] | {"files": hashes}).encode()
    with zipfile.ZipFile(target, "w") as file:
        for each, data in held.items():
            file.writestr(each, data)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield (*at, key)
        yield from _paths(held, (*at, key))


FORGET = JSON | st.builds(
    lambda changes: json.loads(forget_set(_digits(), "indices:1-5").to_json()) | changes,
    st.dictionaries(st.sampled_from(["indices", "rule", "fingerprint", "format", "dataset"]), JSON, max_size=2),
)
RULES = TEXTS | st.builds(
    "{}:{}".format, st.sampled_from(["class", "indices", "random", "hardest", "memorised", "file"]), TEXTS
)
LINKS = TEXTS | st.builds(str, NUMBERS) | st.sampled_from(["gd", "3", "0.1", "<b>x</b>", "[a](http://b)", "$x$", "１"])
SUFFIXES = st.sampled_from([".safetensors", ".pt"])
TARGETS: dict[str, tuple[Any, Callable[[Any, Path], None]]] = {
    "specs": (SPECS | JSON, read_spec),
    "forget-set files": (FORGET | st.text(max_size=60), read_forget_file),
    "forget rules": (RULES, read_rule),
    "names in URLs": (TEXTS, read_names),
    "choices in URLs": (st.tuples(st.sampled_from(list(VALIDATORS)), LINKS, LINKS, st.booleans()), read_link),
    "checkpoints": (st.tuples(SUFFIXES, DAMAGE), read_checkpoint),
    "stored tensors": (DAMAGE, read_tensors),
    "Parquet files": (DAMAGE, read_parquet),
    "pictures": (DAMAGE, read_pictures),
    "stored entries": (DAMAGE, read_entry),
    "exported programs": (st.integers(0, 2**32), read_program),
    "forget lists": (st.tuples(st.sampled_from([".npy", ".json", ".txt"]), DAMAGE), read_list),
    "exported experiments": (st.tuples(st.floats(0, 1), JSON), read_archive),
}


def _one_sentence(read: Callable[[], Any]) -> bool:
    """Whether ``read`` found a value; raises where it ends in anything but that or one line of text."""
    try:
        read()
    except RurkError as error:
        assert str(error).strip() and "\n" not in str(error) and "Traceback" not in str(error), repr(str(error))
        return False
    return True


def fuzz(name: str, inputs: int) -> tuple[int, int]:
    """Try ``inputs`` inputs on a target: how many were read, and how many refused with one sentence.

    Raises:
        Whatever else came out, with the input that brought it about, made small by hypothesis.
    """
    strategy, read = TARGETS[name]
    counts = [0, 0]

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def attempt(drawn: Any) -> None:
        with tempfile.TemporaryDirectory() as around:
            inside = Path(around) / "inside"
            inside.mkdir()
            before = os.environ.get("RURK_CACHE")
            try:
                counts[not _one_sentence(lambda: read(drawn, inside))] += 1
            finally:
                os.environ.pop("RURK_CACHE", None)
                if before:
                    os.environ["RURK_CACHE"] = before
            assert os.listdir(around) == ["inside"], "something was written outside the folder"

    attempt()
    return counts[0], counts[1]


def main(inputs: int = 10_000) -> None:
    """Print the table of what was tried."""
    print("| what was read | inputs | values | one sentence | seconds |\n|---|---:|---:|---:|---:|")
    for name in TARGETS:
        started = time.monotonic()
        values, refused = fuzz(name, -(-inputs // len(TARGETS)))
        spent = time.monotonic() - started
        print(f"| {name} | {values + refused} | {values} | {refused} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
