"""Conformance over the registry of unlearning methods: whatever is registered passes here."""

from __future__ import annotations

import pytest

from rurk_core.unlearning import FILES, METHODS
from rurk_core.unlearning.conformance import CHECKS, Subject, small_setting


@pytest.fixture(scope="module")
def setting():
    return small_setting()


@pytest.fixture(scope="module", params=list(METHODS))
def subject(request, setting):
    return Subject(METHODS[request.param], setting)


@pytest.mark.parametrize("check", list(CHECKS))
def test_the_method_conforms(subject, check):
    CHECKS[check](subject)


def test_every_file_registers_its_method():
    assert list(METHODS)[: len(FILES)] == list(FILES)
