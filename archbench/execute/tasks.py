"""A job that is a task of Ray, as the driver knows it."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archbench.errors import reason
from archbench.execute.jobs import Ended

if TYPE_CHECKING:
    from archbench.execute.jobs import Channel, Job

KILLED = Ended(None, signal.SIGKILL)


@dataclass
class Task:
    """A job that is a task of Ray.

    Attributes:
        result: Ray's, which is there once its process is done or lost. over: since when it is.
        nodes: that it may be done on. node: that it is done on.
        last: when it gave the last sign. channel: to its process, while there is one.
        told: the level of stop that it was told of. since: when it was.
    """

    job: Job
    result: Any
    nodes: frozenset[str]
    last: float
    channel: Channel | None = None
    node: str | None = None
    ended: Ended | None = None
    over: float | None = None
    told: int = 0
    since: float = 0.0

    def tell(self, word: bytes) -> None:
        """Tell its process, if there is one."""
        if self.channel is not None:
            self.channel.tell(word)


def how(result: Any) -> Ended:
    """Return how a task ended that did not say so itself: Ray has it in the place of a result."""
    import ray

    try:
        ray.get(result)
    except ray.exceptions.OutOfMemoryError:
        return replace(KILLED, by_kernel=True, why="Ray ended its process for want of memory")
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OSError):  # the network, or a disk there: elsewhere it may be done
            return Ended(lost=True, why=reason(error.cause))
        return Ended(1, why=reason(error.cause or error))
    except ray.exceptions.RayError as error:
        return Ended(lost=True, why=f"{type(error).__name__}, says Ray")
    return Ended(lost=True, why="its connection was cut")
