"""A made-up collection of malformed and hostile checkpoints: each is refused in one sentence, and nothing in it runs.

Every file that could run code would make the folder ``canary``; afterwards it must not be there.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile

import pytest
import torch
from exporting import elsewhere, export_program
from safetensors.torch import save, save_file

from rurk_core.cli import main
from rurk_core.errors import UsageError
from rurk_core.measure.frozen import frozen_copy
from rurk_core.models import create_model
from rurk_core.models.checkpoints import load_checkpoint, read_checkpoint
from rurk_core.models.exported import OPERATORS, Exported
from rurk_core.models.exported_file import load_exported
from rurk_core.perturb.copies import input_gradient

SHAPE, CLASSES, MODEL = (1, 8, 8), 10, "cnn:4"


class Runs:
    """Unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def good():
    return create_model(MODEL, SHAPE, CLASSES).state_dict()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return export_program(create_model(MODEL, SHAPE, CLASSES), SHAPE, tmp_path_factory.mktemp("program") / "good.pt2")


def rewritten(source, target, *, change=None, add=(), compress=zipfile.ZIP_STORED):
    """A copy of an archive with changed parts: ``change(name, data) -> data``."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compress) as new:
        for part in old.infolist():
            data = old.read(part.filename)
            new.writestr(part.filename, change(part.filename, data) if change else data)
        for name, data in add:
            new.writestr(name, data)
    return target


def edited(end, edit):
    """A change of the JSON part whose name ends like ``end``."""

    def change(name, data):
        if not name.endswith(end):
            return data
        value = json.loads(data)
        edit(value)
        return json.dumps(value).encode()

    return change


# --- files that are no checkpoints, and state dicts ----------------------------------------------------------


def huge_header(path):
    path.write_bytes((10 * 2**30).to_bytes(8, "little") + b"{}")


def sparse_file(path):
    with path.open("wb") as file:
        file.write((10 * 2**30).to_bytes(8, "little"))
        file.truncate(10 * 2**30)


def truncated(path):
    path.write_bytes(save(good())[:-100])


def truncated_zip(path):
    buffer = io.BytesIO()
    torch.save(good(), buffer)
    path.write_bytes(buffer.getvalue()[:-200])


def torch_saved(value):
    return lambda path: torch.save(value() if callable(value) else value, path)


def stride_0(path):
    torch.save(good() | {"head.weight": torch.zeros(1).expand(10**10)}, path)


def bomb(path):
    buffer = io.BytesIO()
    torch.save(good() | {"head.weight": torch.zeros(5_000_000)}, buffer)
    buffer.seek(0)
    rewritten(buffer, path, compress=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000


def big_directory(path):
    """The end of a zip file that announces a table of contents of 3 GB."""
    path.write_bytes(b"PK\3\4" + bytes(100) + b"PK\5\6" + bytes(8) + (3 * 10**9).to_bytes(4, "little") + bytes(6))


def fifo(path):
    os.mkfifo(path)


def link(path):
    path.symlink_to(path.with_name("missing.safetensors"))


def changed(name, value):
    return lambda path: save_file({**good(), name: value}, path)


STATE_DICTS = [
    ("no file", "a.safetensors", lambda path: None, "no checkpoint"),
    ("a folder", "a.safetensors", lambda path: path.mkdir(), "is not a file"),
    ("a link to nowhere", "a.safetensors", link, "no checkpoint"),
    ("a pipe", "a.safetensors", fifo, "is not a file"),
    ("empty", "a.safetensors", lambda path: path.touch(), "is empty"),
    ("another suffix", "a.h5", lambda path: path.write_bytes(b"x"), "must end in"),
    ("neither by content", "a.bin", lambda path: path.write_bytes(b"x"), "no known kind"),
    (
        "an old pickle",
        "a.pth",
        lambda path: torch.save(good(), path, _use_new_zipfile_serialization=False),
        "before 1.6",
    ),
    ("no suffix", "checkpoint", lambda path: path.write_bytes(b"x"), "must end in"),
    ("10 GB announced", "a.safetensors", huge_header, "damaged"),
    ("10 GB on disk", "a.safetensors", sparse_file, "10.0 GiB"),
    ("cut short", "a.safetensors", truncated, "damaged"),
    ("cut short", "a.pt", truncated_zip, "damaged"),
    ("text", "a.safetensors", lambda path: path.write_text("hello"), "damaged"),
    ("text", "a.pt", lambda path: path.write_text("hello"), "damaged"),
    ("wrong keys", "a.safetensors", lambda path: save_file({"a": torch.zeros(2)}, path), "does not fit"),
    ("no tensors", "a.safetensors", lambda path: save_file({}, path), "0 tensors"),
    ("wrong shape", "a.safetensors", changed("head.weight", torch.zeros(3, 3)), "'head.weight' is (3, 3)"),
    ("NaN", "a.safetensors", changed("head.bias", torch.full((CLASSES,), float("nan"))), "NaN"),
    ("not a dictionary", "a.pt", torch_saved([torch.zeros(2)]), "does not hold a state dict"),
    ("text in it", "a.pth", torch_saved(lambda: good() | {"note": "hi"}), "does not hold a state dict"),
    (
        "a whole model",
        "a.pt",
        torch_saved(lambda: create_model(MODEL, SHAPE, CLASSES)),
        "Python objects (rurk_core.models.base.Classifier)",
    ),
    ("sparse", "a.pt", torch_saved(lambda: good() | {"head.bias": torch.zeros(10).to_sparse()}), "unusual form"),
    ("without storage", "a.pt", torch_saved(lambda: good() | {"head.bias": torch.zeros(10, device="meta")}), "unusual"),
    ("stride 0", "a.pt", stride_0, "claims 10000000000 numbers"),
    ("zip bomb", "a.pt", bomb, "compressed"),
    ("endless directory", "a.pt", big_directory, "enormous table of contents"),
    ("endless directory", "a.pt2", big_directory, "enormous table of contents"),
    ("no program", "a.pt2", lambda path: path.write_bytes(b"PK\3\4" + bytes(100)), "damaged"),
    ("a state dict", "a.pt2", lambda path: path.write_bytes(save(good())), "damaged"),
    ("a saved state dict", "a.pt2", torch_saved(good), "not a program"),
]


@pytest.mark.parametrize(
    ("name", "make", "reason"), [case[1:] for case in STATE_DICTS], ids=[f"{c[0]} ({c[1]})" for c in STATE_DICTS]
)
def test_malformed_checkpoints_are_refused_in_one_sentence(name, make, reason, tmp_path):
    path = tmp_path / name
    make(path)
    with pytest.raises(UsageError) as refusal:
        load_checkpoint(path, MODEL, SHAPE, CLASSES)
    said = str(refusal.value)
    assert reason in said and str(path) in said and "\n" not in said and said[-1] in ".?"


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.safetensors", "a.pt2"])
@pytest.mark.parametrize("protocol", ["torch", "torch, old format", "pickle"])
def test_a_pickle_with_a_command_is_refused_and_not_run(name, protocol, tmp_path):
    path, value = tmp_path / name, good() | {"head.bias": Runs(tmp_path / "canary")}
    if protocol == "pickle":
        path.write_bytes(pickle.dumps(value["head.bias"]))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=protocol == "torch")
    with pytest.raises(UsageError):
        load_checkpoint(path, MODEL, SHAPE, CLASSES)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", ["safetensors", "pt", "pth"])
def test_good_state_dicts_are_read(kind, tmp_path):
    path, weights = tmp_path / f"a.{kind}", good()
    save_file(weights, path) if kind == "safetensors" else torch.save(weights, path)
    read = read_checkpoint(path)
    assert read.keys() == weights.keys() and all(torch.equal(read[name], weights[name]) for name in weights)


def test_weights_without_normalisation_constants_get_the_default_ones(tmp_path):
    save_file(
        {name: value for name, value in good().items() if name not in ("mean", "std")}, tmp_path / "a.safetensors"
    )
    assert load_checkpoint(tmp_path / "a.safetensors", MODEL, SHAPE, CLASSES).mean.item() == 0.5


# --- exported programs ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "lenet", "resnet9:4", "resnet18:4", "vgg11:4"])
def test_a_program_computes_what_its_model_does(name, tmp_path):
    shape = (3, 16, 16)
    model = create_model(name, shape, CLASSES).eval()
    program = load_exported(export_program(model, shape, tmp_path / "a.pt2"), shape, CLASSES)
    pixels, labels = torch.rand(5, *shape), torch.arange(5)
    with torch.no_grad():
        assert torch.allclose(program(pixels), model(pixels), atol=1e-5)
        assert torch.allclose(program.features(pixels), model.features(pixels), atol=1e-5)
        assert torch.allclose(frozen_copy(program, "cpu", pixels)(pixels), model(pixels), atol=1e-5)
    assert torch.allclose(input_gradient(program, pixels, labels), input_gradient(model, pixels, labels), atol=1e-5)


class Attention(torch.nn.Module):
    """What a small vision transformer does: patches, heads, splitting and joining."""

    def __init__(self):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, 16, 4, 4)
        self.mix = torch.nn.Linear(16, 48)
        self.norm = torch.nn.LayerNorm(16)
        self.head = torch.nn.Linear(16, CLASSES)

    def forward(self, pixels):
        tokens = self.norm(self.patch(pixels).flatten(2).transpose(1, 2))
        q, k, v = self.mix(tokens).chunk(3, dim=-1)
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        left, right = torch.nn.functional.gelu(tokens + seen).split(8, dim=-1)
        first, *_ = torch.cat([right, left], -1).unbind(1)
        return self.head(first)


@pytest.mark.slow
def test_a_transformer_is_walked_too(tmp_path):
    model = Attention().eval()
    program = load_exported(export_program(model, (3, 16, 16), tmp_path / "a.pt2"), (3, 16, 16), CLASSES)
    pixels = torch.rand(5, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(program(pixels), model(pixels), atol=1e-5)


@pytest.mark.slow
def test_values_that_are_no_longer_needed_are_let_go(program):
    model = load_exported(program, SHAPE, CLASSES)
    seen, most = set(), 0

    def look(values):
        nonlocal most
        seen.update(set(values) - set(model._names))
        most = max(most, len(set(values) - set(model._names)))

    model._walk(torch.rand(2, *SHAPE), model._ends[1], look)
    assert len(seen) > 10 and most <= 4


def pickled_inputs(canary):
    return {"change": lambda name, data: pickle.dumps(Runs(canary)) if "sample_inputs" in name else data}


def pickled_weight(canary):
    change = edited("model_weights_config.json", lambda value: value["config"]["head.bias"].update(use_pickle=True))

    def both(name, data):
        return pickle.dumps(Runs(canary)) if name.endswith("weights/weight_7") else change(name, data)

    return {"change": both}


def opaque_constant(canary):
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    return {
        "change": edited("model_constants_config.json", lambda value: value["config"].update(x=entry)),
        "add": [("good/data/constants/opaque_obj_0", pickle.dumps(Runs(canary)))],
    }


def symbolic_size(canary):
    def edit(value):
        for tensor in value["graph_module"]["graph"]["tensor_values"].values():
            for size in tensor["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = f"__import__('os').mkdir({str(canary)!r})"

    return {"change": edited("models/model.json", edit)}


RUNS_IN_TORCH = [pickled_inputs, pickled_weight, opaque_constant, symbolic_size]


@pytest.mark.slow
@pytest.mark.parametrize("attack", RUNS_IN_TORCH)
def test_what_torchs_own_loader_runs_is_not_run_here(attack, program, tmp_path):
    """The reason for a loader of our own. Parts it never opens do not matter; what it needs is refused if pickled."""
    ours, theirs = tmp_path / "canary", tmp_path / "canary-of-torch"
    path = rewritten(program, tmp_path / "good.pt2", **attack(ours))
    try:
        assert isinstance(load_exported(path, SHAPE, CLASSES), Exported)
    except UsageError as refusal:
        assert "pickled" in str(refusal)
    assert not ours.exists()
    path = rewritten(program, tmp_path / "theirs.pt2", **attack(theirs))
    elsewhere(torch.export.load, path)
    assert theirs.exists(), "torch has become safer: say so where this is explained"


def node(**change):
    return {
        "change": edited("models/model.json", lambda value: value["graph_module"]["graph"]["nodes"][0].update(change))
    }


def graph(edit):
    return {"change": edited("models/model.json", lambda value: edit(value["graph_module"]))}


def weights_config(edit):
    return {"change": edited("model_weights_config.json", lambda value: edit(value["config"]))}


def tensor(name):
    return {"name": "self", "arg": {"as_tensor": {"name": name}}, "kind": 1}


PROGRAMS = [
    ("a Python function", node(target="torch.os.system"), "'torch.os.system', which is not on the list"),
    ("a file operator", node(target="torch.ops.aten.from_file.default"), "not on the list"),
    ("a custom operator", node(target="torch.ops.evil.run.default"), "not on the list"),
    ("a higher-order operator", node(target="torch.ops.higher_order.cond"), "not on the list"),
    ("a subgraph", node(inputs=[{"name": "self", "arg": {"as_graph": {"name": "g"}}}]), "kind 'as_graph'"),
    ("changed weights", node(target="torch.ops.aten.relu_.default", inputs=[tensor("b_mean")]), "changes its own"),
    ("changed input", node(target="torch.ops.aten.relu_.default", inputs=[tensor("pixels")]), "changes its own"),
    (
        "an enormous result",
        node(
            target="torch.ops.aten.expand.default",
            inputs=[tensor("b_mean"), {"name": "size", "arg": {"as_ints": [2**20, 2**10, 1]}}],
        ),
        "1,073,741,824 numbers",
    ),
    (
        "training mode",
        node(inputs=[tensor("pixels"), {"name": "train", "arg": {"as_bool": True}}]),
        "call model.eval()",
    ),
    (
        "split into millions",
        node(
            target="torch.ops.aten.split.Tensor",
            inputs=[tensor("pixels"), {"name": "split_size", "arg": {"as_int": 1}}],
        ),
        "another number of parts",
    ),
    ("an unknown name", node(inputs=[tensor("nowhere")]), "cannot take batches"),
    ("another version", {"change": edited("model.json", lambda v: v["schema_version"].update(major=99))}, "version 99"),
    ("an object as input", graph(lambda v: v["signature"]["input_specs"].append({"custom_obj": {}})), "'custom_obj'"),
    (
        "two inputs",
        graph(lambda v: v["signature"]["input_specs"].append(v["signature"]["input_specs"][-1])),
        "2 inputs",
    ),
    ("no output", graph(lambda v: v["signature"]["output_specs"].clear()), "0 outputs"),
    ("no graph", {"change": edited("models/model.json", lambda value: value.clear())}, "damaged"),
    ("a list for a graph", {"change": lambda n, data: b"[]" if n.endswith("models/model.json") else data}, "damaged"),
    ("deep nesting", {"change": lambda n, d: b"[" * 200_000 if n.endswith("models/model.json") else d}, "damaged"),
    (
        "a path out of the archive",
        weights_config(lambda v: v["head.bias"].update(path_name="../../../etc/passwd")),
        "damaged",
    ),
    (
        "stride 0",
        weights_config(
            lambda v: v["head.bias"]["tensor_meta"].update(sizes=[{"as_int": 10**10}], strides=[{"as_int": 0}])
        ),
        "claims more numbers",
    ),
    (
        "beyond its bytes",
        weights_config(lambda v: v["head.bias"]["tensor_meta"].update(storage_offset={"as_int": 10**6})),
        "claims more numbers",
    ),
    (
        "another precision",
        weights_config(lambda v: v["head.bias"]["tensor_meta"].update(dtype=6)),
        "cannot take batches",
    ),
    ("complex", weights_config(lambda v: v["head.bias"]["tensor_meta"].update(dtype=10)), "of a kind that is not read"),
    (
        "a symbolic size",
        weights_config(lambda v: v["head.bias"]["tensor_meta"].update(sizes=[{"as_expr": {}}])),
        "damaged",
    ),
    (
        "NaN",
        {"change": lambda name, data: b"\xff" * len(data) if name.endswith("weights/weight_7") else data},
        "NaN or infinite",
    ),
    ("a missing weight", weights_config(lambda v: v.pop("head.bias")), "damaged"),
    ("compressed", {"compress": zipfile.ZIP_DEFLATED}, "compressed"),
    ("two parts of one name", {"add": [("good/models/model.json", b"{}")]}, "damaged"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("change", "reason"), [case[1:] for case in PROGRAMS], ids=[case[0] for case in PROGRAMS])
def test_hostile_programs_are_refused_in_one_sentence(change, reason, program, tmp_path):
    path = rewritten(program, tmp_path / "good.pt2", **change)
    with pytest.raises(UsageError) as refusal:
        load_exported(path, SHAPE, CLASSES)
    said = str(refusal.value)
    assert reason in said and str(path) in said and "\n" not in said and said[-1] in ".?"


def leaves(value, at=()):
    """Paths to everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield (*at, key)
        yield from leaves(held, (*at, key))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["models/model.json", "weights_config.json"])
