"""Data sets as tensors, and the choice of what to forget."""

from .dataset import Dataset, Progress, to_pixels
from .entry import DatasetEntry, data_root, plain_name, split_validation
from .forget import ForgetSet, as_large, forget_set, from_file, made_for, needs_losses, retain_indices
from .registry import DATASETS, RECIPES, dataset_entry, find_recipe, load_dataset, with_validation
from .served import load_dataset_apart
from .stream import Images, Streamed, batches, held, joined

__all__ = [
    "DATASETS",
    "RECIPES",
    "Dataset",
    "DatasetEntry",
    "ForgetSet",
    "Images",
    "Progress",
    "Streamed",
    "as_large",
    "batches",
    "data_root",
    "dataset_entry",
    "find_recipe",
    "forget_set",
    "from_file",
    "held",
    "joined",
    "load_dataset",
    "load_dataset_apart",
    "made_for",
    "needs_losses",
    "plain_name",
    "retain_indices",
    "split_validation",
    "to_pixels",
    "with_validation",
]
