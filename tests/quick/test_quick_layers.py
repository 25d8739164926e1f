from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn

import zoo
from archbench.quick import load, quicken
from archbench.schema import Knobs

pytestmark = pytest.mark.usefixtures("maps_of_any_size")

NORMS = Knobs(quick_norm=True)


def step(net, maps):
    """Return what a training step gives, and the gradients."""
    net.zero_grad()
    done = net(maps)
    done.square().mean().backward()
    return done.detach(), [parameter.grad for parameter in net.parameters()]


def channels_last(*shape):
    torch.manual_seed(0)
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


def moved(net):
    """Return the layers whose forward is another."""
    return [name for name, layer in net.named_modules() if "forward" in vars(layer)]


@pytest.mark.parametrize(
    ("knobs", "loaded"),
    [
        (Knobs(), set()), (Knobs(quick_norm=True), {"norm_loops"}),
        (Knobs(quick_maps=True), {"dropout_loops", "pool_loops"}), (Knobs(winograd=True), {"winograd_loops"}),
    ],
)  # fmt: skip
def test_the_loops_that_are_needed_can_be_loaded_ahead(monkeypatch, knobs, loaded):
    names = {"norm_loops", "dropout_loops", "pool_loops", "winograd_loops"}
    for name in names:
        monkeypatch.delitem(sys.modules, f"archbench.quick.{name}", raising=False)
        monkeypatch.delattr(f"archbench.quick.{name}", raising=False)
    load(knobs)
    assert {name for name in names if f"archbench.quick.{name}" in sys.modules} == loaded


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6()])
def test_an_activation_is_taken_behind_the_pooling(activation):
    usual = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Sequential(activation, nn.MaxPool2d(2)))
    usual = usual.to(memory_format=torch.channels_last)
    ours = copy.deepcopy(usual)
    quicken(ours, "cpu", NORMS)
    seen = []
    ours[1][1].register_forward_pre_hook(lambda _, given: seen.append(float(given[0].detach().min())))
    maps = channels_last(3, 2, 9, 9)
    (found, gradients), (expected, others) = step(ours, maps), step(usual, maps)
    assert seen[0] < 0  # what the pooling is given was not activated
    assert torch.equal(found, expected)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))
    assert seen[1] >= 0


@pytest.mark.parametrize("activation", [nn.LeakyReLU(), nn.SiLU(), nn.Tanh()])
def test_another_activation_stays_before_the_pooling(activation):
    """A SiLU falls; of a leaky one the gradient of equals would go to another."""
    net = nn.Sequential(nn.Conv2d(2, 5, 3), activation, nn.MaxPool2d(2))
    quicken(net, "cpu", NORMS)
    assert moved(net) == []


def test_a_normalisation_before_has_the_activation():
    net = nn.Sequential(nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2))
    quicken(net, "cpu", NORMS)
    maps = channels_last(3, 5, 8, 8).requires_grad_()
    assert float(net[0](maps).detach().min()) == 0
    assert torch.equal(net[1](maps), maps)
    torch.testing.assert_close(net(maps), nn.MaxPool2d(2)(nn.BatchNorm2d(5)(maps).relu()))


def test_what_is_used_twice_is_left_where_it_is():
    activation = nn.ReLU()
    net = nn.Sequential(nn.BatchNorm2d(2), activation, nn.Conv2d(2, 2, 3), activation, nn.MaxPool2d(2))
    quicken(net, "cpu", NORMS)
    assert moved(net) == ["0"]
    usual = copy.deepcopy(net)
    for layer in usual.modules():
        vars(layer).pop("forward", None)
    maps = channels_last(4, 2, 9, 9)
    torch.testing.assert_close(net(maps), usual(maps))


@pytest.mark.parametrize("model", ["cnn", "cnn_mnist", "mobilenet", "mobilenetv2", "resnet18_mod", "squeezenet"])
def test_models_of_the_zoo_train_as_they_did(model):
    """But for rounding, and the draws of dropouts, which are left out."""
    torch.manual_seed(0)
    usual = zoo.create_model(model, num_classes=10, in_chans=1, input_size=(32, 32))
    for layer in usual.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    usual = usual.to(memory_format=torch.channels_last).train()
    ours = copy.deepcopy(usual)
    quicken(ours, "cpu", NORMS)
    assert moved(ours)
    maps = channels_last(16, 1, 32, 32)
    (found, gradients), (expected, others) = step(ours, maps), step(usual, maps)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    off, whole = (torch.stack([each.norm() for each in several]).norm() for several in (
        [one - other for one, other in zip(gradients, others, strict=True)], others,
    ))  # fmt: skip
    assert off < 5e-2 * whole  # of a value next to zero the slope may be either
    for one, other in zip(ours.buffers(), usual.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
