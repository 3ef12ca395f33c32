"""Background runs in real processes: they end in exactly one state, and nothing is ever stuck."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rurk_core.errors import RurkError, UsageError
from rurk_core.jobs import control, launch
from rurk_core.jobs.control import (
    JobStatus,
    cancel_job,
    delete_job,
    holding,
    job_status,
    list_jobs,
    read_log,
    resume_job,
    start_job,
)
from rurk_core.jobs.files import ID, events_after, job_folder, new_id
from rurk_core.jobs.worker import devices_of
from rurk_core.store.store import Store

CPU = {"device": "cpu"}
NO_JOB = "20260101t000000000000-abcdef"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    store = Store(tmp_path / "store")
    yield store
    for job in list_jobs(store):
        if job.alive:
            cancel_job(store, job.id, force=True)


def start(store, runner, **spec):
    return start_job(store, CPU | spec, runner=f"job_runners:{runner}")


def read_events(store, job, position=0):
    return events_after(job_folder(store, job), position)


def wait(store, job, *states, **options):
    """The status once it is one of ``states`` (by default: the job has ended)."""
    for _ in range(1000):
        status = job_status(store, job, **options)
        if status.state in states or (not states and not status.alive):
            return status
        time.sleep(0.02)
    pytest.fail(f"still {status} after a long while; its log: {read_log(store, job)}")


def worker(store, job):
    return json.loads((store.job_root / job / "pid.json").read_text())["pid"]


def gone(pid):
    for _ in range(500):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def made_up(store, *lines, pid=None, job=NO_JOB):
    """A job's folder as an earlier process may have left it."""
    folder = store.job_root / job
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps({"spec": CPU, "store": store.url, "submitted": 1.0}))
    (folder / "progress.jsonl").write_bytes(b"".join(lines))
    (folder / "pid.json").write_text(json.dumps(pid or {"pid": 2**22 + 1, "start_time": "x"}))
    return job


class TestEnds:
    def test_done(self, store):
        job = start(store, "finish", seed=7)
        status = wait(store, job)
        assert (status.state, status.message, status.progress) == ("done", "", 1.0)
        assert status.spec == CPU | {"seed": 7} and status.stage == "Work"
        assert store.read_json(status.result, "result.json") == {"r": 1}
        assert [event["ev"] for event in status.events] == ["queued", "start", "step", "end"]
        assert status.events[2]["loss"] is None, "NaN is no JSON"
        assert status.events[2]["t"] >= 0

    @pytest.mark.parametrize(
        ("runner", "message"),
        [
            ("refuse", "There is no class 12; the classes are 0 to 9."),
            ("crash", "The run stopped on an unexpected error, KeyError: 'surprise'; see the log."),
            ("exhaust", "The machine ran out of memory"),
            ("leave", "The run left the process with exit code 3; see the log."),
            ("no_such_runner", "The run stopped on an unexpected error, AttributeError"),
        ],
    )
    def test_failed(self, store, runner, message):
        job = start(store, runner)
        status = wait(store, job)
        assert status.state == "failed" and status.message.startswith(message)
        assert "Traceback" not in status.message
        assert ("Traceback" in read_log(store, job)) == (runner in ("crash", "exhaust", "no_such_runner"))

    def test_steps_are_thinned_but_stages_are_told(self, store):
        job = start(store, "chatter")
        wait(store, job)
        steps = [event for event in read_events(store, job)[0] if event["ev"] == "step"]
        assert 2 <= len(steps) < 1000
        assert {event["stage"] for event in steps if event["done"] == 0} == {"First", "Second"}


