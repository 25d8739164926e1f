"""A real Ray of two nodes on this machine, one CPU each: one cluster and one runner serve all tests."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib.util
import os
import platform
import shutil
import signal
import socketserver
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import test_pool
from conftest import small_study
from contract import RunnerContract, done, job_of, log_of, said, setup_of
from test_pool import all_end

from archbench import pipeline
from archbench.environment import capture, memory_bytes, usable_cores
from archbench.errors import InputError, OutputError
from archbench.execute import cluster, facts
from archbench.execute.checkpoints import folder_of
from archbench.execute.cluster import Cluster
from archbench.execute.facts import Answer
from archbench.execute.jobs import Ended
from archbench.execute.nodes import Nodes
from archbench.execute.session import check_ray
from archbench.execute.tasks import how
from archbench.manner import Manner
from archbench.plan import make_plan
from archbench.store import Store

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'archbench[ray]'")
yaml = pytest.importorskip("yaml", reason="comes with Ray")

pytestmark = test_pool.pytestmark

MODELS = """
import os, time
from pathlib import Path
from pool_models import Net

class Waiting(Net):
    def act(self):
        if self.steps == 35:  # the first of its third epoch
            print("waits", os.getpid(), "from", os.getppid())
            while not Path(os.environ["POOL_FOLDER"], "go").exists():
                time.sleep(0.01)

def waiting(num_classes, width=8):
    return Waiting(num_classes, width)
"""
SOON = {"health_check_period_ms": 500, "health_check_initial_delay_ms": 500, "health_check_failure_threshold": 3}
WITHIN = 180  # seconds that anything may take: what happens sooner is not waited for

KILLED_AS_HUNG = Ended(None, signal.SIGKILL, hung=True)

here = test_pool.here


@pytest.fixture(scope="module")
def nodes(here):
    """Return a cluster of two nodes; its processes have the variables of this one."""
    from ray.cluster_utils import Cluster as Local

    (here / "ray_models.py").write_text(MODELS)
    folder = tempfile.mkdtemp(prefix="archbench-ray-", dir="/tmp")  # sockets have long names
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr(ray._private.utils, "write_ray_address", lambda *_: None)  # others' Ray is not to be found so
        local = Local()
        try:
            add_node(local, temp_dir=folder, _system_config=SOON)
            add_node(local)
            yield local
        finally:
            local.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
            sys.modules.pop("ray_models", None)


def add_node(local, **more):
    return local.add_node(num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20, **more)


@pytest.fixture(scope="module")
def told():
    """Return what the runner said."""
    return []


@pytest.fixture(scope="module")
def runner(nodes, here, told):
    check_ray(nodes.address)
    asked = (setup_of(here), cells_of("quiet"), capture(), nodes.address, told.append)
    with contextlib.closing(Cluster(*asked)) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "PATIENCE_SECONDS", 10.0)  # a busy machine is not waited for for a minute
        runner.join()
        yield runner


def cells_of(*models, **settings):
    names = [f"{'ray' if model == 'waiting' else 'pool'}_models:{model}" for model in models]
    return make_plan(small_study(names, ["3k"], **{"epochs": 1, "seeds": 1, **settings})).cells


def until(true):
    limit = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)


def results(folder):
    """Return by key what does not depend on where a run was done."""
    with Store(folder) as store:
        return {
            key: (record.status, record.training.weights_sha256, record.training.test,
                  [(epoch.epoch, epoch.train, epoch.validation) for epoch in record.training.epochs])
            for key, record in store.records().items()
        }  # fmt: skip


@pytest.fixture
def lent(monkeypatch, runner, here):
    """Let runs of this module's folder be done by its runner."""
    monkeypatch.setattr(pipeline, "_runner", lambda *_: SimpleNamespace(
        local=False, run=runner.run, alone=runner.alone, close=lambda: None
    ))  # fmt: skip


def waits(here, job):
    """Return the process of a job that waits, and the one that it was forked from, once they are known."""
    until(lambda: "waits" in (log_of(here, job) or ""))
    line = next(line for line in log_of(here, job).splitlines() if line.startswith("waits"))
    _, process, _, warm = line.split()
    return int(process), int(warm)


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def waiting_job(**settings):
    (cell,) = cells_of("waiting", epochs=4, **settings)
    return dataclasses.replace(job_of("quiet"), cell=cell)


