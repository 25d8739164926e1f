"""How a network stands on a device and computes there: the order of its memory, compilation, precision, threads."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from archbench.schema import Device, MemoryFormat, Precision

MOST_COMPILED = 10_000  # variants of one forward


def resident(
    net: nn.Module, device: str, input_shape: tuple[int, int, int], memory_format: MemoryFormat = "channels_last"
) -> nn.Module:
    """Return the network on the device, its filters in channels-last order where that is asked for and it takes it.

    The order is mostly faster and changes no result but by rounding; a net that views its maps as flat memory cannot
    have it.
    """
    import torch

    if memory_format == "contiguous":
        return net.to(device).train()
    net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        with torch.no_grad():
            images = torch.zeros(2, *input_shape, device=device)
            last = order_of(net) == "channels_last"
            net.eval()(images.contiguous(memory_format=torch.channels_last) if last else images)
    except RuntimeError:
        net = net.to(memory_format=torch.contiguous_format)
    return net.train()


def order_of(net: nn.Module) -> MemoryFormat:
    """Return the order of memory of a network's filters, in which it is given its images.

    What has no filters, or only some that are in either order, has its images in the usual one, which it may flatten.
    """
    import torch

    filters = (parameter for parameter in net.parameters() if parameter.ndim == 4)
    last = any(one.is_contiguous(memory_format=torch.channels_last) and not one.is_contiguous() for one in filters)
    return "channels_last" if last else "contiguous"


def compiled(net: nn.Module, device: Device) -> Callable[[Tensor], Tensor]:
    """Return the network's forward pass compiled for batches of one size, and with it its backward pass.

    On CUDA what it launches is captured as a graph, as the launches of a small net take longer than its work.
    """
    import torch
    from torch._dynamo import config

    # All nets of one class share their forward's cache: without room each would silently run op by op.
    config.recompile_limit = config.accumulated_recompile_limit = MOST_COMPILED
    config.fail_on_recompile_limit_hit = True
    mode = "reduce-overhead" if device == "cuda" else None
    return torch.compile(net, dynamic=False, mode=mode)


def autocast(device: str, precision: Precision) -> AbstractContextManager[Any]:
    """Return the context in which torch casts what a forward pass of this precision multiplies."""
    import torch

    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()


def arithmetic(device: str, precision: str) -> AbstractContextManager[None]:
    """Return the context of all that is computed on a device: forward, backward and between.

    On CUDA torch rounds what convolutions multiply to TF32 unless it is told otherwise. Here single precision is that
    of IEEE 754, and TF32 what `tf32` stands for, in convolutions and products of matrices alike. Convolutions are
    computed in the same way each time, so that the same training gives the same bits.
    """
    return _on_cuda(precision) if device == "cuda" else nullcontext()


@contextmanager
def _on_cuda(precision: str) -> Iterator[None]:
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    cudnn.deterministic = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = before


@contextmanager
def forward_pass(device: str, precision: Precision) -> Iterator[None]:
    """Within: a forward pass of this precision may be computed, where no backward pass follows."""
    with arithmetic(device, precision), autocast(device, precision):
        yield


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Within: torch computes with so many intra-op threads; afterwards with as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
