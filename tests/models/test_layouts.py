"""Checkpoints as training scripts leave them: each gives the very logits of the network that was saved."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from rurk_core.errors import UsageError
from rurk_core.models import create_model
from rurk_core.models.checkpoints import constants_of, load_checkpoint

SHAPE = (3, 32, 32)
MODEL = "resnet9:4"
PIXELS = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    found = create_model(MODEL, SHAPE, 10, seed=1)
    found.train()(torch.rand(32, *SHAPE))  # running statistics of its own
    return found.eval()


def same(path, model, name=MODEL, pixels=PIXELS, **options):
    with torch.no_grad():
        return (
            load_checkpoint(path, name, tuple(pixels.shape[1:]), 10, **options)(pixels) - model(pixels)
        ).abs().max() == 0


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "model.", "net.", "network.", "module._orig_mod.", "_orig_mod.module.model."],
)
def test_prefixes(prefix, model, tmp_path):
    torch.save({prefix + name: value for name, value in model.state_dict().items()}, tmp_path / "a.pt")
    assert same(tmp_path / "a.pt", model)


@pytest.mark.parametrize("name", ["net.pth", "a.pth.tar", "a.ckpt", "pytorch_model.bin", "0model_SA_best.pth.tar"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"net": s, "acc": 93.0, "epoch": 199},
        lambda s: {"model": s, "args": {"lr": 0.1}, "arch": "resnet9"},
        lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "epoch": 1, "best_sa": 0.9},
        lambda s: {
            "model_state_dict": s,
            "optimizer_state_dict": torch.optim.SGD([torch.ones(2, 2)], 0.1).state_dict(),
        },
        lambda s: {"epoch": 3, "checkpoint": {"model": s, "step": 7}},
        lambda s: {f"module.{k}": v for k, v in s.items()} | {"n_averaged": torch.tensor(5)},
        lambda s: s | {"epoch": 3, "steps": torch.tensor(3)},
    ],
)
def test_wrappers_and_suffixes(name, wrap, model, tmp_path):
    torch.save(wrap(model.state_dict()), tmp_path / name)
    assert same(tmp_path / name, model)


def test_safetensors_under_another_suffix(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "model.bin")
    assert same(tmp_path / "model.bin", model)


def test_averaged_weights_are_chosen_by_name(model, tmp_path):
    other = create_model(MODEL, SHAPE, 10, seed=2).eval()
    path = tmp_path / "last.pth.tar"
    torch.save({"state_dict": other.state_dict(), "state_dict_ema": model.state_dict(), "epoch": 4}, path)
    with pytest.raises(UsageError, match=r"several sets of weights, 'state_dict', 'state_dict_ema'.*#state_dict"):
        load_checkpoint(path, MODEL, SHAPE, 10)
    assert same(f"{path}#state_dict_ema", model) and same(f"{path}#state_dict", other)
    with pytest.raises(UsageError, match="no weights called 'ema', but 'state_dict'"):
        load_checkpoint(f"{path}#ema", MODEL, SHAPE, 10)


def test_links_as_a_hub_cache_has_them_and_quoted_paths(model, tmp_path, monkeypatch):
    (tmp_path / "blobs").mkdir()
    save_file(model.state_dict(), tmp_path / "blobs" / "0a1b2c")
    link = tmp_path / "snapshots" / "main" / "model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../blobs/0a1b2c")
    assert same(link, model) and same(f"'{link}'", model) and same(f'"{link}"', model)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert same("~/snapshots/main/model.safetensors", model)


def test_missing_counters_are_filled_in(model, tmp_path):
    kept = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    torch.save(kept, tmp_path / "a.pt")
    assert same(tmp_path / "a.pt", model)


def test_half_precision_weights_become_float32(tmp_path, model):
    torch.save({name: value.half() for name, value in model.state_dict().items()}, tmp_path / "a.pt")
    read = load_checkpoint(tmp_path / "a.pt", MODEL, SHAPE, 10)
    assert all(p.dtype == torch.float32 for p in read.parameters())
    assert torch.equal(read.head.weight, model.head.weight.half().float())


# --- residual networks of other sources ---------------------------------------------------------------------


def small_stem(net, width=64):
    net.conv1, net.maxpool = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.Identity()
    net.train()(torch.rand(8, *SHAPE))
    return net.eval()


class Normalised(nn.Module):
    """Fixed normalisation before a network, its constants in the file."""

    def __init__(self, net, mean, std):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, pixels):
        return self.net((pixels - self.mean) / self.std)


MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
NORMALISE = ",".join(map(str, MEAN)) + ":" + ",".join(map(str, STD))
SHORTCUT = {"downsample": "shortcut", "fc.": "linear."}
STAGES = {f"layer{i}.": f"conv{i + 1}_x." for i in range(1, 5)}
FUNCTION = {"conv1": "0", "bn1": "1", "conv2": "3", "bn2": "4", "conv3": "6", "bn3": "7"}


def cifar_names(name):
    for ours, theirs in SHORTCUT.items():
        name = name.replace(ours, theirs)
    return name


def sequential_names(name):
    """Stem and blocks as Sequentials: conv1.0, conv2_x.0.residual_function.3, shortcut.0."""
    if name.startswith(("conv1.", "bn1.")):
        return name.replace("conv1.", "conv1.0.").replace("bn1.", "conv1.1.")
    for ours, theirs in STAGES.items():
        name = name.replace(ours, theirs)
    head, _, rest = name.rpartition(".")
    base, _, last = head.rpartition(".")
    name = f"{base}.residual_function.{FUNCTION[last]}.{rest}" if last in FUNCTION else name
    return name.replace("downsample", "shortcut")


@pytest.mark.slow
@pytest.mark.parametrize("names", [str, cifar_names, sequential_names], ids=["torchvision", "cifar", "sequential"])
@pytest.mark.parametrize(
    ("registered", "block", "depths"),
    [("resnet18", BasicBlock, [2, 2, 2, 2]), ("resnet50", Bottleneck, [3, 4, 6, 3])],
)
def test_renaming_fits_exactly(registered, block, depths, names, tmp_path):
    net = small_stem(ResNet(block, depths, num_classes=10))
    torch.save({"net": {names(k): v for k, v in net.state_dict().items()}}, tmp_path / "ckpt.pth")
    assert same(tmp_path / "ckpt.pth", Normalised(net, MEAN, STD), registered, normalise=NORMALISE)
    # without a word on normalisation it is that of this project's networks
    assert same(tmp_path / "ckpt.pth", Normalised(net, [0.5] * 3, [0.25] * 3), registered)


@pytest.mark.parametrize("kind", ["normalize.", "module.normalize.", "0.", "normalizer.", "normalize."])
def test_normalisation_layers_of_other_sources(kind, tmp_path):
    net = small_stem(ResNet(BasicBlock, [2, 2, 2, 2], num_classes=10))
    inner = "1." if kind == "0." else "module." if kind.startswith("module.") else ""
    weights = {f"{inner}{name}": value for name, value in net.state_dict().items()}
    weights |= {f"{kind}mean": torch.tensor(MEAN), f"{kind}std": torch.tensor(STD)}
    torch.save({"state_dict": weights, "epoch": 182}, tmp_path / "0model_SA_best.pth.tar")
    assert same(tmp_path / "0model_SA_best.pth.tar", Normalised(net, MEAN, STD), "resnet18")


def test_large_images_have_torchvisions_own_stem(tmp_path):
    net = ResNet(BasicBlock, [2, 2, 2, 2], num_classes=10).eval()
    torch.save(net.state_dict(), tmp_path / "a.pth")
    pixels = torch.rand(2, 3, 64, 64)
    assert same(tmp_path / "a.pth", Normalised(net, MEAN, STD), "resnet18", pixels, normalise=NORMALISE)


def test_other_widths_are_named(tmp_path):
    torch.save(create_model("resnet18:8", SHAPE, 10).state_dict(), tmp_path / "a.pth")
    with pytest.raises(UsageError, match="is the width or the number of classes right"):
        load_checkpoint(tmp_path / "a.pth", "resnet18:4", SHAPE, 10)


@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/mobilenet_v3_small"])
def test_networks_of_torchvision_by_name(name, tmp_path):
    from torchvision.models import get_model

    net = get_model(name.partition("/")[2], num_classes=10).eval()
    torch.save({"model": {f"module.{k}": v for k, v in net.state_dict().items()}, "epoch": 1}, tmp_path / "a.pth")
    assert same(tmp_path / "a.pth", Normalised(net, MEAN, STD), name, normalise=NORMALISE)


def test_networks_of_timm_by_name(tmp_path):
    timm = pytest.importorskip("timm", reason="the optional extra timm is not installed")
    net = timm.create_model("resnet10t", num_classes=10).eval()
    torch.save(net.state_dict(), tmp_path / "a.pth")
    assert same(tmp_path / "a.pth", Normalised(net, MEAN, STD), "timm/resnet10t", normalise=NORMALISE)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torchvision/resnet", "torchvision has no network 'resnet'; it has, among others, resnet"),
        ("torchvision/../x", "has no network"),
        ("timm/hf-hub:a/b", "timm"),
        ("torchvision/vgg11", None),
    ],
)
def test_names_of_libraries_are_checked(name, reason):
    if reason is None:
        assert create_model(name, SHAPE, 10).block_names == ()
        return
    with pytest.raises(UsageError, match=reason):
        create_model(name, SHAPE, 10)


def test_networks_of_libraries_want_their_input():
    with pytest.raises(UsageError, match="take colour images; these have 1"):
        create_model("torchvision/resnet18", (1, 28, 28), 10)
    with pytest.raises(UsageError, match="needs images"):
        create_model("timm/resnet18", (4,), 3)
    with pytest.raises(UsageError, match=r"cannot take images of 3×8×8"):
        create_model("torchvision/alexnet", (3, 8, 8), 10)


# --- what is refused, and why -------------------------------------------------------------------------------


def test_damaged_and_holding_code_are_told_apart(model, tmp_path):
    torch.save({"state_dict": model.state_dict(), "args": argparse.Namespace(lr=0.1)}, tmp_path / "args.pt")
    with pytest.raises(UsageError, match=r"Python objects \(argparse.Namespace\), which could run code"):
        load_checkpoint(tmp_path / "args.pt", MODEL, SHAPE, 10)
    torch.save({"state_dict": model.state_dict(), "acc": np.float64(0.9)}, tmp_path / "numpy.pt")
    with pytest.raises(UsageError, match=r"Python objects \(numpy"):
        load_checkpoint(tmp_path / "numpy.pt", MODEL, SHAPE, 10)
    torch.save(model.state_dict(), tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(UsageError, match="is damaged"):
        load_checkpoint(tmp_path / "cut.pt", MODEL, SHAPE, 10)


@pytest.mark.parametrize("text", ["0.5", "a:b", "0.5:0", "0.5:-1", "1,2:3,4:5", "nan:1", ":"])
def test_normalisation_is_checked(text):
    with pytest.raises(UsageError, match="written mean:std"):
        constants_of(text)


def test_normalisation_for_other_channels(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "a.pt")
    with pytest.raises(UsageError, match="2 numbers, and the data 3 channels"):
        load_checkpoint(tmp_path / "a.pt", MODEL, SHAPE, 10, normalise="0.5,0.5:0.2,0.2")
