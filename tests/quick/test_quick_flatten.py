from __future__ import annotations

import pytest
import torch
from torch import nn

from archbench.quick import quicken
from archbench.schema import USUAL


class Seen(nn.Module):
    """A layer that notes the gradient that comes back to it."""

    def forward(self, maps):
        """Return the maps."""
        if maps.requires_grad:
            maps = maps * 1
            maps.register_hook(lambda gradient: setattr(self, "gradient", gradient))
        return maps


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = nn.Sequential(Seen(), nn.Flatten(), nn.Linear(36, 3))
    quicken(head, "cpu", USUAL)
    return head


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_of_maps_in_channels_last_order_come_back_in_it(head, kind):
    maps = torch.randn(2, 4, 3, 3).to(kind).contiguous(memory_format=torch.channels_last).requires_grad_()
    flat = head.to(kind)(maps)
    weights = torch.arange(6).view(2, 3).to(kind)
    (flat * weights).sum().backward()
    expected = (weights @ head[2].weight.detach()).view(2, 4, 3, 3)
    assert torch.equal(maps.grad, expected)
    assert head[0].gradient.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(flat, nn.functional.linear(maps.flatten(1), head[2].weight, head[2].bias))


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 36), (2, 36, 1, 1)])
def test_gradients_of_other_maps_come_back_as_they_do(head, shape):
    head(torch.randn(shape).requires_grad_()).sum().backward()
    assert head[0].gradient.shape == shape
    assert head[0].gradient.is_contiguous()


def test_a_part_of_the_dimensions_is_flattened_as_torch_does():
    flatten = nn.Flatten(2)
    maps = torch.randn(2, 4, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    expected = flatten(maps)
    quicken(flatten, "cpu", USUAL)
    assert torch.equal(flatten(maps), expected)
    assert torch.equal(flatten.eval()(maps), expected)
