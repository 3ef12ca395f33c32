"""A program of ``torch.export``, walked with a fixed list of tensor operators; nothing in it is ever run as code."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from . import Classifier

EXPORTED = "exported"
"""What stands in the place of an architecture's name."""
MAX_WHOLE = 2**63
"""Whole numbers in a program are below this, as in tensors."""
MAX_LIST = 4096
"""Numbers in one argument."""
FORMAT = "rurk-program/1"

_ATEN = """
  _adaptive_avg_pool2d.default _assert_tensor_metadata.default _native_batch_norm_legit_no_training.default
  _softmax.default _to_copy.default _unsafe_view.default abs.default adaptive_avg_pool1d.default
  adaptive_avg_pool2d.default adaptive_max_pool2d.default add.Scalar add.Tensor add_.Scalar add_.Tensor addmm.default
  alias.default amax.default amin.default arange.default arange.start arange.start_step argmax.default
  avg_pool1d.default avg_pool2d.default baddbmm.default batch_norm.default bmm.default cat.default celu.default
  channel_shuffle.default chunk.default clamp.default clamp_.default clamp_max.default clamp_max_.default
  clamp_min.default clamp_min_.default clip.default clone.default constant_pad_nd.default contiguous.default
  conv1d.default conv2d.default conv2d.padding conv3d.default conv_transpose2d.input convolution.default copy_.default
  cos.default cosine_similarity.default cumsum.default detach.default detach_.default div.Scalar div.Tensor
  div_.Scalar div_.Tensor dropout.default dropout_.default einsum.default elu.default elu_.default eq.Scalar eq.Tensor
  erf.default exp.default expand.default expand_as.default feature_dropout.default fill_.Scalar flatten.using_ints
  flip.default floor.default floor_divide.default full.default full_like.default gather.default ge.Scalar gelu.default
  gelu_.default glu.default group_norm.default gt.Scalar hardsigmoid.default hardsigmoid_.default hardswish.default
  hardswish_.default hardtanh.default hardtanh_.default im2col.default index.Tensor index_select.default
  instance_norm.default layer_norm.default le.Scalar leaky_relu.default leaky_relu_.default lift_fresh_copy.default
  linalg_vector_norm.default linear.default log.default log_sigmoid.default log_softmax.int logical_and.default
  logical_not.default logsumexp.default lt.Scalar masked_fill.Scalar masked_fill.Tensor masked_fill_.Scalar
  matmul.default max.dim max_pool1d.default max_pool2d.default max_pool2d_with_indices.default maximum.default
  mean.default mean.dim meshgrid.indexing min.dim minimum.default mish.default mish_.default mm.default movedim.int
  mul.Scalar mul.Tensor mul_.Scalar mul_.Tensor narrow.default native_group_norm.default native_layer_norm.default
  ne.Scalar ne.Tensor neg.default new_full.default new_ones.default new_zeros.default norm.ScalarOpt_dim ones.default
  ones_like.default pad.default permute.default pixel_shuffle.default pixel_unshuffle.default pow.Scalar
  pow.Tensor_Scalar pow.Tensor_Tensor prelu.default reciprocal.default reflection_pad2d.default relu.default
  relu6.default relu6_.default relu_.default repeat.default replication_pad2d.default reshape.default
  reshape_as.default rms_norm.default roll.default round.default rsqrt.default rsub.Scalar
  scaled_dot_product_attention.default select.int selu.default selu_.default sigmoid.default sigmoid_.default
  sign.default silu.default silu_.default sin.default slice.Tensor softmax.int softplus.default split.Tensor
  split_with_sizes.default sqrt.default square.default squeeze.default squeeze.dim squeeze.dims squeeze_.dim
  stack.default std.correction std.dim sub.Scalar sub.Tensor sub_.Tensor sum.dim_IntList t.default tanh.default
  tanh_.default threshold.default threshold_.default tile.default to.dtype topk.default transpose.int tril.default
  triu.default type_as.default unbind.int unflatten.int unfold.default unsqueeze.default unsqueeze_.default
  upsample_bicubic2d.default upsample_bicubic2d.vec upsample_bilinear2d.default upsample_bilinear2d.vec
  upsample_nearest2d.default upsample_nearest2d.vec var.correction var.dim view.default view_as.default where.self
  zeros.default zeros_like.default zero_.default addcmul.default bitwise_not.default div.Tensor_mode div.Scalar_mode
  bitwise_and.Tensor bitwise_or.Tensor addcdiv.default
"""


