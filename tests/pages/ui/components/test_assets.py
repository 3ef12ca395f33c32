"""Scripts and styles of components over HTTP: what a page asks for is there, under a name that its content gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from ui.components import assets

COMPONENTS = Path(assets.__file__).parent


def all_paths() -> list[Path]:
    return [path for folder in assets.FOLDERS for path in folder.iterdir()]


PLACES = {path.name: path for path in all_paths()}


def get(version: str, file: str) -> Response:
    return assets.answer(Request({"type": "http", "path_params": {"version": version, "file": file}}))


@pytest.mark.parametrize("name", assets.FILES)
def test_a_file_is_sent_as_it_is_and_kept_for_good(name):
    found = get(assets.VERSION, name)
    assert found.body == PLACES[name].read_bytes()
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    assert found.headers["content-type"].startswith(kind) and "immutable" in found.headers["cache-control"]


def test_nothing_else_is_sent():
    assert get("0" * 16, "tiles.js").status_code == 404
    for name in ("none.js", "assets.py", "../text.py"):
        assert get(assets.VERSION, name).status_code == 404


def test_what_a_script_imports_is_there():
    for name in assets.FILES:
        for other in re.findall(r'from "\./([^"]+)"', assets.FILES[name].decode()):
            assert other in assets.FILES, f"{name} imports {other}"


def test_a_component_is_told_where_its_files_are(monkeypatch):
    told = {}
    monkeypatch.setattr(assets.st.components.v2, "component", lambda name, **more: told.update(more))
    assets.component("any", "<i></i>", "tiles.js", "tiles.css")
    places = json.loads(re.search(r"\[[^\]]*\](?=\.map)", told["js"])[0])
    assert places == [f"components/{assets.VERSION}/{name}" for name in ("tiles.js", "tiles.css")]


def test_every_component_names_files_that_exist():
    asked = set()
    for path in COMPONENTS.glob("*.py"):
        asked |= set(re.findall(r'"([\w.]+\.(?:js|css))"', path.read_text()))
    assert asked >= {"tiles.js", "table.js", "scatter.js", "field.js", "points.js", "stage.js"}
    assert asked <= set(assets.FILES)


def test_no_two_files_of_the_folders_have_one_name():
    assert len(assets.FILES) == sum(
        path.suffix in assets.KINDS for folder in assets.FOLDERS for path in folder.iterdir()
    )
