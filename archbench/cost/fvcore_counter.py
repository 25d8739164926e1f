"""fvcore's counter: it traces the network and counts one for a multiply-accumulate, batch norm and pooling included."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from archbench.cost import register_counter

if TYPE_CHECKING:
    from torch import Tensor, nn


@register_counter("fvcore", unit="macs", package="fvcore")
def count(net: nn.Module, example: Tensor) -> tuple[int, tuple[str, ...]]:
    """Return the total of `fvcore.nn.FlopCountAnalysis` and the operators that it skipped."""
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(net, example).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.total()), tuple(sorted(analysis.unsupported_ops()))
