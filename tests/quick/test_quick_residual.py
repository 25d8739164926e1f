from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn
from torchvision.models import resnet

from archbench.quick import quicken
from archbench.schema import Knobs
from zoo.resnet import BasicBlock

pytestmark = pytest.mark.usefixtures("maps_of_any_size")

NORMS = Knobs(quick_norm=True)
KINDS = [torch.float32, torch.bfloat16]


def zoo_block(in_chans, out_chans, stride, activation="relu"):
    return BasicBlock(in_chans, out_chans, stride, activation, "batch")


def torchvision_block(in_chans, out_chans, stride):
    shorter = None
    if stride > 1 or in_chans != out_chans:
        shorter = nn.Sequential(nn.Conv2d(in_chans, out_chans, 1, stride, bias=False), nn.BatchNorm2d(out_chans))
    return resnet.BasicBlock(in_chans, out_chans, stride, shorter)


def both(block):
    """Return a block that has learned something, as it is and ours, both training."""
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    usual = block.to(memory_format=torch.channels_last).train()
    ours = copy.deepcopy(usual)
    quicken(ours, "cpu", NORMS)
    return usual, ours


def maps_of(channels, kind=torch.float32):
    torch.manual_seed(1)
    return torch.randn(6, channels, 9, 7).to(kind).contiguous(memory_format=torch.channels_last)


def results(block, maps):
    """Return all that comes of a step: the maps, the gradients, the running statistics."""
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=maps.dtype == torch.bfloat16):
        done = block(maps)
    torch.manual_seed(2)
    back = torch.autograd.grad(done, (maps, *block.parameters()), torch.randn(done.shape).to(done.dtype))
    return done.detach(), *back, *(each.clone() for each in block.buffers())


def is_quick(block, maps):
    """Whether the sum at the end of a training step comes from here."""
    return type(block(maps).grad_fn).__name__ == "BatchNormBackward"


@pytest.mark.parametrize("make", [zoo_block, torchvision_block])
@pytest.mark.parametrize(("in_chans", "out_chans", "stride"), [(5, 5, 1), (16, 16, 1), (5, 7, 1), (16, 16, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_block_is_as_exact_as_torch_s_own(make, in_chans, out_chans, stride, kind):
    torch.manual_seed(0)
    held_against_the_exact(make(in_chans, out_chans, stride), maps_of(in_chans, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_of_three_convolutions_is(kind):
    torch.manual_seed(0)
    shorter = nn.Sequential(nn.Conv2d(16, 32, 1, 2, bias=False), nn.BatchNorm2d(32))
    held_against_the_exact(resnet.Bottleneck(16, 8, 2, shorter), maps_of(16, kind))
    held_against_the_exact(resnet.Bottleneck(32, 8), maps_of(32, kind))


@pytest.mark.parametrize("activation", ["leaky_relu", "relu6"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_with_another_activation(activation, kind):
    torch.manual_seed(0)
    held_against_the_exact(zoo_block(6, 6, 1, activation), maps_of(6, kind))


def held_against_the_exact(block, maps):
    """Hold both against double precision, where the weights are alike and maps are."""
    usual, ours = both(block)
    exact = copy.deepcopy(usual).double()
    assert is_quick(copy.deepcopy(ours), maps.float())
    assert not is_quick(copy.deepcopy(usual), maps.float())
    truths, others, found = results(exact, maps.double()), results(usual, maps), results(ours, maps)
    assert [one.dtype for one in found] == [other.dtype for other in others]
    off, theirs = (
        torch.stack([
            (one.double() - truth.double()).norm() / truth.double().norm()
            for one, truth in zip(each, truths, strict=True)
        ])
        for each in (found, others)
    )  # fmt: skip
    assert off.mean() <= 1.5 * theirs.mean() + 1e-6
    assert (off <= 6 * theirs + 2e-5).all()


def test_a_net_of_torchvision_trains_as_it_did():
    torch.manual_seed(0)
    usual = resnet.resnet18(num_classes=10).to(memory_format=torch.channels_last)
    ours = copy.deepcopy(usual)
    quicken(ours, "cpu", NORMS)
    moved = {name for name, module in ours.named_modules() if "forward" in vars(module)}
    assert {f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)} <= moved
    images = torch.randn(4, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    found, expected = ours(images), usual(images)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert list(ours.state_dict()) == list(usual.state_dict())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_an_activation_is_done_once_whoever_trains(activation):
    usual, ours = both(zoo_block(4, 4, 1, activation))
    maps = maps_of(4)
    for block_trains in (False, True):
        for part in ("bn1", "act", "bn2"):
            for block in (usual, ours):
                block.train(block_trains)
                getattr(block, part).train(not block_trains)
            torch.testing.assert_close(ours(maps), usual(maps))
            with torch.no_grad():
                torch.testing.assert_close(ours(maps), usual(maps))


def test_evaluation_is_the_block_s_own():
    usual, ours = both(zoo_block(4, 4, 1))
    maps = maps_of(4)
    assert torch.equal(ours.eval()(maps), usual.eval()(maps))


@pytest.mark.parametrize(
    "block",
    [
        zoo_block(4, 4, 1, "silu"), BasicBlock(4, 4, 1, "relu", "none"), type("Own", (resnet.BasicBlock,), {})(4, 4),
        resnet.BasicBlock(4, 4, norm_layer=lambda channels: nn.GroupNorm(2, channels)),
    ],
)  # fmt: skip
def test_another_block_is_left_as_it_is(block):
    quicken(block, "cpu", NORMS)
    assert "forward" not in vars(block)


def test_what_falls_below_zero_does_not_tell_on_which_side_it_was():
    block = zoo_block(4, 4, 1)
    block.act = nn.LeakyReLU(-0.5)
    quicken(block, "cpu", NORMS)
    assert "forward" not in vars(block)


def test_torchvision_is_not_loaded_to_look_for_its_blocks(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchvision.models.resnet")
    block = zoo_block(4, 4, 1)
    quicken(nn.Sequential(block, nn.ReLU()), "cpu", NORMS)
    assert "forward" in vars(block)
    assert "torchvision.models.resnet" not in sys.modules
