"""fvcore's counter: it traces the network and counts one for a multiply-accumulate, norms and some pooling included."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from archbench.cost import PRODUCTS, Counted, register_counter
from archbench.cost.trace import ATTENTION, RECURRENT

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archbench.cost.trace import Operation

EINSUM = "einsum, as numpy estimates it"  # to a few digits
PARTS = {
    "conv": PRODUCTS, "addmm": PRODUCTS, "bmm": PRODUCTS, "mm": PRODUCTS, "matmul": PRODUCTS, "linear": PRODUCTS,
    "einsum": EINSUM, "batch_norm": "batch norm", "group_norm": "norm", "layer_norm": "norm", "instance_norm": "norm",
    "adaptive_avg_pool2d": "pooling", "upsample_nearest2d": "resampling", "upsample_bilinear2d": "resampling",
    "grid_sampler": "resampling",
}  # fmt: skip


@register_counter("fvcore", unit="macs", package="fvcore")
def count(net: nn.Module, example: Tensor) -> Counted:
    """Return the figures of `fvcore.nn.FlopCountAnalysis` by operator, and which operators it skips."""
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(net, example).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    parts: dict[str, int] = {}
    for operator, figure in analysis.by_operator().items():
        part = PARTS.get(operator, operator)
        parts[part] = parts.get(part, 0) + int(figure)
    unsupported = {_plain(name.removeprefix("aten::")) for name in analysis.unsupported_ops()}

    def knows(operation: Operation) -> bool:
        if operation.function.endswith(".einsum"):
            return False  # it is not counted by its products
        if RECURRENT in operation.name:
            return not unsupported.intersection({"lstm", "gru", "rnn_tanh", "rnn_relu"})
        if ATTENTION in operation.name:
            return not any(ATTENTION in name for name in unsupported)
        return _plain(operation.name.removeprefix("aten.")) not in unsupported

    return Counted(parts, knows)


def _plain(name: str) -> str:
    """Return the name that tracing and dispatching share: `batch_norm` for `native_batch_norm`, `relu` for `relu_`."""
    return name.removeprefix("native_").strip("_")