def test_without_ray_the_remedy_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed") as caught:
        pipeline.run(small_study(), Path("out"), manner=Manner(executor="ray"))
    assert "pip install 'archbench[ray]'" in caught.value.remedy
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (Manner(executor="ray", ray_address="ray://head:10001"), "no node of the cluster"),
        (Manner(0, executor="ray"), "trains in this process"),
        (Manner(executor="ray", ray_address="127.0.0.1:1"), "no cluster at 127.0.0.1:1: Connection refused"),
        (Manner(executor="ray", ray_address="localhost:99999999999"), "no cluster at"),
        (Manner(executor="ray", ray_address="head"), "is not the address"),
        (Manner(executor="ray", ray_address=":6379"), "is not the address"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_cluster_is_refused(manner, why):
    with pytest.raises(InputError, match=why) as caught:
        pipeline.train_trials(small_study(), Path("out"), manner=manner)
    assert caught.value.remedy


def test_what_listens_and_is_no_ray_is_refused():
    with socketserver.TCPServer(("127.0.0.1", 0), Redis) as server:
        threading.Thread(target=server.handle_request).start()
        with pytest.raises(InputError, match="what listens there is no Ray"):
            check_ray(f"127.0.0.1:{server.server_address[1]}")


class Redis(socketserver.StreamRequestHandler):
    """Answers as what may have the port of a cluster, too."""

    def handle(self):
        self.rfile.readline()
        self.wfile.write(b"-ERR unknown command\r\n")


def test_a_model_of_the_running_script_is_refused(monkeypatch):
    monkeypatch.setattr(pipeline, "modules_of", lambda *_: {"__main__"})
    with pytest.raises(InputError, match="no other machine has"):
        pipeline.train_trials(small_study(), Path("out"), manner=Manner(executor="ray"))


def test_the_cluster_of_the_documents_is_one_that_ray_takes():
    from ray.autoscaler._private.util import prepare_config, validate_config

    text = Path(__file__).parents[2].joinpath("docs/scale.md").read_text(encoding="utf-8")
    config = prepare_config(yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0]))
    validate_config(config)
    assert config["max_workers"] == 3


class TestContract(RunnerContract):
    pass


def test_runs_are_those_of_one_machine_to_the_bit(lent, here, tmp_path):
    study = small_study(["mlp", "linear", "cnn"], ["3k"], seeds=2, epochs=3)
    pipeline.train_trials(study, here, manner=Manner(executor="ray", tune=False))
    pipeline.train_trials(study, tmp_path, manner=Manner(0, tune=False))
    far, near = results(here), results(tmp_path)
    assert len(near) == 6
    assert far == near


def test_each_run_has_a_process_and_both_nodes_are_used(runner, here, told):
    jobs = [job_of("saying", number, lr=0.01 * number) for number in (1, 2, 3)]
    on = []
    done(runner, *jobs, workers=9, on_message=lambda *_: on.append({task.node for task in runner._tasks.values()}))
    assert max(map(len, on)) <= 2  # as much as there is room for
    assert len(set.union(*on) - {None}) == 2
    assert len({said(here, job, "process")[0] for job in jobs}) == 3


def test_where_a_run_is_done_is_told_and_not_taken_to_be_where_the_driver_is(runner, monkeypatch):
    elsewhere = dataclasses.replace(capture(), machine="the driver's", os="another", cores=99, memory_bytes=1, gpu="x")
    monkeypatch.setattr(runner, "_place", dataclasses.replace(runner._place, environment=elsewhere))
    heard = []
    done(runner, job_of("quiet"), on_message=lambda _, message: heard.append(message.environment))
    assert heard[0] == dataclasses.replace(
        elsewhere, machine=platform.node(), os=platform.platform(), cores=usable_cores(), memory_bytes=memory_bytes(),
        gpu=None,
    )  # fmt: skip


def test_what_gives_no_sign_is_ended_and_called_hung(runner):
    assert done(runner, job_of("stuck", epochs=2), timeout=lambda _: 0.0)[1][-1] == KILLED_AS_HUNG


def test_a_process_that_does_not_even_say_that_its_job_hangs_is_given_up(runner, monkeypatch, here, told):
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", -1e6)  # of Ray's process there, which would say so itself
    timeouts = [1e9]

    def hang(*_):
        timeouts[0] = 1.0

    *_, ended = done(runner, waiting_job(), on_message=hang, timeout=lambda _: timeouts[0])[1]
    assert ended == KILLED_AS_HUNG
    until(lambda: runner._nodes.look(at_once=True) or len(runner._nodes.usable) == 2)


