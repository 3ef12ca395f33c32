"""Tables and lines as plain text, where the package rich is not installed; the part of its interface in use here."""

from __future__ import annotations

import sys
from itertools import zip_longest
from typing import Any


def Text(text: str, style: str = "") -> str:
    """As ``rich.text.Text``, without its colour."""
    return text


class Table:
    """As ``rich.table.Table``: a title, columns and rows; what only changes the looks is taken and ignored."""

    def __init__(self, title: str = "", caption: str = "", show_header: bool = True, **looks: Any) -> None:
        self.title, self.caption, self.show_header = title, caption, show_header
        self.columns: list[tuple[str, bool]] = []
        self.rows: list[tuple[str, ...]] = []

    def add_column(self, name: str, justify: str = "left") -> None:
        self.columns.append((name, justify == "right"))

    def add_row(self, *cells: str, **looks: Any) -> None:
        self.rows.append(cells)

    def add_section(self) -> None:
        """Where rich draws a line."""

    def __str__(self) -> str:
        rows = [tuple(name for name, _ in self.columns), *self.rows] if self.show_header else self.rows
        # a cell may hold several lines
        lines = [line for row in rows for line in zip_longest(*(cell.split("\n") for cell in row), fillvalue="")]
        widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
        right = [right for _, right in self.columns] or [False] * len(widths)
        aligned = ["  ".join(map(_aligned, line, widths, right)).rstrip() for line in lines]
        return "\n".join(filter(None, (self.title, *aligned, self.caption)))


class Console:
    """As ``rich.console.Console``, on what is taken for no terminal: nothing moves, nothing is coloured."""

    is_terminal = False

    def __init__(self, stderr: bool = False, **looks: Any) -> None:
        self.stderr = stderr

    def print(self, *what: Any, **looks: Any) -> None:
        print(*what, file=sys.stderr if self.stderr else sys.stdout)


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
