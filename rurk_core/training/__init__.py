"""Training of the Original and its Re-trains, and what every training loop shares."""

from .loop import Diverged, OnStep, report

__all__ = ["Diverged", "OnStep", "report"]