def test_a_process_of_ray_that_is_killed_loses_its_run_and_the_next_is_done(runner, here, told):
    job, killed = waiting_job(), []

    def kill(_, message):
        if message.epoch and message.epoch.epoch == 2 and not killed:
            killed.extend(waits(here, job))
            os.kill(parent_of(killed[1]), signal.SIGKILL)

    heard = done(runner, job, dataclasses.replace(job_of("quiet"), attempt=2), on_message=kill)
    assert heard[1][-1].lost
    assert heard[2][-1] == Ended(0)
    assert "a run was lost" in told[-1]
    all_end(*killed)


def test_two_stops_end_a_step_that_never_ends(runner, here):
    job, processes = waiting_job(), []

    def stop(_, message):
        if message.epoch and message.epoch.epoch == 2:
            processes.extend(waits(here, job))
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)

    *news, ended = done(runner, job, on_message=stop)[1]
    assert [message.epoch.epoch for message in news] == [1, 2]
    assert ended == Ended(None, signal.SIGKILL)
    all_end(processes[0])


def test_what_the_store_raises_passes_through_and_no_run_is_left(runner, here):
    job, processes = waiting_job(), []

    def refuse(_, message):
        if message.epoch and message.epoch.epoch == 2:
            processes.extend(waits(here, job))
            raise OutputError("full")

    with pytest.raises(OutputError, match="full"):
        done(runner, job, on_message=refuse)
    all_end(processes[0])
    assert done(runner, job_of("quiet"))[1][-1] == Ended(0)


def test_a_place_that_cannot_be_written_is_named_with_its_node(runner, here):
    job = job_of("quiet", lr=0.7)
    (here / "checkpoints").mkdir(exist_ok=True)
    folder_of(here / "checkpoints", job.cell.key).write_text("a file")
    with pytest.raises(OutputError, match=r"on node .* cannot be written"):
        done(runner, job)


def test_data_that_are_not_there_fail_the_run_with_the_name_of_the_node(runner):
    job = job_of("quiet")
    lost = dataclasses.replace(job, cell=dataclasses.replace(job.cell, dataset="nowhere"))
    message, ended = done(runner, lost)[1]
    assert message.outcome.status == "failed"
    assert "nowhere" in message.outcome.error
    assert "(on node " in message.outcome.error
    assert ended == Ended(0)


def test_where_the_results_folder_is_not_seen_a_run_leaves_nothing_and_begins_again(runner, here, monkeypatch):
    monkeypatch.setattr(runner, "_place", dataclasses.replace(runner._place, witness=str(here / "nowhere")))
    job = dataclasses.replace(job_of("saying", epochs=2, lr=0.9), kept=((1, "0" * 64),))
    *notes, first, second, last, ended = done(runner, job)[1]
    assert [message.note for message in notes] == [
        "the checkpoint of epoch 1 cannot be read (No such file or directory)",
        "no checkpoint is left: the run begins again",
    ]
    assert [first.epoch.epoch, second.epoch.epoch] == [1, 2]
    assert (last.outcome.status, ended) == ("done", Ended(0))
    assert log_of(here, job) is None
    context = ray.get_runtime_context()
    there = Path(context.get_temp_dir(), context.get_session_name())
    assert "to standard error" in job.log(there / "logs" / "archbench").read_text()
    assert not folder_of(there / "checkpoints", job.cell.key).exists()
    assert not folder_of(here / "checkpoints", job.cell.key).exists()


def test_what_ray_ends_for_want_of_memory_is_told_from_what_is_lost(monkeypatch):
    def ended_by(error):
        monkeypatch.setattr(ray, "get", lambda _: (_ for _ in ()).throw(error))
        return how(None)

    errors = ray.exceptions
    low = ended_by(errors.OutOfMemoryError("low"))
    assert (low.signal, low.by_kernel, low.how(0)) == (signal.SIGKILL, True, "Ray ended its process for want of memory")
    assert ended_by(errors.NodeDiedError("gone")) == Ended(lost=True, why="NodeDiedError, says Ray")
    assert ended_by(errors.WorkerCrashedError()) == Ended(lost=True, why="WorkerCrashedError, says Ray")
    assert Ended(lost=True).how(0) == "it was lost with its node, or with Ray's process there"
    assert ended_by(errors.RayTaskError("do", "traceback", ValueError("x"))) == Ended(1, why="ValueError: x")
    unreachable = errors.RayTaskError("do", "traceback", OSError(errno.EHOSTUNREACH, "No route to host"))
    assert ended_by(unreachable) == Ended(lost=True, why="OSError: [Errno 113] No route to host")


