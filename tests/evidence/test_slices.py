"""Named slices: the last samples of a name count, an empty one is gone."""

from __future__ import annotations

import pytest

from rurk_core.errors import UsageError
from rurk_core.evidence.slices import keep_slice, slices
from rurk_core.store.store import Store

RUN = "run-0123456789abcdef"


def test_slices_keep_their_last_samples_and_their_order(tmp_path):
    store = Store(tmp_path / "store")
    assert slices(store, RUN) == {}
    keep_slice(store, RUN, "striped", [9, 3, 3])
    keep_slice(store, RUN, "dark <b>", [1])
    keep_slice(store, RUN, "striped", [4])
    assert slices(store, RUN) == {"striped": [4], "dark <b>": [1]}
    keep_slice(store, RUN, "striped", [])
    assert list(slices(store, RUN)) == ["dark <b>"]
    with pytest.raises(UsageError, match="needs a name"):
        keep_slice(store, RUN, "  ", [1])
