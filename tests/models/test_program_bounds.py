"""Programs that ask for too much: refused before anything real is computed, in a moment and in little memory."""

from __future__ import annotations

import resource
import time

import pytest
import torch

from rurk_core.errors import UsageError
from rurk_core.models.exported import FORMAT, Exported
from rurk_core.models.exported_file import fits
from rurk_core.models.program_bounds import Bounds

SHAPE, CLASSES = (1, 8, 8), 4
ATEN = "torch.ops.aten."


def tensor(name):
    return {"as_tensor": {"name": name}}


def node(target, output="", **arguments):
    inputs = [{"name": name, "arg": argument} for name, argument in arguments.items()]
    outputs = (
        [{"as_tensor": {"name": output}}]
        if isinstance(output, str)
        else [{"as_tensors": [{"name": n} for n in output]}]
    )
    return {"target": target if target.startswith("_op") else ATEN + target, "inputs": inputs, "outputs": outputs}


def ints(*numbers):
    return {"as_ints": list(numbers)}


def size(number):
    return {"as_int": number}


END = [
    node("flatten.using_ints", "flat", self=tensor("x"), start_dim=size(1)),
    node("linear.default", "logits", input=tensor("flat"), weight=tensor("w")),
]


def program(*nodes, inputs=("w",)):
    return {
        "format": FORMAT,
        "inputs": list(inputs),
        "pixels": "x",
        "output": "logits",
        "features": "flat",
        "nodes": [*nodes, *END],
    }


def weights(number=1):
    return [torch.zeros(CLASSES, 64) for _ in range(number)]


def expand(name, output, *sizes):
    return node("expand.default", output, self=tensor(name), size=ints(*sizes))


def square(name, output):
    return node("mul.Tensor", output, self=tensor(name), other=tensor(name))


def sym(name):
    return {"as_sym_int": {"as_name": name}}


def doubling(kind):
    """A size that is squared again and again, or a list that is repeated."""
    first = (
        [node("sym_size.int", "s0", self=tensor("x"), dim=size(3))]
        if kind == "numbers"
        else [node("_operator.mul", "s0", a=ints(1, 2, 3), b=size(2**20))]
    )
    return [*first, *(node("_operator.mul", f"s{k + 1}", a=sym(f"s{k}"), b=sym(f"s{k}")) for k in range(64))]


def attention():
    tokens = 2**20
    return [
        node("view.default", "tokens", self=tensor("x"), size=ints(-1, 1, 64, 1)),
        expand("tokens", "many", -1, tokens // 64, 64, 1),
        node("reshape.default", "q", self=tensor("many"), shape=ints(-1, 1, tokens, 1)),
        node("scaled_dot_product_attention.default", "a", query=tensor("q"), key=tensor("q"), value=tensor("q")),
    ]


def live(number):
    big = [expand("w", f"e{k}", 2**15, CLASSES, 64) for k in range(number)]
    copies = [node("clone.default", f"c{k}", self=tensor(f"e{k}")) for k in range(number)]
    last = [node("cat.default", "all", tensors={"as_tensors": [{"name": f"c{k}"} for k in range(number)]})]
    return [*big, *copies, *last]


def kernel():
    return [
        node("pad.default", "wide", self=tensor("x"), pad=ints(1500, 1500, 1500, 1500)),
        node("avg_pool2d.default", "p", self=tensor("wide"), kernel_size=ints(2500, 2500), stride=ints(1, 1)),
    ]


def products():
    first = [expand("w", "e", 25, CLASSES, 64), node("reshape.default", "m0", self=tensor("e"), shape=ints(100, 64))]
    first += [node("matmul.default", "m1", self=tensor("m0"), other=tensor("m0t"))] and [
        node("t.default", "m0t", self=tensor("m0")),
        node("matmul.default", "g0", self=tensor("m0"), other=tensor("m0t")),
        expand("g0", "h", 6, 100, 100),
        node("reshape.default", "k", self=tensor("h"), shape=ints(600, 100)),
        node("t.default", "kt", self=tensor("k")),
        node("matmul.default", "q0", self=tensor("k"), other=tensor("kt")),
    ]
    return [
        *first,
        *(node("matmul.default", f"q{i + 1}", self=tensor(f"q{i}"), other=tensor("q0")) for i in range(19_000)),
    ]


PAIR = {"as_tensors": [{"name": "x"}, {"name": "x"}]}
HOSTILE = {
    "numbers without end": (program(*doubling("numbers")), 1, "cannot take batches"),
    "a list repeated": (program(*doubling("lists")), 1, "cannot take batches"),
    "an integer beyond 64 bits": (program(node("add.Scalar", "y", self=tensor("x"), other=size(2**70))), 1, "damaged"),
    "attention between a million tokens": (program(*attention()), 1, "numbers for two samples"),
    "a kernel of 2500²": (program(*kernel()), 1, "more work than any network"),
    "one weight under 19,000 names": (program(inputs=["w"] * 19_000), 19_000, "one name"),
    "300 large values": (program(*live(300)), 1, "at a time"),
    "3 million dimensions": (
        program(node("view.default", "y", self=tensor("x"), size=ints(*[1] * 3_000_000))),
        1,
        "parts",
    ),
    "4,000 dimensions": (
        program(node("view.default", "y", self=tensor("x"), size=ints(-1, *[1] * 4000))),
        1,
        "dimensions",
    ),
    "19,000 products of matrices": (program(*products()), 1, "more work than any network"),
    "9,000 steps that are several each": (
        program(
            *(
                node("einsum.default", f"y{k}", equation={"as_string": "nchw,nchw->n"}, tensors=PAIR)
                for k in range(9000)
            )
        ),
        1,
        "more work than any network",
    ),
    "a flag that is a number": (
        program(node("dropout.default", "y", input=tensor("x"), p={"as_float": 0.5}, train=size(1))),
        1,
        "training mode",
    ),
    "a flag that is computed": (
        program(
            node("sym_size.int", "s", self=tensor("x"), dim=size(0)),
            node("dropout.default", "y", input=tensor("x"), p={"as_float": 0.5}, train=sym("s")),
        ),
        1,
        "training mode",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_programs_take_a_moment_and_little_memory(what):
    about, names, reason = HOSTILE[what]
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(UsageError, match=reason), torch.no_grad():
        fits(Exported(about, weights(names)), SHAPE, CLASSES)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 200 and time.monotonic() - started < 20


def test_a_plain_program_is_within_bounds():
    fits(Exported(program(), weights()), SHAPE, CLASSES)


@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "efficientnet_b0", "densenet121", "convnext_tiny", "swin_t"])
def test_networks_for_photographs_are_far_within(name):
    """Without storage, so that large ones can be looked at: less than half of what is allowed."""
    import torchvision

    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None).eval()
    with torch.no_grad(), Bounds(sum(p.numel() for p in network.parameters())) as bounds:
        network(torch.empty(2, 3, 224, 224, device="meta"))
    assert bounds.work < bounds.most / 2 and bounds.steps < 20_000