def test_a_connection_that_is_none_of_a_run_is_hung_up(runner):
    import socket

    with socket.create_connection(runner._place.address) as stranger:
        stranger.sendall(b'{"token": "guessed"}\n')
        stranger.settimeout(WITHIN)
        done(runner, job_of("quiet"))
        assert stranger.recv(1) == b""


def test_while_steps_are_timed_the_node_of_the_driver_is_taken(runner):
    def free():
        return ray.available_resources().get("CPU", 0)

    until(lambda: free() == 2)
    with runner.alone():
        until(lambda: free() == 1)
        assert done(runner, job_of("quiet"))[1][-1] == Ended(0)  # on the other one
    until(lambda: free() == 2)


@pytest.fixture
def answers(runner, monkeypatch):
    """Let nodes answer as they are told to, in their order, at once."""
    able = cells_of("quiet")
    right = facts.wanted(able)

    def nodes_of(*changes, shared=True, weights=None):
        said, waiting = [], [Answer({**right, **change}, shared) for change in changes]
        monkeypatch.setattr(Nodes, "_ask", lambda *_: ray.put(waiting.pop(0)))
        setup = dataclasses.replace(runner._setup, weights=weights)
        place = dataclasses.replace(runner._place, setup=setup)
        return Nodes(able, place, said.append, own=False), said

    return nodes_of


def test_a_node_that_is_not_as_this_machine_is_left_out_and_named(answers):
    nodes, said = answers({}, {"torch": "1.0", "processor": "another"})
    assert nodes.room == 1
    assert said[1:] == ["1 node of the cluster, with room for 1 run at a time"]
    assert "is left out: torch: 1.0 there, 2" in said[0]
    assert "processor: another there" in said[0]


def test_without_a_node_that_is_as_this_machine_nothing_is_begun(answers):
    with pytest.raises(InputError, match="no node of the cluster that has room for a run is as this machine") as caught:
        answers({"torch": "1.0"}, {"source of pool_models:quiet": "ModuleNotFoundError: no pool_models"})
    assert "--ray-address" in caught.value.remedy


def test_nodes_that_do_not_see_the_results_folder_are_told_of(answers):
    nodes, said = answers({}, {}, shared=False)
    assert nodes.room == 2
    assert all("does not see the results folder" in words for words in said[:2])
    with pytest.raises(InputError, match="no node"):
        answers({}, {}, shared=False, weights="weights")


def test_what_a_node_answers_is_what_was_planned(runner, tmp_path, monkeypatch):
    for name in ("path", "environ"):
        monkeypatch.setattr(sys if name == "path" else os, name, getattr(sys if name == "path" else os, name).copy())
    able = facts.telling(cells_of("quiet", seeds=2))
    assert len(able) == 1
    answered = facts.answer(able, runner._place)
    assert facts.differences(answered.facts, facts.wanted(able)) == []
    assert answered.shared


def test_runs_of_a_node_that_dies_go_on_elsewhere_and_a_node_that_joins_is_used(lent, nodes, runner, here, tmp_path):
    """Two runs wait in their third epoch, one on each node, when the second node dies; then a third comes."""
    study = small_study(["ray_models:waiting"], ["3k"], seeds=2, epochs=4)
    (second,) = nodes.worker_nodes
    steps = []

    def usable(count):
        runner._nodes.look(at_once=True)
        return len(runner._nodes.usable) == count

    def report(step):
        steps.append(step.detail)
        if sum("epoch 2/4" in words for words in steps) == 2 and second in nodes.worker_nodes:
            nodes.remove_node(second, allow_graceful=False)
            until(lambda: usable(1))
            add_node(nodes)
            until(lambda: usable(2))
            (here / "go").touch()

    pipeline.train_trials(study, here, manner=Manner(executor="ray", tune=False), report=report)
    assert "goes on behind epoch 2 of 4" in steps
    pipeline.train_trials(study, tmp_path, manner=Manner(0, tune=False))
    undisturbed = results(tmp_path)
    assert len(undisturbed) == 2
    assert results(here).items() >= undisturbed.items()
    with Store(here) as store:
        assert sorted(attempt.state for attempt in store.attempts(undisturbed)) == ["done", "done", "interrupted"]
