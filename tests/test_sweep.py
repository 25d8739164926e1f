"""Which cells are run, in which order and by whom: what does the jobs is a script, and nothing is trained."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import signal
import sqlite3
from contextlib import closing

import pytest
from conftest import small_study
from test_schema import COST, RECORD, TRAINING

from archbench import sweep
from archbench.errors import InputError, OutputError
from archbench.execute import CHECKPOINTS_FOLDER, Ended, Job, Message, folder_of
from archbench.manner import RETRIABLE, RETRIED, Manner, make_manner, parse_executor, parse_retry, to_do
from archbench.plan import make_plan
from archbench.schema import Epoch, Metrics, Outcome
from archbench.store import Begun, Owner, Store
from archbench.sweep import Sweep
from archbench.timing.locks import timing_on

METRICS = Metrics(1.0, 0.5, 0.9)
DONE = [Message(outcome=Outcome("done", TRAINING)), Ended(0)]


def epoch_of(number):
    return Epoch(number, METRICS, METRICS, 1.0, 1.0)


class Script:
    """Does jobs by telling what was written down for each, in the place of processes."""

    local = True

    def __init__(self, *scripts, idle=lambda: None):
        self.scripts, self.idle = list(scripts), idle
        self.jobs, self.waited = [], 0

    def run(self, work):
        while work.more() and not work.stops.level:
            job = work.next_job()
            if job is None:
                self.waited += 1
                assert self.waited < 100, "it waits for ever"
                self.idle()
                continue
            self.jobs.append(job)
            script = self.scripts.pop(0) if self.scripts else DONE
            for news in script(job) if callable(script) else script:
                (work.on_end if isinstance(news, Ended) else work.on_message)(job, news)
            work.stops.drain()

    def close(self):
        pass


@pytest.fixture
def plan():
    return make_plan(small_study(["mlp", "linear"], ["3k"], seeds=2, epochs=4))


@pytest.fixture
def room(tmp_path):
    with Store(tmp_path, create=True) as store, Owner(tmp_path) as owner:
        yield store, owner


def swept(plan, room, script, manner=None, cells=None, costs=(), workers=1):
    """Run a plan's cells; return what was reported."""
    told = []
    waiting = list(plan.cells if cells is None else cells)
    since = room[0].last_attempt()
    sweep = Sweep(plan, *room, manner or Manner(), told.append, dict(costs), {}, {}, waiting, since)
    sweep.run(script, workers)
    return told


def states(store):
    return [attempt.state for attempt in store.attempts()]


# --- what is tried again


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("failed,oom", {"failed", "oom"}),
        ("none", set()),
        ("diverged", {"diverged"}),
        (" OOM , Failed ,", {"oom", "failed"}),
        ("failed,failed", {"failed"}),
        ("oom,diverged,failed", {"oom", "diverged", "failed"}),
    ],
)
def test_what_is_tried_again_is_read(text, wanted):
    assert parse_retry(text) == wanted


@pytest.mark.parametrize("text", ["", ",", "done", "failed,done", "interrupted", "none,failed", "failed oom", "all"])
def test_what_is_no_outcome_to_try_again_is_refused_with_those_that_are(text):
    with pytest.raises(InputError, match="is not accepted") as caught:
        parse_retry(text)
    assert caught.value.remedy == "Give some of diverged, failed, oom, separated by commas, or none."


def test_without_a_word_the_manner_is_the_usual_one():
    assert make_manner() == Manner()
    assert make_manner(3, "none", 9.0, "off", "ray", "auto") == Manner(
        3, frozenset(), 9.0, tune=False, executor="ray", ray_address="auto"
    )


def test_where_runs_are_done_is_parsed():
    assert parse_executor("local", None) == "local"
    assert parse_executor("ray", "auto") == "ray"
    for text, address in (("Ray", None), ("", None), ("local", "auto")):
        with pytest.raises(InputError) as caught:
            parse_executor(text, address)
        assert caught.value.remedy


@pytest.mark.parametrize("size", range(4))
def test_done_is_never_tried_again_and_interrupted_always(size):
    for retry in itertools.combinations(sorted(RETRIABLE), size):
        again = {
            status for status in ("done", "failed", "diverged", "oom", "interrupted")
            if to_do(dataclasses.replace(RECORD, status=status), Manner(retry=frozenset(retry)))
        }  # fmt: skip
        assert again == {*retry, "interrupted"}


