"""Maps of what models see: the inputs of their heads, or their class scores, brought into the plane.

A map is fitted once, on one model or on several together, and never again: where a point lies in one panel can be
compared with where it lies in another, since both went through the same map. Maps of features are fitted on features
whose axes belong to each network, so networks trained apart form islands; class scores share their axes.

Nothing is pickled. PCA is kept as its mean and basis, which place any new point exactly. UMAP is kept as the fitted
points before and after; a new point goes to the mean of its nearest fitted ones, weighted by 1/distance² (Shepard
1968): that is where ``umap.transform`` starts from too, before a random refinement, and unlike it this leaves a
fitted point where it is, so that copies of a sample move away from it as τ grows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, ForgetSet, to_pixels
from ..device import default_batch, memory_format, place
from ..errors import RurkError, UsageError
from ..measure.scores import map_samples
from ..progress import Progress, Tracker
from ..run.code import code_of
from ..run.plan import forget_digest
from ..run.spec import whole
from ..run.stored import data_of, load_model, stored_features
from ..store.store import Store
from ..store.tensors import load_tensors, save_tensors
from .reduction import pca, shepard, umap

LAYERS = {"features": "last features", "scores": "class scores"}
METHODS = {"pca": "PCA", "umap": "UMAP"}
SPLITS = ("retain", "test", "forget")
"""What a sample is, in the order of the rows of a map."""
KEPT = 50
"""Principal components that UMAP works on."""
AT_ONCE, TRIED = 6.0, 32
"""Seconds that a page may take for a map, with its progress in view; samples that are tried to know it beforehand."""
LITTLE = 4_000_000
"""Values of samples, times models, that are little."""


@dataclass(frozen=True)
class Map:
    """Samples in the plane, for M models side by side.

    Attributes:
        models: names of the M models; layer, method: keys of :data:`LAYERS` and :data:`METHODS`.
        coordinates: float32 [M, N, 2]; ids: int64 [N], indices within the training or the test set.
        splits: uint8 [N], places in :data:`SPLITS`, never falling.
        mean: float32 [F]; basis: float32 [F, k], the principal axes; explained: their shares of the variance, [k].
        anchors: float32 [M, N, k], the fitted points before UMAP; None for PCA.
    """

    models: tuple[str, ...]
    layer: str
    method: str
    coordinates: Tensor
    ids: Tensor
    splits: Tensor
    mean: Tensor
    basis: Tensor
    explained: Tensor
    anchors: Tensor | None = None

    def place(self, vectors: Tensor, model: str) -> Tensor:
        """Where new points of a model lie on the map: float32 [n, F] of :func:`encode` → [n, 2]."""
        reduced = (vectors - self.mean) @ self.basis
        if self.anchors is None:
            return reduced[:, :2]
        at = self.models.index(model)
        return shepard(reduced, self.anchors[at], self.coordinates[at])

    def axes(self) -> tuple[str, str]:
        """Titles of the two axes."""
        if self.method == "umap":
            return tuple(f"UMAP {n} of {LAYERS[self.layer]} (arbitrary units)" for n in (1, 2))  # type: ignore[return-value]
        of = f"{LAYERS[self.layer]}{' (logits)' if self.layer == 'scores' else ''}"
        one, two = (100 * share for share in self.explained[:2].tolist())
        return f"PCA 1 of {of}, {one:.0f}% of variance", f"PCA 2 of {of}, {two:.0f}%"


@torch.no_grad()
def encode(model: Any, images: Tensor, layer: str, *, on_chunk: Callable[[int, int], None] | None = None) -> Tensor:
    """What a model makes of images: float32 [N, F], rounded to float16 as features are stored.

    ``features``: the input of the head. ``scores``: logits minus their mean over the classes, since adding the same
    to all of them changes no probability.

    Raises:
        UsageError: the model's inner layers are unknown (an exported program) and features are asked for.
    """
    if layer == "features" and not model.block_names:
        raise UsageError("This model is an exported program whose inner layers are unknown; choose class scores.")
    parts = []
    for chunk in images.split(default_batch(tuple(images.shape[1:]), torch.device("cpu"))):
        pixels = to_pixels(chunk)
        pixels = pixels.contiguous(memory_format=memory_format(pixels, model))
        parts.append(_rounded(model.features(pixels)) if model.block_names else model(pixels).float())
        if on_chunk:
            on_chunk(sum(map(len, parts)), len(images))
    return _layer(model, torch.cat(parts), layer)


def _layer(model: Any, hidden: Tensor, layer: str) -> Tensor:
    if layer == "features":
        return hidden
    logits = model.head(hidden) if model.block_names else hidden
    return logits - logits.mean(1, keepdim=True)


def _rounded(features: Tensor) -> Tensor:
    return features.float().clamp(-65504, 65504).half().float()


@dataclass(frozen=True)
class MapSpec:
    """What map is asked for.

    Attributes:
        run: key of the experiment; models: names of its models, fitted together.
        retain, test: how many samples of the retain and of the test set at most; all of the forget set are there.
        seed: of UMAP.
    """

    run: str
    models: tuple[str, ...]
    layer: str = "features"
    method: str = "pca"
    retain: int = 3000
    test: int = 1000
    seed: int = 7

    def to_dict(self) -> dict[str, Any]:
        return self.__dict__ | {"models": list(self.models)}


def map_spec(values: Any) -> MapSpec:
    """A checked :class:`MapSpec` from plain values.

    Raises:
        UsageError: something is missing, unknown or out of range.
    """
    if not isinstance(values, dict) or not isinstance(values.get("run"), str):
        raise UsageError("A map must name the experiment it is of.")
    models, layer, method = values.get("models"), values.get("layer", "features"), values.get("method", "pca")
    if not isinstance(models, list | tuple) or not models or not all(isinstance(name, str) for name in models):
        raise UsageError("Name at least one model to map.")
    if layer not in LAYERS or method not in METHODS:
        raise UsageError(f"A map is of {' or '.join(LAYERS)}, made by {' or '.join(METHODS)}.")
    retain = whole("retain", values.get("retain", 3000), 0, 10**7)
    test = whole("test", values.get("test", 1000), 0, 10**7)
    seed = whole("seed", values.get("seed", 7), 0, 2**31 - 1)
    return MapSpec(values["run"], tuple(dict.fromkeys(models)), layer, method, retain, test, seed)


def map_key(spec: MapSpec, result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The key of a map in the store, and what decides its bytes.

    Raises:
        UsageError: the experiment has no such model.
    """
    rows = {row["name"]: row["key"] for row in result["models"] if "failed" not in row}
    for name in spec.models:
        if name not in rows:
            raise UsageError(f"The experiment has no model '{name}'; it has {', '.join(rows)}.")
    inputs = {
        "data": result["dataset"]["fingerprint"],
        "forget": forget_digest(forgotten(result)),
        "models": {name: rows[name] for name in spec.models},
        "layer": spec.layer,
        "method": spec.method,
        "retain": spec.retain,
        "test": spec.test,
        "code": code_of("map"),
    } | ({"seed": spec.seed} if spec.method == "umap" else {})
    return Store.key("map", inputs), inputs


