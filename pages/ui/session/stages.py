"""Stages over HTTP: a browser asks for their parts itself, without running a page.

Only what a page has shown since the server started can be had, and only by the name that the page was given.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rurk_core.errors import RurkError
from rurk_core.explore import hand, stage
from rurk_core.explore.scene import Scene, open_scene
from ui.session import state
from ui.session.evidence import findings_of

MOST = 16
LARGEST = 200_000
"""Bytes of a change by hand: the paint on a picture of 96 × 96, and more."""
_shown: OrderedDict[str, Scene] = OrderedDict()
_own: WeakValueDictionary[str, Scene] = WeakValueDictionary()
GONE = "The server was started again since; reload the page."


@st.cache_resource(max_entries=MOST, show_spinner=False)
def _opened(url: str, run: str, method: str, attack: str, fingerprint: str, _data: object) -> Scene:
    result = state.result_of(run)
    keys = {row["name"]: row["key"] for row in result["models"] if row.get("key")}
    measured = any((entry["method"], entry["attack"]) == (method, attack) for entry in result["residual"])
    return open_scene(
        state.store(),
        result,
        _data,  # type: ignore[arg-type]
        method=method,
        attack=attack,
        found=findings_of(run, method, attack) if measured else None,
        model=lambda name: state.frozen_model(url, keys[name]),
    )


def scene_of(run: str, method: str, attack: str, data: object) -> tuple[str, Scene]:
    """A scene, and the name that its parts have from now on: ``stages/<name>/…``, relative to the page."""
    url, fingerprint = state.store().url, getattr(data, "fingerprint", "")
    scene = _opened(url, run, method, attack, fingerprint, data)
    name = hashlib.sha256("\0".join((url, run, method, attack, fingerprint)).encode()).hexdigest()[:20]
    _shown[name] = scene
    _shown.move_to_end(name)
    while len(_shown) > MOST:
        _shown.popitem(last=False)
    return name, scene


def show_own(name: str, scene: Scene) -> None:
    """Give the parts of a scene of somebody's own pictures this name, as long as somebody holds the scene."""
    _own[name] = scene


def part(scene: Scene, sample: int, words: list[str]) -> bytes:
    """The part of a stage that an address names, see ``stage_parts.js``.

    Raises:
        RurkError: there is none such.
        ValueError: the address is none.
    """
    names = scene.names
    match words:
        case ["base"]:
            return stage.base(scene, sample)
        case ["field", cut, model, level, zoom]:
            return stage.field(scene, sample, cut, names[int(model)], int(level), int(zoom))
        case ["copies", cut, radii, models]:
            judges = [] if models == "none" else [names[int(model)] for model in models.split("-")]
            return stage.copies(scene, sample, cut, [int(at) for at in radii.split("-")], judges)
    raise ValueError(words)


def answer(request: Request) -> Response:
    wanted = request.path_params
    scene = _shown.get(wanted["name"]) or _own.get(wanted["name"])
    if scene is None:
        return Response(GONE, status_code=404)
    try:
        found = part(scene, wanted["sample"], wanted["part"].split("/"))
    except (ValueError, IndexError):
        return Response("There is no such part of a stage.", status_code=404)
    except RurkError as error:
        return Response(str(error), status_code=422)
    headers = {
        "Cache-Control": "no-store" if scene.own else "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(found, media_type="application/octet-stream", headers=headers)


def judged(scene: Scene, sample: int, cut: str, said: bytes) -> bytes:
    """What models say of a sample changed by hand, or by the strongest change that is found where that is asked for.

    Raises:
        RurkError: no such change, plane or sample.
        ValueError: it is no JSON.
    """
    asked = json.loads(said)
    height, width = stage.shown_picture(scene.pixels(sample)).shape[:2]
    found = isinstance(asked, dict) and asked.get("find") is True
    made = hand.strongest(scene, sample) if found else hand.read_hand(asked, height, width)
    return hand.judged(scene, sample, cut, made)


async def by_hand(request: Request) -> Response:
    said = bytearray()
    async for piece in request.stream():
        said += piece
        if len(said) > LARGEST:
            return Response("That is more than a picture.", status_code=413)
    return await run_in_threadpool(_answer_hand, request.path_params, bytes(said))


def _answer_hand(wanted: Mapping[str, Any], said: bytes) -> Response:
    scene = _shown.get(wanted["name"]) or _own.get(wanted["name"])
    if scene is None:
        return Response(GONE, status_code=404)
    try:
        found = judged(scene, wanted["sample"], wanted["cut"], said)
    except (ValueError, RecursionError):
        return Response("A change by hand is written as JSON.", status_code=422)
    except RurkError as error:
        return Response(str(error), status_code=422)
    return Response(found, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})


ROUTES = [
    Route("/stages/{name}/{sample:int}/hand/{cut}", by_hand, methods=["POST"]),
    Route("/stages/{name}/{sample:int}/{part:path}", answer),
]
