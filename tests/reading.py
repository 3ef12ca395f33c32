"""Reading a report: its schema, and that its page holds nothing active."""

import json
from html.parser import HTMLParser
from pathlib import Path

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "report.schema.json").read_text())
SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags with their attributes, and all text."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(html):
    """The page, after checking that it is well formed, holds no script and fetches nothing."""
    page = Page(html)
    assert page.open == [] and not {"script", "link", "iframe", "object", "form", "a"} & {tag for tag, _ in page.tags}
    policy = next(found["content"] for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert all(attributes.get(name, "data:").startswith("data:image/png;base64,"[:5]) for name in ("src", "href"))
    assert "http://" not in html and "https://" not in html and "url(" not in html
    return page
