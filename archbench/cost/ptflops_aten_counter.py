"""ptflops' other backend: at torch's dispatcher, one a multiply-accumulate, and one for every bias that is added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from archbench.cost import PRODUCTS, Counted, register_counter
from archbench.cost.ptflops_counter import complexity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn


@register_counter("ptflops_aten", unit="macs", package="ptflops")
def count(net: nn.Module, example: Tensor) -> Counted:
    """Return the figure of `ptflops.get_model_complexity_info` with the backend `aten`, its biases apart.

    Raises:
        RuntimeError: ptflops gave up; what it printed is the message.
    """
    from ptflops.aten_ops import ATEN_OPS_MAPPING

    parts = {PRODUCTS: 0, "bias": 0}

    def noting(name: str, flops: Callable[..., int]) -> Callable[..., int]:
        def handle(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
            found = int(flops(inputs, outputs))
            added = (name.endswith("convolution") and inputs[2] is not None) or name.endswith("addmm")
            bias = math.prod(outputs[0].shape) if added else 0
            parts["bias"] += bias
            parts[PRODUCTS] += found - bias
            return found

        return handle

    handles = {operation: noting(str(operation), flops) for operation, flops in ATEN_OPS_MAPPING.items()}
    total = complexity(net, example, "aten", handles)
    known = {str(operation) for operation in ATEN_OPS_MAPPING}
    if total != sum(parts.values()):
        msg = f"ptflops counted {total}, and its parts are {sum(parts.values())}"
        raise RuntimeError(msg)
    return Counted(parts, lambda operation: operation.name in known)
