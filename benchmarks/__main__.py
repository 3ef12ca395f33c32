"""``python -m benchmarks`` runs all, ``python -m benchmarks digits verdicts`` some.

Long runs are only made when they are named, with a number of their own: ``python -m benchmarks faults 20``,
``kills 1000``, ``many_runs 5000``, ``fuzz 10000`` (inputs), ``soak 30`` and ``crowd 60`` (minutes), ``evidence_bank
40`` (re-trainings) and ``reproduction laptop`` (hours), both kept in ``RURK_STORE``, ``gpu --out DIR`` (needs a GPU, 8
minutes), ``random_walk`` (ten minutes in a browser), ``draws``, ``scale`` (ten minutes each) and ``meanwhile`` (two);
nor is ``exported`` made unless it is named, whose second half needs timm.
"""

from __future__ import annotations

import sys
from importlib import import_module

from rurk_core.errors import RurkError

ALL = (
    *("digits", "table", "references", "verdicts", "memory", "methods", "evidence"),
    *("evidence_bars", "threads", "plan", "cifar_original", "app"),
)
"""Each a module with a ``main``, which is loaded when its turn comes: a GPU node has no browser and no Streamlit."""
LONG = (
    "faults",
    "kills",
    "fuzz",
    "many_runs",
    "meanwhile",
    "soak",
    "crowd",
    "gpu",
    "evidence_bank",
    "draws",
    "methods_hold",
    "exported",
    "random_walk",
    "scale",
    "reproduction",
)

if {"-h", "--help"} & set(sys.argv[1:]):
    print(__doc__, end="")
    sys.exit()
if sys.argv[1:] and sys.argv[1] in LONG:
    given = [int(word) if word.isdecimal() else word for word in sys.argv[2:]]
    import_module(f".{sys.argv[1]}", __package__).main(*given)
    sys.exit()
wanted = sys.argv[1:] or ALL
for name in wanted:
    if name not in ALL:
        sys.exit(f"There is no benchmark '{name}'; choose from {', '.join((*ALL, *LONG))}.")
failed = 0
for name in wanted:
    try:
        import_module(f".{name}", __package__).main()
    except RurkError as error:  # data that is not there must not keep the others from being measured
        print(f"{name}: {error}", file=sys.stderr)
        failed = 1
sys.exit(failed)
