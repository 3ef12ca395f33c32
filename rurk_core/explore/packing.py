"""Arrays as one run of bytes that a browser reads without copying: how the parts of a stage travel.

A pack is the four letters ``RKS1``, the length of its header as a little-endian 32-bit number, the header, and the
arrays one after the other. The header is JSON in UTF-8, filled up with spaces so that what follows begins at a multiple
of eight bytes, as every array does: whatever the maker wrote, and under ``"arrays"`` a list of
``[name, type, shape, offset]``, with types ``u1``, ``i1``, ``u2``, ``f4`` (little-endian) and offsets from the end of
the header.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"RKS1"
TYPES = ("u1", "i1", "u2", "f4")
_ALIGN = 8


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A header of plain JSON values and named arrays, uint8, int8, uint16 or float32 of any shape → bytes.

    Equal contents give equal bytes.

    Raises:
        ValueError: an array of another type, or a number in the header that JSON has not.
    """
    listed, parts, at = [], [], 0
    for name, array in arrays.items():
        kind = array.dtype.str[1:]
        if kind not in TYPES:
            raise ValueError(f"{name} is {array.dtype}; a pack takes {', '.join(TYPES)}")
        data = np.ascontiguousarray(array, dtype=f"<{kind}").tobytes()
        listed.append([name, kind, list(array.shape), at])
        parts.append(data + bytes(-len(data) % _ALIGN))
        at += len(parts[-1])
    written = json.dumps({**header, "arrays": listed}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = written.encode()
    text += b" " * (-(len(text) + len(MAGIC) + 4) % _ALIGN)
    return MAGIC + struct.pack("<I", len(text)) + text + b"".join(parts)
