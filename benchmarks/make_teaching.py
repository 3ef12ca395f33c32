"""Make what the page Teach shows at once, into ``assets/teaching``: lessons in the plane, RURK's λ and τ on digits."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from rurk_core.explore.lessons import teach
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store

TARGET = Path(__file__).parents[1] / "assets" / "teaching"
LESSONS = (("moons", "gd"), ("moons", "neggrad_plus"), ("moons", "rurk"), ("iris", "gd"))
LAMBDAS = (0.0, 0.02, 0.05, 0.1, 0.2)
TAUS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3)


def tradeoff() -> dict[str, Any]:
    """RURK with every λ_f = λ_a and τ on the digits experiment: residual knowledge beside accuracies."""
    grid = [(weight, tau) for weight in LAMBDAS for tau in TAUS]
    settings = [{"lambda_f": weight, "lambda_a": weight, "tau": tau} for weight, tau in grid]
    methods = [{"method": "rurk", "label": f"run {i}", "config": config} for i, config in enumerate(settings)]
    with tempfile.TemporaryDirectory() as folder:
        result = run(make_spec("digits", methods=methods, draws=50, relearn=0), Store(folder))
    rows = {row["name"]: row for row in result["models"]}
    tables = {entry["method"]: entry["taus"] for entry in result["residual"]}
    shares = ("retain_accuracy", "test_accuracy", "unlearn_accuracy")

    def of(name: str) -> dict[str, Any]:
        return {
            **{share: round(rows[name][share], 5) for share in shares},
            "ratio": [row["ratio_of_means"] and round(row["ratio_of_means"], 4) for row in tables[name]],
            "numerator": [row["numerator"] for row in tables[name]],
        }

    references = [row for row in result["models"] if row["role"] == "reference"]
    first = tables["original"]
    return {
        "lambdas": LAMBDAS,
        "taus": TAUS,
        "radii": [row["tau"] for row in first],
        "trials": first[0]["trials"],
        "samples": len(result["forget"]["indices"]),
        "denominator": [row["denominator"] for row in first],
        "band": [row["reference_band"] for row in first],
        "retrained": {share: [round(row[share], 5) for row in references] for share in shares},
        "original": of("original"),
        "runs": [of(f"run {i}") | {"lambda": weight, "tau": tau} for i, (weight, tau) in enumerate(grid)],
    }


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for plane, method in LESSONS:
        (TARGET / f"{plane}-{method}.bin").write_bytes(teach(plane, method).to_bytes())
    (TARGET / "tradeoff.json").write_text(json.dumps(tradeoff()))
    size = sum(file.stat().st_size for file in TARGET.iterdir())
    print(f"{TARGET}: {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
