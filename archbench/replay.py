"""Steps on a card -> CUDA graphs of them, replayed: to launch what a small net computes takes longer than to do it."""

from __future__ import annotations

import random
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from archbench.errors import ModelError, reason

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    T = TypeVar("T")

WARM_UP = 3  # calls on a side stream before a capture: libraries set themselves up in them


def aside(work: Callable[[], T]) -> T:
    """Do work on a stream of its own, behind what was launched and before what will be."""
    import torch

    stream, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(stream)
    with torch.cuda.stream(side):
        result = work()
    stream.wait_stream(side)
    return result


def captured(work: Callable[[], T]) -> Callable[[], T]:
    """Return the replay of what work launches, which has been done aside before; it is launched now, but not done.

    A replay returns what this call returned, with the values of the replay.

    Raises:
        ModelError: it draws random numbers on the host, which a replay would not.
        Exception: whatever it, or CUDA, raises where it cannot be captured; it can be done as before then.
    """
    import torch

    stream, device_state = torch.cuda.current_stream(), torch.cuda.get_rng_state()
    drawn = _host_states()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            result = work()
        if not _same(drawn, _host_states()):
            msg = "it draws random numbers on the host"
            raise ModelError(msg)
    except BaseException:
        torch.cuda.set_stream(stream)
        # The generator would wait for the end of the capture.
        fresh = torch.Generator("cuda").graphsafe_get_state()
        torch.cuda.default_generators[torch.cuda.current_device()].graphsafe_set_state(fresh)
        torch.cuda.set_rng_state(device_state)
        _put_back(drawn)
        raise
    return partial(_replay, graph, result, work)


def _replay(graph: torch.cuda.CUDAGraph, result: T, _: Callable[[], T]) -> T:
    """Replay a graph; the work is held with it, as the graph itself keeps nothing alive of what it works on."""
    graph.replay()
    return result


def _host_states() -> tuple[Any, ...]:
    import torch

    return random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - what models draw from


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one[0] == other[0] and all(map(np.array_equal, one[1], other[1])) and np.array_equal(one[2], other[2])


def _put_back(states: tuple[Any, ...]) -> None:
    import torch

    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002 - likewise
    torch.set_rng_state(states[2])


class Replays:
    """Steps of a training that are replayed once their number of images has come a few times.

    Where the host has a part in them they are taken op by op, as before, and it is said why.

    Attributes:
        refused: numbers of images whose steps cannot be captured.
    """

    def __init__(self, step: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Take a step, which is given the places of its images and updates by `update`, and its optimizer."""
        import torch

        self._step, self._optimizer = step, optimizer
        device = optimizer.param_groups[0]["params"][0].device
        self._rates = [torch.zeros((), device=device) for _ in optimizer.param_groups]
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
        self._chosen: dict[int, Tensor] = {}
        self._taken: dict[int, int] = {}
        self._replays: dict[int, Callable[[], Tensor]] = {}
        self.refused: set[int] = set()

    def update(self) -> None:
        """Let the optimizer take its step at rates that lie on the device: a graph reads them there."""
        groups = self._optimizer.param_groups
        rates = [group["lr"] for group in groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*capturable", UserWarning)  # that it is not captured, at first
                self._optimizer.step()
        finally:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate

    def take(self, chosen: Tensor) -> Tensor:
        """Take a step on the images at places (N,); what it returns stands until the next."""
        size = len(chosen)
        if size not in self._chosen:
            self._chosen[size] = chosen.clone()
        self._chosen[size].copy_(chosen)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            rate.fill_(group["lr"])
        step = self._replays.get(size) or self._prepared(size)
        return step()

    def _prepared(self, size: int) -> Callable[[], Tensor]:
        step = partial(self._step, self._chosen[size])
        if size in self.refused:
            return step
        taken = self._taken[size] = self._taken.get(size, 0) + 1
        if taken <= WARM_UP:
            return partial(aside, step)
        try:
            replay = self._replays[size] = captured(step)
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            self.refused.add(size)
            print(f"a step is taken op by op, not as a CUDA graph: {reason(error)}", file=sys.stderr)  # noqa: T201 - the log
            return step
        return replay
