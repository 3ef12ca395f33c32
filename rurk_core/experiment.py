"""The door to experiments: ``run`` one, read what it made."""

from .progress import Progress
from .run.experiment import run
from .run.result import load_result
from .run.stored import load_model, load_verdicts

__all__ = ["Progress", "load_model", "load_result", "load_verdicts", "run"]