def _whole(compute: Callable[..., int], *sizes: Any) -> int:
    """Arithmetic of sizes: of whole numbers alone, since Python's would repeat lists, and with a bounded result."""
    found = compute(*map(bounded, sizes))
    return bounded(found)


def bounded(number: Any) -> int:
    """A whole number as a tensor can hold it; a ValueError for anything else."""
    if type(number) is not int or not -MAX_WHOLE <= number < MAX_WHOLE:
        raise ValueError("a size that is no whole number of 64 bits")
    return number


def _aten(name: str) -> Callable[..., Any]:
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


OPERATORS: dict[str, Callable[..., Any]] = {
    **{f"torch.ops.aten.{name}": _aten(name) for name in _ATEN.split()},
    "torch.ops.aten.sym_size.int": lambda self, dim: self.shape[dim],
    "torch.ops.aten.to.device": lambda self, device=None, dtype=None, **_: self.to(dtype) if dtype else self,
    "torch.ops.aten.to.dtype_layout": lambda self, dtype=None, **_: self.to(dtype) if dtype else self,
    "_operator.mul": lambda a, b: _whole(operator.mul, a, b),
    "_operator.add": lambda a, b: _whole(operator.add, a, b),
    "_operator.sub": lambda a, b: _whole(operator.sub, a, b),
    "_operator.floordiv": lambda a, b: _whole(operator.floordiv, a, b),
    "_operator.mod": lambda a, b: _whole(operator.mod, a, b),
    "_operator.neg": lambda a: _whole(operator.neg, a),
}
"""The operators a program may use, by the name its graph gives them."""

