"""What evidence costs: K = 8 references of digits' cnn and their null; judging stored counts; a report."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from rurk_core.evidence.calibration import calibrate
from rurk_core.evidence.samples import evidence_of_counts
from rurk_core.report.document import make_report
from rurk_core.run.spec import make_spec
from rurk_core.run.stored import load_verdicts
from rurk_core.store.store import Store

from .timing import by_stage, seconds


def main(rounds: int = 3) -> None:
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder) / "store")
            spec = make_spec(methods="gd:epochs=0", references=8, relearn=0, seed=7 + turn)
            result, stages = by_stage(spec, store)
            verdicts = load_verdicts(store, result["residual"][0]["verdicts"])
            null = seconds(lambda verdicts=verdicts: calibrate(verdicts))
            judged = sum(took for name, took in stages.items() if name.startswith("Verdicts"))
            total = stages["References"] + judged + null
            print(
                f"8 references of digits' cnn {stages['References']:.1f} s, their verdicts {judged:.1f} s, null and "
                f"planted {null:.1f} s: {total:.1f} s in all (bar 15 s)"
            )
            took = seconds(lambda store=store, key=result["key"]: make_report(store, key))
            print(f"  its report {took:.2f} s (bar 3 s)")
    rng = np.random.default_rng(0)
    p = rng.beta(2, 2, (2000, 1))
    u, v = rng.binomial(100, p, (2000, 11)), rng.binomial(100, p, (8, 2000, 11))
    times = [seconds(lambda: evidence_of_counts(u, v, 100)) for _ in range(rounds)]
    print(
        f"evidence on 2,000 samples × 11 radii × 8 references from counts: {sorted(times)[rounds // 2]:.2f} s (bar 2 s)"
    )


if __name__ == "__main__":
    main()
