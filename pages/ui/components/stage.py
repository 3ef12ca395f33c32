"""The stage of a sample, see :mod:`rurk_core.explore.stage`: everything on it moves in the browser."""

from __future__ import annotations

from typing import Any

from ui.components.assets import component

_stage = component("rurk_stage", "<div class='rks'></div>", "stage.js", "stage_copies.css", "stage.css")


def stage(key: str, data: dict[str, Any]) -> None:
    """Show a stage.

    Once nothing has moved for a moment, the page runs again and ``st.session_state[key]["rest"]`` says where it is:
    ``{"turn", "sample", "tau", "chosen", "copy", "cut"}``; another turn is another rest.

    Args:
        data: of :func:`rurk_core.report.stages.described`, with ``start``, where to begin, ``place`` and ``pictures``,
            the addresses that parts and pictures are below, and ``live``, true.
    """
    _stage(key=key, data=data, on_rest_change=lambda: None)
