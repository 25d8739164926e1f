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
    ours.load_state_dict({key.replace("fc.", "classifier."): value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def with_the_weights_of(theirs, ours):
    """Copy a state in the order of its tensors, which must have the same shapes up to trailing ones."""
    pairs = list(zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True))
    ours.load_state_dict({name: value.reshape(mine.shape) for (name, mine), value in pairs})
    return ours.eval()


def agree(ours, theirs, *shape):
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(ours(images), theirs.eval()(images), atol=1e-5)


def test_mobilenetv2_is_torchvisions():
    theirs = torchvision.models.mobilenet_v2(num_classes=7)
    ours = zoo.create_model("mobilenetv2", num_classes=7, input_size=224)
    agree(with_the_weights_of(theirs, ours), theirs, 3, 224, 224)


def test_squeezenet_is_torchvisions_but_for_the_relu_on_its_logits():
    theirs = torchvision.models.squeezenet1_1(num_classes=7)
    theirs.classifier[2] = torch.nn.Identity()
    ours = zoo.create_model("squeezenet", num_classes=7, input_size=224)
    agree(with_the_weights_of(theirs, ours), theirs, 3, 224, 224)


def test_convnext_is_torchvisions():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    stages = [CNBlockConfig(6, 12, 1), CNBlockConfig(12, 24, 2), CNBlockConfig(24, 48, 1), CNBlockConfig(48, None, 1)]
    theirs = ConvNeXt(stages, num_classes=7)
    ours = zoo.create_model("convnext", num_classes=7, input_size=224, channels=(6, 12, 24, 48), blocks=(1, 2, 1, 1))
    state = theirs.state_dict()
    # There the factors of a block come before its layers, here after them.
    for block in {name.rpartition(".")[0] for name in state if name.endswith("layer_scale")}:
        state[f"{block}.layer_scale"] = torch.rand_like(state[f"{block}.layer_scale"])
    theirs.load_state_dict(state)
    own = {name: value for name, value in state.items() if not name.endswith("layer_scale")}
    factors = [value for name, value in state.items() if name.endswith("layer_scale")]
    mine = ours.state_dict()
    scales = [name for name in mine if name.endswith("scale.factor")]
    plain = [name for name in mine if name not in scales]
    loaded = dict(zip(scales, factors, strict=True)) | dict(zip(plain, own.values(), strict=True))
    ours.load_state_dict({name: value.reshape(mine[name].shape) for name, value in loaded.items()})
    agree(ours.eval(), theirs, 3, 224, 224)


def test_vit_is_torchvisions():
    from torchvision.models import VisionTransformer

    theirs = VisionTransformer(image_size=24, patch_size=4, num_layers=2, num_heads=3, hidden_dim=12, mlp_dim=20)
    torch.nn.init.normal_(theirs.heads.head.weight)
    torch.nn.init.normal_(theirs.class_token)
    ours = zoo.create_model("vit", num_classes=1000, input_size=24, patch=4, layers=2, heads=3, head_dim=4, mlp=20)
    state = theirs.state_dict()
    token, position = state.pop("class_token"), state.pop("encoder.pos_embedding")
    patches = [state.pop("conv_proj.weight"), state.pop("conv_proj.bias")]
    mine = ours.state_dict()
    values = [*patches, token, position, *state.values()]
    ours.load_state_dict(
        {name: value.reshape(own.shape) for (name, own), value in zip(mine.items(), values, strict=True)}
    )
    agree(ours.eval(), theirs, 3, 24, 24)


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("mobilenetv2", "mobilenet_v2", {}), ("squeezenet", "squeezenet1_1", {}),
        ("convnext", "convnext_tiny", {"width": 96, "blocks": (3, 3, 9, 3)}),
        ("vit", "vit_b_16", {"head_dim": 64, "heads": 12, "mlp": 3072, "layers": 12}),
        ("resnet18", "resnet18", {}), ("resnet18", "resnet34", {"blocks": (3, 4, 6, 3)}),
    ],
)  # fmt: skip
def test_families_have_torchvisions_count_at_its_size(name, theirs, options):
    with zoo.skeletons():
        counts = [
            params(torchvision.models.get_model(theirs, weights=None, num_classes=1000)),
            params(zoo.create_model(name, num_classes=1000, input_size=224, **options)),
        ]
    assert counts[0] == counts[1]


def test_squeeze_and_excite_has_torchvisions_count():
    plain, with_it = (
        params(zoo.create_model("mobilenetv2", squeeze_excite=chosen, repeats=(1,) * 7)) for chosen in (False, True)
    )
    inputs = (32, 16, 24, 32, 64, 96, 160)  # channels into each stage: as many are squeezed to
    theirs = [
        torchvision.ops.SqueezeExcitation(chans * (6 if stage else 1), chans) for stage, chans in enumerate(inputs)
    ]
    assert with_it - plain == sum(params(module) for module in theirs)


def test_a_linear_classifier_stays_linear_at_any_budget():
    net = zoo.create_model("linear", num_classes=4, in_chans=1, input_size=8, ranks=(9, 5)).double()
    a, b = torch.randn(2, 3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    zero = net(torch.zeros_like(a))
    assert torch.allclose(net(2 * a - b) - zero, 2 * (net(a) - zero) - (net(b) - zero))
    own = zoo.create_model("linear", num_classes=4, in_chans=1, input_size=8)
    assert params(own) == 64 * 4 + 4


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=15)
@given(height=st.integers(8, 70), width=st.integers(8, 70), chans=st.integers(1, 4), classes=st.integers(2, 30))
def test_any_input_from_8x8_up_gives_logits(name, height, width, chans, classes):
    quarter = (zoo.model_spec(name).width or 16) / 4
    net = zoo.create_model(name, in_chans=chans, input_size=(height, width), num_classes=classes, width=quarter).eval()
    with torch.inference_mode():
        logits = net(torch.zeros(2, chans, height, width))
    assert logits.shape == (2, classes)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [8, 28, (13, 40)])
def test_every_parameter_takes_a_gradient(name, size):
    torch.manual_seed(0)
    width = (zoo.model_spec(name).width or 16) / 4
    net = zoo.create_model(name, in_chans=1, input_size=size, width=width).train()
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