def make_map(
    store: Store, spec: MapSpec, result: dict[str, Any], dataset: Dataset, tracker: Tracker | None = None
) -> str:
    """Fit a map and store it, or find it stored; returns its key.

    Raises:
        UsageError: no such model, models of different sizes, or too few samples.
        RurkError: the data are not those of the experiment.
    """
    tracker = tracker or Tracker()
    key, inputs = map_key(spec, result)
    if store.trusts(key):
        return key
    if dataset.fingerprint != result["dataset"]["fingerprint"]:
        raise RurkError(f"The data set '{dataset.name}' is not the one this experiment ran on.")
    ids, splits = chosen_samples(result, dataset, spec.retain, spec.test)
    n, m = len(ids), len(spec.models)
    if n < 3:
        raise UsageError("A map needs at least three samples; show more of the retain or the test set.")
    costs = {"Reading features": n * m, "PCA": 0.02 * n * m}
    tracker.expect(costs | ({"UMAP": 3.0 * n * m + 2e4} if _slow(spec) else {}))
    with tracker.stage("Reading features"):
        vectors = []
        for at, name in enumerate(spec.models):
            vectors.append(_vectors(store, result, name, dataset, ids, splits, spec.layer, tracker, at, m))
    sizes = sorted({v.shape[1] for v in vectors})
    if len(sizes) > 1:
        raise UsageError(
            f"The models' features have different sizes ({sizes[0]} and {sizes[-1]}); choose class scores instead."
        )
    with tracker.stage("PCA"):
        together = torch.cat(vectors)
        mean, basis, explained = pca(together, KEPT if _slow(spec) else 2)
        reduced = (together - mean) @ basis
    files: dict[str, Tensor] = {"ids": ids, "splits": splits, "mean": mean, "basis": basis, "explained": explained}
    if _slow(spec):
        with tracker.stage("UMAP"):
            files["coordinates"] = umap(reduced, spec.seed, tracker.step).view(m, n, 2)
        files["anchors"] = reduced.view(m, n, -1)
    else:
        files["coordinates"] = reduced[:, :2].reshape(m, n, 2)
    about = {"models": list(spec.models), "layer": spec.layer, "method": spec.method}
    store.put(key, inputs, {"map.safetensors": save_tensors(files), "about.json": json.dumps(about).encode()})
    return key


