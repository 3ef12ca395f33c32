"""The law of evidence on stored verdict tables: which arrays go in. One definition of "over all radii"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arrays import Floats, Ints
from ..errors import UsageError
from ..measure.residual import Verdicts
from ..measure.verdicts import EACH
from .law import RATE, Judged, Peers, judge, log_odds_of_counts
from .settles import share_of_draws

WITHOUT_MARGINS = (
    "This table was made by a version that kept no log-odds: the findings rest on smoothed log-odds of counts, which "
    "cannot tell samples apart that all copies of which are recognised, or none."
)


def moving(taus: Floats) -> Ints:
    """Positions of the radii above 0, over which a finding is made; all where there is none."""
    above = np.flatnonzero(taus > 0)
    return above if len(above) else np.arange(len(taus))


def over_all_radii(table: Verdicts, model: str) -> Floats:
    """[N]: mean log-odds of ``model`` over the radii above 0, over all where there is no radius above 0.

    Of counts, smoothed, where the table has no margins.
    """
    moved = moving(table.taus)
    margins = table.margin(model)
    if margins is not None:
        return margins[:, moved].astype(float).mean(1)
    return log_odds_of_counts(table.recognised(model)[:, moved].mean(1), table.draws)


def drawn_share(table: Verdicts, references: Sequence[str]) -> float:
    """Of the variance between ``references``, the share that comes of the copies drawn; NaN where it is not known."""
    if table.margins is None or table.halves is None or len(references) < 2:
        return np.nan
    at, moved = [table.models.index(name) for name in references], moving(table.taus)
    values, halves = (each[at][..., moved].astype(float).mean(-1) for each in (table.margins, table.halves))
    return share_of_draws(values, halves, table.draws)


def judge_tables(
    forget: Verdicts,
    model: str,
    *,
    references: Sequence[str] = (),
    originals: Sequence[str] = ("original",),
    held: Verdicts | None = None,
    members: tuple[Verdicts, Verdicts | None] | None = None,
    rate: float = RATE,
) -> Judged:
    """The findings on one model of a table, see :func:`rurk_core.evidence.law.judge`.

    Args:
        forget: the table of the forget set; model: a name in it, which may be a reference (it is then left out of the
            null) or the Original.
        references: names of re-trained models; those of the table if left out (tables of
            :func:`~rurk_core.measure.verdicts.count_on_themselves` have none of their own).
        originals: names of models that saw the samples, the Original first; those that are not in the table, and the
            model itself, are passed over.
        held: the same models on held-out samples of the classes, under the same attack.
        members: tables of further models that saw the samples: on the forget set, and on the held-out samples.

    Raises:
        UsageError: no such model, no references, or copies that were built on one model: they treat the others alike
            but not that one, so nothing can be said from them.
    """
    if forget.source not in ("", EACH):
        raise UsageError(
            f"These copies were built on '{forget.source}' alone: an honest re-training would stand out under them. "
            "Under this attack findings need copies that are built on each model itself."
        )
    if model not in forget.models:
        raise UsageError(f"There is no model '{model}' among {', '.join(forget.models)}.")
    outside = [name for name in references or forget.references if name != model]
    if not outside:
        raise UsageError("Findings need re-trained models to compare with, and there is none.")
    seen = [name for name in originals if name in forget.models and name != model]

    beside, beside_held = members or (None, None)
    if held is not None and beside_held is None:  # what is not known on both is of no use for what is beyond the class
        beside = None

    def arrays(table: Verdicts, more: Verdicts | None) -> tuple[Floats, Floats, Floats | None]:
        each = np.stack([over_all_radii(table, name) for name in outside])
        inside = [over_all_radii(table, name) for name in seen]
        inside += [over_all_radii(more, name) for name in more.models] if more else []
        return over_all_radii(table, model), each, np.stack(inside) if inside else None

    own, each, inside = arrays(forget, beside)
    peers = None if held is None else Peers(*arrays(held, beside_held), held.labels)
    drawn = drawn_share(forget, outside)
    found = judge(
        own, each, originals=inside, peers=peers, labels=forget.labels, draws=forget.draws, drawn=drawn, rate=rate
    )
    return found if forget.margins is not None else replace(found, missing=(*found.missing, WITHOUT_MARGINS))