def test_whatever_is_changed_in_a_program_it_is_read_or_refused(part, program, tmp_path):
    """Random damage, a seed each: a sentence or a model, never another error, a hang or a jump in memory."""
    strange = [
        None,
        True,
        -1,
        0,
        2**62,
        1e308,
        "",
        "x",
        "torch.ops.aten.relu.default",
        [],
        {},
        [[]],
        {"as_int": 10**12},
    ]
    read = refused = 0
    for seed in range(150):
        draw = random.Random(seed)

        def damage(value, draw=draw):
            keep = value.get("graph_module", value)
            if "graph" in keep:
                keep["graph"] = {k: v for k, v in keep["graph"].items() if k in ("nodes", "inputs", "outputs")}
                for entry in keep["graph"]["nodes"]:
                    entry.pop("metadata", None)
            *where, last = draw.choice(list(leaves(value)))
            for key in where:
                value = value[key]
            value[last] = draw.choice(strange)

        path = rewritten(program, tmp_path / "good.pt2", change=edited(part, damage))
        try:
            load_exported(path, SHAPE, CLASSES)
            read += 1
        except UsageError as refusal:
            assert str(path) in str(refusal)
            refused += 1
    assert read + refused == 150 and refused > 30


@pytest.mark.slow
def test_a_program_for_other_data_or_one_batch_size_is_refused(program, tmp_path):
    with pytest.raises(UsageError, match="cannot take batches of 1×12×12"):
        load_exported(program, (1, 12, 12), CLASSES)
    with pytest.raises(UsageError, match="not 2×7 finite"):
        load_exported(program, SHAPE, 7)

    class Fixed(torch.nn.Linear):
        def forward(self, pixels):
            return super().forward(pixels.reshape(3, 64))

    with pytest.raises(UsageError, match="of any length"):
        load_exported(
            export_program(Fixed(64, CLASSES), SHAPE, tmp_path / "fixed.pt2", any_batch=False), SHAPE, CLASSES
        )


def test_no_allowed_operator_draws_random_numbers_or_is_unknown():
    for name, call in OPERATORS.items():
        if name.startswith("torch.ops.aten.") and hasattr(call, "tags"):
            seeded = torch.Tag.nondeterministic_seeded in call.tags
            assert not seeded or "dropout" in name or "attention" in name, name


# --- from the command line -----------------------------------------------------------------------------------


def test_the_command_line_refuses_in_one_sentence(tmp_path, capsys):
    save_file(good(), tmp_path / "good.safetensors")
    torch.save({"a": Runs(tmp_path / "canary")}, tmp_path / "bad.pt")
    flags = {
        "--dataset": "digits",
        "--forget": "class:0:0.5",
        "--model": MODEL,
        "--store": tmp_path / "s",
        "--draws": 2,
    }
    flags |= {"--original": tmp_path / "good.safetensors", "--unlearned": tmp_path / "bad.pt"}
    code = main(["audit", *[str(part) for flag in flags.items() for part in flag]])
    err = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and "more than a plain state dict" in err[-1] and not (tmp_path / "canary").exists()
