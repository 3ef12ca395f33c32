"""Reading a pack back, as the scripts of a browser do."""

import json
import struct

import numpy as np

from rurk_core.explore.packing import MAGIC


def unpack(data):
    """(header, arrays by name) of :func:`rurk_core.explore.packing.pack`."""
    assert data[:4] == MAGIC
    start = 8 + struct.unpack("<I", data[4:8])[0]
    header = json.loads(data[8:start])
    arrays = {
        name: np.frombuffer(data, f"<{kind}", int(np.prod(shape)), start + at).reshape(shape)
        for name, kind, shape, at in header.pop("arrays")
    }
    return header, arrays
