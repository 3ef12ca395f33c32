"""The evidence on a model of a run under an attack: opened once and kept, since a finished run never changes."""

from __future__ import annotations

import streamlit as st

from rurk_core.evidence.case import Case, open_case
from rurk_core.evidence.findings import Finding, Findings, find
from ui.session import state


def case_of(run: str, method: str, attack: str) -> Case:
    return _opened(state.store().url, run, method, attack)[0]


def findings_of(run: str, method: str, attack: str) -> Findings:
    """What is said of every sample and of the set."""
    return _opened(state.store().url, run, method, attack)[1]


def finding_of(found: Findings, sample: int) -> Finding:
    return next(one for one in found.samples if one.sample == sample)


@st.cache_resource(max_entries=64, show_spinner=False)
def _opened(url: str, run: str, method: str, attack: str) -> tuple[Case, Findings]:
    case = open_case(state.store(), run, method=method, attack=attack)
    return case, find(case)
