"""Settings with a default, a range and one line of help: forms, flags and checks are all made from them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Self

from .errors import UsageError


def number(
    default: float,
    low: float,
    high: float,
    help: str,
    *,
    search: tuple[float, float, str] | None = None,
    words: dict[str, float] | None = None,
) -> Any:
    """A dataclass field holding a number in [low, high]; whole if ``default`` is an int.

    ``search`` says where tuning looks for it: (from, to, "log" or "linear"). Settings without it keep their value.
    ``words`` are names of numbers that mean something of their own, also outside the range: ``{"auto": -1.0}``.
    """
    meta = {"low": low, "high": high, "help": help, "search": search, "words": words or {}}
    return dataclasses.field(default=default, metadata=meta)


def choice(default: str, options: tuple[str, ...], help: str) -> Any:
    """A dataclass field holding one of ``options``."""
    return dataclasses.field(default=default, metadata={"options": options, "help": help})


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every settings class: checks itself on creation, reads and writes plain dictionaries."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, check(field, value))

    @classmethod
    def settings(cls) -> list[dataclasses.Field]:
        """The fields, those that are this class's alone before those it inherits: what is particular comes first."""
        bases = [base for base in cls.__mro__[1:] if dataclasses.is_dataclass(base)]
        inherited = {field.name for base in bases for field in dataclasses.fields(base)}
        return sorted(dataclasses.fields(cls), key=lambda field: field.name in inherited)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that :meth:`from_dict` reads back."""
        return {field.name: getattr(self, field.name) for field in self.settings()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings from a dictionary; what is left out keeps its default.

        Raises:
            UsageError: an unknown name, a wrong type or a value out of range.
        """
        if not isinstance(values, dict):
            raise UsageError(f"The settings of {cls.__name__} must be names with values, not {values!r}.")
        known = [field.name for field in cls.settings()]
        for name in values:
            if name not in known:
                raise UsageError(f"There is no setting '{name}'; the settings are {', '.join(known) or 'none'}.")
        return cls(**values)


def check(field: dataclasses.Field, value: Any) -> Any:
    """``value`` as the type of the field's default, or a sentence saying what it should have been.

    Text from a command line or a form is read as a number where the field holds one.
    """
    name, meta = field.name, field.metadata
    if "options" in meta:
        if value not in meta["options"]:
            raise UsageError(f"'{name}' must be one of {', '.join(meta['options'])}, not '{value}'.")
        return value
    if "low" not in meta:
        return value
    kind: type = type(field.default)
    words = meta.get("words", {})
    if value in words:
        value = words[value]
    if value in words.values() and not isinstance(value, bool):
        return kind(value)
    wanted = f"'{name}' must be a {'whole ' if kind is int else ''}number from {meta['low']} to {meta['high']}"
    if isinstance(value, bool):
        raise UsageError(f"{wanted}, not {value}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{wanted}, not '{value}'.") from None
    if number in words.values():  # "-1.0" of a command says "auto" as well
        return kind(number)
    if not math.isfinite(number) or not meta["low"] <= number <= meta["high"]:
        raise UsageError(f"{wanted}, not {value}.")
    if kind is int and number != int(number):
        raise UsageError(f"{wanted}, not {value}.")
    return kind(number)
