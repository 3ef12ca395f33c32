"""The door to specifications: what an experiment is to do."""

from .run.spec import Spec, make_spec

__all__ = ["Spec", "make_spec"]
