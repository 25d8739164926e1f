"""Models of other libraries: built as those build them, with weights from files, frozen, under other heads."""

from __future__ import annotations

import re
import sys

import pytest
import torch
import torchvision
from torch import nn

import zoo
from zoo.external import external_names
from zoo.frozen import Frozen
from zoo.weights import locate, read_state, sha256_of

PLACE = {"num_classes": 5, "in_chans": 3, "input_size": 32}
IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def params(net, *, trained=False):
    return sum(p.numel() for p in net.parameters() if p.requires_grad or not trained)


@pytest.fixture
def weights(tmp_path):
    """Files with the states of torchvision's models, as its own weights would be."""
    paths = {}
    for name in ("resnet18", "densenet121", "mnasnet0_5"):
        torch.manual_seed(3)
        paths[name] = tmp_path / f"{name}.pt"
        torch.save(torchvision.models.get_model(name).state_dict(), paths[name])
    return paths


@pytest.mark.parametrize(
    "name",
    [
        "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5",
        "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11",
        "vit_b_32",
    ],
)  # fmt: skip
def test_classifiers_of_torchvision_take_channels_and_classes(name):
    spec = zoo.model_spec(f"torchvision:{name}")
    place = {"input_size": spec.input_shape[1:], "num_classes": 7}
    try:
        with zoo.skeletons():
            gray = zoo.create_model(spec.name, in_chans=1, **place)
            own = zoo.create_model(spec.name, in_chans=3, **place)
            full = zoo.create_model(spec.name, num_classes=1000, input_size=spec.input_shape[1:])
    except NotImplementedError:  # it draws its weights in a way that the meta device has not
        pytest.skip(f"{name} cannot be built without memory")
    theirs = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    aside = 27_161_264 - 23_834_568 if name == "inception_v3" else 0  # its head at half-way
    assert params(full) == theirs - aside
    first = next(module for module in own.modules() if isinstance(module, nn.Conv2d))
    assert params(own) - params(gray) == 2 * first.weight.numel() // 3
    assert [m for m in own.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1].weight.shape[0] == 7


def test_without_options_a_model_is_the_librarys_own():
    torch.manual_seed(0)
    ours = zoo.create_model("torchvision:resnet18", **PLACE).eval()
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=5).eval()
    with torch.inference_mode():
        assert torch.equal(ours(IMAGES), theirs(IMAGES))


def test_an_unknown_name_brings_the_librarys_nearest():
    with pytest.raises(zoo.UnknownModelError) as caught:
        zoo.model_spec("torchvision:resnet19")
    assert "torchvision:resnet18" in caught.value.near
    assert zoo.list_models("torchvision:squeeze*") == ["torchvision:squeezenet1_0", "torchvision:squeezenet1_1"]
    assert not {"fcn_resnet50", "raft_small", "r3d_18"} & set(external_names("torchvision"))  # these classify no images


def test_a_library_that_is_not_installed_says_how_to(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for ask in (lambda: zoo.model_spec("timm:resnet18"), lambda: zoo.list_models("timm:*")):
        with pytest.raises(zoo.ModelImportError, match=r"timm is not installed; pip install 'archbench\[timm\]'"):
            ask()


def test_weights_of_a_file_are_loaded_and_the_classifier_is_fresh(weights):
    torch.manual_seed(0)
    net = zoo.create_model("torchvision:resnet18", weights=str(weights["resnet18"]), **PLACE)
    state = torch.load(weights["resnet18"], weights_only=True)
    for name, value in net.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, state[name]), name
    assert net.fc.weight.shape == (5, 512)
    assert net.weights_sha256 == sha256_of(weights["resnet18"])


