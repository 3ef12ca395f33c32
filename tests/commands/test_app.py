"""``rurk app``: served from any folder, by the name of a proxy too; what cannot be is one sentence."""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rurk_core.cli import main
from rurk_core.commands.app import find_script, flags, free_port
from rurk_core.errors import UsageError

ROOT = Path(__file__).parents[2]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def answer(port: int, path: str, **headers: str) -> int:
    """The status of one request; 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def some_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.slow
def test_it_is_reached_by_the_name_and_the_path_of_a_proxy(tmp_path):
    port = some_port()
    command = [sys.executable, "-m", "rurk_core", "app", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RURK_STORE": str(tmp_path / "store")}
    process = subprocess.Popen(
        [*command, "--host", "lab.example.org", "--base-path", "/rurk/", "--no-token"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            if answer(port, "/rurk/_stcore/health") == 200:
                break
            assert process.poll() is None, "it ended at once"
            time.sleep(0.1)
        stream = "/rurk/_stcore/stream"
        for host, status in (("lab.example.org", 101), ("localhost", 101), ("other.example.org", 403)):
            for origin in (f"http://{host}", f"https://{host}:8443"):  # proxies may leave the port out of the host
                assert answer(port, stream, Host=host, Origin=origin, **UPGRADE) == status, origin
        assert answer(port, stream, Host="lab.example.org", Origin="http://evil.example.org", **UPGRADE) == 403
        for path in ("/rurk/", "/rurk/pictures/0/train/0", "/rurk/_stcore/health"):
            assert answer(port, path, Host="other.example.org") == 400, "the name is looked at everywhere"
        assert answer(port, "/rurk/_stcore/metrics", Host="lab.example.org") == 404
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.slow
def test_the_link_with_the_token_lets_in(tmp_path):
    """The whole way with a real server: printed, followed once, a cookie from then on; nothing without it."""
    port = some_port()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RURK_STORE": str(tmp_path / "store"), "RURK_TOKEN": ""}
    command = [sys.executable, "-m", "rurk_core", "app", "--port", str(port), "--headless"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        link = next(line for line in process.stdout if "?token=" in line).split()[-1]
        where = urlsplit(link)
        assert where.port == port and len(where.query) > 30
        assert answer(port, "/") == answer(port, "/_stcore/stream", **UPGRADE) == answer(port, "/compare") == 403
        assert answer(port, "/?token=guess") == 403 and answer(port, "/_stcore/health") == 200
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", f"/compare?run=x&{where.query}")
        found = connection.getresponse()
        assert found.status == 303 and found.getheader("location") == "/compare?run=x"
        given = found.getheader("set-cookie")
        assert "HttpOnly" in given and "SameSite=Lax" in given and where.query.partition("=")[2] not in given
        cookie = given.partition(";")[0]
        assert answer(port, "/", Cookie=cookie) == 200
        origin = f"http://127.0.0.1:{port}"
        assert answer(port, "/_stcore/stream", Cookie=cookie, Origin=origin, **UPGRADE) == 101
        assert answer(port, "/", Cookie=cookie[:-1] + "x") == 403
    finally:
        process.terminate()
        process.wait(10)


def test_a_port_in_use_is_one_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.err == f"Port {port} is in use; name another: rurk app --port {port + 1}.\n" and not said.out
    free_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "0"], "from 1 to 65535"),
        (["--port", "eighty"], "eighty"),
        (["--address", "192.0.2.1"], "cannot listen at 192.0.2.1"),  # an address that no machine has (RFC 5737)
        (["--host", "http://lab.example.org"], "without scheme and path"),
        (["--host", "0.0.0.0"], "--address 0.0.0.0"),
        (["--json"], "no JSON"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments, says, capsys):
    assert main(["app", "--port", str(some_port()), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_without_flags_the_configuration_stands():
    plain = argparse.Namespace(port=8501, address="", host=[], base_path="")
    assert flags(plain)[0] == "--server.port=8501" and "--server.headless=true" in flags(plain)
    plain.host = ["a.example.org", "b.example.org"]
    hosts = [flag.partition("=")[2] for flag in flags(plain) if "allowedHosts" in flag]
    assert hosts == ["localhost", "127.0.0.1", "a.example.org", "b.example.org"]
    plain.host = [" "]
    with pytest.raises(UsageError):
        flags(plain)


def test_the_script_is_the_one_of_this_checkout():
    assert find_script() == ROOT / "app.py"
