"""The stages of some samples as one HTML file: it moves as in the app, needs no server, and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from torch import nn

from .. import __version__
from ..data import Dataset
from ..errors import UsageError
from ..evidence.case import open_case
from ..evidence.findings import find
from ..explore.packing import pack
from ..explore.scene import Scene, open_scene
from ..explore.stage import LEVELS, ROOM, base, copies, field, zoom_of
from ..measure.frozen import frozen_copy
from ..perturb.copies import ATTACKS
from ..progress import Progress, Tracker
from ..run.result import load_result
from ..run.stored import data_of, load_model
from ..store.store import Store
from . import STAGE
from .page import environment
from .stages import described

MOST = 200
"""Samples in a file, at most."""
SHARED = ("adversarial", "copies")
"""The planes that are in a file; the others need the models."""
LEVEL = 1
"""Of the fields in a file."""
COARSE = 8
"""Steps of the noise where it is much: Gaussian noise takes 3 bits a value then, and is off by a sixth of τ (RMS)."""
MUCH = 100_000
"""Bytes of a sample's noise that are much."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
SCRIPT = "stage_page.js"
STYLES = ("stage_copies.css", "stage.css", "stage_page.css")


def scene_for(store: Store, result: dict[str, Any], data: Dataset, method: str, attack: str) -> Scene:
    """The scene of a run's model under an attack, with models of its own.

    Args:
        attack: "": the first that the run measured; of one that it did not measure nothing is found.

    Raises:
        UsageError: no such model or attack, or the data are not those of the run.
    """
    pairs = [(entry["method"], entry["attack"]) for entry in result["residual"]]
    measured = not attack or (method, attack) in pairs or attack not in ATTACKS
    case = open_case(store, result["key"], method=method, attack=attack if measured else "")
    asked, found = (case.attack, find(case)) if measured else (attack, None)

    @cache
    def model(name: str) -> nn.Module:
        return frozen_copy(load_model(store, case.keys[name]), torch.device("cpu"), data.train_images[:1])

    return open_scene(store, result, case.of(data), method=method, attack=asked, found=found, model=model)


FILE = "stage.html"
"""What the file is called in the store."""


def share_job(job: dict[str, Any], store: Store, progress: Progress, cancelled: Callable[[], bool]) -> str:
    """What a background job does: ``{"spec": {"run", "method", "attack", "samples"}, "root"}`` → the file's key."""
    asked = job.get("spec")
    names = ("run", "method", "attack")
    if not isinstance(asked, dict) or not all(isinstance(asked.get(name), str) for name in names):
        raise UsageError("Name a run, a model of it, an attack and samples to make a page of.")
    samples = asked.get("samples")
    if not isinstance(samples, list) or not all(type(sample) is int for sample in samples):
        raise UsageError("The samples of a page must be a list of numbers.")
    result, tracker = load_result(store, asked["run"]), Tracker(progress, cancelled)
    with tracker.stage("Reading data", 0):
        data = data_of(result, job.get("root"))
    scene = scene_for(store, result, data, asked["method"], asked["attack"])
    with tracker.stage("Asking the models", len(samples)):
        page = share(scene, samples, on_sample=tracker.step).encode()
    about = {name: asked[name] for name in (*names, "samples")} | {"page": hashlib.sha256(page).hexdigest()}
    key = store.key("page", about)
    store.put(key, about, {FILE: page})
    return key


def share(
    scene: Scene, samples: Sequence[int], *, on_sample: Callable[[int, int], None] = lambda done, total: None
) -> str:
    """The file.

    Args:
        samples: training indices, the one to begin with first; on_sample: called as ``on_sample(done, in all)`` before
            each and at the end, and raising in it stops.

    Raises:
        UsageError: no samples, too many, or one that there is not.
    """
    if not 0 < len(samples) <= MOST:
        raise UsageError(f"A file holds 1 to {MOST} samples, not {len(samples)}.")
    about = described(scene, "file")
    rows = {row[0]: row for row in about["samples"]}
    about["samples"] = [rows.get(i, [i, scene.label(i), ""]) for i in dict.fromkeys(samples)]
    about["cuts"] = {key: title for key, title in about["cuts"].items() if key in SHARED}
    first = about["samples"][0][0]
    start = {"sample": first, "t": scene.telling(first), "chosen": False, "copy": None, "cut": SHARED[0]}
    parts = {}
    for done, (sample, *_) in enumerate(about["samples"]):
        on_sample(done, len(about["samples"]))
        parts[sample] = base64.b64encode(_packed(scene, sample)).decode()
    on_sample(len(parts), len(parts))
    told = {**about, "live": False, "levels": 1, "light": True, "start": start}
    return (
        environment()
        .get_template("stage.html.jinja")
        .render(
            title=scene.result["spec"].get("title") or scene.data.name,
            about=_about(scene, about),
            policy=POLICY,
            style=Markup("".join((STAGE / name).read_text(encoding="utf-8") for name in STYLES)),
            script=Markup(bundle(SCRIPT)),
            told=Markup(json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")),
            parts=parts,
            version=__version__,
        )
    )


def _about(scene: Scene, about: dict[str, Any]) -> str:
    """What the file is of, in a line."""
    title, many, k = about["looks"][scene.method]["title"], len(about["samples"]), len(scene.references)
    count = len(scene.result["forget"]["indices"])
    asked = "to forget, under the Original" if scene.method == "original" else f"that {title} was to forget"
    return (
        f"{many} of {count} sample{'s' * (count != 1)} of {scene.data.name} {asked}, beside {k} re-trained "
        f"model{'s' * (k != 1)}; run {scene.result['key']}"
    )


def _packed(scene: Scene, sample: int) -> bytes:
    """All parts of one sample, deflated: a pack of packs under the names that the scripts ask for."""
    names, panels = scene.names, ["original", *scene.references[:1], scene.method]
    some = {name: names.index(name) for name in dict.fromkeys(panels) if name in names}
    much = scene.copies_each * scene.data.train_images[0].numel() > MUCH
    found = {f"{sample}/base": base(scene, sample, levels=COARSE if much else LEVELS)}
    radii = range(len(scene.taus))
    for cut in SHARED:
        for zoom in sorted({0, zoom_of(scene, scene.telling(sample))}):
            for name, at in some.items():
                found[f"{sample}/field/{cut}/{at}/{zoom}"] = field(scene, sample, cut, name, LEVEL, zoom)
        judges = scene.models if cut == SHARED[0] else ()
        found[f"{sample}/copies/{cut}"] = copies(scene, sample, cut, radii, judges, room=ROOM // 4)
    arrays = {name: np.frombuffer(part, np.uint8) for name, part in found.items()}
    squeeze = zlib.compressobj(9, wbits=-15)
    return squeeze.compress(pack({}, arrays)) + squeeze.flush()


def bundle(script: str) -> str:
    """A script of the stage and all that it imports, as one."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        text = (STAGE / name).read_text(encoding="utf-8")
        for other in re.findall(r'from "\./([^"]+)";', text):
            if other not in ordered:
                visit(other)
        ordered.append(name)

    visit(script)
    texts = [(STAGE / name).read_text(encoding="utf-8") for name in ordered]
    imports, exports = re.compile(r'^import [^;]*? from "\./[^"]+";\n', re.M), re.compile(r"^export ", re.M)
    return "\n".join(exports.sub("", imports.sub("", text)) for text in texts)