def test_the_first_convolution_of_other_channels_keeps_what_it_can(weights):
    state = torch.load(weights["resnet18"], weights_only=True)["conv1.weight"]
    build = {"weights": str(weights["resnet18"]), "num_classes": 5, "input_size": 32}
    gray = zoo.create_model("torchvision:resnet18", in_chans=1, **build).eval()
    full = zoo.create_model("torchvision:resnet18", in_chans=3, **build).eval()
    assert torch.equal(gray.conv1.weight, state.sum(1, keepdim=True))
    with torch.inference_mode():  # a gray picture looks the same to both
        picture = IMAGES[:, :1]
        assert torch.allclose(gray.conv1(picture), full.conv1(picture.expand(-1, 3, -1, -1)), atol=1e-5)
    six = zoo.create_model("torchvision:resnet18", in_chans=6, **build)
    assert torch.allclose(six.conv1.weight, torch.cat([state, state], 1) / 2)


def test_old_names_and_versions_are_loaded_as_torchvision_does(weights):
    state = torch.load(weights["densenet121"], weights_only=True)
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in state.items()}
    assert set(old) != set(state)
    torch.save({k: v for k, v in old.items() if not k.endswith("num_batches_tracked")}, weights["densenet121"])
    net = zoo.create_model("torchvision:densenet121", weights=str(weights["densenet121"]), **PLACE)
    layer = "features.denseblock1.denselayer1.conv1.weight"
    assert torch.equal(net.state_dict()[layer], state[layer])
    net = zoo.create_model("torchvision:mnasnet0_5", weights=str(weights["mnasnet0_5"]), **PLACE)
    assert net.classifier[1].out_features == 5


def test_positions_are_interpolated_to_another_image_size(tmp_path, monkeypatch):
    from torchvision.models import VisionTransformer

    def small(num_classes=1000, image_size=224, **_):
        return VisionTransformer(image_size, 32, 1, 2, 8, 8, num_classes=num_classes)

    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights, **known: small(**known))
    torch.save(small().state_dict(), tmp_path / "w.pt")
    net = zoo.create_model(
        "torchvision:vit_b_32", weights=str(tmp_path / "w.pt"), num_classes=5, in_chans=3, input_size=64
    )
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


def test_a_first_convolution_for_other_channels_is_drawn_as_the_models_own():
    torch.manual_seed(0)
    gray, own = (zoo.create_model("torchvision:resnet18", num_classes=5, in_chans=c, input_size=32) for c in (1, 3))
    assert gray.conv1.weight.std().item() == pytest.approx(own.conv1.weight.std().item(), rel=0.1)


def test_an_option_that_would_do_nothing_is_refused():
    with pytest.raises(zoo.OptionError, match=r"dropout=0\.5 belongs to a head of dense layers"):
        zoo.create_model("torchvision:resnet18", dropout=0.5, **PLACE)


