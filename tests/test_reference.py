from __future__ import annotations

import pytest

from archbench.errors import InputError
from archbench.reference import canonical, heads_on, parse_head, parse_reference, shown, with_options


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cnn", ("cnn", None)),
        ("cnn@30k", ("cnn", 30_000)),
        (" cnn @ 1.6M ", ("cnn", 1_600_000)),
        ("cnn[dropout=.2,activation='sigmoid']@200k", ("cnn[activation=sigmoid,dropout=0.2]", 200_000)),
        ("torchvision:resnet18[weights='me@home.pt']", ("torchvision:resnet18[weights='me@home.pt']", None)),
        ("me@home/net.py:Net", ("me@home/net.py:Net", None)),
        ("me@home/net.py:Net@30k", ("me@home/net.py:Net", 30_000)),
    ],
)
def test_references_are_read(text, expected):
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [("cnn@", "'' is not a budget"), ("cnn@many", "'many' is not a budget"), ("cnn@0.5", "is not a budget"),
     ("cnn[dropout=", r"does not end in '\]'"), ("cnn@30k[dropout=0]", r"unknown|cannot|no |@30k")],
)  # fmt: skip
def test_what_is_none_says_why(text, message):
    with pytest.raises(InputError, match=message):
        find(text)


def find(text):
    from archbench.building import find_spec

    return find_spec(parse_reference(text)[0])


def test_one_reference_has_one_spelling():
    assert canonical("cnn[ norm=none , dropout=0.10 ]@30000") == "cnn[dropout=0.1,norm=none]@30k"


def test_options_go_to_the_models_that_take_them():
    models = with_options(
        ["cnn@30k", "torchvision:resnet18", "torchvision:vgg11[freeze=2]"], {"freeze": "backbone", "weights": None}
    )
    assert models == ("cnn@30k", "torchvision:resnet18[freeze=backbone]", "torchvision:vgg11[freeze=2]")
    assert with_options(["cnn", "mnist_fc", "knn"], {"scale": "depth"}) == ("cnn[scale=depth]", "mnist_fc", "knn")
    assert with_options(["cnn"], {"head": (512, 256)}) == ("cnn[head=512-256]",)


def test_an_option_that_no_model_takes_is_told():
    with pytest.raises(InputError, match="no model here takes weights=imagenet: cnn, mlp") as caught:
        with_options(["cnn", "mlp"], {"weights": "imagenet"})
    assert "name a model that takes it" in caught.value.remedy
    with pytest.raises(InputError, match="mlp has no depth to scale by"):
        with_options(["resnet18", "mlp"], {"scale": "depth"})


def test_every_head_stands_on_every_trunk():
    assert heads_on(["cnn_mnist", "cnn[norm=none]@30k"], "gap, 64-32") == [
        "cnn_mnist[head=gap]", "cnn_mnist[head=64-32]", "cnn[head=gap,norm=none]@30k", "cnn[head=64-32,norm=none]@30k",
    ]  # fmt: skip
    assert heads_on([], ()) == []


@pytest.mark.parametrize(("trunks", "heads"), [(["cnn"], ""), ([], "gap")])
def test_heads_and_trunks_go_together(trunks, heads):
    with pytest.raises(InputError) as caught:
        heads_on(trunks, heads)
    assert "--trunk cnn_mnist --heads" in caught.value.remedy


def test_a_trunk_that_takes_no_head_brings_those_that_do():
    with pytest.raises(InputError, match="mlp takes no head") as caught:
        heads_on(["mlp"], "gap")
    assert "cnn_mnist" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "head"), [("gap", "gap"), ("512", (512,)), ("1024,512,256", (1024, 512, 256)), ("64-32", (64, 32))]
)
def test_heads_are_read(text, head):
    assert parse_head(text) == head


@pytest.mark.parametrize("text", ["512,", "512,x", "0", "12.5"])
def test_units_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="is no head"):
        parse_head(text)


def test_weights_are_shown_by_their_file_alone():
    assert shown("net[freeze=backbone,weights='results/a b/made-1.pt']") == "net[freeze=backbone,weights=made-1.pt]"
    for plain in ("cnn[activation=sigmoid]", "net[weights=imagenet]", "net[weights='made.pt']"):
        assert shown(plain) == plain