def load_map(store: Store, key: str) -> Map:
    """A stored map."""
    about, found = store.read_json(key, "about.json"), load_tensors(store.read(key, "map.safetensors"))
    return Map(tuple(about["models"]), about["layer"], about["method"], **found)


def embedding_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": values of a MapSpec, "root": ...}`` → the key of the map."""
    spec, tracker = map_spec(job.get("spec")), Tracker(progress, cancelled)
    result = store.read_json(spec.run, "result.json")
    with tracker.stage("Reading data", 0):
        dataset = data_of(result, job.get("root"))
    return make_map(store, spec, result, dataset, tracker)


def at_once(store: Store, spec: MapSpec, result: dict[str, Any], dataset: Dataset) -> bool:
    """Whether a map takes no longer than :data:`AT_ONCE`: PCA of features that are stored or quickly computed.

    Little work is always done at once; how long more would take is tried on a few samples.
    """
    if _slow(spec):
        return False
    ids, splits = chosen_samples(result, dataset, spec.retain, spec.test)
    rows = {row["name"]: row for row in result["models"]}
    missing = [name for name in spec.models if _found(store, rows[name], ids, splits) is None]
    if len(missing) * len(ids) * dataset.train_images[0].numel() <= LITTLE:
        return True
    some = dataset.train_images[:TRIED]
    model = place(load_model(store, rows[missing[0]]["key"]), some)
    encode(model, some, spec.layer)  # the first time takes longer
    began = time.perf_counter()
    encode(model, some, spec.layer)
    return (time.perf_counter() - began) / len(some) * len(ids) * len(missing) <= AT_ONCE


def chosen_samples(result: dict[str, Any], dataset: Dataset, retain: int, test: int) -> tuple[Tensor, Tensor]:
    """(ids, splits) of a map: seeded samples of the retain and of the test set, and all of the forget set."""
    forget = forgotten(result)
    indices = torch.tensor(forget.indices)
    gone = torch.zeros(len(dataset.train_labels), dtype=torch.bool)
    gone[indices] = True
    train = map_samples(len(dataset.train_labels), retain + len(indices), forget)
    parts = [train[~gone[train]], map_samples(len(dataset.test_labels), test), indices]
    splits = torch.cat([torch.full((len(part),), at, dtype=torch.uint8) for at, part in enumerate(parts)])
    return torch.cat(parts), splits


def forgotten(result: dict[str, Any]) -> ForgetSet:
    """The forget set of an experiment."""
    about = result["forget"]
    return ForgetSet(about["dataset"], about["fingerprint"], about["rule"], tuple(about["indices"]))


def _slow(spec: MapSpec) -> bool:
    return spec.method == "umap"


def _found(store: Store, row: dict[str, Any], ids: Tensor, splits: Tensor) -> Tensor | None:
    """Stored features of exactly these samples, float32 [N, F]; None where some are missing."""
    try:
        stored = stored_features(store, row["scores"])
    except (KeyError, RurkError):
        return None
    rows = []
    for at, split in enumerate(SPLITS):
        wanted, kind = ids[splits == at], "test" if split == "test" else "train"
        index = stored[f"{kind}_index"]
        place = torch.searchsorted(index, wanted).clamp(max=len(index) - 1)
        if not len(index) or not torch.equal(index[place], wanted):
            return None
        rows.append(stored[kind][place].float())
    return torch.cat(rows)


def _vectors(
    store: Store,
    result: dict[str, Any],
    name: str,
    dataset: Dataset,
    ids: Tensor,
    splits: Tensor,
    layer: str,
    tracker: Tracker,
    at: int,
    count: int,
) -> Tensor:
    row = next(row for row in result["models"] if row["name"] == name)
    model, n = place(load_model(store, row["key"]), dataset.train_images), len(ids)
    stored = _found(store, row, ids, splits) if model.block_names else None
    if stored is not None:
        with torch.no_grad():
            return _layer(model, stored, layer)
    test = splits == SPLITS.index("test")
    images = torch.empty((n, *dataset.train_images.shape[1:]), dtype=dataset.train_images.dtype)
    images[~test], images[test] = dataset.train_images[ids[~test]], dataset.test_images[ids[test]]
    return encode(model, images, layer, on_chunk=lambda done, total: tracker.step(at * n + done, count * n))
