from __future__ import annotations

import keyword
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.grammar import OptionError, join_options, split_options, written

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20).filter(lambda text: "\0" not in text),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=4).map(tuple))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("cnn", {}),
        ("cnn[]", {}),
        ("cnn[activation=sigmoid,dropout=0.2]", {"activation": "sigmoid", "dropout": 0.2}),
        ("cnn[ activation = leaky_relu( 0.3 ) ]", {"activation": "leaky_relu(0.3)"}),
        ("cnn[head=1024-512-256]", {"head": (1024, 512, 256)}),
        ("cnn[dropout=(.25, .5),norm=none]", {"dropout": (0.25, 0.5), "norm": "none"}),
        ("cnn[norm=None]", {"norm": "none"}),
        ("cnn[small=true,large=False]", {"small": True, "large": False}),
        ("cnn[shift=-1,list=[1],nothing=()]", {"shift": -1, "list": (1,), "nothing": ()}),
        ("cnn[weights='some folder/a b.pt']", {"weights": "some folder/a b.pt"}),
        ("cnn[mark='a]b,c=d[']", {"mark": "a]b,c=d["}),
    ],
)
def test_options_are_read(text, options):
    assert split_options(text) == ("cnn", options)


@given(options=st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_is_read_back(options):
    text = join_options("cnn", options)
    name, again = split_options(text)
    assert (name, again) == ("cnn", options)
    assert {key: type(value) for key, value in again.items()} == {key: type(value) for key, value in options.items()}
    assert join_options(name, again) == text


def test_one_model_has_one_name():
    texts = ("cnn[dropout=.2,activation='sigmoid']", " cnn[activation=sigmoid, dropout=0.20] ")
    assert {join_options(*split_options(text)) for text in texts} == {"cnn[activation=sigmoid,dropout=0.2]"}


@given(text=st.text(alphabet="ab1=-,()[]'\"@. \n#:*{}", max_size=30))
def test_any_text_is_read_or_refused_by_name(text):
    try:
        name, options = split_options(text)
    except OptionError as error:
        assert "write name[option=value" in str(error)
    else:
        assert split_options(join_options(name, options)) == (name, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cnn[dropout=0.2", r"does not end in '\]'"),
        ("cnn[dropout=0.2]x", r"does not end in '\]'"),
        ("[dropout=0.2]", "no name before its options"),
        ("cnn[dropout]", "'dropout' is no option=value"),
        ("cnn[0.2]", "'0.2' is no option=value"),
        ("cnn[**a]", "'a' is no option=value"),
        ("cnn[dropout=]", "cannot be read: invalid syntax"),
        ("cnn[dropout=1,dropout=2]", "dropout is given twice|repeated"),
        ("cnn[head=3x3]", "invalid decimal literal"),
        ("cnn[a=1)(b=2]", "a bracket closes what it did not open"),
        ("cnn[a=b.c]", "'b.c' is no value"),
        ("cnn[a=f(x=1)]", r"'f\(x=1\)' is no value"),
        ("cnn[a=8-b]", "'8 - b' is no list of whole numbers"),
        ("cnn[a=1e999]", "is no value"),
        ("cnn[a=1#]", "cannot be read"),
        ("cnn[a=__import__('os')]", "is no value"),
        (f"cnn[a={'9' * 2000}]", "more than 1000 characters"),
    ],
)
def test_what_cannot_be_read_says_why(text, message):
    with pytest.raises(OptionError, match=message):
        split_options(text)


def test_values_are_written_as_users_write_them():
    assert written((8, 16, 32)) == "8-16-32"
    assert written("leaky_relu(0.3)") == "leaky_relu(0.3)"
    assert written("true") == "'true'"
    assert written(True) == "true"


def test_options_reach_the_build():
    plain, chosen = zoo.create_model("mlp"), zoo.create_model("mlp[activation=sigmoid]")
    assert "ReLU" in repr(plain)
    assert "Sigmoid" in repr(chosen)
    assert "ReLU" not in repr(chosen)


def test_an_option_that_a_model_does_not_take_brings_those_that_it_takes():
    with pytest.raises(
        OptionError, match=r"takes no option 'first_kernel'; it takes activation, dropout, hidden, norm"
    ):
        zoo.model_spec("mlp[first_kernel=3]")
    with pytest.raises(OptionError, match="takes no option 'num_classes'"):
        zoo.model_spec("mlp[num_classes=3]")
    with pytest.raises(OptionError, match="mlp does not scale by 'depth'; it takes scale=width"):
        zoo.model_spec("mlp[scale=depth]")
    with pytest.raises(OptionError, match="does not scale by 'up'; it takes scale=width, depth, compound"):
        zoo.model_spec("resnet18[scale=up]")


def test_a_published_count_is_dropped_where_an_option_may_change_it():
    assert zoo.model_spec("mnist_dense2[dropout=0.1]").published is not None
    assert zoo.model_spec("mnist_dense2[dense=64]").published is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnn[dense=0]", "dense=0 is not accepted; give a whole number from 1"),
        ("cnn[dense=2.5]", "dense=2.5 is not accepted"),
        ("cnn[convolutions=2-2]", "convolutions=2-2 is not accepted; give 3 whole numbers from 1"),
        ("cnn[channels=(8, 0, 8)]", "channels=8-0-8 is not accepted; give 3 whole numbers"),
        ("resnet18[blocks=(0,0,0,0)]", "give 4 whole numbers from 1"),
        ("resnet18[small_stem=no]", "small_stem=no is not accepted; give true or false"),
        ("torchvision:resnet18[conv_bias=no]", "give true or false"),
        ("vit[heads=0]", "give a whole number from 1"),
        ("vit[patch=0]", "patch=0 is not accepted; give a whole number from 1 or none"),
        ("mlp[hidden=1.5]", "give a whole number from 1 or whole numbers from 1"),
        ("knn[neighbours=many]", "give a whole number from 1"),
        ("linear_svm[c=much]", "c=much is not accepted; give a number"),
        ("cnn[activation=3]", "give a word"),
    ],
)
def test_values_of_another_kind_are_refused_with_what_is_taken(name, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        zoo.model_spec(name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18[blocks=3]", {"blocks": (3, 3, 3, 3)}),
        ("cnn[head=512]", {"head": (512,)}),
        ("mlp[hidden=64-32-16]", {"hidden": (64, 32, 16)}),
        ("mlp[hidden=64]", {"hidden": 64}),
        ("vit[patch=none]", {"patch": None}),
        ("cifar_resnet50_transfer[head=none]", {"head": None, "conv_bias": True}),
    ],
)
def test_one_number_stands_for_several_and_none_for_nothing(name, options):
    assert zoo.model_spec(name).preset == options


def test_a_variant_of_a_variant_has_one_pair_of_brackets():
    spec = zoo.model_spec("cnn [dropout=0.1]").variant({"norm": "none"})
    assert spec.name == "cnn[dropout=0.1,norm=none]"
    assert spec.preset == {"dropout": 0.1, "norm": "none"}
