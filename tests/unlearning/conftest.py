"""Unlearning is checked in float32, whatever arithmetic is fast on this machine: closed forms need the digits."""

from __future__ import annotations

import pytest

from rurk_core import device


@pytest.fixture(autouse=True, scope="module")
def float32():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "fast_bfloat16", lambda device: False)
        yield
