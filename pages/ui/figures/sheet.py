"""Many pictures in one, drawn without smoothing: samples as the models see them."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from rurk_core.report.pictures import as_pictures

MAX_SIDE = 96
"""Larger pictures are shown reduced to this."""
LOSSLESS_BYTES = 180_000
"""Above this a gallery sheet is sent as WebP of high quality; pictures to be judged are always lossless."""


@dataclass(frozen=True)
class Sheet:
    """Many pictures in one, row by row.

    Attributes:
        name: a CSS class that belongs to these very pixels; rule: the style rule that gives it the picture.
        columns: pictures in a row; rows: of pictures; height, width: of one picture, in its own pixels.
    """

    name: str
    rule: str
    columns: int
    rows: int
    height: int
    width: int


def make_sheet(images: Any, *, lossless: bool = True) -> Sheet:
    """All images in one picture."""
    from PIL import Image

    tiles = as_pictures(images)
    n, height, width, _ = tiles.shape
    if max(height, width) > MAX_SIDE:
        factor = MAX_SIDE / max(height, width)
        height, width = max(1, round(height * factor)), max(1, round(width * factor))
        tiles = np.stack([np.asarray(Image.fromarray(t).resize((width, height), Image.Resampling.BOX)) for t in tiles])
    columns = min(n, 25)
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * columns, height, width, 3), np.uint8)
    sheet[:n] = tiles
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    picture, out, kind = Image.fromarray(sheet), io.BytesIO(), "png"
    picture.save(out, "PNG", compress_level=3)
    if not lossless and out.tell() > LOSSLESS_BYTES:
        out, kind = io.BytesIO(), "webp"
        picture.save(out, "WEBP", quality=90, method=2)
    data = out.getvalue()
    name = f"rk-sheet-{hashlib.sha256(data).hexdigest()[:16]}"
    rule = f".{name}{{background-image:url(data:image/{kind};base64,{base64.b64encode(data).decode()})}}"
    return Sheet(name, rule, columns, rows, height, width)


@st.cache_resource(max_entries=64, show_spinner=False)
def sheet_of(fingerprint: str, indices: tuple[int, ...], _dataset: Any) -> Sheet:
    """Thumbnails of training samples; photographs in a large gallery travel as WebP."""
    return make_sheet(_dataset.train_images[list(indices)], lossless=False)