def test_by_default_what_may_be_the_machines_fault_is_tried_again():
    assert Manner().retry == RETRIED == {"failed", "oom"}


# --- the order


def test_the_dearest_is_begun_first_and_progress_is_weighed_by_it(plan, room):
    keys = list(plan.sized)
    costs = {keys[0]: dataclasses.replace(COST, macs=100), keys[1]: dataclasses.replace(COST, macs=900)}
    script = Script()
    told = swept(plan, room, script, costs=costs.items())
    assert [job.cell.model for job in script.jobs] == ["linear", "linear", "mlp", "mlp"]
    assert [step.done for step in told if step.finished] == [900, 1800, 1900, 2000]
    assert {step.total for step in told} == {2000}


def test_an_epoch_is_a_share_of_its_run(plan, room):
    told = swept(plan, room, Script([Message(epoch=epoch_of(n)) for n in (1, 2, 3)] + DONE), cells=plan.cells[:1])
    assert [(step.done, step.total) for step in told] == [(0.25, 1), (0.5, 1), (0.75, 1), (1, 1)]
    assert told[0].detail == "epoch 1/4, 0 of 1 runs done"


def test_without_a_cost_each_run_counts_as_one(plan, room):
    unknown = {key: dataclasses.replace(COST, macs=None) for key in plan.sized}
    for costs in ({}, unknown):
        told = swept(plan, room, Script(), costs=costs.items(), manner=Manner(), cells=plan.cells)
    assert {step.total for step in told} <= {4}


# --- claims


def test_each_run_is_claimed_before_it_begins_and_committed_when_it_ends(plan, room):
    store, owner = room
    seen = []

    def look(job):
        seen.append([(a.id, a.key, a.state, a.owner) for a in store.attempts() if a.state == "running"])
        return DONE

    script = Script(look, look)
    swept(plan, room, script, cells=plan.cells[:2])
    assert seen == [[(job.attempt, job.cell.key, "running", owner.token)] for job in script.jobs]
    assert states(store) == ["done", "done"]


def test_what_is_done_already_is_not_begun(plan, room):
    store, _ = room
    store.add(dataclasses.replace(RECORD, status="done", cell=plan.cells[0]))
    script = Script()
    told = swept(plan, room, script, cells=plan.cells[:1])  # another was quicker
    assert script.jobs == []
    assert [step.detail for step in told] == ["another archbench ran it: done"]


@pytest.fixture
def other(tmp_path, plan, room):
    """Return another archbench that is at work on the first cell, and its attempt."""
    with Store(tmp_path, create=True) as store, contextlib.ExitStack() as alive:
        owner = alive.enter_context(Owner(tmp_path))
        yield store, alive, store.begin(Begun(plan.cells[0], plan.environment), owner.token)


@pytest.fixture
def at_once(monkeypatch):
    """What others are at is looked at each time."""
    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0)


def test_a_run_that_another_finishes_is_waited_for_and_not_run(plan, room, other, at_once):
    store, _, attempt = other
    script = Script(idle=lambda: script.waited == 3 and store.finish(attempt, Outcome("done", TRAINING), 1.0))
    told = swept(plan, room, script)
    assert {job.cell.key for job in script.jobs} == {cell.key for cell in plan.cells[1:]}
    assert [step.detail for step in told if step.note] == [
        f"another archbench is at work in {store.folder}; waiting for its runs"
    ]
    assert told[-1].detail == "another archbench ran it: done"
    assert told[-1].done == told[-1].total
    assert sorted(states(store)) == ["done"] * 4


@pytest.mark.parametrize("status", ["failed", "oom", "diverged"])
def test_what_another_comes_to_meanwhile_stands_and_is_not_run_again(plan, room, other, at_once, status):
    store, _, attempt = other
    script = Script(idle=lambda: store.finish(attempt, Outcome(status, error="why"), 1.0))
    told = swept(plan, room, script, cells=plan.cells[:1])
    assert script.jobs == []
    assert told[-1].detail == f"another archbench ran it: {status}"
    assert told[-1].finished
    assert told[-1].done == told[-1].total
    assert states(store) == [status]


def test_a_run_that_another_is_stopped_at_is_run_here(plan, room, other, at_once):
    store, _, attempt = other
    script = Script(idle=lambda: store.finish(attempt, Outcome("interrupted", error="stopped"), 1.0))
    swept(plan, room, script, cells=plan.cells[:1])
    assert [job.cell for job in script.jobs] == [plan.cells[0]]
    assert states(store) == ["interrupted", "done"]


