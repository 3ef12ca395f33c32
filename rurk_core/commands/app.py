"""``rurk app``: the app, from a checkout or from an installed package."""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import os
import runpy
import socket
import sys
import threading
import time
import urllib.request
import webbrowser
from pathlib import Path
from secrets import token_urlsafe

from ..errors import RurkError, UsageError, need
from . import Command

PORT = 8501
"""Streamlit's own."""
LOCAL = ("localhost", "127.0.0.1")
"""The hosts that `.streamlit/config.toml` lets in."""


def register(command: Command) -> None:
    app = command("app", _app, "Open the app in the browser.")
    app.add_argument("--port", type=int, default=PORT, help=f"where it listens (default: {PORT})")
    app.add_argument("--address", default="", help="network address it listens on (default: this machine only)")
    app.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name it is reached by, such as that of a proxy before it; may be repeated",
    )
    app.add_argument("--base-path", default="", metavar="PATH", help="path it is reached by behind a proxy: /rurk")
    app.add_argument("--headless", action="store_true", help="open no browser")
    app.add_argument(
        "--no-token",
        action="store_true",
        help="let in whoever reaches it: for a proxy before it that asks who somebody is",
    )


def _app(options: argparse.Namespace) -> int:
    if options.json:
        raise UsageError("'rurk app' prints no JSON.")
    for package in ("streamlit", "plotly"):
        need(package, "The app")
    script = find_script()
    free_port(options.address or LOCAL[1], options.port)
    told, link = flags(options), link_of(options)
    os.environ["RURK_TOKEN"] = token = "" if options.no_token else os.environ.get("RURK_TOKEN") or token_urlsafe(24)
    link += f"?token={token}" if token else ""
    # nobody sits at a server; Streamlit itself would open a link without the token
    seen = not options.headless and not options.host
    threading.Thread(target=_announce, args=(options, link, seen), daemon=True).start()
    # runs as `python -m streamlit run` does: the core itself never imports Streamlit
    sys.argv = ["streamlit", "run", str(script), *told]
    runpy.run_module("streamlit", run_name="__main__")
    return 0


def link_of(options: argparse.Namespace) -> str:
    """Where the app is found by a browser of this machine."""
    base = options.base_path.strip("/")
    return f"http://{LOCAL[0]}:{options.port}/{f'{base}/' if base else ''}"


def _announce(options: argparse.Namespace, link: str, seen: bool) -> None:
    """Say the link, once somebody listens there, and open it."""
    address = options.address if options.address not in ("", "0.0.0.0", "::") else LOCAL[1]
    health = link.partition("?")[0].replace(LOCAL[0], f"[{address}]" if ":" in address else address, 1)
    asked = urllib.request.Request(f"{health}_stcore/health", headers={"Host": f"{LOCAL[0]}:{options.port}"})
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=5).close()
            break
        time.sleep(0.1)
    print(f"\nRURK Explorer: {link}", flush=True)
    if "?token=" in link:
        print(
            "Whoever has this link is let in; the token is new at every start, unless RURK_TOKEN names one.", flush=True
        )
    if seen:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(link)


def find_script() -> Path:
    """``app.py``: beside this package in a checkout, in the folder ``rurk_app`` beside it where it was installed.

    Raises:
        RurkError: only the core is here.
    """
    beside = Path(__file__).parents[2]
    for script in (beside / "rurk_app" / "app.py", beside / "app.py"):
        if (script.parent / "pages" / "frame.py").is_file():
            return script
    raise RurkError("The app is not here, only the core: install the package rurk-explorer, or take a whole checkout.")


def free_port(address: str, port: int) -> None:
    """Whether the app can listen there.

    Raises:
        UsageError: it cannot; says why.
    """
    if not 0 < port < 65536:
        raise UsageError(f"'--port' must be a number from 1 to 65535, not {port}.")
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            if sys.platform != "win32":  # there it would take a port that is in use
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"Port {port} is in use; name another: rurk app --port {port + 1}.") from None
        raise UsageError(f"The app cannot listen at {address}, port {port}: {error.strerror or error}.") from None


def flags(options: argparse.Namespace) -> list[str]:
    """What Streamlit is told beside the app's own configuration.

    Raises:
        UsageError: a host that no browser can ask for.
    """
    told = [f"--server.port={options.port}"]
    if options.address:
        told.append(f"--server.address={options.address}")
    for host in options.host:
        if "/" in host or not host.strip():
            raise UsageError(f"'--host' is a name without scheme and path, such as lab.example.org, not '{host}'.")
        if _is_everywhere(host):
            raise UsageError(f"{host} is no name a browser asks for; to listen on all addresses: --address {host}.")
    if options.host:
        told += [f"--server.allowedHosts={host}" for host in (*LOCAL, *options.host)]
        # a proxy at another port may hand on the name without it
        told += [f"--server.corsAllowedOrigins=http://{host}" for host in options.host]
    if options.base_path:
        told.append(f"--server.baseUrlPath={options.base_path.strip('/')}")
    return [*told, "--server.headless=true", "--logger.hideWelcomeMessage=true"]


def _is_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
