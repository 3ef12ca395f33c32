"""The address bar: what is chosen on a page changes the address in place, so that Back leaves the page in one step."""

from __future__ import annotations

from ui.components.assets import component

_address = component("rurk_address", "<span hidden></span>", "address.js")


def one_step_back() -> None:
    """Put this once into the frame."""
    _address(key="address", data={})
