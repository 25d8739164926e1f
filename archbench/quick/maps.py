"""Maps of a training step on the CPU: which of them are gone over in loops of our own, and their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

KINDS = {torch.float32, torch.bfloat16}
LEAST_VALUES = 2**16  # below which what a call costs is more than is gained


def fits(maps: Tensor) -> bool:
    """Whether maps are (N, C, H, W) in channels-last order, of a kind that there are loops for, and not too small."""
    return (
        maps.ndim == 4
        and maps.dtype in KINDS
        and maps.numel() >= LEAST_VALUES
        and maps.is_contiguous(memory_format=torch.channels_last)
    )


def channels_last(maps: Tensor) -> bool:
    """Whether maps are in channels-last order and in no other."""
    return maps.ndim == 4 and maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def flat(values: Tensor) -> np.ndarray[Any, Any]:
    """Return the memory of maps (N, C, H, W) in channels-last order, or of contiguous values; bfloat16 as its bits."""
    values = values.detach().as_strided((values.numel(),), (1,))
    whole: np.ndarray[Any, Any] = (values if values.dtype == torch.float32 else values.view(torch.uint16)).numpy()
    return whole
