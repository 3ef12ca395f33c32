"""Weights put into a model after checking that they fit."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from . import Classifier


def load_weights(model: Classifier, weights: dict[str, Tensor], name: str) -> Classifier:
    """Put ``weights`` into ``model`` after checking that they fit; returns it in eval mode.

    Raises:
        UsageError: names or shapes differ, or a value is NaN or infinite; the sentence says which.
    """
    own = model.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or extra:
        what = f"lacks '{missing[0]}'" if missing else f"has '{extra[0]}', which the model lacks"
        raise UsageError(
            f"The checkpoint '{name}' does not fit the model: it {what} "
            f"({len(missing)} names missing, {len(extra)} unknown); is the architecture right?"
        )
    for key, value in own.items():
        if weights[key].shape != value.shape:
            raise UsageError(
                f"The checkpoint '{name}' does not fit the model: '{key}' is {tuple(weights[key].shape)}, "
                f"expected {tuple(value.shape)}; is the width or the number of classes right?"
            )
        if weights[key].is_floating_point() and not torch.isfinite(weights[key]).all():
            raise UsageError(f"The checkpoint '{name}' holds NaN or infinite numbers in '{key}'.")
    # a model without storage takes the weights themselves, another one copies them
    cast = {key: weights[key].to(value.dtype) for key, value in own.items()}
    model.load_state_dict(cast, assign=all(value.is_meta for value in own.values()))
    return model.eval()
