"""torch's own counter: 2 FLOPs a multiply-accumulate of convolutions, matrix products and attention on some devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.cost import PRODUCTS, Counted, register_counter

if TYPE_CHECKING:
    from torch import Tensor, nn


@register_counter("torch", unit="flops", package="torch")
def count(net: nn.Module, example: Tensor) -> Counted:
    """Return the FLOPs of one forward pass by `torch.utils.flop_counter.FlopCounterMode`.

    Its backward pass is not asked for: of a grouped convolution it counts the groups once too often.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    with FlopCounterMode(display=False) as mode, torch.no_grad():
        net(example)
    known = {str(operation) for operation in flop_registry}
    return Counted({PRODUCTS: int(mode.get_total_flops())}, lambda operation: operation.name in known)
