"""The server: warms the heavy libraries up once, then serves the script ``pages/frame.py``.

Start it with ``streamlit run app.py``. The script lives in ``pages/``, not beside it: a ``pages`` folder next to the
script would switch on Streamlit's legacy navigation, which breaks the first deep link after a start.
"""

import gc
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route

import rurk_core  # noqa: F401 – before torch: it says how threads wait for each other


@asynccontextmanager
async def warm(_: object) -> AsyncIterator[None]:
    """Import what every page needs before the first visitor waits for it, and keep it out of garbage collection."""
    import plotly.graph_objects  # noqa: F401
    import torch

    import rurk_core.run.experiment  # noqa: F401

    # the page answers short questions; long ones run in processes of their own
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    gc.collect()
    gc.freeze()
    yield


OWN_PLACE_ONLY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",  # what Streamlit and Plotly need
        "style-src 'self' 'unsafe-inline'",
        "connect-src 'self' ws: wss: data: blob:",
        "object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    )
)


class ContentSecurity:
    """Tells the browser to load nothing from any other server: no font, no icon, no script."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", OWN_PLACE_ONLY.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self.app(scope, receive, guarded)


PAGES = Path(__file__).parent / "pages"
sys.path.insert(0, str(PAGES))  # as Streamlit does for the script: what both import is then the same

from ui.components import assets, entry  # noqa: E402
from ui.session import guard, served, stages  # noqa: E402

names = {path.stem for path in PAGES.glob("*.py")} - {"frame", "overview"}
base = f"/{st.get_option('server.baseUrlPath')}".rstrip("/")  # Streamlit puts its own below it, but not these
routes = [
    Route(f"{base}{route.path}", route.endpoint, methods=route.methods)
    for route in (*served.ROUTES, *stages.ROUTES, *assets.ROUTES, *entry.routes(names))
]
let_in = Middleware(
    guard.Guard, token=os.environ.get(guard.TOKEN, ""), hosts=st.get_option("server.allowedHosts") or ["*"]
)
app = st.App(PAGES / "frame.py", lifespan=warm, routes=routes, middleware=[Middleware(ContentSecurity), let_in])
