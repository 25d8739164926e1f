"""Activations, norms and heads by name, on every model that takes them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import zoo
from zoo.blocks import ACTIVATIONS, deepened, make_activation, make_norm, rate, scaled
from zoo.heads import HEADS, make_head, map_of

IMAGES = torch.randn(3, 2, 16, 20, generator=torch.Generator().manual_seed(0))
NAMES = [*ACTIVATIONS, "leaky_relu(0.3)"]


FAMILIES = [name for name in zoo.list_models() if zoo.model_spec(name).scalable]


def takers(option, *fixed):
    """Return the families that take an option, and the fixed models named."""
    return [name for name in [*FAMILIES, *fixed] if option in zoo.model_spec(name).accepts]


def answer(name):
    """Build a model, a family at a quarter of its own width, and return it with its logits of three images."""
    torch.manual_seed(0)
    spec = zoo.model_spec(name)
    size = spec.input_shape[1:] if spec.input_shape else (16, 20)
    width = (spec.width or 16) / 4 if spec.scalable else None
    net = zoo.create_model(name, num_classes=5, in_chans=2, input_size=size, width=width).train()
    return net, net(torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_torchs(name):
    theirs = {
        "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu6": lambda x: x.clamp(0, 6),
        "softmax": lambda x: x.exp() / x.exp().sum(1, keepdim=True), "silu": lambda x: x * torch.sigmoid(x),
        "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2, "hard_swish": lambda x: x * (x + 3).clamp(0, 6) / 6,
        "leaky_relu(0.3)": lambda x: torch.where(x > 0, x, 0.3 * x),
    }  # fmt: skip
    assert torch.allclose(make_activation(name)(IMAGES), theirs[name](IMAGES), atol=1e-6)


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("name", takers("activation"))
def test_every_family_takes_every_activation(name, activation):
    net, logits = answer(f"{name}[activation={activation}]")
    assert logits.shape == (3, 5)
    kinds = {type(module) for module in net.modules()}
    default = zoo.model_spec(name).build.__kwdefaults__["activation"]
    assert type(make_activation(activation)) in kinds
    assert type(make_activation(default)) not in kinds - {type(make_activation(activation))}


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("name", takers("norm"))
def test_every_family_takes_every_norm(name, norm):
    net, logits = answer(f"{name}[norm={norm}]")
    assert torch.isfinite(logits).all()
    kinds = {kind for kind in ("BatchNorm", "GroupNorm") if kind in repr(net)}
    assert kinds == {"none": set(), "batch": {"BatchNorm"}, "group": {"GroupNorm"}}[norm]
    # Whatever adds a mean of its own needs no bias before it, and what has no norm needs one.
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert norm != "none" or all(module.bias is not None for module in convolutions)


@given(channels=st.integers(1, 600))
def test_groups_divide_the_channels(channels):
    groups = make_norm("group", channels).num_groups
    assert channels % groups == 0
    assert 1 <= groups <= 32
    assert groups == 1 or channels // groups >= 4


def test_groups_are_the_papers_32_where_each_has_4_channels():
    assert make_norm("group", 128).num_groups == 32
    assert make_norm("group", 64).num_groups == 16


@pytest.mark.parametrize("head", [*HEADS, "64-32"])
@pytest.mark.parametrize("name", takers("head", "fer_cnn", "fer_mobilenet", "mnist_conv5", "cifar_cnn"))
def test_every_trunk_takes_every_head(name, head):
    net, logits = answer(f"{name}[head={head}]")
    assert logits.shape == (3, 5)
    last = net.classifier
    assert (last.out_features if isinstance(last, nn.Linear) else last.out_channels) == 5


def test_heads_have_the_counts_of_their_layers():
    def count(kind, **options):
        return sum(p.numel() for p in nn.Sequential(make_head(kind, (64, 12, 12), 10, **options)).parameters())

    assert count("dense2") == count("dense2_nodropout") == count("conv") == 9216 * 128 + 128 + 128 * 10 + 10
    assert count("dense2", dense=512) == 9216 * 512 + 512 + 512 * 10 + 10
    assert count("dense2", normed="batch") == count("dense2") + 2 * 128
    assert count("dense1") == count("dense1_nodropout") == 9216 * 10 + 10
    assert count("gap") == count(()) == 64 * 10 + 10
    assert count((32, 16)) == (64 * 32 + 32) + (32 * 16 + 16) + (16 * 10 + 10)


@pytest.mark.parametrize("kind", ["dense3", "512-", (0,), (True,), ("64",)])
def test_another_head_is_refused_with_those_there_are(kind):
    with pytest.raises(zoo.OptionError, match=r"is no head; there are dense2, .* such as 512-256"):
        make_head(kind, (8, 4, 4), 10)


def test_the_map_of_a_trunk_is_what_it_gives():
    trunk = nn.Sequential(nn.Conv2d(2, 7, 5, stride=2), nn.BatchNorm2d(7), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
    assert map_of(trunk, 2, (16, 20)) == tuple(trunk(IMAGES).shape[1:])
    assert trunk[1].training


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("name", takers("first_kernel"))
def test_the_first_kernel_is_as_asked(name, kernel):
    net, _ = answer(f"{name}[first_kernel={kernel}]")
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    assert first.kernel_size == (kernel, kernel)


@pytest.mark.parametrize("name", takers("dropout", "fer_cnn", "mnist_conv5"))
def test_dropout_is_as_asked(name):
    net, _ = answer(f"{name}[dropout=0.375]")
    assert {module.p for module in net.modules() if isinstance(module, nn.Dropout)} == {0.375}
    net, _ = answer(f"{name}[dropout=0]")
    assert not any(module.p for module in net.modules() if isinstance(module, nn.Dropout))


@pytest.mark.parametrize("dropout", [-0.1, 1.0, (0.1, 0.2, 0.3), True, "much"])
def test_rates_that_are_none_are_refused(dropout):
    with pytest.raises(zoo.OptionError, match="give a rate from 0 to below 1"):
        rate(dropout)


@pytest.mark.parametrize("option", ["activation=swishy", "norm=layer", "head=dense9", "activation=leaky_relu(x)"])
def test_values_that_are_none_are_refused(option):
    with pytest.raises(zoo.OptionError, match=r"there are|no value"):
        zoo.create_model(f"cnn[{option}]")


def test_widths_and_depths_are_whole():
    assert scaled(3.4, 1, 0.1, 2) == (3, 1, 7)
    assert deepened(1.2, 1, 2, 5) == (2, 3, 6)
    assert deepened(0.1, 3) == (1,)
    assert deepened(1.0 + 1e-12, 3, 4) == (3, 4)


def test_the_small_stem_keeps_the_size_of_the_map():
    large, _ = answer("resnet18_mod")
    small, _ = answer("resnet18_mod[small_stem=true]")
    assert map_of(large[:3], 2, (16, 20)) == (4, 8, 10)
    assert map_of(small[:3], 2, (16, 20)) == (4, 16, 20)
    assert "maxpool" not in dict(small.named_children())
