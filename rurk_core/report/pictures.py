"""Pictures as the models see them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np


def as_pictures(images: Any) -> np.ndarray:
    """N×C×H×W, or N×D table rows (one row of pixels each), uint8 or float in [0, 1] → uint8 N×H×W×3."""
    array = np.asarray(images)
    if array.dtype != np.uint8:
        array = (np.clip(array, 0, 1) * 255).round().astype(np.uint8)
    if array.ndim == 2:
        array = array[:, None, None, :]
    array = array.transpose(0, 2, 3, 1)
    if array.shape[3] != 3:
        array = np.repeat(array[..., :1], 3, axis=3)
    return array


def png_uri(picture: np.ndarray) -> str:
    """uint8 H×W×3 → a data URI of it as a PNG, without loss."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
