"""SizedModel -> Cost: parameters, multiply-accumulates, activations, and what each independent counter says.

`macs` has one definition, that of `archbench.cost.trace`. A counter is one function in one file of this package,
registered under its name. It gets a network in eval mode and one example, and returns its own figure by its own
convention, in parts, and which operations it knows; how long it took, its version and its failures are noted here, and
`archbench.cost.reconcile` explains how far it is from ours.
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
from archbench.cost.trace import counted, trace
from archbench.errors import reason
from archbench.schema import Cost, Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from archbench.cost.trace import Operation
    from archbench.schema import SizedModel

    CounterFunction = Callable[[nn.Module, Tensor], "Counted"]

PRODUCTS = "products"  # the part of a counter's figure that are multiply-accumulates


@dataclass(frozen=True)
class Counted:
    """What a counter found.

    Attributes:
        parts: its figure by what was counted: `products` for multiply-accumulates, and what else it adds to them.
        knows: whether it counts an operation, if only as nothing.
    """

    parts: Mapping[str, int]
    knows: Callable[[Operation], bool] = lambda operation: True


@dataclass(frozen=True)
class Counter:
    """A way of counting: `count(net, example)` gives what it found, in `unit`."""

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
    from archbench.cost import (  # noqa: F401 - importing registers
        closed_form,
        fvcore_counter,
        ptflops_aten_counter,
        ptflops_counter,
        torch_counter,
    )

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
    with _slow_attention():
        try:
            operations, trained = trace(net, example), True
        except RuntimeError:  # it changes its own parameters
            operations, trained = trace(net, example, gradients=False), False
    # A layer that computes outside of torch, in a net where torch saw no product.
    unseen = not counted(operations) and any(layer.macs is None for layer in layers)
    tensors = [*net.parameters(), *net.buffers()]
    return Cost(
        params=sum(p.numel() for p in net.parameters()),
        trainable_params=sum(p.numel() for p in net.parameters() if p.requires_grad),
        buffers=sum(b.numel() for b in net.buffers() if b.is_floating_point()),
        macs=None if unseen else counted(operations),
        activations=sum(layer.activations for layer in layers),
        counters=tuple(_run(counter, net, example, operations) for counter in counters().values()),
        statistics=sum(layer.statistics for layer in layers),
        train_macs=None if unseen or not trained else sum(one.macs + one.backward_macs for one in operations),
        size_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
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


def _run(counter: Counter, net: nn.Module, example: Tensor, operations: Sequence[Operation]) -> Count:
    import torch

    try:
        version = importlib.metadata.version(counter.package)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    start = time.perf_counter()
    try:
        # A counter patches and traces what it is given; the copy keeps that from the others. What it has to say of
        # itself goes into the record, not onto the user's screen.
        with warnings.catch_warnings(), _slow_attention(), torch.no_grad():
            warnings.simplefilter("ignore")
            found = counter.count(copy.deepcopy(net), example)
            unknown = [operation for operation in operations if not found.knows(operation)]
    except Exception as problem:  # noqa: BLE001 - a counter that fails on a model is a figure that is missing
        return Count(counter.name, version, counter.unit, None, (), time.perf_counter() - start, reason(problem))
    missed: dict[str, int] = {}
    for operation in unknown:
        if operation.macs:
            missed[operation.name] = missed.get(operation.name, 0) + operation.macs
    return Count(
        counter.name, version, counter.unit, sum(found.parts.values()),
        tuple(sorted({operation.name for operation in unknown})), time.perf_counter() - start,
        parts=dict(found.parts), missed=missed,
        coverage=1 - len(unknown) / len(operations) if operations else None,
    )  # fmt: skip
