"""Real processes with tiny jobs: one warm process serves all tests, but for those that it does not outlive."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from contract import RunnerContract, done, job_of, log_of, said, setup_of

from archbench.errors import OutputError
from archbench.execute import Isolated, Warm, pool, warm
from archbench.execute.checkpoints import folder_of
from archbench.execute.jobs import Channel, Ended, Message
from archbench.execute.kills import kernel_kills
from archbench.execute.pool import Work
from zoo import registry

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc to see what is left")

MODELS = """
import asyncio, gc, os, signal, stat, subprocess, sys, time
from pathlib import Path
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes, width):
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, num_classes))
        self.steps = 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            self.act()
        return super().forward(x)

    def act(self):
        pass

def first(act):
    class Acting(Net):
        def act(self):
            if self.steps == 1:
                act(self)
    return lambda num_classes, width=8: Acting(num_classes, width)

def say(net):
    print("process", os.getpid(), "group", os.getpgid(0), "parent", os.getppid())
    print("cores", *sorted(os.sched_getaffinity(0)))
    print("objects", len(gc.get_objects()))
    told = [name for name in os.environ if name.startswith(("GLIBC", "MALLOC", "POOL"))]
    print("variables", *(f"{name}={os.environ[name]}" for name in told))
    print("to standard error, with letters of others: \\u00e9", file=sys.stderr)

def fork_and_end(net):
    process = os.fork()
    if process == 0:
        time.sleep(3600)  # it holds the channel of the one that is over
    Path(os.environ["POOL_FOLDER"], "forked").write_text(str(process))
    os._exit(4)

def start_another(net):
    Path(os.environ["POOL_FOLDER"], "started").write_text(str(subprocess.Popen(["sleep", "3600"]).pid))

def cancel(net):
    raise asyncio.CancelledError  # no Exception, as KeyboardInterrupt is none

def interrupt(net):
    raise KeyboardInterrupt

def babble(net):
    for number in range(3, 100):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b"no message\\n")
        except OSError:
            pass
    time.sleep(3600)

quiet = first(lambda net: None)
saying = first(say)
killed = first(lambda net: os.kill(os.getpid(), signal.SIGKILL))
terminated = first(lambda net: os.kill(os.getpid(), signal.SIGTERM))
leaving = first(lambda net: os._exit(7))
raising = first(lambda net: [][0])
forking = first(fork_and_end)
starting = first(start_another)
cancelled = first(cancel)
interrupting = first(interrupt)
babbling = first(babble)

class Slow(Net):
    def act(self):
        time.sleep(0.2)  # 17 steps an epoch

def slow(num_classes, width=8):
    return Slow(num_classes, width)

class Stuck(Net):
    def act(self):
        if self.steps > 17:  # in its second epoch
            time.sleep(3600)

