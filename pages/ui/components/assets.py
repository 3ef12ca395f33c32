"""The scripts and styles of components, as files of their own: a browser loads each once and keeps it.

Streamlit sends what it is given of a component with every change of its data. It is given a few lines here that ask for
the files by an address that names their content, so that they are cached for good and never out of date.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rurk_core.report import STAGE

KINDS = {".js": "text/javascript", ".css": "text/css"}
FOLDERS = (Path(__file__).parent, STAGE)
"""The scripts of the stage lie in the core, since a page that needs no server has them too."""
FILES = {
    path.name: path.read_bytes() for folder in FOLDERS for path in sorted(folder.iterdir()) if path.suffix in KINDS
}
VERSION = hashlib.sha256(b"\0".join(FILES.values())).hexdigest()[:16]
"""One for all files: a script finds those it imports beside it."""


def component(name: str, html: str, script: str, *styles: str) -> Any:
    """A component of Streamlit with its script and styles by the names of their files.

    It lies in the page's own tree, so that style rules of the page reach it.
    """
    places = json.dumps([f"components/{VERSION}/{file}" for file in (script, *styles)])
    loader = FILES["load.js"].decode().replace('["ADDRESSES"]', places)
    return st.components.v2.component(name, html=html, js=loader, isolate_styles=False)


def answer(request: Request) -> Response:
    wanted = request.path_params
    found = FILES.get(wanted["file"])
    if found is None or wanted["version"] != VERSION:
        return Response(status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(found, media_type=KINDS[Path(wanted["file"]).suffix], headers=headers)


ROUTES = [Route("/components/{version}/{file}", answer)]
