from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from archbench.quick import quicken, takes_winograd, winograd
from archbench.schema import Knobs
from zoo.resnet import BasicBlock

pytestmark = pytest.mark.usefixtures("maps_of_any_size", "any_gain")

WINOGRAD = Knobs(winograd=True)
HALF = torch.bfloat16
SIDES = st.tuples(st.integers(1, 14), st.integers(1, 14))


@pytest.fixture(scope="module")
def any_gain():
    """Layers of a test are small: let them be done in Winograd's way all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "LEAST_GAIN", dict.fromkeys(winograd.LEAST_GAIN, 1e-9))
        yield


def maps_of(samples, channels, height, width):
    torch.manual_seed(0)
    return torch.randn(samples, channels, height, width).contiguous(memory_format=torch.channels_last)


def both(*layers):
    """Return a plain sequence as torch has it, and ours."""
    torch.manual_seed(1)
    usual = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    ours = copy.deepcopy(usual)
    quicken(ours, "cpu", WINOGRAD)
    return usual, ours


def results(net, maps, kind=torch.float32):
    """Return what a step gives, and the gradients of the maps and of what is learned, in double precision."""
    net.zero_grad()
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", HALF, enabled=kind == HALF):
        done = net(maps)
    torch.manual_seed(2)
    done.backward(torch.randn(done.shape).to(HALF).to(done.dtype))
    return [each.detach().double() for each in (done, maps.grad, *(one.grad for one in net.parameters()))]


def exact(net, maps):
    return results(copy.deepcopy(net).double(), maps.double())


def error(found, truth):
    """Return the distance from the truth, by its length."""
    return float((found - truth).norm() / truth.norm().clamp(min=1e-3))


def count(net, maps, kind=torch.float32):
    """Return how many convolutions of a training step are done in Winograd's way."""
    with torch.autocast("cpu", HALF, enabled=kind == HALF):
        places = [net(maps).grad_fn]
    seen = set()
    while places:
        place = places.pop()
        if place is not None and place not in seen:
            seen.add(place)
            places += [before for before, _ in place.next_functions]
    return sum(type(place).__name__ == "WinogradBackward" for place in seen)


@given(
    st.integers(1, 5), st.integers(1, 20), st.integers(1, 20), SIDES,
    st.sampled_from([0, 1, (2, 0), (0, 3), "same", "valid"]), st.booleans(), st.sampled_from([torch.float32, HALF]),
)  # fmt: skip
def test_it_does_what_a_convolution_does(samples, inner, outer, sides, padding, biased, kind):
    """As double precision has it; in bfloat16 it errs by no more than a rounding of what comes."""
    conv = nn.Conv2d(inner, outer, 3, padding=padding, bias=biased)
    assume(min(winograd.sizes_of(conv, *sides)[7:9]) > 0)
    usual, ours = both(conv)
    maps = maps_of(samples, inner, *sides).to(HALF).float()
    assert count(ours, maps, kind) == 1
    (done, back, *learned), (done_, back_, *learned_) = results(ours, maps, kind), exact(usual, maps)
    most = 1e-5 if kind == torch.float32 else 2**-8
    assert error(done, done_) < most
    assert error(back, back_) < most
    for one, truth in zip(learned, learned_, strict=True):
        assert error(one, truth) < 1e-5


@pytest.mark.parametrize(("kind", "times"), [(torch.float32, 8.0), (HALF, 1.0)])
def test_it_rounds_some_times_as_much_as_torch_in_single_precision_and_less_in_half(kind, times):
    usual, ours = both(nn.Conv2d(32, 64, 3))
    maps = maps_of(8, 32, 26, 26).to(HALF).float()
    assert count(ours, maps, kind) == 1
    truth = exact(usual, maps)
    for found, theirs, true in zip(results(ours, maps, kind), results(usual, maps, kind), truth, strict=True):
        assert error(found, true) < times * error(theirs, true)


