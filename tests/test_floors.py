"""The plan of the core: no import upwards, no circle, few files at the top, none too long (pages: test_layout.py)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.floors import FLOORS, PICTURE, between_floors, by_folder, circle, floor_of, modules, picture, upward

ROOT = Path(__file__).parents[1]
CORE, UI = ROOT / "rurk_core", ROOT / "pages" / "ui"
FILES = sorted(CORE.rglob("*.py"))
MAX_LINES, MAX_FUNCTION, MAX_TOP = 400, 60, 10


@pytest.fixture(scope="module")
def core() -> dict[str, set[str]]:
    return modules(CORE)


def test_every_folder_is_a_floor():
    folders = {path.name for path in CORE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(FLOORS)


def test_nothing_imports_upwards(core):
    assert not upward(core)


@pytest.mark.parametrize("package", [CORE, UI], ids=["rurk_core", "pages/ui"])
def test_nothing_imports_in_a_circle(package):
    graph = modules(package)
    assert not circle(graph) and not circle(by_folder(graph))


def test_few_files_stand_at_the_top():
    assert len(list(CORE.glob("*.py"))) <= MAX_TOP


def test_no_file_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > MAX_LINES}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_function_is_too_long():
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for node in functions(path)
    }
    assert not {name: length for name, length in lengths.items() if length > MAX_FUNCTION}


def test_the_picture_shows_what_is_imported():
    assert PICTURE.read_text() == picture(CORE), "make floors draws it anew"


def test_a_small_house_is_read_as_it_stands(tmp_path):
    """Relative and absolute imports, names of packages, imports in functions and for types."""
    house = tmp_path / "rurk_core"
    files = {
        "__init__.py": "",
        "errors.py": "import os",
        "cli.py": "from .run.plan import go",
        "data/__init__.py": "from .sets import load",
        "data/sets.py": "from ..errors import RurkError\nif TYPE_CHECKING:\n    from ..run import plan",
        "run/__init__.py": "",
        "run/plan.py": "def go():\n    import rurk_core.data.sets\n    from rurk_core.data import load",
    }
    for name, text in files.items():
        (house / name).parent.mkdir(parents=True, exist_ok=True)
        (house / name).write_text(text)
    graph = modules(house)
    assert graph["rurk_core.run.plan"] == {"rurk_core.data", "rurk_core.data.sets"}
    assert upward(graph) == ["rurk_core.data.sets imports rurk_core.run.plan from above"]
    assert set(circle(graph)) >= {"rurk_core.data.sets", "rurk_core.run.plan"}
    assert set(circle(by_folder(graph))) == {"rurk_core.data", "rurk_core.run"}
    assert between_floors(graph) == {("data", "ground"): 1, ("data", "run"): 1, ("run", "data"): 2, ("roof", "run"): 1}
    assert [floor_of(f"rurk_core{name}") for name in ("", ".cli", ".config", ".attic.old")] == [
        "ground",
        "roof",
        "ground",
        "",
    ]