def test_trained_weights_are_part_of_a_models_identity(weights, tmp_path):
    from archbench.budget import size_model

    def key():
        return size_model(f"torchvision:resnet18[weights='{weights['resnet18']}']", None, (3, 32, 32), 5).key

    before = key()
    assert key() == before
    torch.manual_seed(4)
    torch.save(torchvision.models.resnet18().state_dict(), weights["resnet18"])
    assert key() != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no weights", "cannot be read as weights"),
        ({"conv1.weight": 3}, "holds a dict, not the state of a network"),
        ({1: torch.zeros(2)}, "holds a dict, not the state of a network"),
        (lambda: torchvision.models.resnet34().state_dict(), r"not hold the weights of torchvision:resnet18: .*stray"),
        (lambda: {"conv1.weight": torch.zeros(64, 3, 7, 7)}, r"names or shapes differ \(no bn1.weight"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_refused(tmp_path, content, message):
    path = tmp_path / "other.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content() if callable(content) else content, path)
    with pytest.raises(zoo.OptionError, match=message):
        zoo.create_model("torchvision:resnet18", weights=str(path), **PLACE)


def test_nothing_but_tensors_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"a": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(zoo.OptionError, match="cannot be read as weights"):
        read_state(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_states_are_unwrapped_as_training_scripts_wrap_them(tmp_path):
    torch.save({"epoch": 3, "state_dict": {"module.a": torch.ones(2)}}, tmp_path / "wrapped.pt")
    assert list(read_state(tmp_path / "wrapped.pt")) == ["a"]


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    """A machine without any weights, and without a network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def refuse(url, path, *_):
        raise OSError("the network is unreachable")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def test_weights_that_are_not_here_are_not_fetched_unasked(no_hub):
    with pytest.raises(zoo.OptionError, match=r"not on this machine \(.*resnet18-\w+\.pth\); add --download"):
        zoo.create_model("torchvision:resnet18", weights="imagenet", **PLACE)
    with pytest.raises(zoo.OptionError, match=r"could not be fetched .the network is unreachable.; name a file"):
        locate("torchvision", "resnet18", "imagenet", download=True)
    with pytest.raises(zoo.OptionError, match="no weights 'mine'; there are imagenet, IMAGENET1K_V1"):
        locate("torchvision", "resnet18", "mine")
    with pytest.raises(zoo.OptionError, match="no weights 'mro'"):
        locate("torchvision", "resnet18", "mro")
    with pytest.raises(zoo.OptionError, match=r"there is no file gone\.pt"):
        locate("torchvision", "resnet18", "gone.pt")


def test_weights_that_are_here_are_found_by_name(no_hub, tmp_path, weights):
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    path = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    path.write_bytes(weights["resnet18"].read_bytes())
    assert locate("torchvision", "resnet18", "imagenet") == path
    assert zoo.create_model("torchvision:resnet18", weights="imagenet", **PLACE).fc.out_features == 5


def test_a_frozen_backbone_takes_no_gradient_and_stays_in_eval_mode():
    torch.manual_seed(0)
    net = zoo.create_model("torchvision:resnet18", freeze="backbone", **PLACE).train()
    assert isinstance(net, Frozen)
    assert params(net, trained=True) == 512 * 5 + 5
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net.train()(IMAGES).square().sum().backward()
        optimizer.step()
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"net.fc.weight", "net.fc.bias"}
    assert not any(module.training for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    assert net.net.fc.training


def test_a_number_freezes_so_many_parts():
    full = zoo.create_model("torchvision:resnet18", **PLACE)
    net = zoo.create_model("torchvision:resnet18", freeze=3, **PLACE).train()
    assert net.frozen == ["conv1", "bn1", "layer1"]
    assert params(full) - params(net, trained=True) == sum(params(m) for m in (full.conv1, full.bn1, full.layer1))
    assert not net.net.layer1[0].bn1.training
    assert net.net.layer2[0].bn1.training
    assert zoo.create_model("torchvision:squeezenet1_1", freeze=2, **PLACE).frozen == ["features.0", "features.3"]


@pytest.mark.parametrize("freeze", [0, 7, -1, True, "all", 1.5])
def test_another_freeze_is_refused_with_what_there_is(freeze):
    with pytest.raises(zoo.OptionError, match="give none, backbone, or how many of its 6 parts: conv1, bn1, layer1"):
        zoo.create_model("torchvision:resnet18", freeze=freeze, **PLACE)


@pytest.mark.parametrize(
    ("name", "features"), [("resnet18", 512), ("mobilenet_v3_small", 576), ("squeezenet1_1", 512), ("vgg11", 25_088)]
)
def test_a_head_stands_on_the_pooled_features(name, features):
    net = zoo.create_model(f"torchvision:{name}", head=(8, 6), freeze="backbone", **PLACE)
    assert params(net, trained=True) == (features * 8 + 8) + (8 * 6 + 6) + (6 * 5 + 5)
    with torch.inference_mode():
        assert net.eval()(IMAGES).shape == (4, 5)


def test_a_named_head_is_for_the_zoos_own_trunks():
    with pytest.raises(zoo.OptionError, match="give the units of its dense layers, such as 512-256"):
        zoo.create_model("torchvision:resnet18", head="dense2", **PLACE)


def test_what_comes_into_the_head_is_what_it_is_given():
    net = zoo.create_model("torchvision:mobilenet_v3_small", freeze="backbone", **PLACE).eval()
    with torch.inference_mode():
        assert torch.equal(net.head(net.features(IMAGES)), net(IMAGES))


def test_biases_before_batch_norms_change_no_function():
    torch.manual_seed(0)
    plain = zoo.create_model("torchvision:resnet18", **PLACE).eval()
    torch.manual_seed(0)
    biased = zoo.create_model("torchvision:resnet18", conv_bias=True, **PLACE).eval()
    assert params(biased) - params(plain) == 4_800  # half of its 9,600 running statistics
    with torch.inference_mode():
        assert torch.allclose(plain(IMAGES), biased(IMAGES))


class TestTimm:
    @pytest.fixture(autouse=True)
    def _with_timm(self):
        self.timm = pytest.importorskip("timm")

    def test_a_model_is_timms_own(self):
        torch.manual_seed(0)
        ours = zoo.create_model("timm:mobilenetv3_small_050", num_classes=5, in_chans=1, input_size=32).eval()
        torch.manual_seed(0)
        theirs = self.timm.create_model("mobilenetv3_small_050", num_classes=5, in_chans=1).eval()
        with torch.inference_mode():
            assert torch.equal(ours(IMAGES[:, :1]), theirs(IMAGES[:, :1]))

    def test_the_size_of_the_images_is_told_to_those_that_ask(self):
        net = zoo.create_model("timm:vit_tiny_patch16_224", num_classes=5, input_size=32)
        assert net(IMAGES).shape == (4, 5)

    def test_weights_of_a_file_are_loaded(self, tmp_path):
        torch.manual_seed(1)
        state = self.timm.create_model("resnet10t", pretrained=False).state_dict()
        torch.save(state, tmp_path / "w.pt")
        net = zoo.create_model("timm:resnet10t", weights=str(tmp_path / "w.pt"), freeze="backbone", **PLACE)
        assert torch.equal(net.net.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])
        assert params(net, trained=True) == 512 * 5 + 5

    def test_a_file_of_another_model_is_refused(self, tmp_path):
        torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
        with pytest.raises(zoo.OptionError, match="does not hold the weights of timm:resnet10t"):
            zoo.create_model("timm:resnet10t", weights=str(tmp_path / "w.pt"), **PLACE)

    def test_weights_that_are_not_here_are_not_fetched_unasked(self, monkeypatch):
        import huggingface_hub

        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
        with pytest.raises(zoo.OptionError, match=re.escape("the ImageNet weights of timm:resnet10t are not on this")):
            zoo.create_model("timm:resnet10t", weights="imagenet", **PLACE)

    def test_the_classifier_is_fresh_for_any_number_of_classes(self, tmp_path):
        state = self.timm.create_model("resnet10t", pretrained=False).state_dict()
        torch.save(state, tmp_path / "w.pt")
        net = zoo.create_model("timm:resnet10t", weights=str(tmp_path / "w.pt"), num_classes=1000, in_chans=3)
        assert net.fc.weight.shape == state["fc.weight"].shape
        assert not torch.equal(net.fc.weight, state["fc.weight"])

    def test_a_head_takes_the_place_of_the_last_layer_alone(self):
        net = zoo.create_model("timm:swin_tiny_patch4_window7_224", head=(8, 6), num_classes=5, input_size=64)
        assert net.head.fc.dense1.in_features == 768  # its maps have their channels last
        assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)

    def test_two_last_layers_are_not_frozen_in_part(self):
        with pytest.raises(zoo.OptionError, match="has 2 last layers; freeze and head are for models with one"):
            zoo.create_model("timm:deit_tiny_distilled_patch16_224", freeze="backbone", **PLACE)

    def test_a_tag_without_weights_is_unknown(self):
        with pytest.raises(zoo.UnknownModelError):
            zoo.model_spec("timm:resnet10t.nonsense")

    def test_names_with_a_tag_are_known(self):
        assert zoo.model_spec("timm:resnet10t.c3_in1k").input_shape == (3, 176, 176)
        assert "timm:resnet10t" in zoo.list_models("timm:resnet10*")