@pytest.mark.parametrize(
    ("status", "run_here"),
    [("done", False), ("failed", False), ("oom", False), ("diverged", False), ("interrupted", True)],
)
def test_what_another_begins_and_ends_while_this_is_at_work_stands(plan, room, at_once, status, run_here):
    store, _ = room
    first, second = plan.cells[1], plan.cells[0]  # taken from the end

    def script(job):
        with Owner(store.folder) as another:
            attempt = store.begin(Begun(second, plan.environment), another.token)
            store.finish(attempt, Outcome(status, TRAINING, error="why"), 1.0)
        return DONE

    script = Script(script)
    told = swept(plan, room, script, cells=[second, first])
    assert [job.cell for job in script.jobs] == [first, second][: 1 + run_here]
    assert ([step.detail for step in told if step.finished][-1] == f"another archbench ran it: {status}") != run_here


@pytest.mark.parametrize("status", ["failed", "oom", "diverged", "interrupted"])
def test_what_came_to_nothing_before_this_began_is_run_again(plan, room, status):
    store, _ = room
    store.add(dataclasses.replace(RECORD, status=status, cell=plan.cells[0]))
    script = Script()
    swept(plan, room, script, cells=plan.cells[:1])
    assert [job.cell for job in script.jobs] == [plan.cells[0]]
    assert states(store) == [status, "done"]


def test_a_run_of_another_that_dies_is_run_here(plan, room, other, at_once):
    _, alive, _ = other
    script = Script(idle=alive.close)
    swept(plan, room, script, cells=plan.cells[:1])
    assert [job.cell for job in script.jobs] == [plan.cells[0]]
    assert states(room[0]) == ["interrupted", "done"]


def test_others_are_not_looked_at_more_often_than_a_second(plan, room, other, monkeypatch):
    clock = iter(itertools.count(1000.0, 0.25))
    monkeypatch.setattr(sweep, "time", type("Time", (), {"monotonic": lambda: next(clock)}))
    store, _, attempt = other
    looked = []
    original = Store.attempts
    monkeypatch.setattr(Store, "attempts", lambda self, keys: (looked.append(1), original(self, keys))[1])
    script = Script(idle=lambda: script.waited == 40 and store.finish(attempt, Outcome("done", TRAINING), 1.0))
    swept(plan, room, script, cells=plan.cells[:1])
    assert 1 < len(looked) < 40


# --- where and with what


def test_while_another_times_nothing_begins_and_no_run_is_lost(plan, room):
    held = timing_on("cpu")
    held.__enter__()
    script = Script(idle=lambda: script.waited == 3 and held.__exit__(None, None, None))
    told = swept(plan, room, script)
    assert script.waited == 3
    assert len(script.jobs) == 4
    assert sum("another archbench uses the CPU" in step.detail for step in told) == 1


def test_cores_are_given_and_taken_back(plan, room):
    script = Script()
    swept(plan, room, script)
    (cores,) = {job.cores for job in script.jobs}
    assert len(cores) == 1
    script = Script()
    swept(plan, room, script, cells=make_plan(small_study(["mlp"], ["5k"])).cells, workers=0)
    assert {job.cores for job in script.jobs} == {()}


# --- what became of them


@pytest.mark.parametrize(
    ("ended", "status", "why", "exit_code"),
    [
        (Ended(7), "failed", "its process ended with exit status 7", 7),
        (Ended(0), "failed", "its process ended with exit status 0", 0),
        (Ended(None, signal.SIGSEGV), "failed", "its process was killed by signal 11 (SIGSEGV)", None),
        (
            Ended(None, signal.SIGKILL, confused=True),
            "failed",
            "it wrote where only archbench writes, and was ended",
            None,
        ),
        (Ended(None, signal.SIGKILL, by_kernel=True), "oom", "the system ended its process for want of memory", None),
        (
            Ended(None, signal.SIGKILL, hung=True),
            "failed",
            "it made no step for 1 min 30 s and was ended (--timeout)",
            None,
        ),
    ],
)
def test_a_process_that_did_not_say_is_judged_by_its_end(plan, room, ended, status, why, exit_code):
    store, _ = room
    swept(plan, room, Script([ended]), Manner(timeout_s=90), plan.cells[:1])
    (attempt,) = store.attempts()
    assert (attempt.state, attempt.error, attempt.exit_code, attempt.signal) == (status, why, exit_code, ended.signal)


