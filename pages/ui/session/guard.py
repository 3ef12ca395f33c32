"""Who is let in: requests for a name that is this server's, from browsers that were given the link with the token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

TOKEN = "RURK_TOKEN"
"""The variable that ``rurk app`` hands the token over in; where it is empty none is asked for."""
METRICS = "/_stcore/metrics"
"""What tells about the server; nobody here needs it."""
HEALTH = "/_stcore/health"
"""What a container asks; it says "ok" and no more."""
YEAR = 365 * 24 * 3600


class Guard:
    """An ASGI application before another: 400 for another host, 403 without the token, 404 for metrics.

    The token comes once, in the link; from then on a cookie stands for it, which the browser gives to this server alone
    and to no script, and the token is gone from the address.

    Args:
        token: "" for none, where something before this server asks who somebody is.
        hosts: names this server is reached by; "*" for any.
    """

    def __init__(self, app: Any, token: str = "", hosts: Sequence[str] = ("*",)) -> None:
        self.app, self.token = app, token
        self.hosts = {host.lower() for host in hosts}
        self.stands = hashlib.sha256(f"cookie {token}".encode()).hexdigest()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        if not self._known(headers.get("host", "")):
            await _refuse(scope, receive, send, 400, "This server is not known by that name; see rurk app --host.")
        elif path.endswith(METRICS):
            await _refuse(scope, receive, send, 404, "There is nothing here.")
        elif not self.token or path.endswith(HEALTH) or self._has_cookie(headers):
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and self._in_link(scope):
            await self._welcome(scope, send)
        else:
            await _refuse(
                scope,
                receive,
                send,
                403,
                "Open the link that 'rurk app' printed when it was started: it ends in ?token=...",
            )

    def _known(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname if host else None
        return "*" in self.hosts or (name or "").lower() in self.hosts

    def _name(self, headers: Mapping[str, str]) -> str:
        """Of the cookie: browsers do not tell ports of one host apart."""
        port = urlsplit(f"//{headers.get('host', '')}").port
        return f"rurk-{port or 'app'}"

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._name(headers))
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self.stands.encode())

    def _in_link(self, scope: Any) -> bool:
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _welcome(self, scope: Any, send: Any) -> None:
        """Give the cookie, and the same page without the token."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = parse_qsl(scope["query_string"].decode("latin-1"))
        query = urlencode([(name, value) for name, value in asked if name != "token"])
        # a path of its own, never a host: "//elsewhere" would be one
        where = "/" + scope["path"].lstrip("/") + (f"?{query}" if query else "")
        cookie = f"{self._name(headers)}={self.stands}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Lax"
        given = {"location": where, "set-cookie": cookie, "cache-control": "no-store"}
        answer = [(name.encode(), text.encode("latin-1", "replace")) for name, text in given.items()]
        await send({"type": "http.response.start", "status": 303, "headers": answer})
        await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Any, receive: Any, send: Any, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it was accepted: answered 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})
