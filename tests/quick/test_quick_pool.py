from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from archbench.quick import quicken
from archbench.schema import Knobs

pytestmark = pytest.mark.usefixtures("maps_of_any_size")

MAPS = Knobs(quick_maps=True)
HALF = torch.bfloat16


def maps_of(samples, channels, height, width, kind=HALF, levels=0, seed=0):
    """Return maps in channels-last order; of few levels many are equal."""
    torch.manual_seed(seed)
    maps = torch.randn(samples, channels, height, width)
    maps = (maps * levels).round() if levels else maps
    return maps.to(kind).contiguous(memory_format=torch.channels_last)


def both(pooling, *before):
    """Return a plain sequence as torch has it, and ours."""
    usual = nn.Sequential(*before, pooling)
    ours = copy.deepcopy(usual)
    quicken(ours, "cpu", MAPS)
    return usual, ours


def results(net, maps, seed=1):
    """Return what a step gives, and the gradient of the maps."""
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    done = net(maps)
    torch.manual_seed(seed)
    return done.detach(), *torch.autograd.grad(done, maps, torch.randn(done.shape).to(done.dtype))


def is_quick(net, maps):
    """Whether what a training step gives comes from here."""
    return type(net(maps.requires_grad_()).grad_fn).__name__ == "MaxPoolBackward"


@given(
    st.integers(1, 3), st.integers(1, 40), st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from([None, nn.ReLU(), nn.ReLU6()]), st.integers(0, 2),
)  # fmt: skip
def test_it_does_what_torch_does(samples, channels, sides, window, apart, padding, activation, levels):
    """To the bit; of sums of gradients, where windows overlap, torch rounds more often."""
    assume(all(2 * around <= length for around, length in zip(padding, window, strict=True)))
    assume(all(side + 2 * around >= length for side, around, length in zip(sides, padding, window, strict=True)))
    usual, ours = both(nn.MaxPool2d(window, apart, padding), *([activation] if activation else []))
    maps = maps_of(samples, channels, *sides, levels=levels)
    maps = maps * 4 if isinstance(activation, nn.ReLU6) else maps
    (found, back), (expected, their_back) = results(ours, maps), results(usual, maps)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    overlap = any(step < length for step, length in zip(apart, window, strict=True))
    torch.testing.assert_close(back.float(), their_back.float(), rtol=0, atol=0.1 if overlap else 0)
    assert is_quick(ours, maps)


def test_sums_of_gradients_are_exact_where_windows_overlap():
    _, ours = both(nn.MaxPool2d(3, 1, 1))
    exact = nn.MaxPool2d(3, 1, 1)
    maps = maps_of(2, 5, 12, 12, levels=2)
    _, back = results(ours, maps)
    torch.manual_seed(1)
    given = torch.randn(maps.shape).to(HALF)
    wide = maps.double().requires_grad_()
    (truth,) = torch.autograd.grad(exact(wide), wide, given.double())
    torch.testing.assert_close(back, truth.to(HALF), rtol=2**-8, atol=2**-9)


@pytest.mark.parametrize("activation", [[], [nn.ReLU()], [nn.ReLU6()]])
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf, -0.0])
def test_what_is_not_finite_is_found_as_torch_finds_it(value, activation):
    usual, ours = both(nn.MaxPool2d(2), *activation)
    maps = maps_of(1, 3, 4, 4)
    maps[0, 1, 0, 1] = value
    maps[0, 2, :2, :2] = value
    (found, back), (expected, their_back) = results(ours, maps), results(usual, maps)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    if not math.isnan(value):  # of several, torch takes the last
        assert torch.equal(back, their_back)


@pytest.mark.parametrize(
    "pooling",
    [
        nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(2, dilation=2), nn.MaxPool2d(16), nn.AvgPool2d(2),
        type("Own", (nn.MaxPool2d,), {})(2),
    ],
)  # fmt: skip
def test_another_pooling_is_torch_s(pooling):
    usual, ours = both(pooling)
    maps = maps_of(2, 3, 17, 17)
    assert not is_quick(ours, maps.clone(memory_format=torch.preserve_format))
    for found, expected in zip(results(ours, maps), results(usual, maps), strict=True):
        assert torch.equal(found, expected)


def test_a_pooling_that_tells_where_it_found_them_is_torch_s():
    pooling = nn.MaxPool2d(2, return_indices=True)
    quicken(pooling, "cpu", MAPS)
    assert "forward" not in vars(pooling)


@pytest.mark.parametrize(
    "maps", [maps_of(2, 3, 8, 8).contiguous(), maps_of(2, 3, 8, 8, torch.float32), maps_of(2, 3, 8, 8)[0]]
)
def test_maps_of_another_kind_or_order_are_torch_s_to_pool(maps):
    usual, ours = both(nn.MaxPool2d(2), nn.ReLU())
    assert not is_quick(ours, maps.clone(memory_format=torch.preserve_format))
    for found, expected in zip(results(ours, maps), results(usual, maps), strict=True):
        assert torch.equal(found, expected)


def test_where_nothing_is_learned_it_is_torch_s():
    usual, ours = both(nn.MaxPool2d(2), nn.ReLU())
    maps = maps_of(2, 3, 8, 8).requires_grad_()
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))
    assert not is_quick(ours, maps)
    with torch.no_grad():
        assert torch.equal(ours.train()(maps), usual.train()(maps))
    assert ours(maps.detach()).grad_fn is None


def test_an_activation_is_done_once_whoever_trains():
    usual, ours = both(nn.MaxPool2d(2), nn.ReLU6())
    maps = maps_of(2, 3, 8, 8) * 4
    for activation_trains in (False, True):
        for pooling_trains in (False, True):
            for net in (usual, ours):
                net[0].train(activation_trains)
                net[1].train(pooling_trains)
            for found, expected in zip(results(ours, maps), results(usual, maps), strict=True):
                assert torch.equal(found, expected)


def test_a_window_that_does_not_fit_is_torch_s_to_refuse():
    _, ours = both(nn.MaxPool2d(9))
    with pytest.raises(RuntimeError, match="too small"):
        ours(maps_of(2, 3, 8, 8).requires_grad_())
