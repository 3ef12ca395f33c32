"""Who is let in: by name, by the token of the link, by the cookie that stands for it afterwards."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ui.session.guard import Guard


def ask(
    guard: Guard, path: str = "/", query: str = "", kind: str = "http", **headers: str
) -> tuple[int, dict[str, str]]:
    """Status (of a web socket 101 or 403) and headers of the answer."""
    said: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    given = [(name.encode(), text.encode()) for name, text in ({"host": "localhost:8501"} | headers).items()]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": given}
    with ThreadPoolExecutor(1) as beside:  # a browser of other tests may have a loop running in this thread
        beside.submit(asyncio.run, guard(scope, receive, send)).result()
    first = said[0]
    if kind == "websocket":
        return (101 if first["type"] == "websocket.accept" else 403), {}
    return first["status"], {name.decode(): text.decode() for name, text in first.get("headers", ())}


async def inside(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.fixture
def guard() -> Guard:
    return Guard(inside, "secret-token", ["localhost", "lab.example.org"])


def test_without_the_token_nobody_is_let_in(guard):
    assert ask(guard)[0] == ask(guard, "/compare", "token=secret-toke")[0] == ask(guard, kind="websocket")[0] == 403
    assert ask(guard, query="token=secret-token", kind="websocket")[0] == 403, "a link is followed, not a socket"
    assert ask(guard, "/_stcore/health")[0] == 200


def test_the_link_gives_a_cookie_and_takes_the_token_away(guard):
    status, headers = ask(guard, "/compare", "run=a%20b&token=secret-token&tau=0.1")
    assert (status, headers["location"]) == (303, "/compare?run=a+b&tau=0.1")
    cookie = headers["set-cookie"]
    assert (
        cookie.startswith("rurk-8501=") and "secret" not in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    )
    held = cookie.partition(";")[0]
    assert ask(guard, cookie=f"other=1; {held}")[0] == 200 and ask(guard, kind="websocket", cookie=held)[0] == 101
    for wrong in (held[:-1], "rurk-8501=", "rurk-8501=\x00", held.replace("8501", "8502")):
        assert ask(guard, cookie=wrong)[0] == 403


def test_the_link_leads_nowhere_else(guard):
    _, headers = ask(guard, "//evil.example.org/x", "token=secret-token")
    assert headers["location"] == "/evil.example.org/x"


@pytest.mark.parametrize(
    "host", ["evil.example.org", "localhost.evil.example.org", "", "[::1]", "localhost@evil.example.org:80"]
)
def test_names_that_are_not_its_own(host, guard):
    assert ask(guard, host=host)[0] == 400 and ask(guard, "/_stcore/health", host=host)[0] == 400
    assert ask(guard, kind="websocket", host=host)[0] == 403


def test_metrics_are_closed_and_no_token_is_asked_for_where_there_is_none():
    open_to_all = Guard(inside)
    assert ask(open_to_all)[0] == 200 and ask(open_to_all, host="any.example.org")[0] == 200
    assert ask(open_to_all, "/rurk/_stcore/metrics")[0] == 404
