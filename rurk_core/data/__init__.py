"""Data sets as tensors, and the choice of what to forget."""

from .dataset import Dataset, Progress, to_pixels
from .forget import ForgetSet, forget_set, needs_losses, retain_indices
from .registry import DATASETS, DatasetEntry, data_root, load_dataset

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetEntry",
    "ForgetSet",
    "Progress",
    "data_root",
    "forget_set",
    "load_dataset",
    "needs_losses",
    "retain_indices",
    "to_pixels",
]
