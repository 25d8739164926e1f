from __future__ import annotations

import torch
from torch import nn

from archbench.forward import resident


def test_filters_are_channels_last_where_the_net_takes_it():
    conv = resident(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), "cpu", (3, 8, 8))[0]
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert conv.training
