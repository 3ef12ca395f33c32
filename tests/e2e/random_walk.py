"""A visitor who does anything, in any order and fast: what was typed, decided and chosen must still be there."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rurk_core.evidence.reviews import history, latest, notes
from rurk_core.store.store import Store

from .conftest import settled

PAGES = ("Overview", "Neighbourhood", "Forget", "Unlearn", "Compare", "Evidence", "Review", "Embedding", "Teach")
BROKEN = "Something unexpected happened"


@dataclass
class Walk:
    """One walk over the pages of a server.

    Attributes:
        page: in a browser; store, run: what the server shows; chance: where the steps come from.
        written: (method, sample) → the note that was typed last; decided: the decision made last, "" for none.
        errors: what the browser's scripts threw; done: the steps, in words.
    """

    page: Any
    url: str
    store: Store
    run: str
    chance: random.Random
    written: dict[tuple[str, int], str] = field(default_factory=dict)
    decided: dict[tuple[str, int], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def go(self, seconds: float) -> None:
        """Walk; raises AssertionError at the first thing that is lost or broken."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        end = time.monotonic() + seconds
        steps = [self.visit, self.review, self.review, self.review, self.back, self.reload, self.press, self.choose]
        while time.monotonic() < end:
            step = self.chance.choice(steps)
            self.done.append(step.__name__)
            step()
            text = self.page.locator("body").inner_text()
            assert BROKEN not in text and not self.errors, (self.errors, self.done[-6:])
        self.page.wait_for_timeout(1500)
        settled(self.page)
        self.nothing_lost()

    def nothing_lost(self) -> None:
        kept = {key: note.note for key, note in notes(self.store, self.run).items()}
        assert {key: text for key, text in self.written.items() if kept.get(key) != text} == {}
        said = {key: one.verdict for key, one in latest(history(self.store, self.run)).items()}
        assert {key: verdict for key, verdict in self.decided.items() if said.get(key, "") != verdict} == {}

    def visit(self) -> None:
        """Another page by the navigation, sometimes without waiting for this one."""
        if self.chance.random() < 0.7:
            settled(self.page)
        self.page.get_by_role("link", name=self.chance.choice(PAGES), exact=True).first.click()
        if self.chance.random() < 0.7:
            settled(self.page)

    def here(self) -> tuple[str, int]:
        """(method, sample) of the desk."""
        method = parse_qs(urlsplit(self.page.url).query)["method"][0]
        return method, int(self.page.locator(".rk-who").inner_text().split()[1].strip(","))

    def review(self) -> None:
        """Step, decide and write at the desk, with no pause between."""
        settled(self.page)
        if urlsplit(self.page.url).path != "/review":
            self.page.get_by_role("link", name="Review", exact=True).first.click()
            self.page.locator(".rk-who").wait_for(timeout=30_000)
            settled(self.page)
        for _ in range(self.chance.randint(1, 6)):
            act = self.chance.choice(["step", "step", "decide", "write"])
            at = self.here()
            if act == "step":
                self.page.keyboard.press(self.chance.choice(["ArrowRight", "ArrowLeft"]))
            elif act == "decide":
                number = self.chance.randint(1, 4)
                self.page.keyboard.press(str(number))
                self.decided[at] = ("clear", "residual", "over_forgotten", "cannot_tell")[number - 1]
            else:
                text = f"note {self.chance.randint(0, 10**6)}"
                self.page.keyboard.press("n")
                self.page.locator(".rk-write textarea").fill(text)
                self.written[at] = text
                self.page.keyboard.press("Escape")

    def back(self) -> None:
        """One press of Back leads to another page, or out of the app, where the walk goes on."""
        settled(self.page)
        path = urlsplit(self.page.url).path
        self.page.go_back()
        if not self.page.url.startswith(self.url):
            self.page.goto(self.url)
        settled(self.page)
        self.done[-1] += f" {path}"

    def reload(self) -> None:
        """What is chosen is in the address: it is the same after a reload."""
        settled(self.page)
        self.page.wait_for_timeout(400)
        before = self.page.url
        self.page.reload()
        self.page.locator("[data-testid=stApp]").wait_for(timeout=60_000)
        settled(self.page)
        chosen = ("run", "method", "sample")
        old, new = (parse_qs(urlsplit(url).query) for url in (before, self.page.url))
        assert {name: old.get(name) for name in chosen} == {name: new.get(name, old.get(name)) for name in chosen}

    def press(self) -> None:
        """Keys that pages know, at 60 milliseconds from each other."""
        self.page.evaluate("document.activeElement.blur()")
        for _ in range(8):
            self.page.keyboard.press(self.chance.choice(["ArrowRight", "ArrowLeft"]))
            self.page.wait_for_timeout(60)

    def choose(self) -> None:
        """Another model in question, where the page asks for one."""
        settled(self.page)
        box = self.page.locator(".st-key-view_method [role=combobox]")
        if not box.count() or not box.first.is_visible():
            return
        box.first.click()
        options = self.page.locator("[role=option]")
        options.first.wait_for(timeout=10_000)
        options.nth(self.chance.randrange(options.count())).click()
        settled(self.page)
