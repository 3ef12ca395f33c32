"""What tests of pages ask of a page."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def fine(test: AppTest) -> AppTest:
    """No traceback, and no sentence of an error."""
    assert not test.exception, test.exception[0].stack_trace
    assert not test.error, [error.value for error in test.error]
    return test


def words(test: AppTest) -> str:
    return " ".join(element.body for element in test.get("html")) + " ".join(m.value for m in test.markdown)
