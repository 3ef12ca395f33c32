"""``python -m benchmarks`` runs all, ``python -m benchmarks digits verdicts`` some."""

from __future__ import annotations

import sys

from . import app, calibration, cifar_original, digits, memory, methods, references, table, verdicts

ALL = {
    "digits": digits.main,
    "table": table.main,
    "references": references.main,
    "verdicts": verdicts.main,
    "memory": memory.main,
    "methods": methods.main,
    "calibration": calibration.main,
    "cifar_original": cifar_original.main,
    "app": app.main,
}

wanted = sys.argv[1:] or list(ALL)
for name in wanted:
    if name not in ALL:
        sys.exit(f"There is no benchmark '{name}'; choose from {', '.join(ALL)}.")
for name in wanted:
    ALL[name]()
