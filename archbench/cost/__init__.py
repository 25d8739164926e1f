"""SizedModel -> Cost: parameters, multiply-accumulates, activations, and what each independent counter says.

A counter is one function in one file of this package, registered under its name. It gets a network in eval mode and one
example, and returns its figure and the operations that it met and does not know; how long it took, its version and its
failures are noted here.
"""

from __future__ import annotations

import copy
import importlib.metadata
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archbench.budget import build_model
from archbench.cost.layers import layer_table
from archbench.errors import reason
from archbench.schema import Cost, Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from archbench.schema import SizedModel

    CounterFunction = Callable[[nn.Module, Tensor], tuple[int, tuple[str, ...]]]


@dataclass(frozen=True)
class Counter:
    """A way of counting: `count(net, example)` gives (figure, unknown operations), in `unit`."""

    name: str
    unit: Literal["macs", "flops"]
    package: str
    count: CounterFunction


_COUNTERS: dict[str, Counter] = {}


def register_counter(
    name: str, *, unit: Literal["macs", "flops"], package: str
) -> Callable[[CounterFunction], CounterFunction]:
    """Register the decorated function as a counter; `package` is the distribution whose version is reported."""

    def decorate(count: CounterFunction) -> CounterFunction:
        if name in _COUNTERS and _COUNTERS[name].count.__module__ != count.__module__:
            msg = f"two counters are named {name!r}"
            raise ValueError(msg)
        _COUNTERS[name] = Counter(name, unit, package, count)
        return count

    return decorate


def counters() -> Mapping[str, Counter]:
    """Return every counter by name, the built-in ones first."""
    from archbench.cost import fvcore_counter, ptflops_counter, torch_counter  # noqa: F401 - importing registers

    return dict(_COUNTERS)


def measure_cost(sized: SizedModel) -> Cost:
    """Count what a model costs, for one example in eval mode.

    Raises:
        ModelError: the model cannot be built, or does not run on its own input shape.
    """
    import torch

    net = build_model(sized).eval()
    example = torch.zeros(1, *sized.input_shape)
    layers = layer_table(sized)
    figures = tuple(_run(counter, net, example) for counter in counters().values())
    by_torch = next(figure for figure in figures if figure.counter == "torch")
    # A layer without a closed form in a net where torch saw no product either computes outside of torch.
    unseen = not by_torch.value and any(layer.macs is None for layer in layers)
    return Cost(
        params=sum(p.numel() for p in net.parameters()),
        trainable_params=sum(p.numel() for p in net.parameters() if p.requires_grad),
        buffers=sum(b.numel() for b in net.buffers() if b.is_floating_point()),
        macs=None if by_torch.value is None or unseen else by_torch.value // 2,
        activations=sum(layer.activations for layer in layers),
        counters=figures,
        statistics=sum(layer.statistics for layer in layers),
    )


@contextmanager
def _slow_attention() -> Iterator[None]:
    """Within: torch's attention runs product by product; its fast path is one operation that no counter sees into."""
    from torch.backends import mha

    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def _run(counter: Counter, net: nn.Module, example: Tensor) -> Count:
    try:
        version = importlib.metadata.version(counter.package)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    start = time.perf_counter()
    value: int | None = None
    unknown: tuple[str, ...] = ()
    error: str | None = None
    try:
        # A counter patches and traces what it is given; the copy keeps that from the others. What it has to say of
        # itself goes into the record, not onto the user's screen.
        with warnings.catch_warnings(), _slow_attention():
            warnings.simplefilter("ignore")
            value, unknown = counter.count(copy.deepcopy(net), example)
    except Exception as problem:  # noqa: BLE001 - a counter that fails on a model is a figure that is missing
        error = reason(problem)
    return Count(counter.name, version, counter.unit, value, unknown, time.perf_counter() - start, error)
