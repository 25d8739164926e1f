"""torch's own counter: 2 FLOPs a multiply-accumulate of convolutions, matrix products and attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.cost import register_counter

if TYPE_CHECKING:
    from torch import Tensor, nn


@register_counter("torch", unit="flops", package="torch")
def count(net: nn.Module, example: Tensor) -> tuple[int, tuple[str, ...]]:
    """Return the FLOPs of one forward pass by `torch.utils.flop_counter.FlopCounterMode`."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as mode, torch.no_grad():
        net(example)
    return int(mode.get_total_flops()), ()
