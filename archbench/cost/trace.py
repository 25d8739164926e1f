"""What a network does, operation by operation, as torch's dispatcher sees it: where `macs` is defined.

A multiply-accumulate is one of a convolution (a transposed one, too), of a matrix product (those of recurrent layers
among them), or of the two products of scaled-dot-product attention, for one example in eval mode. Norms, activations,
pooling, biases and other additions are none, whatever they cost.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

Kind = Literal["convolution", "matrix product", "attention"]
ATTENTION = "scaled_dot_product"  # in the names of all of its operations
PRODUCTS = {  # operations by the positions of their two factors
    "mm": (0, 1), "bmm": (0, 1), "mv": (0, 1), "dot": (0, 1), "vdot": (0, 1),
    "addmm": (1, 2), "baddbmm": (1, 2), "addbmm": (1, 2), "addmv": (1, 2),
}  # fmt: skip
RECURRENT = "rnn_layer"  # in the names of layers that run in one piece
CONVOLUTIONS = ("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", "cudnn_convolution")
FREE = ("aten.empty", "aten.detach", "aten.alias", "aten._unsafe_view", "aten.scalar_tensor", "aten.lift_fresh")


@dataclass(frozen=True)
class Operation:
    """One operation that does more than look at its input in another shape.

    Attributes:
        name: torch's, without its overload: `aten.convolution`.
        function: the public function that the model called: `torch.nn.functional.conv2d`, `torch.Tensor.__matmul__`.
        modules: the names of the modules around it, the innermost last.
        kind: what multiplies; None for all else.
        macs: multiply-accumulates.
        backward_macs: those of its gradients: of its weight where that is trained, of its input where something before
            it is; none of a first layer's input, none of what is frozen.
        outputs: values that it gives.
        bias: values that it adds a bias to.
    """

    name: str
    function: str
    modules: tuple[str, ...]
    kind: Kind | None
    macs: int
    backward_macs: int
    outputs: int
    bias: int


def trace(net: nn.Module, example: Tensor, *, gradients: bool = True) -> list[Operation]:
    """Run a network once in eval mode on an example (or on a batch of one) and return what it did.

    The network is left as it was, but for what its forward pass itself does.

    Args:
        net: the network.
        example: (1, C, H, W), on its device.
        gradients: whether it is followed what has gradients (none are computed); a network that changes its parameters
            as it runs does not allow that, and then nothing has any.
    """
    import torch
    from torch.overrides import TorchFunctionMode, resolve_name
    from torch.utils._python_dispatch import TorchDispatchMode

    found: list[Operation] = []
    functions: list[str] = []
    modules: list[str] = []

    class Functions(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            functions.append(resolve_name(func) or str(getattr(func, "__name__", func)))
            try:
                return func(*args, **(kwargs or {}))
            finally:
                functions.pop()

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            name = str(func._overloadpacket)  # noqa: SLF001 - how torch's own counters ask
            if not func.is_view and name not in FREE:
                function = functions[-1] if functions else ""
                found.append(_operation(name, function, tuple(modules), args, out))
            return out

    training = net.training
    with ExitStack() as stack:
        stack.callback(net.train, training)
        stack.enter_context(_inside(net.eval(), modules))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(Functions())
        stack.enter_context(Operations())  # type: ignore[no-untyped-call]
        net(example)
    return found if gradients else [replace(operation, backward_macs=0) for operation in found]


@contextmanager
def _inside(net: nn.Module, stack: list[str]) -> Iterator[None]:
    """Within: the stack holds the names of the modules that are running."""

    def enter(name: str, *_: Any) -> None:
        stack.append(name)

    def leave(*_: Any) -> None:
        stack.pop()

    handles = []
    for name, module in net.named_modules():
        handles.append(module.register_forward_pre_hook(partial(enter, name)))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _operation(name: str, function: str, modules: tuple[str, ...], args: Sequence[Any], out: Any) -> Operation:
    short = name.removeprefix("aten.")
    result = out[0] if isinstance(out, tuple | list) and out else out
    outputs = int(result.numel()) if hasattr(result, "numel") else 0
    make = partial(Operation, name, function, modules, outputs=outputs)
    if short in CONVOLUTIONS:
        images, weight, bias = args[0], args[1], args[2]
        transposed = bool(args[6]) if short in {"convolution", "_convolution", "convolution_overrideable"} else False
        macs = (images.numel() if transposed else outputs) * math.prod(weight.shape[1:])
        return make("convolution", macs, _gradients(macs, images, weight), bias=0 if bias is None else outputs)
    if short in PRODUCTS:
        one, other = (args[place] for place in PRODUCTS[short])
        macs = one.numel() * (other.shape[-1] if other.ndim > 1 else 1)
        return make(
            "matrix product", macs, _gradients(macs, one, other), bias=outputs if short.startswith("add") else 0
        )
    if RECURRENT in short:
        one, *weights = args[:3]
        steps = one.numel() // one.shape[-1]
        macs = steps * sum(weight.numel() for weight in weights)
        # Of its input the products with the first weights alone; what it remembers, it has made itself.
        own = sum(steps * weight.numel() for weight in weights if weight.requires_grad)
        before = steps * weights[0].numel() * int(one.requires_grad)
        remembered = (
            steps * weights[1].numel() * int(any(weight.requires_grad for weight in weights) or one.requires_grad)
        )
        return make("matrix product", macs, own + before + remembered, bias=0)
    if ATTENTION in short:
        query, key, value = args[:3]
        pairs = query.numel() // query.shape[-1] * key.shape[-2]
        scores, mixture = pairs * query.shape[-1], pairs * value.shape[-1]
        scored = query.requires_grad or key.requires_grad
        backward = _gradients(scores, query, key) + mixture * (int(scored) + int(value.requires_grad))
        return make("attention", scores + mixture, backward, bias=0)
    return make(None, 0, 0, bias=0)


def _gradients(macs: int, *factors: Tensor) -> int:
    """Return the multiply-accumulates of a product's gradients: as many as its own for each factor that has one."""
    return macs * sum(factor.requires_grad for factor in factors)


def counted(operations: Sequence[Operation], which: Callable[[Operation], bool] = lambda operation: True) -> int:
    """Return the multiply-accumulates of those operations that are wanted."""
    return sum(operation.macs for operation in operations if which(operation))