@pytest.mark.slow
class TestCancel:
    def test_running(self, store):
        job = start(store, "until_cancelled")
        assert wait(store, job, "running").progress in (0.0, 0.25)
        cancel_job(store, job)
        status = wait(store, job)
        assert (status.state, status.message) == ("cancelled", "Stopped; what was finished is kept.")

    def test_terminated(self, store):
        job = start(store, "until_cancelled")
        wait(store, job, "running")
        os.kill(worker(store, job), signal.SIGTERM)
        assert wait(store, job).state == "cancelled"

    def test_queued(self, store):
        first = start(store, "until_cancelled")
        wait(store, first, "running")
        second = start(store, "finish")
        assert job_status(store, second).state == "queued"
        cancel_job(store, second)
        assert wait(store, second).state == "cancelled"
        assert job_status(store, first).state == "running"

    def test_deaf_worker_is_killed_after_the_grace(self, store):
        job = start(store, "deaf")
        wait(store, job, "running")
        cancel_job(store, job)
        asked = job_status(store, job)
        assert asked.state == "running" and asked.stopping, "it has ten seconds"
        long_ago = time.time() - 60
        os.utime(store.job_root / job / "cancel", (long_ago, long_ago))
        status = job_status(store, job)
        assert status.state == "cancelled" and "Killed" in status.message and not status.stopping
        assert gone(worker(store, job))

    def test_force(self, store):
        job = start(store, "deaf")
        wait(store, job, "running")
        cancel_job(store, job, force=True)
        assert job_status(store, job).state == "cancelled" and gone(worker(store, job))

    def test_ended_jobs(self, store):
        done = start(store, "finish")
        wait(store, done)
        cancel_job(store, done, force=True)
        assert job_status(store, done).state == "done"
        dead = made_up(store, b'{"ev": "start"}\n')
        assert job_status(store, dead).state == "killed"
        cancel_job(store, dead)
        assert job_status(store, dead).state == "cancelled"


@pytest.mark.slow
class TestKilled:
    def test_seen_resumed_and_finished(self, store):
        job = start(store, "once_more", name="a")
        wait(store, job, "running")
        stage = store.key("original", {"of": "a"})
        while not store.has(stage):
            time.sleep(0.02)
        os.kill(worker(store, job), signal.SIGKILL)
        status = wait(store, job)
        assert status.state == "killed" and "start it again" in status.message
        _, position = read_events(store, job)
        assert resume_job(store, job, runner="job_runners:once_more") == job
        status = wait(store, job)
        assert (status.state, status.result) == ("done", stage)
        assert [event["ev"] for event in status.events] == ["queued", "start", "end"]
        assert read_events(store, job, position)[0] == status.events, "a page that watched goes on reading"

    def test_device_is_free_and_children_are_gone(self, store, tmp_path):
        note = tmp_path / "child"
        job = start(store, "orphan", note=str(note))
        while not (note.exists() and note.read_text()):
            time.sleep(0.02)
        os.kill(worker(store, job), signal.SIGKILL)
        assert wait(store, job).state == "killed"
        assert gone(int(note.read_text()))
        assert wait(store, start(store, "finish")).state == "done"

    def test_while_queued(self, store):
        first = start(store, "until_cancelled")
        wait(store, first, "running")
        second, third = start(store, "finish"), start(store, "finish")
        os.kill(worker(store, second), signal.SIGKILL)
        assert wait(store, second).state == "killed"
        cancel_job(store, first)
        assert wait(store, third).state == "done"

    def test_zombie_and_reused_number(self, store):
        child = subprocess.Popen(["true"])
        assert gone(child.pid)
        zombie = made_up(store, b'{"ev": "start"}\n', pid={"pid": child.pid, "start_time": "x"})
        assert job_status(store, zombie).state == "killed"
        child.wait()
        mine = {"pid": os.getpid(), "start_time": "another boot:1"}
        reused = made_up(store, b'{"ev": "start"}\n', pid=mine, job="20260101t000000000001-abcdef")
        assert job_status(store, reused).state == "killed"
        cancel_job(store, reused, force=True)  # and this very process is not the one that dies

    def test_resume_twice_at_once_runs_once(self, store):
        job = made_up(store, b'{"ev": "start"}\n')

        def resume(_):
            try:
                return resume_job(store, job, runner="job_runners:until_cancelled")
            except UsageError as error:
                return str(error)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(resume, range(4)))
        assert answers.count(job) == 1 and sum("still running" in a for a in answers) == 3
        wait(store, job, "running")
        assert [event["ev"] for event in read_events(store, job)[0]].count("queued") == 1
        assert not any(path.name == "cancel" for path in (store.job_root / job).iterdir())


