"""Advisories from a file: which versions they touch, worked by hand, and the server that pip-audit asks."""

from __future__ import annotations

import json
import threading
import urllib.request
import zipfile
from http.server import HTTPServer

import pytest
from packaging.version import Version

from benchmarks.advisories import _answering, advisories, touches


def advisory(name: str, *events: dict, versions: tuple = ()) -> dict:
    package = {"ecosystem": "PyPI", "name": name}
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return {"id": f"X-{name}", "affected": [{"package": package, "ranges": ranges, "versions": list(versions)}]}


TWICE = [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.3.1"}]


@pytest.mark.parametrize(
    ("events", "versions", "version", "touched"),
    [
        (TWICE, (), "1.1.9", True),
        (TWICE, (), "1.2", False),
        (TWICE, (), "2.0", True),
        (TWICE[::-1], (), "2.3", True),
        (TWICE, (), "2.3.1", False),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], (), "1.5", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], (), "1.5.1", False),
        ([{"introduced": "1.0"}], (), "0.9", False),
        ([], ("3.1",), "3.1", True),
        ([], ("3.1",), "3.2", False),
    ],
)
def test_versions_that_an_advisory_touches(events, versions, version, touched):
    assert touches(advisory("pillow", *events, versions=versions), "pillow", Version(version)) is touched


def test_other_packages_and_other_systems_are_not_touched():
    one = advisory("pillow", {"introduced": "0"})
    assert not touches(one, "numpy", Version("1"))
    one["affected"][0]["package"]["ecosystem"] = "npm"
    assert not touches(one, "pillow", Version("1"))


def test_a_file_is_read_and_asked(tmp_path):
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("X-1.json", json.dumps(advisory("Jinja_2", {"introduced": "0"}, {"fixed": "3.1"})))
        archive.writestr("README", "no advisory")
    known = advisories(file)
    assert list(known) == ["jinja-2"]
    with HTTPServer(("127.0.0.1", 0), _answering(known)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def ask(name: str, version: str) -> dict:
            question = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
            url = f"http://127.0.0.1:{server.server_port}/"
            with urllib.request.urlopen(url, data=json.dumps(question).encode(), timeout=5) as answer:
                return json.load(answer)

        assert [one["id"] for one in ask("jinja-2", "3.0")["vulns"]] == ["X-Jinja_2"]
        assert ask("jinja-2", "3.1") == {} and ask("numpy", "1") == {}
        server.shutdown()
