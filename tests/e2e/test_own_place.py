"""The server tells the browser to load nothing from elsewhere (that pages do not try is seen by every other test)."""

from __future__ import annotations

import urllib.request

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("path", ["", "compare", "_stcore/health"])
def test_every_answer_carries_the_policy(server, path):
    policy = urllib.request.urlopen(f"{server}/{path}", timeout=10).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "object-src 'none'" in policy and "http" not in policy
