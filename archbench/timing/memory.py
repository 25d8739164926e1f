"""SizedModel -> Memory: what a training step holds at most, by the allocator's account, and what that comes from.

On the CPU the account is that of torch's profiler, which is told of each block that torch's allocator takes and gives
back; the scratch memory of a library below it is not part of it. On CUDA it is the caching allocator's own peak.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench.budget import build_model
from archbench.data.batches import ordered
from archbench.errors import ArchbenchError, reason
from archbench.forward import forward_pass, order_of, resident, torch_threads
from archbench.metrics import loss_of
from archbench.optimizers import make_optimizer
from archbench.schema import Memory
from archbench.timing.steps import Request, batch_of, labels_for, make_steps, modes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from archbench.data import Dataset
    from archbench.schema import Device, Recipe, SizedModel

STEP = "archbench.step"  # marks the step that is measured in the profiler's list
MEMORY_EVENT = "[memory]"
PROBE = 1000  # values of a parameter that an optimizer's state is read off


def measure_memory(
    sized: SizedModel, dataset: Dataset, recipe: Recipe, device: Device, threads: int = 1
) -> Memory | None:
    """Return what a training step of a recipe's batch holds at most; None for a model that has no training step.

    Args:
        sized: what.
        dataset: what the batch is made of.
        recipe: gives the batch size, the optimizer and the precision.
        device: where.
        threads: intra-op threads of torch.
    """
    if "train" not in modes_of(sized):
        return None
    request = Request((sized,), None, {sized.input_shape: dataset}, recipe, device, threads, modes=("train",))
    found: dict[str, int] = {}
    error = None
    ways: dict[str, Callable[[Request], int]] = {
        "estimated_memory_bytes": estimate_memory, "peak_memory_bytes": _of_cuda if device == "cuda" else _of_cpu
    }  # fmt: skip
    with torch_threads(threads):
        for name, way in ways.items():
            try:
                found[name] = way(request)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever a model raises is why there is no figure
                error = reason(problem)
    return Memory(recipe.batch_size, device, **found, error=error)


def _of_cpu(request: Request) -> int:
    """Return the most bytes that are held during the second step, everything from the weights on being seen made."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # what the profiler has to say of itself
    from torch.profiler import ProfilerActivity, profile, record_function

    gc.collect()  # what is freed while it is measured would be taken from the account
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step = _step(request)
        with record_function(STEP):
            step()
        del step
    results: Any = profiler.profiler
    events = results.kineto_results.events()
    start, end = next((e.start_ns(), e.start_ns() + e.duration_ns()) for e in events if e.name() == STEP)
    taken = sorted(
        ((e.start_ns(), e.nbytes()) for e in events
         if e.name() == MEMORY_EVENT and e.device_type().name == "CPU"),
        key=lambda one: one[0],
    )  # fmt: skip
    when, held = np.array([time for time, _ in taken]), np.cumsum([size for _, size in taken])
    # What was held when the step began, and after each event within it.
    return int(held[max(0, int(np.searchsorted(when, start)) - 1) : int(np.searchsorted(when, end, "right"))].max())


def _of_cuda(request: Request) -> int:
    import torch

    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    step = _step(request)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


def _step(request: Request) -> Any:
    """Return a step that has been taken once, so that gradients and the optimizer's state are there."""
    made = make_steps(request)
    if made.problems:
        raise ArchbenchError(made.problems[0].partition("): ")[2])
    return next(iter(made.subjects.values()))


def estimate_memory(request: Request) -> int:
    """Return the bytes of weights, gradients, optimizer state, batch and what the backward pass needs of the forward.

    The last is what autograd saves in a forward pass, each piece of memory once. What lives for a moment only, such as
    the gradients of activations, is left out, and gradients of weights count in full while activations are still held.
    """
    import torch

    recipe, sized = request.recipe, request.models[0]
    torch.manual_seed(0)
    net = resident(build_model(sized), request.device, sized.input_shape).train()
    batch = ordered(batch_of(request.datasets[sized.input_shape], request), order_of(net))
    own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers(), batch)}
    saved: dict[int, int] = {}
    kept = []  # so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    saving = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with saving, forward_pass(request.device, recipe.precision):
        outputs = net(batch)
        loss_of(outputs, labels_for(outputs), recipe)
    weights = sum(tensor.nbytes for tensor in (*net.parameters(), *net.buffers()))
    trained = sum(parameter.nbytes for parameter in net.parameters() if parameter.requires_grad)
    return weights + round(trained * (1 + state_values(recipe))) + batch.nbytes + sum(saved.values())


def state_values(recipe: Recipe) -> float:
    """Return how many values the recipe's optimizer keeps for each one that it trains: 2 for Adam."""
    import torch
    from torch import nn

    net = nn.ParameterList([torch.zeros(PROBE)])
    optimizer = make_optimizer(net, recipe)
    net[0].grad = torch.zeros(PROBE)
    optimizer.step()
    state = optimizer.state[net[0]].values()
    return sum(value.numel() for value in state if torch.is_tensor(value) and value.numel() > 1) / PROBE