_CREATES = ("zeros", "ones", "full", "arange")
"""Operators that make tensors of nothing: where the pixels lie, so that a dry run without storage makes none."""
DTYPES = {
    1: torch.uint8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
_MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
_PLAIN: dict[str, Callable[[Any], Any]] = {"as_int": bounded, "as_float": float, "as_bool": bool, "as_string": str}
_LISTS: dict[str, Callable[[Any], Any]] = {"as_ints": bounded, "as_floats": float, "as_bools": bool}
NOT_PICTURES = "export it from a model that takes a batch of pixels in [0, 1] and returns logits"


class Exported(Classifier):
    """A classifier that walks the graph of an exported program. Its blocks are unknown.

    Args:
        program: ``{"format", "inputs", "nodes", "output", "pixels", "features"}`` and, where pixels are not wanted in
            float32, "dtype"; see :func:`read_exported`.
        weights: one tensor per name in ``program["inputs"]``.

    Raises:
        UsageError: the program is not of this format or uses an operator that is not allowed.
    """

    def __init__(self, program: dict[str, Any], weights: Sequence[Tensor]):
        nn.Module.__init__(self)
        self.program = program
        try:
            if program["format"] != FORMAT or len(weights) != len(program["inputs"]):
                raise UsageError("it is of another format; export the model again.")
            if len({*program["inputs"], program["pixels"]}) != len(weights) + 1:
                raise UsageError("it is damaged: two of its weights have one name.")
            seen = _from_pixels(program["nodes"], str(program["pixels"]))
            self._steps = [_step(node, seen) for node in program["nodes"]]
            self._spent = _spent(program["nodes"])
            self._ends = str(program["pixels"]), str(program["output"]), str(program["features"])
            self._names = [str(name) for name in program["inputs"]]
            self._dtype = DTYPES[program.get("dtype", 7)]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UsageError("it is damaged; export the model again.") from None
        for index, value in enumerate(weights):
            setattr(self, f"weight_{index}", nn.Parameter(value, requires_grad=False))

    @property
    def weights(self) -> list[Tensor]:
        """In the order of ``program["inputs"]``."""
        return [getattr(self, f"weight_{index}") for index in range(len(self._names))]

    @property
    def block_names(self) -> tuple[str, ...]:
        return ()

    def forward(self, pixels: Tensor) -> Tensor:
        found = self._walk(pixels, self._ends[1])
        return found if self._dtype == torch.float32 else found.to(pixels.dtype)

    def features(self, pixels: Tensor) -> Tensor:
        """What the last linear layer takes, N×F; the logits where the program does not end in one."""
        found = self._walk(pixels, self._ends[2])
        return found.flatten(1) if self._dtype == torch.float32 else found.flatten(1).to(pixels.dtype)

    def _walk(self, pixels: Tensor, wanted: str, check: Callable[[dict[str, Any]], None] | None = None) -> Tensor:
        values: dict[str, Any] = dict(zip(self._names, self.weights, strict=True))
        values[self._ends[0]] = pixels if self._dtype == torch.float32 else pixels.to(self._dtype)
        kept = {value.untyped_storage()._cdata for value in values.values()}
        for step, spent in zip(self._steps, self._spent, strict=True):
            found = {name: take(values) for name, take in step.arguments}
            if step.in_place and found["self"].untyped_storage()._cdata in kept:
                raise UsageError("it changes its own weights or its input, which is not allowed.")
            if step.creates:
                found["device"] = pixels.device
            if step.parts and step.parts(found) != len(step.outputs):
                raise UsageError("it is damaged: a tensor is split into another number of parts than it says.")
            result = step.call(**found)
            for name, value in zip(
                step.outputs, result if isinstance(result, tuple | list) else (result,), strict=False
            ):
                values[name] = value
            if check:
                check(values)
            if wanted in step.outputs:
                break
            for name in spent:  # as an ordinary model does, so that memory does not grow with depth
                values.pop(name, None)
        return values[wanted]


@dataclass(frozen=True)
class _Step:
    """A node of the graph: its operator, how its arguments are found, and the names its results get.

    ``parts`` says how many tensors come out, where that depends on the arguments.
    """

    call: Callable[..., Any]
    arguments: list[tuple[str, Callable[[dict[str, Any]], Any]]]
    outputs: list[str]
    in_place: bool
    creates: bool
    parts: Callable[[dict[str, Any]], int] | None


_PARTS: dict[str, Callable[[dict[str, Any]], int]] = {
    "torch.ops.aten.unbind.int": lambda a: a["self"].shape[a.get("dim", 0)],
    "torch.ops.aten.split.Tensor": lambda a: -(-a["self"].shape[a.get("dim", 0)] // a["split_size"]),
    "torch.ops.aten.split_with_sizes.default": lambda a: len(a["split_sizes"]),
    "torch.ops.aten.meshgrid.indexing": lambda a: len(a["tensors"]),
    "torch.ops.aten.chunk.default": lambda a: min(a["chunks"], a["self"].shape[a.get("dim", 0)]),
}
"""Operators whose number of results depends on their arguments: known before they run, so that it is bounded."""


def _step(node: dict[str, Any], seen: set[str]) -> _Step:
    target = node["target"]
    if target not in OPERATORS:
        raise UsageError(
            f"it uses the operator '{str(target)[:80]}', which is not on the list of allowed ones; "
            "save the model's state dict for a registered architecture instead."
        )
    arguments = []
    for entry in node["inputs"]:
        name, argument = entry["name"], entry["arg"]
        # whatever is not plainly off is on: a flag may be written as a number, or be computed
        on = name in ("training", "train") and argument != {"as_bool": False}
        if on and not seen.isdisjoint(_mentioned(node["inputs"])):
            raise UsageError(_why_training(node))
        if name == "dropout_p" and argument not in ({"as_float": 0.0}, {"as_int": 0}):
            raise UsageError("it draws random numbers (dropout); export it with model.eval().")
        arguments.append((str(name), _argument(argument)))
    outputs = [name for output in node["outputs"] for name in _names(output)]
    name = target.split(".")[-2]
    return _Step(OPERATORS[target], arguments, outputs, name.endswith("_"), name in _CREATES, _PARTS.get(target))


def _why_training(node: dict[str, Any]) -> str:
    """Training mode, or a network that takes statistics from its batch in eval mode too."""
    given = {entry["name"]: entry["arg"] for entry in node["inputs"]}
    if "running_mean" in given and "as_none" in given["running_mean"]:
        return (
            "its batch normalisation has no running statistics and takes them from the batch, so what it says of a "
            "sample depends on the samples beside it; such a model cannot be audited sample by sample."
        )
    return "it was exported in training mode; call model.eval() before torch.export.export."


def _from_pixels(nodes: list[dict[str, Any]], pixels: str) -> set[str]:
    """Names of the values that depend on the pixels; weights are standardised by operators in training mode as well."""
    seen = {pixels}
    for node in nodes:
        if not seen.isdisjoint(_mentioned(node["inputs"])):
            seen |= {name for output in node["outputs"] for name in _names(output)}
    return seen


def _spent(nodes: list[dict[str, Any]]) -> list[list[str]]:
    """For every node the values that no later one needs."""
    seen: set[str] = set()
    found = []
    for node in reversed(nodes):
        taken = {name for entry in node["inputs"] for name in _mentioned(entry["arg"])}
        last = (taken | {name for output in node["outputs"] for name in _names(output)}) - seen
        seen |= last
        found.append(sorted(last))
    return found[::-1]


def _mentioned(argument: Any) -> Iterator[str]:
    """Names of values in an argument."""
    if isinstance(argument, dict):
        for key, held in argument.items():
            if key in ("name", "as_name"):
                yield str(held)
            else:
                yield from _mentioned(held)
    elif isinstance(argument, list):
        for held in argument:
            yield from _mentioned(held)


def _argument(argument: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """How an argument is found among the values so far; only tensors, sizes and plain numbers exist."""
    ((kind, held),) = argument.items()
    if isinstance(held, str | list) and len(held) > MAX_LIST:
        raise UsageError(f"it has an argument of {len(held):,} parts; at most {MAX_LIST:,} are taken.")
    if kind == "as_none":
        return lambda values: None
    if kind in _PLAIN:
        plain = _PLAIN[kind](held)
        return lambda values: plain
    if kind in _LISTS:
        listed = [_LISTS[kind](item) for item in held]
        return lambda values: list(listed)
    if kind in ("as_tensor", "as_sym_int", "as_optional_tensor"):
        return _one(held)
    if kind in ("as_tensors", "as_sym_ints", "as_optional_tensors"):
        many = [_one(item) for item in held]
        return lambda values: [take(values) for take in many]
    if kind == "as_scalar_type":
        dtype = DTYPES[held]
        return lambda values: dtype
    if kind == "as_memory_format":
        memory = _MEMORY[held]
        return lambda values: memory
    if kind in ("as_layout", "as_device"):
        return lambda values: None  # where it was exported is of no interest: it runs where its input lies
    raise UsageError(f"it has an argument of the kind '{str(kind)[:40]}', which is not allowed.")


def _one(held: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """``{"name"}``, ``{"as_name"}``, ``{"as_int"}``, ``{"as_tensor": {"name"}}`` or ``{"as_none"}``."""
    if "as_int" in held:
        number = bounded(held["as_int"])
        return lambda values: number
    if "as_none" in held:
        return lambda values: None
    name = str(held.get("as_tensor", held).get("name", held.get("as_name")))
    return lambda values: values[name]


def _names(output: dict[str, Any]) -> list[str]:
    """The names of a node's output; "" for what is not there."""
    ((kind, held),) = output.items()
    if kind == "as_none":
        return [""]
    if kind == "as_tensors":
        return [str(item["name"]) for item in held]
    return [str(held.get("name", held.get("as_name")))]


def checked_name(output: dict[str, Any]) -> str:
    """The name of an output that is one value."""
    (name,) = _names(output)
    return name
