"""Methods of the user's own: Python files in a folder that the variable ``RURK_METHODS`` names.

Each file registers what it has, as the files of this package do; see docs/own-method.md. The variable is read by
every process that loads this package, so background jobs know the methods too. The files are programs and run with
the rights of whoever starts this one; nothing is ever taken from a browser.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from .base import METHODS

logger = logging.getLogger(__name__)

VARIABLE = "RURK_METHODS"
PROBLEMS: dict[str, str] = {}
"""File → why it could not be loaded, one sentence."""


def load_own_methods(folder: str | Path | None = None) -> dict[str, str]:
    """Load the files of ``folder`` (default: the variable) that are not loaded yet.

    Returns:
        :data:`PROBLEMS`: a broken file is named there, and the others are loaded all the same.
    """
    named = folder or os.environ.get(VARIABLE)
    if not named:
        return PROBLEMS
    place = Path(named).expanduser()
    if not place.is_dir():
        PROBLEMS[str(place)] = f"There is no folder {place} to load methods from; see the variable {VARIABLE}."
        return PROBLEMS
    loaded = {method.origin for method in METHODS.values()}
    for file in sorted(place.resolve().glob("*.py")):
        if str(file) not in loaded:
            _load(file)
    return PROBLEMS


def _load(file: Path) -> None:
    before = set(METHODS)
    name = f"rurk_own_{file.stem}"
    PROBLEMS.pop(str(file), None)
    try:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        if set(METHODS) == before:
            PROBLEMS[str(file)] = f"The file {file} registers no method."
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())[:300]
        PROBLEMS[str(file)] = f"The methods of {file} could not be loaded: {type(error).__name__}: {text}"
        logger.info("own method", exc_info=error)
        sys.modules.pop(name, None)
        for key in set(METHODS) - before:
            del METHODS[key]
        return
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    for key in set(METHODS) - before:
        METHODS[key] = replace(METHODS[key], origin=str(file), digest=digest)
