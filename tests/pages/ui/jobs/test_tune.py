"""The search for settings on the Unlearn page."""

from __future__ import annotations

import re
import time

import pytest

from rurk_core.errors import UsageError
from rurk_core.jobs.control import cancel_job, job_status, list_jobs
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store
from rurk_core.tune.tune import tune


def test_what_a_search_found_is_shown(app, tmp_path):
    store = Store(tmp_path / "store")
    spec = make_spec(
        methods="gd:epochs=1", references=2, taus="0,0.3", draws=10, train={"epochs": 2}, forget="class:0:0.3"
    )
    result = tune(spec, store, trials=2, name="found here")
    test = app("unlearn.py", store)
    assert "Tuned settings" in [heading.value for heading in test.header]
    card = next(box for box in test.expander if "found here" in box.label.replace("\\", ""))
    assert "chosen among 2 settings" in card.label.replace("\\", "")
    table = next(element.body for element in test.get("html") if "judged on the other half" in element.body)
    judged = result["judged"][str(result["chosen"])]
    assert f"{judged['distance']:.4f}" in re.sub(r"<[^>]+>", " ", table)


def test_it_starts_in_the_background_and_is_listed(app, tmp_path):
    store = Store(tmp_path / "store")
    test = app("unlearn.py", store)
    assert not [heading for heading in test.header if heading.value == "Tuned settings"]
    test.number_input(key="tune_trials").set_value(3)
    test.button(key="tune_start").click().run()
    assert not test.exception and not test.error
    (job,) = list_jobs(store)
    assert job.spec["kind"] == "tuning" and job.spec["trials"] == 3 and len(job.spec["spec"]["methods"]) == 1
    assert any("Tune RURK" in text.value for text in test.markdown)
    cancel_job(store, job.id, force=True)
    for _ in range(100):
        if not job_status(store, job.id).alive:
            break
        time.sleep(0.1)
    assert job_status(store, job.id).state == "cancelled"


def test_a_name_that_is_taken_is_refused_before_anything_is_searched(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="comes with"):
        tune(make_spec(methods="rurk"), store, trials=2, name="default")
    assert not store.list()
