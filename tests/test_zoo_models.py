"""The zoo's families against what was published of them and against torchvision."""

from __future__ import annotations

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo

FAMILIES = [name for name in zoo.list_models() if zoo.model_spec(name).scalable]


def params(net):
    return sum(parameter.numel() for parameter in net.parameters())


def statistics(net):
    return sum(b.numel() for name, b in net.named_buffers() if name.endswith(("running_mean", "running_var")))


@pytest.mark.parametrize(
    ("name", "chans", "size", "classes", "options", "published", "kind"),
    [
        ("cnn", 1, 48, 7, {"width": 32, "dense": 512}, 1_330_439, "torch"),
        ("cnn", 1, 48, 7, {"width": 32, "dense": 512}, 1_332_807, "keras"),
        ("mobilenet", 1, 48, 7, {"width": 8, "dense": 64}, 71_271, "torch"),
        ("mobilenet", 1, 48, 7, {"width": 8, "dense": 64}, 73_095, "keras"),
        ("mobilenet", 1, 48, 7, {"width": 4, "dense": 64}, 28_775, "keras"),
        ("resnet18", 3, 224, 1000, {}, 11_689_512, "torch"),
        ("resnet18", 1, (50, 130), 76, {}, 11_209_228, "torch"),
        ("resnet18_mod", 3, (50, 130), 76, {"width": 16}, 95_164, "torch"),
        ("mlp", 1, 28, 10, {"width": 128}, 109_386, "torch"),
    ],
)
def test_counts_equal_the_published_ones(name, chans, size, classes, options, published, kind):
    net = zoo.create_model(name, in_chans=chans, input_size=size, num_classes=classes, **options)
    assert params(net) + (statistics(net) if kind == "keras" else 0) == published


def test_resnet18_is_torchvisions_to_the_bit():
    ours = zoo.create_model("resnet18", num_classes=1000).eval()
    theirs = torchvision.models.resnet18().eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=15)
@given(height=st.integers(8, 70), width=st.integers(8, 70), chans=st.integers(1, 4), classes=st.integers(2, 30))
def test_any_input_from_8x8_up_gives_logits(name, height, width, chans, classes):
    net = zoo.create_model(
        name, in_chans=chans, input_size=(height, width), num_classes=classes, width=zoo.model_spec(name).width / 4
    ).eval()
    with torch.inference_mode():
        logits = net(torch.zeros(2, chans, height, width))
    assert logits.shape == (2, classes)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [8, 28, (13, 40)])
def test_every_parameter_takes_a_gradient(name, size):
    torch.manual_seed(0)
    net = zoo.create_model(name, in_chans=1, input_size=size).train()
    height, width = (size, size) if isinstance(size, int) else size
    net(torch.randn(4, 1, height, width)).square().sum().backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_fixes_the_build(name):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in zoo.create_model(name).parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


@pytest.mark.parametrize("name", FAMILIES)
@given(widths=st.tuples(st.floats(0.01, 200), st.floats(0.01, 200)))
def test_knobs_grow_with_the_width(name, widths):
    small, large = (zoo.model_spec(name).options(width) for width in sorted(widths))

    def flat(options):
        return [n for value in options.values() for n in (value if isinstance(value, tuple) else (value,))]

    assert all(1 <= a <= b for a, b in zip(flat(small), flat(large), strict=True))


def test_the_zoo_needs_torch_alone():
    import subprocess
    import sys

    code = "import sys, zoo; print([m for m in ('torchvision', 'timm', 'archbench', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
