from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archbench.budget import build_model, size_model
from archbench.quick import quicken
from archbench.schema import USUAL, Knobs, Recipe
from archbench.timed import random_images
from archbench.training import train

DOUBLE = torch.float64


def stepped(net, maps):
    """Return what a net gives, and the gradients of its parameters and of what it was given."""
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    made = net(maps)
    made.square().sum().backward()
    return made.detach(), maps.grad, *(parameter.grad for parameter in net.parameters())


def both(net):
    """Return a net as torch has it, and as it is on a card."""
    net = net.to(DOUBLE, memory_format=torch.channels_last)
    ours = copy.deepcopy(net)
    quicken(ours, "cuda", USUAL)
    return net, ours


def moved(net):
    return [name for name, layer in net.named_modules() if "forward" in vars(layer)]


@given(
    st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(1, 6),
    st.booleans(), st.sampled_from([0, "same", "valid"]),
)  # fmt: skip
def test_products_are_the_convolutions(samples, channels, filters, height, width, bias, padding):
    torch.manual_seed(0)
    usual, ours = both(nn.Sequential(nn.Conv2d(channels, filters, 1, bias=bias, padding=padding)))
    assert moved(ours) == ["0"]
    maps = torch.randn(samples, channels, height, width, dtype=DOUBLE).contiguous(memory_format=torch.channels_last)
    for one, other in zip(stepped(ours, maps), stepped(usual, maps), strict=True):
        torch.testing.assert_close(one, other)
    assert ours(maps).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))


def test_maps_in_another_order_and_single_images_are_left_to_torch(monkeypatch):
    from archbench.quick import pointwise

    usual, ours = both(nn.Conv2d(3, 5, 1))
    monkeypatch.setattr(pointwise, "linear", None)
    for maps in (torch.randn(2, 3, 4, 4, dtype=DOUBLE), torch.randn(3, 4, 4, dtype=DOUBLE)):
        assert torch.equal(ours(maps), usual(maps))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 1, padding=1),
        nn.Conv2d(4, 4, (1, 2)), nn.ConvTranspose2d(4, 4, 1), nn.Conv1d(4, 4, 1),
        type("Own", (nn.Conv2d,), {})(4, 4, 1),
    ],
)  # fmt: skip
def test_other_convolutions_are_left_alone(layer):
    quicken(layer, "cuda", USUAL)
    assert moved(layer) == []


def test_what_is_compiled_or_on_the_cpu_keeps_its_convolutions():
    for device, knobs in (("cuda", Knobs(compiled=True)), ("cpu", USUAL)):
        layer = nn.Conv2d(4, 4, 1)
        quicken(layer, device, knobs)
        assert moved(layer) == []


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["mobilenet", "squeezenet"])
def test_trainings_on_a_card_are_those_of_torch_but_for_rounding(monkeypatch, model):
    sized = size_model(model, None, (3, 32, 32), 10)
    images, recipe = random_images((3, 32, 32), 10), Recipe(epochs=1, batch_size=16, lr=1e-4)

    def trained(**settings):
        return train(lambda: build_model(sized), images, dataclasses.replace(recipe, **settings), "cuda")

    ours, again = trained(), trained()
    assert ours.weights_sha256 == again.weights_sha256
    monkeypatch.setattr("archbench.quick.quicken", lambda *_: None)
    usual = trained()
    assert ours.weights_sha256 != usual.weights_sha256
    assert ours.epochs[0].train.loss == pytest.approx(usual.epochs[0].train.loss, rel=1e-3)
