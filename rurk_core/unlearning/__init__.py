"""Unlearning methods, one file each: ``METHODS["rurk"].run(original, retain, forget, config, generator=g)``."""

from importlib import import_module

from .base import METHODS, Method, MethodFailed, Samples, find_method, method_config, register, unlearn
from .own import load_own_methods

FILES = (
    *("rurk", "cr", "fisher", "ntk", "gd", "ngd", "ga", "neggrad_plus", "eu_k", "cf_k", "scrub", "ssd"),
    *("random_label", "salun", "bad_teacher", "unsir", "l1_sparse", "msg", "ct", "amun", "mu_mis", "retrain"),
)
"""RURK, the paper's baselines, what others offer besides, and Re-train: the order of lists and tables."""

for _file in FILES:
    import_module(f".methods.{_file}", __name__)
load_own_methods()

__all__ = [
    "FILES",
    "METHODS",
    "Method",
    "MethodFailed",
    "Samples",
    "find_method",
    "method_config",
    "register",
    "unlearn",
]
