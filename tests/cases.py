"""A case of evidence made by hand, for tests of findings and of what is said of them."""

from __future__ import annotations

import numpy as np

from rurk_core.evidence.case import Case
from rurk_core.measure.residual import Verdicts

DRAWS = 50


def table(margins: dict[str, np.ndarray], samples: np.ndarray, attack: str = "gaussian") -> Verdicts:
    """Verdicts at τ = 0 and 0.1 of models with the given mean log-odds [N], the same at both radii."""
    names = tuple(margins)
    each = np.stack([np.repeat(values[:, None], 2, 1) for values in margins.values()]).astype(np.float32)
    known = np.rint(DRAWS / (1 + np.exp(-each))).astype(np.int32)
    references = tuple(name for name in names if name.startswith("reference"))
    return Verdicts(
        attack=attack,
        source="",
        draws=DRAWS,
        seed=0,
        taus=np.array([0.0, 0.1]),
        samples=samples,
        labels=np.zeros(len(samples), int),
        models=names,
        references=references,
        counts=np.stack([known, DRAWS - known], -1),
        agreement=np.zeros((len(names), len(references), len(samples), 2), np.int32),
        margins=each,
    )


def case(
    references: int = 8, *, model: np.ndarray | None = None, original: float = 8.0, held: int = 40, attack="gaussian"
) -> Case:
    """40 samples that re-trainings know about 0 ± 1, the Original well, and ``model`` as given."""
    rng = np.random.default_rng(3)
    n = 40
    own = rng.normal(size=n + held)
    if model is not None:
        own[:n] = model
    margins = {
        "original": np.r_[np.full(n, original), rng.normal(size=held)],
        "m": own,
        **{f"reference-{k + 1}": rng.normal(size=n + held) for k in range(references)},
    }
    result = {
        "models": [
            {"name": name, "role": "reference" if "ref" in name else "unlearned", "key": "k"} for name in margins
        ],
        "forget": {"indices": list(range(100, 100 + n))},
    }
    forget = table({name: values[:n] for name, values in margins.items()}, np.arange(100, 100 + n), attack)
    peers = table({name: values[n:] for name, values in margins.items()}, 1000 + np.arange(held), attack)
    return Case(None, "run-0", result, "m", attack, "", forget, peers if held else None)  # type: ignore[arg-type]