def test_a_signal_without_a_name_costs_one_run(plan, room):
    number = signal.SIGRTMIN + 3
    swept(plan, room, Script([Ended(None, number)]), cells=plan.cells[:2])
    assert states(room[0]) == ["failed", "done"]
    assert room[0].attempts()[0].error == f"its process was killed by signal {number:d}"


def test_a_run_is_stored_with_the_machine_that_it_was_done_on(plan, room):
    there = dataclasses.replace(plan.environment, machine="there", cores=64)
    swept(plan, room, Script([Message(environment=there), *DONE]), cells=plan.cells[:2])
    assert {record.environment.machine for record in room[0].records().values()} == {"there", plan.environment.machine}
    assert there in [record.environment for record in room[0].records().values()]
    assert room[0].verify() == []


def test_what_it_said_counts_whatever_its_end(plan, room):
    swept(plan, room, Script([DONE[0], Ended(None, signal.SIGKILL)]), cells=plan.cells[:1])
    assert states(room[0]) == ["done"]


def test_what_went_with_the_warm_process_begins_again_but_not_for_ever(plan, room):
    lost = [Ended(None, signal.SIGKILL, lost=True)]
    script = Script(lost, lost)
    swept(plan, room, script, cells=plan.cells[:1])
    assert states(room[0]) == ["interrupted", "interrupted", "done"]
    script = Script(lost, lost, lost)
    swept(plan, room, script, cells=plan.cells[1:2])
    assert states(room[0])[3:] == ["interrupted", "interrupted", "failed"]
    assert room[0].attempts()[-1].error == "its process was killed by signal 9 (SIGKILL)"


def test_why_a_run_was_lost_is_stored_with_the_attempt(plan, room):
    why = "TimeoutError: timed out"
    swept(plan, room, Script([Ended(lost=True, why=why)]), cells=plan.cells[:1])
    assert [(attempt.state, attempt.error) for attempt in room[0].attempts()] == [("interrupted", why), ("done", None)]


def test_a_model_that_learns_by_fit_gives_no_sign_and_may_take_its_time(room):
    plan = make_plan(small_study(["mlp@3k", "knn"], [], seeds=1))
    found = {}

    class Asking(Script):
        def run(self, work):
            found.update({cell.model: work.timeout(Job("train", cell)) for cell in plan.cells})

    swept(plan, room, Asking(), Manner(timeout_s=90))
    assert found == {"mlp": 90, "knn": None}
    swept(plan, room, Asking(), Manner(timeout_s=0))
    assert found == {"mlp": None, "knn": None}


@pytest.mark.parametrize("status", ["done", "diverged", "failed", "oom"])
def test_checkpoints_go_with_what_is_settled_alone(plan, room, status):
    folder = folder_of(room[0].folder / CHECKPOINTS_FOLDER, plan.cells[0].key)

    def script(job):
        folder.mkdir(parents=True)
        (folder / "epoch-000001.pt").write_bytes(b"state")
        return [Message(outcome=Outcome(status, TRAINING)), Ended(0)]

    swept(plan, room, Script(script), cells=plan.cells[:1])
    assert folder.exists() == (status in {"failed", "oom"})


def test_the_next_attempt_is_given_what_the_last_one_finished_and_commits_what_it_takes(plan, room):
    store, _ = room
    first = [Message(epoch=epoch_of(n), checkpoint=str(n) * 64) for n in (1, 2, 3)]
    swept(plan, room, Script([*first, Ended(None, signal.SIGKILL)]), cells=plan.cells[:1])
    rest = dataclasses.replace(TRAINING, epochs=(epoch_of(3), epoch_of(4)), seconds=10.0)
    second = [Message(note="the checkpoint of epoch 3 is damaged"), Message(resumed=2), Message(epoch=epoch_of(3))]
    script = Script([*second, Message(epoch=epoch_of(4)), Message(outcome=Outcome("done", rest)), Ended(0)])
    told = swept(plan, room, script, cells=plan.cells[:1])
    assert script.jobs[0].kept == ((2, "2" * 64), (3, "3" * 64))
    assert [attempt.epochs for attempt in store.attempts()] == [3, 4]
    training = store.records()[plan.cells[0].key].training
    assert training.epochs == tuple(epoch_of(n) for n in (1, 2, 3, 4))
    assert (training.train_seconds, training.seconds) == (4.0, 14.0)  # with those of the first attempt
    assert store.verify() == []
    assert told[0].note
    assert told[0].detail == "mlp@3k seed 0: the checkpoint of epoch 3 is damaged"
    assert told[1].detail == "goes on behind epoch 2 of 4"


