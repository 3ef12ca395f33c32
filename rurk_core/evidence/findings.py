"""The one door to evidence: what is said of samples and of the set under a model. All surfaces print this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..arrays import Ints
from .case import Case, judge_case, why_not
from .law import FINDINGS, RATE, Judged
from .null import NEEDED
from .specific import FEW_PEERS, SPECIFIC, Specific
from .tables import moving
from .whole import Whole

FIRST = {"references": 8, "members": 3}
"""Re-trained models, and further Originals, to begin with, where there are too few to say anything."""
SAID = {
    "residual": "residual knowledge",
    "over_forgotten": "over-forgotten",
    "clear": "clear",
    "nothing_to_see": "nothing to see",
    "cannot_tell": "cannot be told",
}
"""The findings in words."""


def _further(specific: Specific | None, place: int) -> int | None:
    """The further Originals of :attr:`Specific.settles`: all but the Original."""
    found = 0 if specific is None or specific.settles is None else int(specific.settles[place])
    return found - 1 if found else None


@dataclass(frozen=True)
class Statistic:
    """One number of the evidence on a sample.

    Attributes:
        name: in JSON and CSV; meaning: one line, with its unit.
        of: (judged, place) → its value; None and NaN are written as null.
        kind: "number", "boolean", or the words that it is one of.
    """

    name: str
    meaning: str
    of: Callable[[Judged, int], Any]
    kind: str | tuple[str, ...] = "number"


STATISTICS: tuple[Statistic, ...] = (
    Statistic("log_odds", "mean log-odds of the label over the copies, under the model", lambda j, i: j.own[i]),
    Statistic("expected", "the same of a re-training", lambda j, i: j.expected[i]),
    Statistic("low", "one more re-training lies above this with 97.5% probability", lambda j, i: j.low[i]),
    Statistic("high", "one more re-training lies below this with 97.5% probability", lambda j, i: j.high[i]),
    Statistic("p_residual", "probability that one more re-training has as much", lambda j, i: j.p_residual[i]),
    Statistic("p_forgotten", "probability that one more re-training has as little", lambda j, i: j.p_forgotten[i]),
    Statistic("q_residual", "p_residual adjusted for all samples (Benjamini–Hochberg)", lambda j, i: j.q_residual[i]),
    Statistic("q_forgotten", "p_forgotten adjusted for all samples", lambda j, i: j.q_forgotten[i]),
    Statistic(
        "original_told", "whether the Original is told from re-trainings", lambda j, i: j.told_apart[i], "boolean"
    ),
    Statistic(
        "detectable", "smallest excess in log-odds that would be found in 4 of 5 cases", lambda j, i: j.detectable[i]
    ),
    Statistic("settles", "re-trained models that would settle it in 4 of 5 cases", lambda j, i: j.settles[i] or None),
    Statistic(
        "settles_draws",
        "copies at each radius that would settle it in 4 of 5 cases",
        lambda j, i: j.settles_draws[i] or None,
    ),
    Statistic(
        "settles_members",
        "further Originals that would show memory of this very sample in 4 of 5 cases, if it is remembered as by them",
        lambda j, i: _further(j.specific, i),
    ),
    Statistic(
        "specific",
        "whether memory of this very sample, beyond its class, is shown",
        lambda j, i: SPECIFIC[j.specific.said[i]] if j.specific else None,
        SPECIFIC,
    ),
    Statistic(
        "specific_deviate",
        "what is beyond held-out samples of the class, in deviations of re-trainings",
        lambda j, i: j.specific.deviate[i] if j.specific else None,
    ),
    Statistic(
        "q_specific",
        "adjusted p-value of that",
        lambda j, i: j.specific.q[i] if j.specific else None,
    ),
)
"""All that a row of evidence holds, in its order: JSON, the report's schema and CSV follow this list."""


@dataclass(frozen=True)
class Finding:
    """One sample under one model, all radii above 0 together.

    Attributes:
        sample: training index; place: its row in the verdicts; label: its class.
        recognised: copies the model recognises, of ``copies``; references: the same for every re-trained model.
        finding: one of :data:`~rurk_core.evidence.law.FINDINGS`.
        row: :data:`STATISTICS` by name, plain values; empty where there is no evidence.
    """

    sample: int
    place: int
    label: int
    recognised: int
    references: tuple[int, ...]
    copies: int
    finding: str
    row: dict[str, Any]

    @property
    def excess(self) -> float | None:
        """Percentage points of the copies beyond the mean of the re-trained models, as counted; None without any."""
        if not self.references:
            return None
        return 100 * (self.recognised - sum(self.references) / len(self.references)) / self.copies

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        about = {"sample": self.sample, "label": self.label, "finding": self.finding, "recognised": self.recognised}
        return about | {"references": list(self.references), "copies": self.copies, "excess": self.excess} | self.row


@dataclass(frozen=True)
class Settling:
    """What would settle samples that are open.

    Attributes:
        what: "references", "draws" or "members", as a run calls them; number: how many in all; now: how many there are.
        samples: how many more would be told in 4 of 5 cases; where nothing can be told yet, all that are open.
    """

    what: str
    number: int
    now: int
    samples: int


