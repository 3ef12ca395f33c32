"""State dicts made elsewhere under the names of a network of this project: a plain renaming, nothing is computed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

Weights = dict[str, Tensor]
Rename = Callable[[str], str]

_CONSTANT = re.compile(r"(?:.*[._])?(mean|std)")
_CONVOLUTIONS = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
_RESIDUAL: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # torchvision and timm; the CIFAR repositories that say "shortcut" and "linear"
    (re.compile(r"^conv1\.(?=weight|bias)"), "blocks.stem.0."),
    (re.compile(r"^bn1\."), "blocks.stem.1."),
    # those whose stem is a Sequential and whose stages begin at conv2_x
    (re.compile(r"^conv1\.(?=[01]\.)"), "blocks.stem."),
    (re.compile(r"^conv([2-5])_x\."), lambda found: f"layer{int(found[1]) - 1}."),
    (re.compile(r"\.residual_function\.([0134679])\."), lambda found: f".{_CONVOLUTIONS[found[1]]}."),
    (re.compile(r"^layer([1-4])\.([0-9]+)\."), r"blocks.layer\1_\2."),
    (re.compile(r"\.shortcut\."), ".downsample."),
    (re.compile(r"^(?:fc|linear|classifier)\."), "head."),
)
_POOLED = re.compile(r"^(blocks\.layer[0-9]+_[0-9]+)\.0\.(?=conv|bn|downsample)")
"""The last block of a residual network stands in a Sequential with the pooling behind it."""


def plain_weights(held: Mapping[object, object]) -> Weights | None:
    """The tensors of a state dict, without counters written beside them; None where it holds anything else."""
    found = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    rest = [value for name, value in held.items() if name not in found]
    if not all(isinstance(name, str) for name in held) or not all(isinstance(v, int | float) for v in rest):
        return None
    return {str(name): value for name, value in found.items()} or None


def parts_of(held: Mapping[object, object]) -> dict[str, Weights]:
    """The state dicts in a dictionary of a training script, by their names; those of optimisers are not such."""
    found: dict[str, Weights] = {}
    for name, value in held.items():
        if not isinstance(value, Mapping) or "param_groups" in value:
            continue
        weights = plain_weights(value)
        if weights and any(tensor.dim() > 1 for tensor in weights.values()):
            found[str(name)] = weights
        elif weights is None:
            found |= {f"{name}.{inner}": part for inner, part in parts_of(value).items()}
    return found


def adapted(weights: Weights, own: Mapping[str, Tensor]) -> Weights:
    """``weights`` under the names of ``own``, if a renaming fits exactly; else as they are.

    Prefixes that all names share are taken away (``module.``, ``_orig_mod.``, ``model.``, ...), normalisation constants
    become ``mean`` and ``std``, networks of libraries get their ``net.``, what ``own`` has of constants and counters is
    filled in, and scalars that it lacks are left out.
    """
    constants = {name: value for name, value in own.items() if name in ("mean", "std")}
    counters = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    pooled = {_POOLED.sub(r"\1.", name): name for name in own}
    rest = {name: value for name, value in weights.items() if name in own or value.numel() != 1 or value.dim() > 1}
    normalised = _constants(weights, constants)
    rest = {name: value for name, value in rest.items() if name not in normalised or name in own}
    own_constants = {name: value for name, value in normalised.values()}
    for stripped in _without_prefixes(rest, own):
        for rename in (str, _residual, "net.{}".format):
            named = {_placed(rename(name), own, pooled): value for name, value in stripped.items()}
            found = constants | counters | own_constants | named
            if len(named) == len(stripped) and found.keys() == own.keys():
                return found
    return weights


def _constants(weights: Weights, constants: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Name in the file → (``mean`` or ``std``, its value in the shape it has here), where the file brings both."""
    found: dict[str, tuple[str, Tensor]] = {}
    for name, value in weights.items():
        match = _CONSTANT.fullmatch(name)
        if match and match[1] in constants:
            wanted = constants[match[1]]
            if value.numel() in (1, wanted.numel()):
                shaped = value.reshape(wanted.shape) if value.numel() == wanted.numel() else value.expand_as(wanted)
                found[name] = match[1], shaped.float()
    return found if sorted(kind for kind, _ in found.values()) == ["mean", "std"] else {}


def _without_prefixes(weights: Weights, own: Iterable[str]) -> Iterable[Weights]:
    """``weights``, and the same with one shared first part of the names less, as long as there is one."""
    yield weights
    names = set(own)
    while weights and len(first := {name.partition(".")[0] for name in weights}) == 1 and not names & weights.keys():
        prefix = f"{first.pop()}."
        if not all(name.startswith(prefix) for name in weights):
            return
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        yield weights


def _residual(name: str) -> str:
    for pattern, text in _RESIDUAL:
        name = pattern.sub(text, name)
    return name


def _placed(name: str, own: Mapping[str, Tensor], pooled: Mapping[str, str]) -> str:
    return name if name in own else pooled.get(name, name)
