"""What a browser gets first: Streamlit's own page with ``entry.js`` before its scripts.

Where there is no page of that name it is the overview with a sentence: Streamlit would put a dialog in the way.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from urllib.parse import quote

import streamlit as st
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ui.components.assets import FILES
from ui.session import state

NOWHERE = "nowhere"
"""In the address of the overview: what was asked for in vain."""


class NoFile(StringConvertor):
    """A name in an address that has no ending: files have one."""

    regex = "[^/.]+"


register_url_convertor("nofile", NoFile())


def routes(names: Collection[str]) -> list[Route]:
    """Routes for the pages of these names, and for all that look like one."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    page = page.replace("<head>", f"<head><script>{FILES['entry.js'].decode()}</script>", 1)

    def answer(request: Request) -> Response:
        name = request.path_params.get("name", "")
        if not name or name in names:
            return HTMLResponse(page, headers={"Cache-Control": "no-cache"})
        more = f"&{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"./?{NOWHERE}={quote(name)}{more}", 302, {"Cache-Control": "no-store"})

    return [Route("/", answer), Route("/{name:nofile}", answer)]


def say_nowhere() -> None:
    """That there is no such page, where one was asked for in vain."""
    asked = st.query_params.pop(NOWHERE, "")
    if asked and asked.lower() != "overview":
        state.note(f"There is no page “{asked[:40]}”; this is the overview.")
