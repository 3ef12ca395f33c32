"""Programs that torchvision and timm lead to: operators, tuple outputs, half precision, statistics of a batch."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
import torch.nn.functional as F
from exporting import elsewhere, export_program
from torch import nn

from rurk_core.errors import UsageError
from rurk_core.models.exported_file import load_exported

pytestmark = pytest.mark.slow

SHAPE, CLASSES = (3, 16, 16), 5
PIXELS = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A convolution and a head, with something between them."""

    def __init__(self, between, channels=8):
        super().__init__()
        self.conv, self.head, self.between = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(channels, CLASSES), between

    def forward(self, pixels):
        return self.head(self.between(self.conv(pixels)).mean((2, 3)))


class InstanceNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm2d(8, affine=True)

    def forward(self, x):
        return self.norm(x)


class Table(nn.Module):
    """A table looked up by an index, as relative positions are; and a constant made on the way."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 8))
        self.register_buffer("index", torch.tensor([4, 0, 2]), persistent=False)

    def forward(self, x):
        return x + self.table[self.index].mean(0)[:, None, None] + torch.tensor([0.5] * 8)[:, None, None]


BETWEEN = {
    "instance_norm": InstanceNorm,
    "index.Tensor, lift_fresh_copy": Table,
    "clip": lambda: Lambda(lambda x: torch.clip(x, -0.2, 0.3)),
    "linalg_vector_norm": lambda: Lambda(lambda x: x * torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)),
    "upsample_bicubic2d": lambda: Lambda(lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic")),
    "arange, zeros": lambda: Lambda(lambda x: x * torch.arange(16.0) + torch.zeros(16)),
    "weights standardised": lambda: Standardised(),
}


class Lambda(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


class Standardised(nn.Conv2d):
    """A convolution whose weights are normalised by a batch normalisation in training mode, in eval mode too."""

    def __init__(self):
        super().__init__(8, 8, 3, padding=1)

    def forward(self, x):
        weight = F.batch_norm(self.weight.reshape(1, 8, -1), None, None, training=True, momentum=0.0)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias, padding=1)


@pytest.mark.parametrize("name", BETWEEN)
def test_operators(name, tmp_path):
    torch.manual_seed(0)
    model = Net(BETWEEN[name]()).eval()
    program = load_exported(export_program(model, SHAPE, tmp_path / "a.pt2"), SHAPE, CLASSES)
    with torch.no_grad():
        assert torch.equal(program(PIXELS), model(PIXELS))


class Several(Net):
    def __init__(self, give):
        super().__init__(nn.Identity())
        self.give = give

    def forward(self, pixels):
        hidden = self.conv(pixels).mean((2, 3))
        return self.give(self.head(hidden), hidden)


@pytest.mark.parametrize(
    "give", [lambda y, h: (y, h), lambda y, h: (h, y, None), lambda y, h: {"logits": y, "hidden": h}]
)
def test_the_logits_of_several_outputs(give, tmp_path):
    model = Several(give).eval()
    program = load_exported(export_program(model, SHAPE, tmp_path / "a.pt2"), SHAPE, CLASSES)
    with torch.no_grad():
        expected = model.head(model.conv(PIXELS).mean((2, 3)))
        assert torch.equal(program(PIXELS), expected)


def test_two_outputs_that_could_be_logits_are_asked_about(tmp_path):
    path = export_program(Several(lambda y, h: (y, 2 * y)).eval(), SHAPE, tmp_path / "a.pt2")
    with pytest.raises(UsageError, match=r"2 outputs, of which 2 could be the logits of 5 classes"):
        load_exported(path, SHAPE, CLASSES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype, tmp_path):
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net(nn.Identity()).to(dtype)

        def forward(self, pixels):
            return self.net(pixels)

    model, path = Other().eval(), tmp_path / "a.pt2"

    def export():
        sizes = ({0: torch.export.Dim("n")},)
        torch.export.save(torch.export.export(model, (torch.rand(3, *SHAPE).to(dtype),), dynamic_shapes=sizes), path)

    assert elsewhere(export) == 0
    program = load_exported(path, SHAPE, CLASSES)
    with torch.no_grad():
        found = program(PIXELS)
        assert found.dtype == torch.float32 and torch.equal(found, model(PIXELS.to(dtype)).float())


def test_statistics_of_the_batch_are_refused_for_what_they_are(tmp_path):
    path = export_program(Net(nn.BatchNorm2d(8, track_running_stats=False)).eval(), SHAPE, tmp_path / "a.pt2")
    with pytest.raises(UsageError, match="takes them from the batch"):
        load_exported(path, SHAPE, CLASSES)


def test_training_mode_is_still_refused(tmp_path):
    class Training(Net):
        def forward(self, pixels):
            return self.head(F.dropout(self.conv(pixels).mean((2, 3)), 0.5, training=True))

    with pytest.raises(UsageError, match="exported in training mode"):
        load_exported(export_program(Training(nn.Identity()), SHAPE, tmp_path / "a.pt2"), SHAPE, CLASSES)


def test_a_huge_constant_is_not_made(tmp_path):
    """The dry run makes it without storage and refuses it; 400 GB would not fit here."""

    class Large(Net):
        def forward(self, pixels):
            return super().forward(pixels) + torch.zeros(77)[:5]

    path = export_program(Large(nn.Identity()).eval(), SHAPE, tmp_path / "a.pt2")
    huge = tmp_path / "huge.pt2"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(huge, "w") as new:
        for part in old.infolist():
            data = old.read(part.filename)
            if part.filename.endswith("model.json"):
                assert data.count(b"77") > 0
                data = json.dumps(json.loads(data)).encode().replace(b"77", b"100000000000")
            new.writestr(part.filename, data)
    with pytest.raises(UsageError, match=r"100,000,000,000 numbers"):
        load_exported(huge, SHAPE, CLASSES)
