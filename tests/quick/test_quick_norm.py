from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from archbench.quick import maps as maps_module
from archbench.quick import quicken
from archbench.quick.norm_loops import REGISTER, block
from archbench.schema import Knobs

pytestmark = pytest.mark.usefixtures("maps_of_any_size")

NORMS = Knobs(quick_norm=True)

ACTIVATIONS = {
    "none": nn.Identity, "leaky": lambda: nn.LeakyReLU(0.3), "relu": nn.ReLU, "relu6": nn.ReLU6,
    "steep": lambda: nn.LeakyReLU(-1.5), "in place": lambda: nn.ReLU(inplace=True),
}  # fmt: skip


def normalisation(activation, channels, kind=torch.float32, **settings):
    """Return a normalisation that has learned something, and an activation behind it."""
    norm = nn.BatchNorm2d(channels, **settings)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, channels))
        norm.bias.copy_(torch.linspace(3, -1, channels))
    return nn.Sequential(norm, ACTIVATIONS[activation]()).to(kind)


def maps_of(channels, shape, kind=torch.float32, seed=0):
    """Return maps whose channels have different means and deviations, in channels-last order."""
    torch.manual_seed(seed)
    samples, height, width = shape
    maps = torch.randn(samples, channels, height, width) * (1 + 2 * torch.rand(channels, 1, 1))
    maps = maps + 5 * torch.randn(channels, 1, 1)
    return maps.to(kind).contiguous(memory_format=torch.channels_last)


def results(net, maps, gradient):
    """Return all that comes of a step: the maps, the gradients, the running statistics."""
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    norm, done = net[0], net(maps)
    back = torch.autograd.grad(done, (maps, norm.weight, norm.bias), gradient)
    return (done.detach(), *back, norm.running_mean, norm.running_var)


def is_quick(net, maps):
    """Whether the maps of a training step come from here."""
    return type(net(maps.requires_grad_()).grad_fn).__name__ == "BatchNormBackward"


@given(st.integers(1, 5000))
def test_a_block_is_of_whole_pixels_and_whole_registers(channels):
    assert block(channels) % channels == block(channels) % REGISTER == 0


