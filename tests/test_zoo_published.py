"""Every published architecture at its exact count, on its own input, layer by layer where that was published."""

from __future__ import annotations

import re

import pytest
import torch

import zoo
from archbench import catalog
from archbench.budget import size_model
from archbench.cost.layers import layer_table
from archbench.errors import InputError

# Counts as the reports print them, and the multiply-accumulates of their reconstructions, by hand from the layers.
PUBLISHED = {
    "mnist_dense2": 1_199_882, "mnist_dense2_nodropout": 1_199_882, "mnist_dense1": 110_986,
    "mnist_dense1_nodropout": 110_986, "mnist_conv": 1_199_882, "mnist_gap": 19_466, "mnist_9x9": 72_970,
    "mnist_fc": 109_386, "mnist_conv5": 28_938,
    "fer_cnn": 1_332_807, "fer_mobilenet": 73_095, "fer_mobilenet_28775": 28_775, "fer_mobilenet_213127": 213_127,
    "fer_mobilenet_1684535": 1_684_535, "fer_cnn_28911": 28_911, "fer_cnn_218807": 218_807,
    "fer_cnn_1192679": 1_192_679, "fer_cnn_4098087": 4_098_087,
    "captcha_baseline": 4_845_196, "captcha_simple_cnn": 12_674_508, "captcha_resnet18": 11_209_228,
    "captcha_resnet18_mod": 95_164,
    "cifar_two_layer_36": 110_998, "cifar_two_layer_128": 394_634, "cifar_two_layer_900": 2_774_710,
    "cifar_two_layer_950": 2_928_860, "cifar_fc": 445_450, "cifar_cnn": 227_146,
    "cifar_resnet50_transfer": 26_376_202, "resnet50_transfer_24": 24_649_112,
    "cifar_xception_transfer": 20_861_480 + 20_490,
}  # fmt: skip
MACS = {
    "mnist_dense2": 11.99e6, "mnist_conv": 11.99e6, "mnist_dense1": 10.90e6, "mnist_9x9": 7.06e6, "mnist_gap": 10.81e6,
    "fer_cnn": 113.1e6, "fer_mobilenet": 3.96e6, "cifar_fc": 0.445e6, "cifar_cnn": 5.21e6,
}  # fmt: skip


def build(name):
    spec = zoo.model_spec(name)
    if spec.requires:
        pytest.importorskip(spec.requires)
    channels, height, width = spec.input_shape
    return zoo.create_model(name, num_classes=spec.classes, in_chans=channels, input_size=(height, width))


def test_the_table_is_that_of_the_registry():
    assert {name for name in zoo.list_models() if zoo.model_spec(name).published} == set(PUBLISHED)


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_counted_equals_published(name, count):
    net, known = build(name), zoo.model_spec(name).published
    params = sum(parameter.numel() for parameter in net.parameters())
    statistics = sum(b.numel() for key, b in net.named_buffers() if re.search(r"running_(mean|var)$", key))
    assert (params if known.counting == "torch" else params + statistics) == count == known.params


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_run_on_their_own_input(name):
    spec = zoo.model_spec(name)
    with torch.inference_mode():
        logits = build(name).eval()(torch.zeros(2, *spec.input_shape))
    assert logits.shape == ((2, 4, 19) if name.startswith("captcha") else (2, spec.classes))


@pytest.mark.parametrize(("name", "macs"), MACS.items())
def test_multiply_accumulates_equal_those_of_the_reconstruction(name, macs):
    spec = zoo.model_spec(name)
    layers = layer_table(size_model(name, None, spec.input_shape, spec.classes))
    assert sum(layer.macs for layer in layers) == pytest.approx(macs, rel=0.0015)


@pytest.mark.parametrize(
    ("name", "trainable", "fixed"),
    [
        ("cifar_resnet50_transfer", 26_323_082, 53_120),
        ("cifar_resnet50_transfer[freeze=backbone]", 2_788_490, 26_376_202 - 2_788_490),
        ("resnet50_transfer_24", 24_595_992, 53_120),
        ("resnet50_transfer_24[freeze=backbone]", 1_061_400, 23_587_712),
        ("cifar_xception_transfer[freeze=backbone]", 20_490, 20_861_480),
        ("fer_cnn", 1_330_439, 2_368),
        ("fer_mobilenet", 71_271, 1_824),
    ],
)
def test_the_trainable_split_is_the_published_one(name, trainable, fixed):
    with zoo.skeletons():
        net = build(name)
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    rest = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    statistics = sum(b.numel() for key, b in net.named_buffers() if re.search(r"running_(mean|var)$", key))
    assert (trained, rest + statistics) == (trainable, fixed)


