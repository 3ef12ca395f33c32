"""Packs of arrays: what goes in comes out, laid out as the scripts of a browser read it."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from packs import unpack

from rurk_core.explore.packing import TYPES, pack

ARRAYS = st.sampled_from(TYPES).flatmap(
    lambda kind: arrays.arrays(f"<{kind}", arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
)


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4), st.dictionaries(st.just("naïve"), st.integers()))
def test_what_goes_in_comes_out(some, header):
    data = pack(header, some)
    read, found = unpack(data)
    assert read == header and list(found) == list(some)
    for name, array in some.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    assert pack(header, some) == data


def test_the_layout_is_the_one_that_is_written_down():
    data = pack({"a": 1}, {"x": np.array([7], np.uint8), "y": np.array([[1.5, -2]], np.float32)})
    length = struct.unpack("<I", data[4:8])[0]
    header = json.loads(data[8 : 8 + length])
    assert data[:4] == b"RKS1" and (8 + length) % 8 == 0
    assert header == {"a": 1, "arrays": [["x", "u1", [1], 0], ["y", "f4", [1, 2], 8]]}
    assert data[8 + length] == 7 and struct.unpack("<2f", data[16 + length : 24 + length]) == (1.5, -2)


def test_other_types_and_numbers_are_refused():
    with pytest.raises(ValueError, match="int64"):
        pack({}, {"x": np.zeros(1, np.int64)})
    with pytest.raises(ValueError):
        pack({"x": float("nan")}, {})
