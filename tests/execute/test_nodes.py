"""Which nodes are worked on, by scripted ones and a clock that is set: there is no Ray."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from conftest import small_study

from archbench.errors import InputError
from archbench.execute import cluster, facts, nodes
from archbench.execute.cluster import Cluster
from archbench.execute.facts import Answer
from archbench.execute.jobs import Ended, Job, Setup
from archbench.execute.nodes import LABEL, LOOK_SECONDS, WITHOUT_SECONDS, Node, Nodes
from archbench.execute.remote import Place
from archbench.plan import make_plan

HEAD, WORKER, LATER = (Node(name, name, cpus, 0.0) for name, cpus in (("head", 0.0), ("worker", 2.0), ("later", 1.0)))


class Network:
    """Nodes that come and go, what they answer, and the time that passes.

    Attributes:
        there: the nodes. unlike: those that are not as this machine. waits: how often Ray was asked what is over.
    """

    def __init__(self, plan):
        self.plan, self.cells = plan, plan.cells
        self.there, self.unlike, self.said, self.now, self.waits = [HEAD, WORKER], set(), [], 0.0, 0

    def wait(self, refs, **_):
        self.waits += 1
        return list(refs), []

    def answer(self, node):
        right = facts.wanted(self.cells)
        return Answer(right | ({"torch": "1.0"} if node in self.unlike else {}), shared=True)

    def nodes(self):
        setup = Setup([], (), None, "logs", "checkpoints")
        return Nodes(self.cells, Place(setup, {}, ("", 0), "", self.plan.environment), self.said.append, own=False)

    def cluster(self):
        setup = Setup([], (), None, "logs", "checkpoints")
        return Cluster(setup, self.cells, self.plan.environment, None, self.said.append)

    def look(self, found, seconds=LOOK_SECONDS):
        self.now += seconds
        found.look()


@pytest.fixture
def network(monkeypatch):
    network = Network(make_plan(small_study(seeds=1)))
    context = SimpleNamespace(get_node_id=lambda: HEAD.id)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context, wait=network.wait))
    monkeypatch.setattr(nodes, "_alive", lambda: {node.id: node for node in network.there})
    monkeypatch.setattr(nodes, "taken", network.answer)
    monkeypatch.setattr(Nodes, "_ask", lambda self, node: node)
    monkeypatch.setattr(nodes, "time", SimpleNamespace(monotonic=lambda: network.now))
    return network


def test_a_head_that_trains_nothing_is_no_place_for_a_run(network):
    found = network.nodes()
    assert set(found.usable) == {"head", "worker"}
    assert (found.fit, found.room) == ({"worker": 2}, 2)


def test_where_all_workers_are_lost_the_head_alone_is_not_waited_with_for_ever(network):
    found = network.nodes()
    network.there = [HEAD]
    network.look(found)
    network.look(found, WITHOUT_SECONDS - LOOK_SECONDS)
    with pytest.raises(InputError, match="no node has been left to run on for 300 seconds"):
        network.look(found)


def test_a_worker_that_joins_in_time_is_used_and_the_clock_begins_anew(network):
    found = network.nodes()
    network.there = [HEAD]
    network.look(found, WITHOUT_SECONDS - 1)
    network.there = [HEAD, LATER]
    network.look(found)
    assert found.fit == {"later": 1}
    network.there = [HEAD]
    network.look(found, WITHOUT_SECONDS - 1)


def test_a_run_waits_for_nodes_that_have_room_for_it_alone(network):
    runner = network.cluster()
    runner._nodes, runner._place, asked = network.nodes(), None, []
    remote = SimpleNamespace(remote=lambda *_: object())
    runner._do = SimpleNamespace(options=lambda **options: asked.append(options["label_selector"]) or remote)
    jobs = [Job("train", network.cells[0])]
    runner._begin(SimpleNamespace(
        workers=9, stops=SimpleNamespace(level=0), next_job=lambda: jobs.pop() if jobs else None,
        timeout=lambda job: None,
    ))  # fmt: skip
    assert asked == [{LABEL: "in(worker)"}]
    assert [task.nodes for task in runner._tasks.values()] == [{"worker"}]


def test_ray_is_asked_once_a_look_what_is_over_however_many_runs_there_are(network, monkeypatch):
    monkeypatch.setattr(cluster, "how", Ended)
    runner, ended = network.cluster(), []
    runner._nodes = network.nodes()
    for number in range(3):
        runner._tasks[str(number)] = cluster.Task(Job("train", network.cells[0]), number, frozenset({"worker"}), 0.0)
    network.waits = 0
    runner._finish(SimpleNamespace(on_end=lambda _, how: ended.append(how.exit_code), timeout=lambda job: None))
    assert (network.waits, ended, runner._tasks) == (1, [0, 1, 2], {})


def test_where_this_machines_node_has_left_nothing_is_timed(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.util", SimpleNamespace(placement_group=None, remove_placement_group=None))
    found = network.nodes()
    network.there = [WORKER]
    network.look(found)
    with pytest.raises(InputError, match="this machine's node has left the cluster") as caught, found.alone():
        pass
    assert caught.value.remedy


def test_workers_that_are_unlike_are_not_taken_for_small_ones(network):
    network.unlike = {"worker"}
    with pytest.raises(InputError, match="that has room for a run is as this machine") as caught:
        network.nodes()
    assert "--threads" not in caught.value.remedy
    assert "worker is left out: torch" in network.said[0]


def test_where_no_node_is_large_enough_fewer_threads_are_the_remedy(network):
    network.there = [HEAD]
    with pytest.raises(InputError, match="has 1 CPU") as caught:
        network.nodes()
    assert "--threads" in caught.value.remedy
