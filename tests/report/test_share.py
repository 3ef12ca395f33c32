"""A stage in a file: one page, nothing fetched, its scripts whole, its parts those of the app."""

from __future__ import annotations

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch
from packs import unpack
from torch import nn

from rurk_core.cli import main
from rurk_core.data import load_dataset
from rurk_core.data.dataset import make_dataset
from rurk_core.errors import UsageError
from rurk_core.explore import stage
from rurk_core.explore.scene import Scene
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.report import STAGE
from rurk_core.report.share import FILE, SCRIPT, bundle, scene_for, share, share_job

TOP = re.compile(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", re.M)


@pytest.fixture(scope="module")
def scene(tiny_run):
    store, result = tiny_run
    return scene_for(store, result, load_dataset("digits"), "rurk", "")


@pytest.fixture(scope="module")
def page(scene):
    return share(scene, [one.sample for one in scene.found.samples[:3]])


def told(page: str) -> dict:
    return json.loads(re.search(r'id="rks-told">(.*?)</script>', page)[1])


def parts(page: str, sample: int) -> dict:
    packed = re.search(rf'id="rks-{sample}">([^<]+)<', page)[1]
    return unpack(zlib.decompress(base64.b64decode(packed), -15))[1]


def test_the_file_needs_nothing_else(page):
    assert not re.search(r'(?:src|href)="(?!data:)', page) and "https://" not in page
    assert "default-src &#39;none&#39;" in page and not re.search(r"^\s*(?:import|export) ", page, re.M)


def test_its_parts_are_those_of_the_stage(page, scene):
    about = told(page)
    assert [row[0] for row in about["samples"]] == [one.sample for one in scene.found.samples[:3]]
    sample, names = about["samples"][1][0], about["names"]
    found = parts(page, sample)
    assert found[f"{sample}/base"].tobytes() == stage.base(scene, sample)
    radii = range(len(scene.taus))
    for cut in about["cuts"]:
        judges = scene.models if cut == "adversarial" else ()  # what models say of the copies is the same on any plane
        assert found[f"{sample}/copies/{cut}"].tobytes() == stage.copies(scene, sample, cut, radii, judges)
        for name in ("original", "rurk", "reference-1"):
            field = found[f"{sample}/field/{cut}/{names.index(name)}/0"].tobytes()
            assert field == stage.field(scene, sample, cut, name, 1, 0)


def test_progress_counts_the_samples_of_the_file(scene):
    told = []
    share(
        scene, [one.sample for one in scene.found.samples[:2]], on_sample=lambda done, total: told.append((done, total))
    )
    assert told == [(0, 2), (1, 2), (2, 2)] and len(scene.found.samples) > 2


def test_no_name_at_the_top_of_a_script_comes_twice_in_the_bundle():
    names = TOP.findall(bundle(SCRIPT))
    assert len(names) == len(set(names)) > 30
    scripts = {path.name: TOP.findall(path.read_text()) for path in STAGE.glob("*.js") if path.name != "stage.js"}
    assert all(set(mine) <= set(names) for mine in scripts.values()) and len(scripts) > 5


def test_names_of_strangers_are_text(scene, monkeypatch):
    hostile = "</script><script>alert(1)</script>"
    monkeypatch.setitem(scene.result, "spec", {**scene.result["spec"], "title": hostile})
    monkeypatch.setattr(type(scene.data), "classes", [hostile] * 10, raising=False)
    page = share(scene, [scene.found.samples[0].sample])
    assert hostile not in page and "alert(1)" in page


def test_twenty_small_samples_are_far_below_five_megabytes(page):
    largest = max(len(text) for text in re.findall(r'id="rks-\d+">([^<]+)<', page))
    rest = len(page) - sum(len(text) for text in re.findall(r'id="rks-\d+">([^<]+)<', page))
    assert rest + 20 * largest < 5_000_000


class Dots(nn.Module):
    """Ten classes by ten random directions, on inputs of the size of CIFAR's."""

    def __init__(self, seed: int):
        super().__init__()
        weights = torch.randn(10, 3 * 32 * 32, generator=torch.Generator().manual_seed(seed))
        self.weights = nn.Parameter(0.3 * weights, requires_grad=False)

    def forward(self, x):
        return x.flatten(1) @ self.weights.T


def test_twenty_photographs_with_a_hundred_copies_are_below_five_megabytes():
    images = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 10
    data = make_dataset("noise", (images, labels), (images, labels), list("abcdefghij"), licence="", source="")
    models = {name: Dots(i) for i, name in enumerate(("original", "gd", "reference-1", "reference-2"))}
    about = {"attack": "gaussian", "taus": np.linspace(0, 0.2, 11).tolist(), "draws": 100, "seed": 1, "classes": 10}
    references = ["reference-1", "reference-2"]
    table = count_verdicts(models, references, images[:1], labels[:1], [0], **about)
    roles = {"original": "original", "gd": "unlearned"}
    rows = [{"name": name, "key": name, "role": roles.get(name, "reference")} for name in models]
    result = {"models": rows, "forget": {"indices": [0]}, "spec": {}, "key": "run-0"}
    page = share(Scene(result, data, "gd", "gaussian", table, True, None, models.__getitem__), [0])
    one = len(re.search(r'id="rks-0">([^<]+)<', page)[1])
    assert one > 100_000 and len(page) + 19 * one < 5_000_000


def test_samples_that_are_none_are_one_sentence(scene):
    for samples in ([], list(range(201)), [10**7]):
        with pytest.raises(UsageError):
            share(scene, samples)


def test_the_command_writes_the_file_and_says_what_is_in_it(tiny_run, tmp_path, capsys):
    store, result = tiny_run
    out = tmp_path / "page.html"
    where = ["share", result["key"], "--store", str(store.url), "--out", str(out)]
    assert main([*where, "--count", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bytes"] == out.stat().st_size and len(said["samples"]) == 2 and said["method"] == "gd"
    kept = result["forget"]["indices"][4]
    assert main([*where, "--samples", str(kept), "--method", "rurk"]) == 0
    assert told(out.read_text())["samples"][0][0] == kept
    capsys.readouterr()
    for wrong in (
        ["--samples", "0-900"],
        ["--method", "nobody"],
        ["--count", "0"],
        ["--out", str(tmp_path)],
        ["--out", str(tmp_path / "no" / "a.html")],
    ):
        assert main([*where, *wrong]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) <= 4


def test_the_job_keeps_the_same_file_and_says_how_far_it_is(tiny_store, tiny_run, scene, page):
    samples = [one.sample for one in scene.found.samples[:3]]
    spec = {"run": tiny_run[1]["key"], "method": "rurk", "attack": scene.attack, "samples": samples}
    events: list[dict] = []
    key = share_job({"spec": spec}, tiny_store, events.append, lambda: False)
    assert tiny_store.read(key, FILE).decode() == page
    assert events[-1]["stage"] == "Asking the models" and events[-1]["overall"] == 1
    unmeasured = scene_for(tiny_store, tiny_run[1], load_dataset("digits"), "rurk", "fgsm")
    assert (unmeasured.attack, unmeasured.found) == ("fgsm", None)
    for wrong in ({}, {"spec": spec | {"samples": "all"}}, {"spec": spec | {"method": 1}}):
        with pytest.raises(UsageError):
            share_job(wrong, tiny_store, events.append, lambda: False)
