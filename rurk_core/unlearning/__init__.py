"""Unlearning methods, one file each: ``METHODS["rurk"].run(original, retain, forget, config, generator=g)``."""

from . import gd, neggrad_plus, retrain, rurk  # noqa: F401  (importing a method registers it)
from .base import METHODS, Method, Samples, find_method, method_config, register

__all__ = ["METHODS", "Method", "Samples", "find_method", "method_config", "register"]
