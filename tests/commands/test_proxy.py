"""The worked example of docs/security.md behind a real nginx: login, page, web socket, and no other site's."""

from __future__ import annotations

import base64
import http.client
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands.test_app import ROOT, UPGRADE, some_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
HOST = "lab.example.org"


def ask(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": HOST} | headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def configuration(folder: Path, outside: int, inside: int) -> Path:
    """nginx with the very block of the page, its ports and its login file apart."""
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    text = block[1].replace("127.0.0.1:8501", f"127.0.0.1:{inside}").replace("/etc/nginx", str(folder))
    (folder / "rurk.htpasswd").write_text("ada:{PLAIN}secret\n")
    places = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    server = f"server {{ listen 127.0.0.1:{outside}; server_name {HOST};\n{text}\n}}"
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # the folder of a test is its owner's alone
    file.write_text(
        f"daemon off; {user} pid {folder}/pid; error_log {folder}/error.log; events {{}} "
        f"http {{ access_log off; {places} {server} }}"
    )
    return file


@pytest.mark.slow
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_the_example_of_the_docs_behind_nginx(tmp_path):
    outside, inside = some_port(), some_port()
    file = configuration(tmp_path, outside, inside)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RURK_STORE": str(tmp_path / "store")}
    command = [
        sys.executable,
        "-m",
        "rurk_core",
        "app",
        "--port",
        str(inside),
        "--host",
        HOST,
        "--base-path",
        "/rurk",
        "--no-token",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    app = subprocess.Popen(command, cwd=tmp_path, env=env, **quiet)
    proxy = subprocess.Popen([NGINX, "-c", str(file), "-p", str(tmp_path)], **quiet)
    try:
        for _ in range(300):
            if ask(outside, "/rurk/_stcore/health", **LOGIN) == 200:
                break
            time.sleep(0.2)
        assert ask(outside, "/rurk/") == 401
        assert ask(outside, "/rurk/", **LOGIN) == 200
        stream = "/rurk/_stcore/stream"
        for scheme in ("http", "https"):
            assert ask(outside, stream, Origin=f"{scheme}://{HOST}", **LOGIN, **UPGRADE) == 101
        assert ask(outside, stream, Origin="http://evil.example.org", **LOGIN, **UPGRADE) == 403
    finally:
        for process in (proxy, app):
            process.terminate()
            process.wait(20)