def killed_behind(plan, room, *epochs):
    """Run the first cell up to some epochs, given as (number, hash)."""
    news = [Message(epoch=epoch_of(number), checkpoint=sha256) for number, sha256 in epochs]
    swept(plan, room, Script([*news, Ended(None, signal.SIGKILL)]), cells=plan.cells[:1])


def next_kept(plan, room):
    script = Script()
    swept(plan, room, script, cells=plan.cells[:1])
    return script.jobs[0].kept


def test_epochs_without_a_checkpoint_are_not_handed_on(plan, room):
    killed_behind(plan, room, (1, "1" * 64), (2, None), (3, "3" * 64), (4, None))
    assert next_kept(plan, room) == ((1, "1" * 64), (3, "3" * 64))


def test_epochs_behind_a_gap_are_not_handed_on(plan, room):
    killed_behind(plan, room, *((number, str(number) * 64) for number in (1, 2, 3, 4)))
    with closing(sqlite3.connect(room[0].path)) as db, db:
        db.execute("UPDATE epochs SET metrics = '{}' WHERE epoch = 3")
    assert next_kept(plan, room) == ((1, "1" * 64), (2, "2" * 64))


def test_an_attempt_without_a_checkpoint_does_not_hide_that_of_the_one_before(plan, room):
    killed_behind(plan, room, (1, "1" * 64))
    killed_behind(plan, room)
    assert next_kept(plan, room) == ((1, "1" * 64),)


def test_what_came_to_something_left_nothing_to_go_on_from(plan, room):
    news = Message(epoch=epoch_of(1), checkpoint="1" * 64)
    diverged = Message(outcome=Outcome("diverged", TRAINING, error="the loss is nan"))
    swept(plan, room, Script([news, diverged, Ended(0)]), cells=plan.cells[:1])
    assert next_kept(plan, room) == ()


def test_what_cannot_be_built_is_refused_with_its_traceback_and_handed_to_nobody(room, tmp_path, monkeypatch):
    (tmp_path / "odd_models.py").write_text("def net(num_classes):\n    raise ValueError('no such layer')\n")
    monkeypatch.syspath_prepend(tmp_path)
    plan = make_plan(small_study(["odd_models:net", "mlp"], ["3k"], seeds=1))
    script = Script()
    told = swept(plan, room, script)
    assert [job.cell.model for job in script.jobs] == ["mlp"]
    attempt = room[0].attempts()[0]
    assert (attempt.state, attempt.seconds) == ("failed", 0.0)
    assert "ValueError: no such layer" in attempt.error
    assert told[0].finished
    assert told[0].detail == attempt.error
    (log,) = (tmp_path / "logs").iterdir()
    assert log.name == f"{attempt.key[:16]}.log"
    assert "Traceback" in log.read_text()
    assert "in net" in log.read_text()


# --- the end before the end


def test_a_stop_is_told_and_keeps_what_is_finished(plan, room):
    def script(job):
        signal.raise_signal(signal.SIGTERM)
        return [Message(outcome=Outcome("interrupted", error="stopped")), Ended(0)]

    told = []
    with pytest.raises(KeyboardInterrupt) as caught:
        Sweep(plan, *room, Manner(), told.append, {}, {}, {}, list(plan.cells)).run(Script(DONE, script), 1)
    assert caught.value.args == (signal.SIGTERM,)
    assert states(room[0]) == ["done", "interrupted"]
    assert told[-1].detail == "stopping after the step; once more stops at once"
    assert told[-1].note


def test_a_process_that_a_stop_killed_is_interrupted_and_not_failed(plan, room):
    def script(job):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        return [Ended(None, signal.SIGKILL)]

    with pytest.raises(KeyboardInterrupt):
        swept(plan, room, Script(script))
    (attempt,) = room[0].attempts()
    assert (attempt.state, attempt.error, attempt.signal) == ("interrupted", "stopped", signal.SIGKILL)


def test_a_full_disk_passes_through_and_gives_back_what_was_held(plan, tmp_path):
    def script(job):
        raise OutputError("the disk is full")

    with Store(tmp_path, create=True) as store:
        with Owner(tmp_path) as owner, pytest.raises(OutputError, match="full"):
            swept(plan, (store, owner), Script(DONE, script))
        waited = []
        with timing_on("cpu", waited.append):
            assert waited == []
        assert states(store) == ["done", "interrupted"]