def test_keras_resnet50_is_torchvisions_with_biases_and_statistics():
    import torchvision

    with zoo.skeletons():
        theirs = torchvision.models.resnet50()
    backbone = sum(p.numel() for name, p in theirs.named_parameters() if not name.startswith("fc."))
    biases = sum(m.out_channels for m in theirs.modules() if isinstance(m, torch.nn.Conv2d))
    statistics = sum(b.numel() for key, b in theirs.named_buffers() if re.search(r"running_(mean|var)$", key))
    assert (backbone, biases, statistics) == (23_508_032, 26_560, 53_120)
    assert backbone + biases + statistics == 23_587_712


def test_the_layers_of_the_mnist_heads_are_the_published_ones():
    def counts(name):
        layers = layer_table(size_model(name, None, (1, 28, 28), 10))
        return [layer.params for layer in layers if layer.params]

    assert counts("mnist_dense2_nodropout") == [320, 18_496, 1_179_776, 1_290]
    assert counts("mnist_dense1") == [320, 18_496, 92_170]
    assert counts("mnist_conv") == [320, 18_496, 1_179_776, 1_290]


def test_the_convolutional_head_is_the_dense_one():
    dense, conv = build("mnist_dense2").eval(), build("mnist_conv").eval()
    state = {key: value.reshape(conv.state_dict()[key].shape) for key, value in dense.state_dict().items()}
    conv.load_state_dict(state)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(conv(images), dense(images), atol=1e-5)


def test_dropout_is_where_the_names_say():
    def dropouts(name):
        return [module.p for module in build(name).modules() if isinstance(module, torch.nn.Dropout)]

    assert dropouts("mnist_dense2") == dropouts("mnist_dense1") == [0.25, 0.5]
    assert dropouts("mnist_dense2_nodropout") == dropouts("mnist_dense1_nodropout") == []
    assert dropouts("mnist_conv") == dropouts("mnist_gap") == [0.5]
    assert dropouts("mnist_9x9") == [0.25, 0.25]


def test_the_baselines_fault_can_be_left_out():
    images = torch.rand(2, 3, 50, 130)
    options = {"num_classes": 19, "in_chans": 3, "input_size": (50, 130)}
    with torch.inference_mode():
        faulty = zoo.create_model("captcha_baseline", **options).eval()(images)
        sound = zoo.create_model("captcha_baseline", softmax=False, **options).eval()(images)
    assert torch.allclose(faulty.sum(2), torch.ones(2, 4))
    assert not torch.allclose(sound.sum(2), torch.ones(2, 4))


def test_the_two_layer_net_begins_as_published():
    torch.manual_seed(0)
    first, _, last = (build("cifar_two_layer_950")[index] for index in (1, 2, 3))
    for layer in (first, last):
        assert layer.weight.std().item() == pytest.approx(1e-4, rel=0.05)
        assert layer.bias.abs().max() == 0


def test_an_unknown_head_says_which_there_are():
    with pytest.raises(ValueError, match="'dense3' is no head; there are dense2, "):
        zoo.create_model("cnn_mnist", head="dense3")


def test_the_list_shows_both_countings_and_what_was_published():
    (row,) = catalog.models(["fer_mobilenet"])
    assert (row.params, row.params_keras, row.published, row.counting) == (71_271, 73_095, 73_095, "keras")
    assert (row.input, row.classes, row.scalable, row.basis) == ((1, 48, 48), 7, False, "stated")
    for row in catalog.models():
        if row.published is not None:
            assert row.published == {"torch": row.params, "keras": row.params_keras}[row.counting], row.model


def test_the_list_is_filtered_by_family_and_size():
    small = catalog.models(family="mobilenet", max_params=73_000)
    assert {row.model for row in small} == {"mobilenet", "fer_mobilenet", "fer_mobilenet_28775"}
    with pytest.raises(InputError, match="no model matches res\\* --family mlp"):
        catalog.models(["res*"], family="mlp")