@pytest.mark.parametrize("together", [1, 7000, 2**30])
def test_some_images_at_a_time_come_to_the_same(monkeypatch, together):
    usual, ours = both(nn.Conv2d(3, 5, 3, padding=1))
    maps = maps_of(7, 3, 9, 10)
    monkeypatch.setattr(winograd, "TOGETHER", together)
    assert count(ours, maps) == 1
    for found, truth in zip(results(ours, maps), exact(usual, maps), strict=True):
        assert error(found, truth) < 1e-5


@pytest.mark.parametrize("kind", [torch.float32, HALF])
def test_an_activation_before_is_done_with_it(kind):
    usual, ours = both(nn.Conv2d(2, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
    seen = []
    ours[2].register_forward_pre_hook(lambda _, given: seen.append(float(given[0].detach().min())))
    maps = maps_of(3, 2, 9, 11)
    truth = exact(usual, maps)
    for found, theirs, true in zip(results(ours, maps, kind), results(usual, maps, kind), truth, strict=True):
        assert error(found, true) < max(1e-5, 2 * error(theirs, true))
    assert seen[0] < 0  # what the convolution is given was not activated
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))
    assert seen[1] == 0


def test_what_is_no_number_is_not_hidden_by_the_activation():
    _, ours = both(nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1))
    maps = maps_of(2, 3, 12, 12)
    maps[0, 1, 2, 3] = torch.nan
    assert count(ours, maps) == 1
    assert ours(maps)[0, :, 1:4, 2:5].isnan().all()
    assert ours(maps)[1].isfinite().all()


def test_of_two_of_which_one_trains_the_activation_is_done_once():
    usual, ours = both(nn.Conv2d(2, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 3))
    maps = maps_of(3, 2, 9, 11)
    for layer, quick in ((1, 1), (2, 0)):
        for net in (usual, ours):
            net.train()[layer].eval()
        assert count(ours, maps) == quick
        for found, truth in zip(results(ours, maps), results(usual, maps), strict=True):
            assert error(found, truth) < 1e-5


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.LeakyReLU(), nn.SiLU()])
def test_another_activation_stays_before_it(activation):
    _, ours = both(activation, nn.Conv2d(6, 4, 3))
    assert "forward" not in vars(ours[0])


def test_an_activation_that_a_normalisation_has_is_not_taken_from_it():
    net = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3)).to(memory_format=torch.channels_last)
    ours = copy.deepcopy(net)
    quicken(ours, "cpu", Knobs(quick_norm=True, winograd=True))
    maps = maps_of(3, 6, 9, 11)
    assert count(ours, maps) == 1
    for found, truth in zip(results(ours, maps), exact(net, maps), strict=True):
        assert error(found, truth) < 1e-5


def test_a_first_layer_passes_nothing_back():
    usual, ours = both(nn.Conv2d(3, 5, 3, bias=False))
    maps = maps_of(2, 3, 8, 8)
    assert count(ours, maps) == 1
    (found,) = torch.autograd.grad(ours(maps).square().sum(), ours[0].weight)
    (truth,) = torch.autograd.grad(usual(maps).square().sum(), usual[0].weight)
    assert error(found, truth) < 1e-5


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, stride=2), nn.Conv2d(4, 4, 3, dilation=2), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 5),
        nn.Conv2d(4, 4, (3, 1)), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        type("Own", (nn.Conv2d,), {})(4, 4, 3),
    ],
)  # fmt: skip
def test_another_convolution_is_torchs(conv):
    assert not takes_winograd(conv)
    quicken(conv, "cpu", WINOGRAD)
    assert "forward" not in vars(conv)


@pytest.mark.parametrize("maps", [maps_of(2, 3, 8, 8).contiguous(), maps_of(2, 3, 8, 8)[0]])
def test_maps_of_another_order_are_torchs_to_convolve(maps):
    usual, ours = both(nn.ReLU(), nn.Conv2d(3, 5, 3))
    assert torch.equal(ours(maps), usual(maps))


def test_other_kinds_of_numbers_are_torchs_to_convolve():
    usual, ours = (net.double() for net in both(nn.Conv2d(3, 5, 3)))
    assert torch.equal(ours(maps_of(2, 3, 8, 8).double()), usual(maps_of(2, 3, 8, 8).double()))


