from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archbench.quick import quicken
from archbench.schema import USUAL


def passed_back(pool, maps, gradient):
    """Return what a pooling gives, and what it passes back."""
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    pooled = pool(maps)
    pooled.backward(gradient)
    return pooled.detach(), maps.grad


@given(
    side=st.integers(1, 3), further=st.integers(0, 2), padding=st.integers(0, 1), ceil=st.booleans(),
    shape=st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(3, 9), st.integers(3, 9)),
    levels=st.integers(1, 50), kind=st.sampled_from([torch.float32, torch.bfloat16]),
)  # fmt: skip
def test_a_max_pooling_passes_back_the_same_bits(side, further, padding, ceil, shape, levels, kind):
    torch.manual_seed(levels)
    pools = [nn.MaxPool2d(side, side + further, min(padding, side // 2), ceil_mode=ceil) for _ in range(2)]
    quicken(pools[0], "cpu", USUAL)
    # Few levels, so that the largest is often there twice.
    maps = torch.randint(levels, shape).to(kind).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(pools[1](maps).float()).to(kind)
    (quick, back), (usual, expected) = (passed_back(pool, maps, gradient) for pool in pools)
    assert torch.equal(quick, usual)
    assert torch.equal(back, expected)
    assert back.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(3, 2), nn.MaxPool2d(2, return_indices=True), nn.MaxPool2d(2, dilation=2)]
)
def test_a_pooling_of_another_kind_is_left_as_it_is(pool):
    quicken(pool, "cpu", USUAL)
    assert "forward" not in vars(pool)


@pytest.mark.parametrize(
    "maps", [torch.rand(2, 3, 6, 6), torch.rand(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)]
)
def test_a_pooling_of_either_order_of_memory_pools(maps):
    pool = nn.MaxPool2d(2)
    expected = pool(maps)
    quicken(pool, "cpu", USUAL)
    assert torch.equal(pool(maps), expected)
    assert torch.equal(pool(maps.requires_grad_()), expected)
    assert torch.equal(pool.eval()(maps), expected)
