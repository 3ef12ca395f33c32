"""What evidence costs: K = 8 references of digits' cnn and their null; judging stored log-odds; a report."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from rurk_core.evidence.calibration import calibrate
from rurk_core.evidence.case import open_case
from rurk_core.evidence.law import judge
from rurk_core.report.document import make_report
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store

from .timing import by_stage, seconds


def main(rounds: int = 3) -> None:
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder) / "store")
            spec = make_spec(methods="gd:epochs=0", references=8, relearn=0, seed=7 + turn)
            result, stages = by_stage(spec, store)
            case = open_case(store, result["key"], method="original")
            null = seconds(lambda case=case: calibrate(case))
            judged = sum(took for name, took in stages.items() if name.startswith("Verdicts"))
            total = stages["References"] + judged + null
            print(
                f"8 references of digits' cnn {stages['References']:.1f} s, their verdicts {judged:.1f} s, null and "
                f"planted {null:.1f} s: {total:.1f} s in all (bar 15 s)"
            )
            took = seconds(lambda store=store, key=result["key"]: make_report(store, key))
            print(f"  its report {took:.2f} s (bar 3 s)")
    rng = np.random.default_rng(0)
    own, references = rng.normal(size=(2000, 11)), rng.normal(size=(8, 2000, 11))
    times = [seconds(lambda: judge(own.mean(1), references.mean(2))) for _ in range(rounds)]
    print(f"evidence on 2,000 samples × 11 radii × 8 references: {sorted(times)[rounds // 2]:.2f} s (bar 2 s)")


if __name__ == "__main__":
    main()