@pytest.mark.slow
class TestQueue:
    def test_one_at_a_time_in_order(self, store, tmp_path):
        blocker = start(store, "until_cancelled")
        wait(store, blocker, "running")
        note = tmp_path / "note"
        queued = [start(store, "order", name=name, note=str(note)) for name in "abc"]
        assert queued == sorted(queued)
        cancel_job(store, blocker)
        assert [wait(store, job).state for job in queued] == ["done"] * 3
        assert note.read_text().split() == ["+a", "-a", "+b", "-b", "+c", "-c"]

    def test_other_device_does_not_wait(self, store):
        blocker = start(store, "until_cancelled")
        wait(store, blocker, "running")
        job = start(store, "finish", device="cuda:7")
        assert wait(store, job).state == "done"

    def test_failed_start_jams_nothing(self, store, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(launch.sys, "executable", "/no/such/python")
            job = start(store, "finish")
        status = job_status(store, job)
        assert status.state == "failed" and "could not be started" in status.message
        assert wait(store, start(store, "finish")).state == "done"

    def test_start_without_a_process_jams_nothing(self, store):
        """The server died between making the folder and starting the process."""
        job = made_up(store, b'{"ev": "queued"}\n')
        (store.job_root / job / "pid.json").unlink()
        assert job_status(store, job).state == "queued"
        then = time.time() - 60
        os.utime(store.job_root / job, (then, then))
        assert job_status(store, job).state == "killed"
        assert wait(store, start(store, "finish")).state == "done"

    def test_ids_rise_even_when_the_clock_falls(self, store):
        made_up(store, job="29991231t235959999999-abcdef")
        new = new_id(store.job_root)
        assert new.startswith("30000101t000000000000-") and ID.fullmatch(new)

    def test_device_names(self, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert devices_of({}) == devices_of({"device": "auto"}) == devices_of({"device": "../x"}) == ["cpu"]
        assert devices_of({"device": "cuda"}) == devices_of({"device": "cuda:0"}) == ["cuda:0"]
        assert devices_of({"device": "cuda:1,cuda:0"}) == ["cuda:0", "cuda:1"]

    def test_who_holds_up_a_job_is_who_lives_and_uses_its_device(self, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        jobs = [
            JobStatus("3", "queued", {}),
            JobStatus("2", "running", {"device": "cpu"}),
            JobStatus("1", "done", {}),
            JobStatus("0", "running", {"device": "map"}),
        ]
        assert [job.id for job in holding(jobs, {"device": "auto"})] == ["2", "3"]
        assert [job.id for job in holding(jobs, {"device": "map"})] == ["0"]


class TestFiles:
    def test_half_lines_and_garbage(self, store):
        job = made_up(store, b'{"ev": "start"}\n', b"\xff garbage\n", b"[1]\n\n", b'{"ev": "step", "overall": 0.5')
        events, position = read_events(store, job)
        assert events == [{"ev": "start"}]
        with (store.job_root / job / "progress.jsonl").open("ab") as file:
            file.write(b', "eta": 2}\n')
        more, end = read_events(store, job, position)
        assert more == [{"ev": "step", "overall": 0.5, "eta": 2}]
        assert read_events(store, job, end) == ([], end)
        assert job_status(store, job).progress == 0.5

    def test_end_after_a_half_line(self, store):
        job = made_up(store, b'{"ev": "start"}\n', b'{"ev": "st')
        cancel_job(store, job)
        assert job_status(store, job).state == "cancelled"
        assert [event["ev"] for event in read_events(store, job)[0]] == ["start", "end"]

    def test_long_files_are_read_from_the_end(self, store):
        lines = [b'{"ev": "step", "stage": "A", "overall": %.4f}\n' % (i / 10_000) for i in range(10_000)]
        job = made_up(store, *lines)
        status = job_status(store, job, tail=1000)
        assert status.progress == 0.9999 and 10 < len(status.events) < 30
        assert len(read_events(store, job)[0]) == 10_000

    def test_numbers_that_are_none(self, store):
        end = b'{"ev": "step", "overall": 1e999, "eta": "soon"}\n{"ev": "step", "overall": 1%s}\n' % (b"0" * 400)
        status = job_status(store, made_up(store, end))
        assert (status.progress, status.eta_seconds) == (0.0, None)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": 3}'])
    def test_damaged_spec(self, store, text):
        job = made_up(store, b'{"ev": "start"}\n')
        (store.job_root / job / "spec.json").write_text(text)
        assert [status.state for status in list_jobs(store)] == ["killed"]
        with pytest.raises(UsageError, match="damaged"):
            resume_job(store, job)
        delete_job(store, job)
        assert list_jobs(store) == []

    @pytest.mark.parametrize(
        "job", ["../x", "/etc", "", NO_JOB, NO_JOB + "\n", "20260101t００0000000000-abcdef", None, "a" * 9999]
    )
    def test_hostile_ids(self, store, job):
        (store.job_root / "x").mkdir(parents=True)
        for use in (job_status, read_log, cancel_job, resume_job, delete_job):
            with pytest.raises(UsageError, match="There is no job"):
                use(store, job)
        assert (store.job_root / "x").is_dir()

    def test_list_and_delete(self, store):
        assert list_jobs(store) == []
        first, second = start(store, "finish", seed=1), start(store, "until_cancelled")
        wait(store, second, "running")
        assert [status.id for status in list_jobs(store)] == [second, first]
        delete_job(store, first)
        with pytest.raises(UsageError, match="still running"):
            delete_job(store, second)
        with pytest.raises(UsageError, match="still running"):
            resume_job(store, second)
        assert [status.id for status in list_jobs(store)] == [second]
        assert len(store.list("run")) == 1, "results stay"

    def test_full_disk_at_the_start(self, store, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(control, "write_json", full)
        with pytest.raises(RurkError, match="disk is full"):
            start(store, "finish")
        assert list_jobs(store) == [] and os.listdir(store.job_root) == []

    def test_refused(self, store, tmp_path):
        with pytest.raises(UsageError, match="plain JSON"):
            start(store, "finish", x=float("nan"))
        for other in (Store("memory://x"), Store(tmp_path / "store", read_only=True)):
            with pytest.raises(UsageError, match="own process can write"):
                start(other, "finish")

    def test_bundled_entries_are_known_to_the_worker(self, store, tmp_path):
        shipped = Store(tmp_path / "shipped")
        stage = shipped.key("original", {"of": "b"})
        shipped.put(stage, {"of": "b"}, {"model.bin": b"weights"})
        job = start(Store(store.url, bundled=[shipped.url]), "once_more", name="b")
        assert wait(store, job).result == stage and not store.has(stage)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fault"), [("SIGSEGV", "segmentation fault"), ("SIGABRT", "aborted")])
def test_a_job_that_dies_by_a_signal_says_what_to_try(store, name, fault):
    status = wait(store, start(store, "fault", signal=name))
    assert status.state == "killed"
    assert (
        fault in status.message
        and "OMP_NUM_THREADS=1" in status.message
        and "Finished stages are kept" in status.message
    )


@pytest.mark.slow
def test_an_earlier_fault_is_not_taken_for_that_of_a_later_start(store):
    job = start(store, "fault", signal="SIGSEGV")
    wait(store, job)
    resume_job(store, job, runner="job_runners:deaf")
    os.kill(worker(store, wait(store, job, "running").id), signal.SIGKILL)
    assert "without a word" in wait(store, job).message


def test_a_limit_of_memory_that_is_none_is_said(store, monkeypatch):
    """Whoever asks for a limit and mistypes it does not run without one."""
    monkeypatch.setenv("RURK_JOB_MEMORY", "lots")
    status = wait(store, start(store, "finish"))
    assert status.state == "failed" and "a number of GB above 0, such as 8, not 'lots'" in status.message


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_what_a_job_writes_is_its_owners(store):
    job = start(store, "finish")
    wait(store, job)
    folder = store.job_root / job
    for path in (folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
