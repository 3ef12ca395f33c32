"""Hostile input: whatever is read from people ends in a value or in one sentence, and writes nothing elsewhere.

``python -m benchmarks fuzz [inputs]`` tries that many (10,000 by default), shared out over the targets. The tests
try 500. A target is a strategy of hypothesis and a function that reads what it draws.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rurk_core.data import Dataset, ForgetSet, forget_set, load_dataset
from rurk_core.device import find_devices
from rurk_core.errors import RurkError
from rurk_core.jobs import control as jobs
from rurk_core.measure.verdicts import verdicts_from_bytes
from rurk_core.models import create_model
from rurk_core.models.checkpoints import load_checkpoint
from rurk_core.run.engines import find_engine
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
