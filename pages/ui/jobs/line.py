"""The line of a device: which jobs are before one, in words, and whether an experiment is in it already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rurk_core.jobs.control import JobStatus, holding, list_jobs
from rurk_core.progress import duration
from rurk_core.run.spec import Spec
from rurk_core.run.titles import spoken_title
from rurk_core.store.names import canonical_json
from ui.session import state

KNOWN = 0.1
"""Share of the work after which what is left can be told from what is done."""
NAMED = 2
"""Jobs that are waited for and named; further ones are counted."""


def title_of(job: JobStatus) -> str:
    spec = job.spec.get("spec")
    title = spec.get("title") if isinstance(spec, dict) else ""
    return str(title or spoken_title(spec))


def time_left(job: JobStatus) -> str:
    """Time left where enough is done to know it."""
    if job.eta_seconds is None or job.state == "queued":
        return ""
    return f" · about {duration(job.eta_seconds)} left" if job.progress >= KNOWN else " · time left not known yet"


def ahead(spec: dict[str, Any], id: str = "") -> list[JobStatus]:
    """Jobs that one with this description waits for, the next to end first; ``id``: the job's own, if it has one."""
    return [job for job in holding(list_jobs(state.store()), spec) if not id or job.id < id]


def over_words(jobs: Sequence[JobStatus]) -> str:
    """What must be over first: “Fashion · GD” is over, “Digits” and 2 others are over; "" where nothing must."""
    if not jobs:
        return ""
    named = list(dict.fromkeys(f"“{title_of(job)}”" for job in jobs[:NAMED]))
    if more := len(jobs) - len(named):
        named[-1] = f"{named[-1]} and {more} {'other' if more == 1 else 'others'}"
        return ", ".join(named) + " are over"
    return f"{' and '.join(named)} {'is' if len(jobs) == 1 else 'are'} over"


def waits_words(job: JobStatus) -> str:
    """What a job that has not begun waits for, and how long what runs still takes, if that is known."""
    jobs = ahead(job.spec, job.id)
    return f"Waits until {over_words(jobs)}{time_left(jobs[0])}" if jobs else "It begins in a moment"


def same_under_way(spec: Spec) -> JobStatus | None:
    """The job that makes this very experiment now, whatever its title."""
    wanted = _untitled(spec.to_dict())
    made = (job for job in list_jobs(state.store()) if job.alive and job.spec.get("kind") == "experiment")
    return next((job for job in made if _untitled(job.spec.get("spec") or {}) == wanted), None)


def _untitled(spec: dict[str, Any]) -> str:
    return canonical_json({name: value for name, value in spec.items() if name != "title"})
