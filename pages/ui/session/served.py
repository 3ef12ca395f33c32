"""Single pictures over HTTP, for what asks for them without running a page: pointing at one of 50,000 points.

Only data sets that a page has shown since the server started can be had, and only by their fingerprint.
"""

from __future__ import annotations

import io
from weakref import WeakValueDictionary

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rurk_core.data import Dataset
from rurk_core.explore.own import OWN
from rurk_core.report.pictures import as_pictures

SIDE = 128
"""Larger pictures are sent reduced to this."""
_shown: WeakValueDictionary[str, Dataset] = WeakValueDictionary()


def images_at(dataset: Dataset) -> str:
    """Where a data set's pictures are from now on: ``<this>/train/17``, relative to the page."""
    _shown[dataset.fingerprint] = dataset
    return f"pictures/{dataset.fingerprint}"


def picture(dataset: Dataset, split: str, index: int) -> bytes | None:
    """A sample as a PNG; None where there is none."""
    from PIL import Image

    images = {"train": dataset.train_images, "test": dataset.test_images}.get(split)
    if images is None or not 0 <= index < len(images):
        return None
    drawn = Image.fromarray(np.ascontiguousarray(as_pictures(images[index : index + 1])[0]))
    drawn.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()


def answer(request: Request) -> Response:
    wanted = request.path_params
    dataset = _shown.get(wanted["fingerprint"])
    found = picture(dataset, wanted["split"], wanted["index"]) if dataset else None
    if found is None:
        return Response(status_code=404)
    # the fingerprint names the pixels: what it names never changes
    kept = "no-store" if dataset and dataset.name == OWN else "private, max-age=31536000, immutable"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(found, media_type="image/png", headers=headers)


ROUTES = [Route("/pictures/{fingerprint}/{split}/{index:int}", answer)]