@given(
    activation=st.sampled_from(sorted(ACTIVATIONS)), channels=st.integers(1, 70), seed=st.integers(0, 99),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)).filter(lambda s: math.prod(s) > 7),
)  # fmt: skip
def test_it_is_as_exact_as_torch_s_own(activation, channels, shape, seed):
    """Both are held against torch's own in double precision, where the activation is as steep on both sides."""
    maps = maps_of(channels, shape, seed=seed)
    gradient = torch.randn_like(maps)
    nets = [normalisation(activation, channels) for _ in range(2)]
    quicken(nets[0], "cpu", NORMS)
    found, theirs = (results(net, maps, gradient) for net in nets)
    exact = results(normalisation(activation, channels, torch.float64), maps.double(), gradient.double())
    # What is nearer to an edge of the activation than it is exact to may be on either side of it.
    value = normalisation("none", channels, torch.float64)(maps.double())
    clear = ((value.abs() > 1e-4) & ((value - 6).abs() > 1e-4)).all().item() or activation == "none"
    assume(clear)
    for truth, other, one in zip(exact, theirs, found, strict=True):
        scale = float(truth.abs().max() + gradient.abs().max()) + 1e-3 * maps.numel() / channels  # sums cancel out
        assert (one - truth).abs().max() <= 3 * (other - truth).abs().max() + 1e-5 * scale
    assert found[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("channels", [3, 16, 17, 33, 600])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_it_does_what_torch_does(activation, channels, kind):
    maps = maps_of(channels, (25, 7, 9), kind)
    gradient = torch.randn_like(maps)
    usual, ours = (normalisation(activation, channels) for _ in range(2))
    quicken(ours, "cpu", NORMS)
    assert is_quick(ours, maps.clone(memory_format=torch.preserve_format))
    ours[0].load_state_dict(usual[0].state_dict())
    found, expected = results(ours, maps, gradient), results(usual, maps, gradient)
    share = 1e-4 if kind is torch.float32 else 2e-2
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        off = (one.float() - other.float()).norm() / other.float().norm()
        assert off < share
    assert ours[0].num_batches_tracked == usual[0].num_batches_tracked == 1


def test_half_precision_is_rounded_to_the_nearest():
    """Of a normalisation that changes nothing all values come back, be they numbers or not."""
    net = normalisation("none", 1, eps=0.0)
    quicken(net, "cpu", NORMS)
    with torch.no_grad():
        net[0].weight.fill_(1 + 2**-8)  # half-way between two of its numbers
        net[0].bias.zero_()
    maps = torch.tensor([-1.0, 1.0] * 500).view(1, 1, 10, 100).bfloat16()
    done = net(maps.contiguous(memory_format=torch.channels_last).requires_grad_())
    assert torch.equal(done.detach(), (maps.float() * (1 + 2**-8)).bfloat16())


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("activation", ["none", "leaky", "relu6"])
def test_what_is_not_finite_stays_so(value, kind, activation):
    net = normalisation(activation, 5)
    quicken(net, "cpu", NORMS)
    maps = maps_of(5, (4, 6, 6), kind)
    maps[2, 3, 1, 1] = value
    done = net(maps.requires_grad_())
    assert done[:, 3].isnan().all()
    assert not done[:, [0, 1, 2, 4]].isnan().any()


def test_a_mean_that_is_large_against_the_deviation_costs_nothing():
    torch.manual_seed(0)
    maps = 1e4 + torch.randn(32, 7, 14, 14)
    maps = maps.contiguous(memory_format=torch.channels_last)
    net = nn.BatchNorm2d(7)
    quicken(net, "cpu", NORMS)
    done = net(maps.requires_grad_()).detach()
    exact = nn.BatchNorm2d(7).double()(maps.double())
    assert (done - exact).abs().max() < 2e-3  # the maps themselves are exact to 1e-3


def test_an_activation_is_done_once_whoever_trains():
    """The two may be told apart: a frozen normalisation evaluates while what is behind it trains."""
    net = normalisation("leaky", 4)
    other = normalisation("leaky", 4)
    quicken(net, "cpu", NORMS)
    maps = maps_of(4, (8, 5, 5))
    for norm_trains in (False, True):
        for activation_trains in (False, True):
            for each in (net, other):
                each[0].train(norm_trains)
                each[1].train(activation_trains)
            torch.testing.assert_close(net(maps), other(maps))
            with torch.no_grad():
                torch.testing.assert_close(net(maps), other(maps))


def test_a_normalisation_whose_maps_are_seen_by_others_is_done_alone():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = normalisation("relu", 4)

        def forward(self, maps):
            return torch.cat([self.parts[0](maps), self.parts[1](self.parts[0](maps))])

    ours, usual, maps = Block(), Block(), maps_of(4, (8, 5, 5))
    quicken(ours, "cpu", NORMS)
    assert is_quick(nn.Sequential(ours.parts[0]), maps.clone(memory_format=torch.preserve_format))
    torch.testing.assert_close(ours(maps.requires_grad_()), usual(maps))


@pytest.mark.parametrize("settings", [{"affine": False}, {"track_running_stats": False}, {"momentum": None}])
def test_a_normalisation_of_another_kind_is_left_as_it_is(settings):
    net = nn.Sequential(nn.BatchNorm2d(7, **settings), nn.ReLU())
    quicken(net, "cpu", NORMS)
    assert not any("forward" in vars(layer) for layer in net)


def test_an_activation_of_another_kind_is_left_as_it_is():
    net = nn.Sequential(nn.BatchNorm2d(7), nn.SiLU())
    quicken(net, "cpu", NORMS)
    assert "forward" not in vars(net[1])
    maps = maps_of(7, (8, 5, 5))
    torch.testing.assert_close(net(maps), nn.SiLU()(nn.BatchNorm2d(7)(maps)))


@pytest.mark.parametrize(
    "maps", [maps_of(7, (4, 8, 8)).contiguous(), maps_of(7, (4, 8, 8)).double(), maps_of(7, (4, 8, 8)).half()]
)
def test_maps_of_another_kind_are_torch_s_to_normalise(maps):
    usual, ours = (normalisation("leaky", 7).to(maps.dtype) for _ in range(2))
    quicken(ours, "cpu", NORMS)
    assert not is_quick(ours, maps.clone(memory_format=torch.preserve_format))
    ours[0].load_state_dict(usual[0].state_dict())
    assert torch.equal(ours(maps), usual(maps))
    assert torch.equal(ours[0].running_var, usual[0].running_var)


@pytest.mark.parametrize(("samples", "quick"), [(64, True), (63, False)])
def test_small_maps_are_torch_s(samples, quick, monkeypatch):
    monkeypatch.setattr(maps_module, "LEAST_VALUES", 64 * 7 * 8 * 8)
    net = normalisation("leaky", 7)
    quicken(net, "cpu", NORMS)
    assert is_quick(net, maps_of(7, (samples, 8, 8))) == quick


def test_evaluation_is_torch_s_own():
    usual, ours, maps = normalisation("relu6", 7), normalisation("relu6", 7), maps_of(7, (4, 8, 8))
    quicken(ours, "cpu", NORMS)
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))
    with torch.no_grad():
        assert torch.equal(ours.train()(maps), usual.train()(maps))


def test_one_pixel_has_no_variance():
    net = nn.BatchNorm2d(7)
    quicken(net, "cpu", NORMS)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.zeros(1, 7, 1, 1, requires_grad=True))
