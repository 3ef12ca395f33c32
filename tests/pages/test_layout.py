"""Pages stay small and say where things are: bars on lines, floors of ``pages/ui``, no script inside Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "pages"
FILES = sorted(path for path in PAGES.rglob("*") if path.suffix in (".py", ".js", ".css"))
SOURCES = [path for path in FILES if path.suffix == ".py"] + [ROOT / "app.py"]
FLOORS = ("text", "glossary", "figures", "session", "components", "jobs", "sections")
"""Parts of ``pages/ui``, the lowest first; each may import what lies below it, and itself."""


def imported(path: Path) -> set[str]:
    """Parts of ``ui`` that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ui":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ui."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ui.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PAGES)))
def test_a_page_has_at_most_250_lines_and_any_file_400(path):
    assert len(path.read_text().splitlines()) <= (250 if path.parent == PAGES else 400)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_has_more_than_60_lines(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno >= 60] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_and_styles_are_files_of_their_own(path):
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    for text in (text for text in strings if isinstance(text, str)):
        assert not re.search(r"=>\s*\{|export default|document\.\w|addEventListener", text), text
        assert not re.search(r"^\s*[.#@\w][^{}<>`]*\{[^{}]*:[^{}]*;[^{}]*\}", text, re.MULTILINE), text


def test_every_part_imports_only_what_lies_below_it():
    for path in (PAGES / "ui").rglob("*.py"):
        part = path.relative_to(PAGES / "ui").parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert imported(path) <= set(FLOORS[: FLOORS.index(part) + 1]), path


def test_no_part_imports_a_page():
    pages = {path.stem for path in PAGES.glob("*.py")}
    for path in (PAGES / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not pages & {name.split(".")[0] for name in names}, path
