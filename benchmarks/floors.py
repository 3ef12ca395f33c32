"""The plan of the house: ``python -m benchmarks.floors`` draws it from the imports, ``tests/test_floors.py`` holds it.

A folder of ``rurk_core`` is a floor; it imports floors below it only, also inside functions and for types.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from html import escape
from pathlib import Path
from textwrap import shorten

from rurk_core.run.code import imported, names

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"

FLOORS = (
    "ground",
    "apart",
    "data",
    "models",
    "device",
    "store",
    "perturb",
    "training",
    "unlearning",
    "measure",
    "jobs",
    "run",
    "evidence",
    "tune",
    "compare",
    "explore",
    "report",
    "commands",
    "roof",
)
"""Folders of ``rurk_core``, lowest first. The files beside them stand on the ground, but for ``device.py``, which knows
images and networks, and for the roof: the command line, and the doors by which a program comes in."""
ROOF = ("cli", "__main__", "experiment", "spec")

Modules = dict[str, set[str]]
"""Module → the modules of the package it imports, by dotted names: ``rurk_core.store``, ``rurk_core.data.forget``."""


def modules(package: Path) -> Modules:
    """Who imports whom in a package, read from its files; nothing is run."""
    files = names(package)
    return {
        name: set(imported(ast.parse(path.read_text()), name, path.name == "__init__.py", files)) - {name}
        for name, path in files.items()
    }


def floor_of(module: str) -> str:
    """The floor a module of ``rurk_core`` is on; "" for a folder that is not in the plan."""
    first, *deeper = module.split(".")[1:] or [""]
    if first in FLOORS:
        return first
    return "" if deeper else "roof" if first in ROOF else "ground"


def upward(graph: Modules) -> list[str]:
    """Imports from a floor to a higher one, as sentences."""
    height = {floor: at for at, floor in enumerate(FLOORS)}
    return sorted(
        f"{module} imports {other} from above"
        for module, others in graph.items()
        for other in others
        if floor_of(module) and height.get(floor_of(other), len(FLOORS)) > height[floor_of(module)]
    )


def between_floors(graph: Modules) -> dict[tuple[str, str], int]:
    """(floor, floor it imports) → how many imports; those within a floor are left out."""
    found: dict[tuple[str, str], int] = {}
    for module, others in graph.items():
        for other in others:
            pair = floor_of(module), floor_of(other)
            if pair[0] != pair[1]:
                found[pair] = found.get(pair, 0) + 1
    return found


def by_folder(graph: Modules) -> Modules:
    """Who imports whom among the folders of a package; a folder's folders count as it, files beside them alone."""
    found: Modules = {}
    for module, others in graph.items():
        found.setdefault(_folder(module), set()).update(map(_folder, others))
    return {folder: others - {folder} for folder, others in found.items()}


def _folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(graph: Modules) -> list[str]:
    """Modules that import each other in a circle, one after another; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


ROW, LEFT, NAME, RIGHT = 30, 300, 90, 880
"""Pixels: from floor to floor, where the folders begin, how wide a name is, where they end."""


def picture(package: Path) -> str:
    """The floors from the highest down, with an arrow from each to every floor it imports, as SVG."""
    graph = modules(package)
    used = set(map(floor_of, graph))
    y = {floor: 24 + ROW * at for at, floor in enumerate(each for each in reversed(FLOORS) if each in used)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {RIGHT + 20} {ROW * len(y) + 18}" role="img" '
        f'aria-label="The floors of {package.name} and what they import" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for upper, lower in sorted(pair for pair in between_floors(graph) if set(pair) <= set(y)):
        top, bottom = y[upper], y[lower]
        bow = LEFT - 14 - 0.6 * abs(bottom - top)
        parts.append(
            f'<path d="M{LEFT} {top} C{bow:.0f} {top},{bow:.0f} {bottom},{LEFT} {bottom}" fill="none" '
            f'stroke="#4A4AC8" stroke-opacity="0.4"><title>{upper} imports {lower}</title></path>'
        )
    for floor, middle in y.items():
        parts.append(
            f'<rect x="{LEFT}" y="{middle - 11}" width="{RIGHT - LEFT}" height="22" rx="4" fill="#F4F5F8" '
            f'stroke="#DFE3EA"/><text x="{LEFT + 10}" y="{middle + 5}" fill="#1B2130" font-weight="bold">{floor}</text>'
            f'<text x="{LEFT + 10 + NAME}" y="{middle + 5}" fill="#4B5365">{escape(_about(package, floor))}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _about(package: Path, floor: str) -> str:
    """What stands on a floor: the names of its files where it is no folder, else the first sentence about it."""
    if floor in ("ground", "roof"):
        names = sorted(path.stem for path in package.glob("*.py") if floor_of(f"x.{path.stem}") == floor)
        return shorten(", ".join(name for name in names if not name.startswith("__")), 72, placeholder=" …")
    home = package / floor / "__init__.py"
    about = ast.get_docstring(ast.parse((home if home.is_file() else package / f"{floor}.py").read_text())) or ""
    return shorten(about.partition("\n\n")[0].replace("``", "").removesuffix("."), 72, placeholder=" …")


def main() -> None:
    graph = modules(ROOT / "rurk_core")
    PICTURE.write_text(picture(ROOT / "rurk_core"))
    for line in upward(graph):
        print(line)
    if found := circle(graph):
        print("in a circle:", " → ".join(found))
    print(f"{PICTURE.relative_to(ROOT)}: {len(graph)} modules, {sum(map(len, graph.values()))} imports")


if __name__ == "__main__":
    main()