def test_too_small_a_map_is_told_as_torch_tells_it():
    _, ours = both(nn.Conv2d(3, 5, 3))
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        ours(maps_of(2, 3, 2, 8))


def test_too_few_channels_are_told_as_torch_tells_it():
    _, ours = both(nn.Conv2d(3, 5, 3))
    with pytest.raises(RuntimeError, match="to have 3 channels"):
        ours(maps_of(2, 2, 8, 8))


def test_filters_of_half_precision_are_torchs():
    usual, ours = (net.bfloat16() for net in both(nn.Conv2d(3, 5, 3)))
    assert torch.equal(ours(maps_of(2, 3, 8, 8).bfloat16()), usual(maps_of(2, 3, 8, 8).bfloat16()))


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_what_is_frozen_gets_no_gradient_and_the_others_theirs(frozen):
    usual, ours = both(nn.Conv2d(3, 5, 3))
    maps = maps_of(2, 3, 8, 8)
    for net in (usual, ours):
        getattr(net[0], frozen).requires_grad_(requires_grad=False)
    assert count(ours, maps) == 1
    free = "bias" if frozen == "weight" else "weight"
    grads = []
    for net in (ours, usual):
        given = maps.clone(memory_format=torch.preserve_format).requires_grad_()
        net(given).square().sum().backward()
        assert getattr(net[0], frozen).grad is None
        grads.append((given.grad, getattr(net[0], free).grad))
    for found, truth in zip(*grads, strict=True):
        assert error(found, truth) < 1e-5


def test_evaluation_and_what_learns_nothing_are_torchs():
    usual, ours = both(nn.Conv2d(3, 5, 3))
    maps = maps_of(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(ours(maps), usual(maps))
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))


@pytest.mark.parametrize(
    ("channels", "side", "samples", "gains"),
    [((32, 64), 26, 128, True), ((4, 8), 26, 128, False), ((32, 64), 26, 1, False), ((512, 512), 1, 128, False)],
)
def test_it_is_done_where_the_multiplications_saved_are_more_than_the_rest(channels, side, samples, gains):
    sizes = winograd.sizes_of(nn.Conv2d(*channels, 3, padding=1), side, side)
    assert (winograd.gain(sizes, samples) > 1.25) == gains


def test_of_many_channels_and_whole_tiles_a_quarter_of_the_multiplications_is_left():
    sizes = winograd.Sizes(400, 400, 10**6, 1, 1, 100, 100, 400, 400, 10**6)
    assert winograd.gain(sizes, 1000) == pytest.approx(4.0, rel=1e-3)


def test_filters_are_transformed_by_powers_of_the_points():
    """Each divided by the product of its point's distances from the others, of which infinity is none."""
    filters = winograd.filter_transform().double()
    assert filters.shape == (36, 9)
    along = filters.view(6, 6, 3, 3)[0, :, 0, :]  # where the columns are taken at zero, the lines alone are left
    root = np.sqrt(2.0)
    np.testing.assert_allclose(along[0], [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(along[1], np.array([1, 1 / root, 0.5]) / -1.5, rtol=1e-6)
    np.testing.assert_allclose(along[4], np.array([1, -root, 2]) / 6, rtol=1e-6)
    np.testing.assert_allclose(along[5], [0, 0, 1], atol=1e-7)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_residual_blocks_have_it_too(precision):
    net = BasicBlock(8, 8, 1, "relu", "batch").to(memory_format=torch.channels_last)
    ours = copy.deepcopy(net)
    quicken(ours, "cpu", dataclasses.replace(WINOGRAD, quick_norm=True))
    maps = maps_of(4, 8, 12, 12)
    kind = HALF if precision == "bf16" else torch.float32
    assert count(ours, maps, kind) == 2
    truth = exact(net, maps)
    for found, theirs, true in zip(results(ours, maps, kind), results(net, maps, kind), truth, strict=True):
        assert error(found, true) < max(1e-4, 2 * error(theirs, true))
