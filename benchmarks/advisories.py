"""Known vulnerabilities of what is pinned, from a file of advisories: ``make audit ADVISORIES=all.zip``.

The file is a ZIP with an advisory of the OSV schema (version 1) a JSON file, as its database is handed out for PyPI.
pip-audit asks its questions of a server on this machine alone, which answers from the file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

Advisories = dict[str, list[dict[str, Any]]]


def main(file: str, pip_audit: str, pinned: str) -> int:
    """Run ``pip_audit`` on the requirements file ``pinned``; its exit status: 1 where something is known."""
    known = advisories(Path(file))
    print(f"{sum(map(len, known.values())):,} advisories on {len(known):,} packages, from {file}", flush=True)
    with HTTPServer(("127.0.0.1", 0), _answering(known)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        command = [pip_audit, "-r", pinned, "--no-deps", "--disable-pip", "-s", "osv", "--osv-url", url]
        status = subprocess.run([*command, "--progress-spinner", "off"], check=False).returncode
        server.shutdown()
    return status


def advisories(file: Path) -> Advisories:
    """Package, by its canonical name → advisories on it."""
    found: Advisories = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                one = json.loads(archive.read(name))
                for package in {affected["package"]["name"] for affected in _on_pypi(one)}:
                    found.setdefault(canonical(package), []).append(one)
    return found


def canonical(name: str) -> str:
    """
    >>> canonical("Jinja_2.x")
    'jinja-2-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def touches(advisory: dict[str, Any], package: str, version: Version) -> bool:
    """Whether a version is one that an advisory lists, or lies in one of its ranges."""
    for affected in _on_pypi(advisory):
        if canonical(affected["package"]["name"]) == package:
            if str(version) in affected.get("versions", ()):
                return True
            if any(_within(at["events"], version) for at in affected.get("ranges", ()) if at["type"] == "ECOSYSTEM"):
                return True
    return False


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """Whether the last event that is no later than a version leaves it affected."""
    inside = False
    for kind, text in sorted(((kind, text) for event in events for kind, text in event.items()), key=_place):
        at = _version(text)
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _place(event: tuple[str, str]) -> tuple[Version, bool]:
    return _version(event[1]), event[0] != "introduced"


def _version(text: str) -> Version:
    try:
        return Version(text)  # "0" is before all
    except InvalidVersion:
        return Version("0")


def _on_pypi(advisory: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (one for one in advisory.get("affected", ()) if one.get("package", {}).get("ecosystem") == "PyPI")


def _answering(known: Advisories) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package, version = canonical(asked["package"]["name"]), _version(asked["version"])
            found = [one for one in known.get(package, ()) if touches(one, package, version)]
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
