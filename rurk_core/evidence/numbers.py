"""Numbers as people read them in sentences; files for machines have them plain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, unless it is 0.

    >>> signed(-2.46), signed(0.5, 2), signed(-0.04)
    ('−2.5', '+0.50', '0.0')
    """
    said = f"{value:+.{digits}f}"
    return said.replace("-", "−") if float(said) else said[1:]


def chance(name: str, value: float) -> str:
    """A p- or q-value in words; what is too small to be told from 0 is said to be so.

    >>> chance("p", 0.0314), chance("p", 5.2e-5), chance("q", 0.0)
    ('p = 0.031', 'p = 0.000052', 'q < 0.000001')
    """
    said = small(value)
    return f"{name} {said}" if said.startswith("<") else f"{name} = {said}"


def small(value: float) -> str:
    """A p- or q-value with two digits that count.

    >>> small(0.0314), small(1.0), small(0.0)
    ('0.031', '1', '< 0.000001')
    """
    if value < 1e-6:
        return "< 0.000001"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def share_text(part: float, whole: float) -> str:
    """A share in per cent; what is not none is not said to be 0, nor what is not all to be 100.

    >>> share_text(1, 3), share_text(0, 9), share_text(1, 9000), share_text(8999, 9000)
    ('33.3%', '0.0%', 'under 0.1%', 'over 99.9%')
    """
    said = f"{100 * part / whole:.1f}%"
    if said == "0.0%" and part:
        return "under 0.1%"
    return "over 99.9%" if said == "100.0%" and part < whole else said


def rate_text(rate: float) -> str:
    """A false-discovery rate as it was asked for.

    >>> rate_text(0.05), rate_text(0.004)
    ('5%', '0.4%')
    """
    return f"{100 * rate:.4g}%"


def radii_text(taus: Sequence[float]) -> str:
    """The radii that copies are counted over, and findings made of.

    >>> radii_text([0, 0.1, 0.2]), radii_text([0, 0.1]), radii_text([0])
    ('over all radii above 0', 'at τ = 0.1', 'at τ = 0')
    """
    above = [tau for tau in taus if tau > 0]
    return "over all radii above 0" if len(above) > 1 else f"at τ = {max(taus):g}"
