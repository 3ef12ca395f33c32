"""The plan of an experiment, and that engines only run what is missing."""

from __future__ import annotations

import dataclasses

import pytest

from rurk_core.data import forget_set, load_dataset
from rurk_core.device import find_device
from rurk_core.errors import UsageError
from rurk_core.run.engines import ENGINES, find_engine
from rurk_core.run.experiment import run
from rurk_core.run.plan import Work, plan, start_data
from rurk_core.run.spec import make_spec
from rurk_core.run.stages import RUN
from rurk_core.store.store import Store


def work_of(spec, store) -> Work:
    data = load_dataset(spec.dataset)
    return Work(spec, store, data, None, find_device("cpu"), forget=forget_set(data, spec.forget))


def test_a_plan_names_the_entries_of_the_finished_run(tiny_run, tiny_spec):
    store, result = tiny_run
    stages = plan(work_of(tiny_spec, store))
    assert {stage.key for stage in stages} | {result["key"]} == {entry.key for entry in store.list()}
    assert {row["name"]: row["key"] for row in result["models"]} == {
        stage.label: stage.key for stage in stages if stage.kind in ("original", "unlearned", "reference")
    }


def test_every_stage_stands_behind_what_it_needs_and_has_a_cost(tmp_path):
    spec = make_spec(methods="gd,rurk", references=3, attacks="gaussian,fgsm,pgd")
    stages = plan(work_of(spec, Store(tmp_path)))
    seen: set[str] = set()
    for stage in stages:
        assert set(stage.needs) <= seen and stage.cost > 0 and stage.kind in RUN
        seen.add(stage.key)
    names = [stage.name for stage in stages]
    assert [name for i, name in enumerate(names) if name != names[i - 1]] == list(dict.fromkeys(names))
    assert len(seen) == len(stages)


@pytest.mark.parametrize(
    "more, again", [({"draws": 60}, {"verdicts"}), ({"members": 2}, set()), ({"references": 5}, {"verdicts", "peers"})]
)
def test_what_is_added_to_a_finished_run_makes_no_model_again(tmp_path, more, again):
    spec = make_spec(methods="gd,rurk", references=3, draws=20)
    before = plan(work_of(spec, Store(tmp_path)))
    after = {stage.key for stage in plan(work_of(dataclasses.replace(spec, **more), Store(tmp_path)))}
    assert {stage.kind for stage in before if stage.key not in after} == again


def test_a_plan_that_waits_for_the_original_ends_with_its_scores(tmp_path):
    work = work_of(make_spec(), Store(tmp_path))
    whole, first = plan(work), plan(dataclasses.replace(work, forget=None))
    assert [stage.kind for stage in first] == ["original", "scores"]
    assert first[0].key in {stage.key for stage in whole}


def test_a_method_that_failed_is_judged_by_nobody(tmp_path):
    work = work_of(make_spec(methods="gd,rurk", attacks="gaussian,fgsm"), Store(tmp_path))
    left = plan(dataclasses.replace(work, failed={"rurk": "The loss became nan."}))
    assert all(stage.label != "rurk" for stage in left)
    tables = [stage.inputs for stage in left if stage.kind == "verdicts"]
    assert all("rurk" not in table["models"] and table["source"] != "rurk" for table in tables) and len(tables) == 3


def test_every_engine_can_be_found_and_no_other(tiny_spec, tmp_path):
    assert all(callable(find_engine(name)) for name in ENGINES)
    with pytest.raises(UsageError, match="no engine 'abacus'"):
        run(tiny_spec, Store(tmp_path), engine="abacus")


def test_no_epochs_of_pre_training_are_none():
    spec = make_spec("small_cifar5", pretrain={"epochs": 0})
    assert start_data(spec, "/no/such/folder") is None
