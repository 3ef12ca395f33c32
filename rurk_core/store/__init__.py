"""The store: a folder or bucket with one entry per finished piece of work."""

from .store import Store

__all__ = ["Store"]
