"""The nodes of a Ray cluster that runs may be done on: those that are as this one, whoever joins and leaves."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench.errors import InputError, reason
from archbench.execute.facts import Answer, answer, differences, telling, wanted
from archbench.execute.remote import node_name
from archbench.units import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archbench.execute.remote import Place
    from archbench.schema import Cell

LOOK_SECONDS = 2.0  # between looks at who is there
ANSWER_SECONDS = 300.0  # that a node has to say what it is: it imports torch and loads the data
START_SECONDS = 30.0  # that nodes are waited for where others have answered; who answers later is used from then on
WITHOUT_SECONDS = 300.0  # that work waits for a node where none is left
LABEL = "ray.io/node-id"  # that Ray gives every node
REMEDY = (
    "Give every node the same processor or card, torch and archbench, and the models and data under the same paths; "
    "or name another cluster with --ray-address."
)


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        id: Ray's. name: for people. cpus, gpus: that Ray has there in all.
    """

    id: str
    name: str
    cpus: float
    gpus: float

    def room(self, device: str, threads: int) -> int:
        """Return how many runs it has room for at a time."""
        runs = int(self.cpus // threads)
        return min(runs, int(self.gpus)) if device == "cuda" else runs


@dataclass
class _Asked:
    """A node that was asked what it is, by a task."""

    node: Node
    answer: Any
    since: float


class Nodes:
    """Who is there, and who of them is equal to what cells were planned with.

    Attributes:
        usable: by Ray's number.
    """

    def __init__(self, cells: Sequence[Cell], place: Place, say: Callable[[str], None], *, own: bool) -> None:
        """Take what is to be run, and who is told of what; `own` says that this machine started all nodes itself.

        Raises:
            InputError: no node is as it must be.
        """
        import ray

        self.usable: dict[str, Node] = {}
        self._cells, self._place, self._say = telling(cells), place, say
        self._wanted = wanted(self._cells)
        self._known: set[str] = set()
        self._names: dict[str, str] = {}
        self._asked: list[_Asked] = []
        self._looked = self._since = time.monotonic() - LOOK_SECONDS
        self._driver = str(ray.get_runtime_context().get_node_id())
        self._there = _alive()
        self._own = own
        if own:
            self.usable = dict(self._there)
            self._known = set(self._there)
        self._wait_for_answers()

    def _wait_for_answers(self) -> None:
        import ray

        self.look()
        until = time.monotonic() + START_SECONDS
        while self._asked and not (self.room and time.monotonic() > until):
            ray.wait([asked.answer for asked in self._asked], timeout=LOOK_SECONDS)
            self.look(at_once=True)
        if not any(map(self._room, self._there.values())):
            msg = f"no node of the cluster has {number(self._cells[0].threads, 'CPU')} and the device that a run needs"
            raise InputError(msg, "Give fewer --threads, or add nodes that have them.")
        if not self.room:
            msg = "no node of the cluster that has room for a run is as this machine"
            raise InputError(msg, REMEDY)
        if not self._own:
            runs = number(self.room, "run")
            self._say(f"{number(len(self.usable), 'node')} of the cluster, with room for {runs} at a time")

    def _room(self, node: Node) -> int:
        return node.room(self._cells[0].device, self._cells[0].threads)

    @property
    def fit(self) -> dict[str, int]:
        """How many runs each usable node has room for at a time; a head without CPUs, say, is none of them."""
        return {key: room for key, node in self.usable.items() if (room := self._room(node))}

    @property
    def room(self) -> int:
        """How many runs the usable nodes have room for at a time."""
        return sum(self.fit.values())

    def look(self, *, at_once: bool = False) -> None:
        """See who is there: who joined is asked what it is, who left is forgotten.

        Raises:
            InputError: none has been left for a while.
        """
        if not at_once and time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self._there = _alive()
        self._names |= {node.id: node.name for node in self._there.values()}
        for lost in self.usable.keys() - self._there:
            self.doubt(lost)
        self._asked = [asked for asked in self._asked if asked.node.id in self._there]
        for key in self._there.keys() - self._known:
            self._known.add(key)
            self._asked.append(_Asked(self._there[key], self._ask(key), time.monotonic()))
        for asked in list(self._asked):
            self._take(asked)
        self._since = time.monotonic() if self.room or self._asked else self._since
        if time.monotonic() - self._since > WITHOUT_SECONDS:
            msg = f"no node has been left to run on for {WITHOUT_SECONDS:.0f} seconds"
            raise InputError(msg, "What was done is kept; the same command goes on once there are nodes again.")

    def doubt(self, node: str) -> None:
        """Give no more work to a node where some was lost, until it has said again what it is."""
        if self.usable.pop(node, None) is not None:
            self._known.discard(node)

    def _ask(self, node: str) -> Any:
        import ray

        task = ray.remote(max_calls=1, num_cpus=0, max_retries=0)(answer)
        return task.options(label_selector={LABEL: node}).remote(self._cells, self._place)

    def _take(self, asked: _Asked) -> None:
        """Take a node in, or leave it out, once it has answered."""
        import ray

        if ray.wait([asked.answer], timeout=0)[0]:
            why = self._why_not(asked)
        elif time.monotonic() - asked.since > ANSWER_SECONDS:
            why = f"it gave no answer for {ANSWER_SECONDS:.0f} seconds"
        else:
            return
        self._asked.remove(asked)
        if why:
            self._say(f"node {asked.node.name} is left out: {why}")
        else:
            self.usable[asked.node.id] = asked.node

    def _why_not(self, asked: _Asked) -> str:
        try:
            answered = taken(asked.answer)
        except Exception as error:  # noqa: BLE001 - archbench may not be there, or another than this one
            return reason(error)
        different = differences(answered.facts, self._wanted)
        if different:
            return "; ".join(different)
        if not answered.shared and self._place.setup.weights:
            return "it does not see the results folder, which weights are to be kept in"
        if not answered.shared:
            self._say(
                f"node {asked.node.name} does not see the results folder: what models print there stays in Ray's "
                "logs, and a run that is lost there begins again"
            )
        return ""

    def name(self, node: str | None) -> str:
        """Return what a node is called that is there or was."""
        return self._names.get(node or "", "that is not known")

    def any_there(self, nodes: frozenset[str]) -> bool:
        """Whether one of these nodes is still there, as far as Ray knows."""
        return not nodes.isdisjoint(self._there)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Within: all CPUs and GPUs of the driver's node are taken, so that Ray begins nothing else there.

        Raises:
            InputError: that node is none any more.
        """
        from ray.util import placement_group, remove_placement_group

        here = self._there.get(self._driver)
        if here is None:
            msg = "this machine's node has left the cluster"
            raise InputError(msg, "Join it again (`ray start --address=HOST:PORT`); the same command goes on.")
        whole = {kind: count for kind, count in (("CPU", here.cpus), ("GPU", here.gpus)) if count}
        if self._own or not whole:
            yield  # nobody else has jobs in it, and Ray would end the processes that are warm; or it runs nothing
            return
        group = placement_group([whole], bundle_label_selector=[{LABEL: self._driver}])
        try:
            if not group.wait(LOOK_SECONDS):
                self._say("waiting until no other job of Ray runs on this node (Ctrl-C stops)")
                while not group.wait(LOOK_SECONDS):
                    pass
            yield
        finally:
            remove_placement_group(group)


def taken(asked: Any) -> Answer:
    """Return what a node answered, or raise what went wrong there."""
    import ray

    answered: Answer = ray.get(asked)
    return answered


def selector(nodes: frozenset[str]) -> dict[str, str]:
    """Return what tells Ray that a task is for one of these nodes."""
    return {LABEL: f"in({','.join(sorted(nodes))})"}


def _alive() -> dict[str, Node]:
    """Return the nodes that are there, as far as Ray knows, by its numbers."""
    import ray

    return {
        node["NodeID"]: Node(
            node["NodeID"], node_name(node["NodeManagerHostname"], node["NodeID"]),
            node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes() if node["Alive"]
    }  # fmt: skip