@dataclass(frozen=True)
class Findings:
    """All samples of a case, those with the most beyond a re-training first, and the set.

    Attributes:
        samples: the findings; judged: the evidence behind them, None where there is none, and ``why`` says why.
        peers: class → samples of it that no model has seen, which are judged too.
        draws: copies at each radius; members: further Originals.
        radii: at how many radii the counted copies lie.
    """

    samples: list[Finding]
    judged: Judged | None
    why: str
    peers: dict[int, int]
    draws: int
    members: int
    radii: int = 1

    @property
    def held_out(self) -> int:
        """Samples of the classes that no model has seen."""
        return sum(self.peers.values())

    def counts(self) -> dict[str, int]:
        """How many samples have which finding."""
        return {name: sum(found.finding == name for found in self.samples) for name in FINDINGS}

    def by_class(self) -> dict[int, dict[str, int]]:
        """Class → :meth:`counts` of its samples."""
        return {
            label: {
                name: sum((found.label, found.finding) == (label, name) for found in self.samples) for name in FINDINGS
            }
            for label in sorted({found.label for found in self.samples})
        }

    def remembered(self) -> int:
        """Samples found residual of which memory of the very sample is shown."""
        return sum(found.finding == "residual" and found.row.get("specific") == "shown" for found in self.samples)

    def settling(self) -> list[Settling]:
        """What would settle what is open; nothing that would settle no sample more.

        Of each kind as many as settle half of the open samples that any number of it can.
        """
        k, rows = len(self.samples[0].references), [one.row for one in self.samples if one.finding == "cannot_tell"]
        if k < NEEDED or self.judged is None:
            few = k < NEEDED and not self.why.startswith("Copies")
            return [Settling("references", FIRST["references"], k, len(self.samples))] if few else []
        memory = [row for row in map(self.memory_open, self.samples) if row is not None]
        specific = self.judged.specific
        found = [
            _half("references", [row["settles"] for row in rows], k),
            _half("draws", [row["settles_draws"] for row in rows], self.draws),
            _half("members", [row["settles_members"] for row in memory], self.members),
        ]
        if memory and specific is not None and specific.settles is None and self.members < FIRST["members"]:
            found[-1] = Settling("members", FIRST["members"], self.members, len(memory))
        return [one for one in found if one]

    def memory_open(self, one: Finding) -> dict[str, Any] | None:
        """The row of a residual sample of which more models could show memory of it; None of all others."""
        if self.judged is None or not self.judged.originals:
            return None
        open_ = one.finding == "residual" and one.row.get("specific") == "cannot_tell"
        return one.row if open_ and self.peers.get(one.label, 0) >= FEW_PEERS else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        judged = self.judged
        set_: dict[str, Any] = {name: None for name in (*Whole.__dataclass_fields__,)}
        if judged and judged.whole:
            set_ = {name: plain(getattr(judged.whole, name)) for name in Whole.__dataclass_fields__}
        specific = judged.specific if judged else None
        return {
            "findings": self.counts(),
            "remembered": self.remembered(),
            "references": judged.references if judged else len(self.samples[0].references),
            "rate": judged.rate if judged else RATE,
            "held_out": self.held_out,
            "set": set_,
            "set_specific": {
                name: plain(getattr(specific, f"set_{name}")) if specific else None
                for name in ("excess", "low", "high", "p")
            },
            "settling": [asdict(one) for one in self.settling()],
            "missing": [self.why] if self.why else list(judged.missing) if judged else [],
        }


def find(case: Case, *, rate: float = RATE) -> Findings:
    """What is said of every sample of a case and of its forget set."""
    at = moving(case.verdicts.taus)
    u = case.verdicts.recognised(case.method)[:, at].sum(1)
    v = np.stack([case.verdicts.recognised(name)[:, at].sum(1) for name in case.references] or [u[:0]])
    judged = judge_case(case, rate=rate)
    words = judged.findings() if judged else ["cannot_tell"] * len(u)
    found = [
        Finding(
            sample=int(case.verdicts.samples[place]),
            place=place,
            label=int(case.verdicts.labels[place]),
            recognised=int(u[place]),
            references=tuple(v[:, place].tolist()) if case.references else (),
            copies=case.verdicts.draws * len(at),
            finding=words[place],
            row={s.name: plain(s.of(judged, place)) for s in STATISTICS} if judged else {},
        )
        for place in range(len(u))
    ]
    labels = case.peers.labels[len(u) if case.on_itself else 0 :] if case.peers else np.zeros(0, int)
    peers = {int(label): int(count) for label, count in zip(*np.unique(labels, return_counts=True), strict=True)}
    return Findings(
        [found[place] for place in _order(found, judged)],
        judged,
        why_not(case),
        peers,
        case.verdicts.draws,
        len(case.members[0].models) if case.members else 0,
        len(at),
    )


def _half(what: str, numbers: list[int | None], now: int) -> Settling | None:
    """As many of ``what`` as settle half of the samples that can be settled by more than there are ``now``."""
    needed = sorted(number for number in numbers if number and number > now)
    if not needed:
        return None
    half = needed[(len(needed) - 1) // 2]
    return Settling(what, half, now, sum(number <= half for number in needed))


def _order(found: list[Finding], judged: Judged | None) -> Ints:
    """Positions, the most beyond a re-training first; by counts where there is nothing better."""
    if judged is None or np.isnan(judged.deviate).all():
        return np.argsort([-(one.recognised if one.excess is None else one.excess) for one in found], kind="stable")
    return np.lexsort((-judged.deviate, judged.p_residual))


def plain(value: Any) -> Any:
    """A JSON value: None for what is undefined or without bound."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return round(number, 6) if np.isfinite(number) else None