def stuck(num_classes, width=8):
    return Stuck(num_classes, width)
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return the folder of this module's models, which are known to this process; its variables are inherited."""
    folder = tmp_path_factory.mktemp("pool")
    (folder / "pool_models.py").write_text(MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_SPECS", dict(registry._SPECS))
        patch.syspath_prepend(folder)
        patch.delenv("ARCHBENCH_ALLOCATOR")
        patch.setenv("POOL_FOLDER", str(folder))
        yield folder
    sys.modules.pop("pool_models", None)


@pytest.fixture(scope="module")
def runner(here):
    with contextlib.closing(Isolated(setup_of(here))) as runner:
        yield runner


def alive(process):
    with contextlib.suppress(OSError):
        return b"State:\tZ" not in Path(f"/proc/{process}/status").read_bytes()
    return False


def all_end(*processes, within=30):
    """See that processes end: one that is killed takes a moment."""
    limit = time.monotonic() + within
    while any(map(alive, processes)):
        assert time.monotonic() < limit
        time.sleep(0.01)


class TestContract(RunnerContract):
    pass


def test_news_of_jobs_side_by_side_is_each_in_its_order(runner):
    heard = done(runner, *(job_of("quiet", number, epochs=3, lr=0.01 * number) for number in (1, 2, 3)), workers=2)
    for *news, ended in heard.values():
        assert [message.epoch and message.epoch.epoch for message in news] == [1, 2, 3, None]
        assert ended == Ended(0)


def test_no_more_processes_than_workers_are_at_work(runner):
    most = []
    heard = done(
        runner, *(job_of("quiet", number, lr=0.01 * number) for number in (1, 2, 3)),
        on_message=lambda *_: most.append(sum(not one.over for one in runner._running)),
    )  # fmt: skip
    assert set(most) == {1}
    assert len(heard) == 3


def test_a_process_that_has_said_all_ends_beside_the_next(runner, monkeypatch):
    finish, limit, begun = runner._finish, time.monotonic() + 30, []

    def once_both_began(*given):
        if len(set(begun)) == 2 or time.monotonic() > limit:
            finish(*given)

    monkeypatch.setattr(runner, "_finish", once_both_began)
    jobs = [job_of("quiet", number, lr=0.01 * number) for number in (1, 2)]
    heard = done(runner, *jobs, on_message=lambda job, _: begun.append(job.attempt))
    assert time.monotonic() < limit
    assert [news[-1] for news in heard.values()] == [Ended(0), Ended(0)]
    assert runner._running == []


@pytest.mark.parametrize("over", [False, True])
def test_nothing_is_heard_behind_the_end_of_a_job(runner, over):
    heard, (ours, theirs) = [], socket.socketpair()
    running = pool._Running(job_of("quiet", 1), Channel(ours), 0.0, 0, over=over)
    work = SimpleNamespace(heard=lambda job, message, tell: heard.append(message.note))
    with ours, theirs:
        Channel(theirs).send(Message(note="from what it started"))
        runner._hear_of_job(running, work, None)
    assert heard == ([] if over else ["from what it started"])


def test_each_job_has_a_process_and_a_group_of_its_own_from_one_warm_process(runner, here):
    jobs = [job_of("saying", number, lr=0.01 * number) for number in (1, 2)]
    done(runner, *jobs)
    words = [said(here, job, "process") for job in jobs]
    processes = {int(process) for process, *_ in words}
    assert len(processes) == 2
    assert processes.isdisjoint({os.getpid(), runner._warm.pid})
    for process, _, group, _, parent in words:
        assert process == group
        assert int(parent) == runner._warm.pid
    assert not any(map(alive, processes))


def test_a_process_does_not_look_through_what_was_there_before_it(runner, here):
    # No draw of so few images is kept: scikit-learn is imported when they are loaded.
    job = job_of("saying", split=(300, 150, 150), limit=100)
    done(runner, job)
    (counted,) = said(here, job, "objects")
    assert int(counted) < 20_000


def test_a_log_of_nothing_is_not_kept(runner, here):
    job = job_of("quiet", lr=0.5)
    done(runner, job)
    assert log_of(here, job) is None


def test_a_job_is_held_to_its_cores(runner, here):
    core = min(os.sched_getaffinity(0))
    job, free = job_of("saying", 1, (core,), lr=0.125), job_of("saying", 2, lr=0.0625)
    done(runner, job, free)
    assert said(here, job, "cores") == [str(core)]
    assert said(here, free, "cores") == [str(one) for one in sorted(os.sched_getaffinity(0))]


def test_what_a_model_raises_is_an_outcome_with_its_traceback_in_the_log(runner, here):
    job = job_of("raising")
    message, ended = done(runner, job)[1]
    assert (message.outcome.status, message.outcome.error) == ("failed", "IndexError: list index out of range")
    assert ended == Ended(0)
    assert "Traceback" in log_of(here, job)


@pytest.mark.parametrize(("model", "why"), [("cancelled", "CancelledError"), ("interrupting", "KeyboardInterrupt")])
def test_whatever_a_model_raises_costs_one_run(runner, here, model, why):
    job = job_of(model, 1)
    heard = done(runner, job, job_of("quiet", 2))
    *_, message, ended = heard[1]
    assert (message.outcome.status, message.outcome.error, ended) == ("failed", why, Ended(0))
    assert "Traceback" in log_of(here, job)
    assert heard[2][-2].outcome.status == "done"


def test_what_makes_no_sense_on_the_channel_costs_one_run(runner):
    heard = done(runner, job_of("babbling", 1), job_of("quiet", 2))
    assert heard[1] == [Ended(None, signal.SIGKILL, confused=True)]
    assert heard[2][-2].outcome.status == "done"


def test_a_sign_that_it_goes_on_is_no_news_and_keeps_it_from_being_called_hung(runner):
    *news, ended = done(runner, job_of("slow", epochs=1), timeout=lambda job: 2.0)[1]  # it takes longer
    assert [message.epoch and message.epoch.epoch for message in news] == [1, None]
    assert ended == Ended(0)


def test_what_gives_no_sign_is_ended_and_called_hung(runner):
    job = job_of("stuck", epochs=2)
    timeouts = []
    *news, ended = done(
        runner, job, timeout=lambda job: 0.0 if timeouts else None, on_message=lambda *_: timeouts.append(0.0)
    )[1]
    assert [message.epoch.epoch for message in news] == [1]
    assert ended == Ended(None, signal.SIGKILL, hung=True)


def test_while_the_warm_process_gets_ready_a_job_goes_on_and_does_not_hang(runner):
    job, signs = job_of("quiet"), []
    waits = pool._Running(job, None, last=-1e9, kills=0)
    runner._running.append(waits)
    try:
        runner._end_hung(Work(None, None, None, None, None, timeout=lambda job: 1.0, on_sign=signs.append))
    finally:
        runner._running.remove(waits)
    assert signs == [job]
    assert not waits.hung


def test_a_fork_that_is_left_behind_holds_nothing_up_and_is_ended(runner, here, monkeypatch):
    monkeypatch.setattr(pool, "LAST_WORDS_SECONDS", 0)
    heard = done(runner, job_of("forking", 1), job_of("quiet", 2))
    assert heard[1] == [Ended(4)]
    assert isinstance(heard[2][-1], Ended)
    all_end(int((here / "forked").read_text()))


def test_two_stops_end_a_step_that_never_ends(runner):
    def stop(*_):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    *news, ended = done(runner, job_of("stuck", epochs=2), on_message=stop)[1]
    assert [message.epoch.epoch for message in news] == [1]
    assert ended == Ended(None, signal.SIGKILL)


def test_a_place_that_cannot_be_written_ends_all_and_the_processes_with_it(runner, here):
    full, stuck = job_of("quiet", 1, lr=0.7), job_of("stuck", 2, epochs=2)
    (here / "checkpoints").mkdir(exist_ok=True)
    folder_of(here / "checkpoints", full.cell.key).write_text("a file")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        done(runner, full, stuck, workers=2)
    assert caught.value.remedy
    assert done(runner, job_of("quiet"))[1][-1] == Ended(0)


def test_what_the_store_raises_passes_through_and_no_process_is_left(runner, here):
    processes = []

    def refuse(*_):
        processes.append(runner._running[0].process)
        raise OutputError("full")

    with pytest.raises(OutputError, match="full"):
        done(runner, job_of("stuck", epochs=2), on_message=refuse)
    all_end(*processes)
    assert runner._running == []


def test_data_that_cannot_be_loaded_fail_the_run_alone(runner):
    job = job_of("quiet")
    lost = dataclasses.replace(job, cell=dataclasses.replace(job.cell, dataset="nowhere"))
    message, ended = done(runner, lost)[1]
    assert message.outcome.status == "failed"
    assert "nowhere" in message.outcome.error
    assert ended == Ended(0)


def test_costs_are_counted_there_as_well(runner):
    job = dataclasses.replace(job_of("quiet"), kind="cost")
    message, ended = done(runner, job)[1]
    width = (job.cell.sized.params - 10) / (64 + 1 + 10)
    assert message.cost.macs == 64 * width + width * 10
    assert ended == Ended(0)


def test_a_warm_process_that_dies_takes_its_runs_with_it_and_another_follows(runner):
    first, processes = runner._warm.pid, []

    def kill(job, message):
        if job.attempt == 1:
            processes.append(runner._running[0].process)
            os.kill(first, signal.SIGKILL)

    heard = done(runner, job_of("stuck", 1, epochs=2), job_of("quiet", 2), on_message=kill)
    assert heard[1][-1] == Ended(None, signal.SIGKILL, lost=True)
    assert heard[2][-2].outcome.status == "done"
    assert runner._warm.pid != first
    all_end(*processes)


def test_a_warm_process_that_never_begins_loses_each_job_and_leaves_why(here, tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "NURSERY", "raise SystemExit('no torch here')")
    with contextlib.closing(Isolated(setup_of(tmp_path))) as runner:
        heard = done(runner, job_of("quiet", 1), job_of("quiet", 2))
    lost = Ended(None, signal.SIGKILL, lost=True)
    assert heard == {1: [lost], 2: [lost]}
    assert set((tmp_path / "logs" / "processes.log").read_text().split("\n")) == {"no torch here", ""}


def test_closing_ends_the_warm_process_and_leaves_no_empty_log(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "NURSERY", "import time; time.sleep(3600)")
    runner = Isolated(setup_of(tmp_path))
    process = runner._warm.pid
    assert alive(process)
    runner.close()
    assert not alive(process)
    assert not (tmp_path / "logs").exists()
    runner.close()  # twice is no error


def test_a_warm_process_may_begin_before_it_is_known_what_for(here):
    with contextlib.closing(Warm()) as early, contextlib.closing(Isolated(setup_of(here), early)) as runner:
        job = job_of("saying", 1)
        done(runner, job)
        *_, parent = said(here, job, "process")
        assert int(parent) == early.pid
    assert not alive(early.pid)


def test_one_that_nothing_was_found_for_ends_without_a_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unneeded = Warm()
    assert alive(unneeded.pid)
    unneeded.close()
    assert not alive(unneeded.pid)
    assert not any(tmp_path.iterdir())


def test_the_kernels_kills_are_summed_over_the_counters_that_can_be_read(tmp_path):
    (tmp_path / "vmstat").write_text("pgfault 3\noom_kill 4\noom_kill_other 100\n")
    (tmp_path / "events").write_text("low 0\noom 9\noom_kill 2\noom_group_kill 50\n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    names = [str(tmp_path / name) for name in ("vmstat", "events", "odd", "missing")]
    assert kernel_kills(tuple(names)) == 6
    assert kernel_kills(()) == 0


def test_a_kill_by_the_kernel_is_told_by_its_counter(runner, monkeypatch):
    counted = iter([5, 6, 6, 6])
    monkeypatch.setattr(pool, "kernel_kills", lambda: next(counted))
    assert done(runner, job_of("killed"))[1] == [Ended(None, signal.SIGKILL, by_kernel=True)]
    monkeypatch.setattr(pool, "kernel_kills", lambda: 7)
    assert done(runner, job_of("killed"))[1] == [Ended(None, signal.SIGKILL)]


def test_what_a_run_starts_ends_with_it(runner, here):
    done(runner, job_of("starting"))
    started = int((here / "started").read_text())
    try:
        all_end(started)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(started, signal.SIGKILL)
