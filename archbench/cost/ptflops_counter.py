"""ptflops' counter (its module backend): one a multiply-accumulate, batch norm, activations and pooling included."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from archbench.cost import register_counter

if TYPE_CHECKING:
    from torch import Tensor, nn


@register_counter("ptflops", unit="macs", package="ptflops")
def count(net: nn.Module, example: Tensor) -> tuple[int, tuple[str, ...]]:
    """Return the total of `ptflops.get_model_complexity_info`.

    Raises:
        RuntimeError: ptflops gave up; what it printed is the message.
    """
    from ptflops import get_model_complexity_info

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        macs, _ = get_model_complexity_info(
            net, tuple(example.shape[1:]), as_strings=False, print_per_layer_stat=False, backend="pytorch", ost=printed
        )
    if macs is None:
        raise RuntimeError(printed.getvalue().strip() or "ptflops gave no figure")
    return int(macs), ()
