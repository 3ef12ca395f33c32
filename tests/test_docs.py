"""Links and commands in the guides lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rurk_core.cli import _parser

ROOT = Path(__file__).parents[1]
GUIDES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMANDS = next(action.choices for action in _parser()._actions if action.choices)


def anchors(path: Path) -> set[str]:
    """The ends of links to headings, as GitHub and the site make them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_no_link_is_dead(guide):
    text = guide.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"\b(?:src|srcset)=\"([^\"]+)\"", text)
    for link in links:
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = guide.parent / name if name else guide
        assert target.exists(), f"{guide.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{guide.name}: {link}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_exists(guide):
    for block in re.findall(r"^```sh\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL):
        for name in re.findall(r"(?:^|-m rurk_core|\| )\s*rurk ([\w-]+)", block, re.MULTILINE):
            assert name in COMMANDS, f"{guide.name}: rurk {name}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_every_command_is_shown():
    shown = "".join(path.read_text() for path in GUIDES)
    assert not [name for name in COMMANDS if not re.search(rf"\brurk {name}\b", shown)]


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    out = capsys.readouterr().out
    assert "original" in out and "reference-1" in out and "rurk run --dataset digits" in out
    assert [entry["method"] for entry in names["result"]["residual"]] == ["original", "gd", "rurk"]
