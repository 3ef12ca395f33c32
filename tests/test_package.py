"""The package declares what it imports, and the pins are versions that it takes."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {canonicalize_name(each.name): each for each in map(Requirement, PROJECT["dependencies"])}
EXTRAS = PROJECT["optional-dependencies"].values()
OPTIONAL = {canonicalize_name(Requirement(each).name) for extra in EXTRAS for each in extra}
COMES_WITH = {"starlette": "streamlit"}
"""What is used by way of another package, at the version that that one takes."""


def imported(path: Path) -> set[str]:
    """Top-level names of the packages a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_every_package_that_is_imported_is_declared():
    files = [ROOT / "app.py", *(ROOT / "rurk_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    outside = set.union(*map(imported, files)) - set(sys.stdlib_module_names) - {"rurk_core", "ui"}
    names = packages_distributions()
    packages = {canonicalize_name(names.get(name, [name])[0]) for name in outside}
    assert {COMES_WITH.get(name, name) for name in packages} == set(DECLARED) | OPTIONAL


def test_every_pin_is_a_version_that_the_package_takes():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = dict(found.groups() for line in lines if (found := re.match(r"([\w.-]+)==(\S+)", line)))
    assert set(DECLARED) <= set(pins)
    for name, requirement in DECLARED.items():
        assert requirement.specifier.contains(pins[name]), f"{name} {pins[name]}"


def test_every_pin_says_why_it_is_there():
    for file in ROOT.glob("requirements*.txt"):
        for line in file.read_text().splitlines():
            assert line.startswith("#") or re.search(r"\s# \S", line), f"{file.name}: {line}"
