"""axe-core finds nothing of note on any page, light or dark: nothing critical, serious or moderate."""

from __future__ import annotations

from importlib.resources import files

import pytest

from .conftest import go
from .test_walk import named_paths

pytestmark = pytest.mark.e2e

RUN = """async (rules) => {
  const found = await axe.run(document, rules ? { runOnly: rules } : {});
  return found.violations.filter(v => ['moderate', 'serious', 'critical'].includes(v.impact))
    .map(v => v.id + ': ' + v.nodes.slice(0, 4)
      .map(n => n.html.slice(0, 160) + ' ' + (n.any[0]?.message || '')).join(' | '));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_finding_of_note_on_any_page(server, visit, axe, theme):
    page, found = visit(server, theme=theme), {}
    for path in named_paths(page):
        go(page, server + path)
        assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == theme
        page.evaluate(axe)
        # structure is the same in both themes, contrast is not
        if problems := page.evaluate(RUN, None if theme == "light" else ["color-contrast"]):
            found[path] = problems
    assert not found, found


def test_nor_on_a_stage_that_has_nothing_to_show_yet(server, visit, axe):
    page = visit(server)
    page.route("**/stages/**", lambda route: None)  # no answer comes
    go(page, f"{server}/neighbourhood")
    page.wait_for_selector(".rks-panels canvas")
    page.evaluate(axe)
    assert page.evaluate(RUN, None) == []
