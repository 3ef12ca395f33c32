"""Engines: several processes and a cluster give the very results of one process, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from rurk_core.errors import Cancelled, RurkError, UsageError
from rurk_core.run.engines import find_engine
from rurk_core.run.experiment import run
from rurk_core.run.spec import Spec, make_spec
from rurk_core.store.store import Store

FILES = {"original": "model", "reference": "model", "unlearned": "model", "verdicts": "verdicts", "scores": "scores"}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Sums of floats depend on the number of threads; Ray's tasks have one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def spec() -> Spec:
    return make_spec(
        methods="gd:epochs=6,rurk:epochs=1", references=2, taus="0,0.2", draws=60, train={"epochs": 6, "batch": 32}
    )


@pytest.fixture(scope="module")
def embedded(spec, tmp_path_factory) -> dict[str, bytes]:
    """The bytes of every entry, as one process makes them."""
    store = Store(tmp_path_factory.mktemp("embedded"))
    run(spec, store)
    return contents(store)


def contents(store: Store) -> dict[str, bytes]:
    return {
        entry.key: store.read(entry.key, f"{FILES[entry.kind]}.safetensors")
        for entry in store.list()
        if entry.kind in FILES
    }


def assert_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys()
    assert [key for key in found if found[key] != expected[key]] == []


@pytest.mark.slow
def test_several_devices_at_once_give_the_same_bytes(spec, embedded, tmp_path):
    store, events = Store(tmp_path), []
    result = run(spec, store, device="cpu,cpu", progress=events.append)
    assert_same(contents(store), embedded)
    assert result["device"].count("cpu") == 2
    assert events[-1]["overall"] > 0.99 and {"References", "gd"} <= {event["stage"] for event in events}


@pytest.mark.slow
def test_progress_of_several_devices_never_falls_once_earlier_runs_tell_the_time(spec, tmp_path):
    store, events = Store(tmp_path), []
    run(spec, store, device="cpu,cpu")
    run(replace(spec, seed=spec.seed + 1), store, device="cpu,cpu", progress=events.append)
    shares = [event["overall"] for event in events if event["stage"] != "Reading data"]
    assert all(later >= earlier - 0.01 for earlier, later in pairwise(shares))


@pytest.mark.slow
def test_stopping_several_devices_keeps_what_is_finished(spec, tmp_path):
    store, seen = Store(tmp_path), []
    with pytest.raises(Cancelled):
        run(spec, store, device="cpu,cpu", progress=seen.append, cancelled=lambda: bool(store.list("original")))
    assert [entry.kind for entry in store.list("original")] == ["original"] and not store.list("run")


def test_a_memory_store_has_one_process(spec):
    with pytest.raises(UsageError, match="folder or a bucket"):
        run(spec, Store("memory://engines"), device="cpu,cpu")


@pytest.mark.parametrize("text", ["ray:cpus=many", "ray:speed=2", "embedded:cpus=1", "ray:cpus"])
def test_unknown_settings_of_an_engine_are_one_sentence(text):
    with pytest.raises(UsageError, match="none of them"):
        find_engine(text)


# --- Ray ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes on this machine; the tests' process is on the first."""
    pytest.importorskip("ray", reason="the optional package ray is not installed")
    import ray
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_enable_metrics_collection": "0", "RAY_health_check_period_ms": "500"}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = nodes.add_node(num_cpus=1)
    ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes, second
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.slow
def test_no_cluster_is_one_sentence(spec, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="the optional package ray is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RurkError, match="ray start"):
        run(spec, Store(tmp_path), engine="ray")


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_and_a_machine_gives_the_same_bytes(spec, embedded, cluster, tmp_path):
    nodes, second = cluster
    store, workers, killed = Store(tmp_path), {}, []

    def strike(event):
        """Kill the process that trains the Original, then the machine that is first seen working after that."""
        stage, worker = event["stage"], event.get("worker")
        if not worker:
            return
        workers.setdefault(stage, set()).add(worker)
        if not killed:
            os.kill(int(worker.split(":")[1]), signal.SIGKILL)
            killed.append(stage)
        elif len(killed) == 1 and event["node"] == second.node_id:
            nodes.remove_node(second, allow_graceful=False)
            killed.append(stage)

    run(spec, store, engine="ray", progress=strike)
    assert len(killed) == 2, "the cluster was too quick to be hit"
    assert len(workers[killed[0]]) > 1, "the killed stage was not begun again elsewhere"
    assert_same(contents(store), embedded)


@pytest.mark.slow
def test_a_diverged_method_on_a_cluster_is_a_row(cluster, tmp_path):
    # absurd settings, not a patched method: the workers have modules of their own
    wild = make_spec(
        methods="neggrad_plus:lr=10:weight_decay=1:clip=0:epochs=9,gd:epochs=1",
        references=1,
        taus="0",
        draws=2,
        train={"epochs": 1},
    )
    result = run(wild, Store(tmp_path), engine="ray")
    rows = {row["name"]: row for row in result["models"]}
    assert "unlearning" in rows["neggrad_plus"]["failed"] and "test_accuracy" in rows["gd"]
