from __future__ import annotations

import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.errors import InputError
from archbench.optimizers import DEFAULT_LR
from archbench.schema import Recipe, View
from archbench.settings import divided, make_recipe, make_view, number, one_of, whole


def test_nothing_said_is_the_recipe_and_the_view_of_the_nouns():
    assert make_recipe() == Recipe()
    assert make_view() == View()


def test_every_field_of_a_recipe_but_the_seed_can_be_set():
    assert {*inspect.signature(make_recipe).parameters} == {*Recipe.__dataclass_fields__} - {"seed"}
    names = {name.replace("input_shape", "input") for name in View.__dataclass_fields__}
    assert {*inspect.signature(make_view).parameters} == names


def test_settings_arrive_in_their_fields():
    settings = {
        "epochs": 2, "batch_size": 8, "lr": 0.25, "optimizer": "sgd", "momentum": 0.5, "schedule": "exponential",
        "lr_decay": 0.7, "weight_decay": 0.01, "l2": 0.02, "label_smoothing": 0.1, "precision": "bf16",
        "scaling": "centered", "position_loss": "sum",
    }  # fmt: skip
    made = make_recipe(**settings, augment="shift+flip")
    assert {name: getattr(made, name) for name in settings} == settings
    assert made.augment == ("flip", "shift")


@pytest.mark.parametrize("optimizer", DEFAULT_LR)
def test_each_optimizer_has_its_own_rate_unless_one_is_given(optimizer):
    assert make_recipe(optimizer=optimizer).lr == DEFAULT_LR[optimizer]
    assert make_recipe(optimizer=optimizer, lr=1).lr == 1.0
    assert isinstance(make_recipe(optimizer=optimizer, lr=1).lr, float)


def test_texts_and_lists_come_to_the_same():
    texts = make_view(
        only="cat, dog", exclude="duplicates+constant", split="1000/20/30", preprocess="gray + resize:24",
        input="32x64x3",
    )  # fmt: skip
    lists = make_view(
        only=["cat", "dog"], exclude=["constant", "duplicates"], split=[1000, 20, 30],
        preprocess=["gray", "resize:24x24"], input=[3, 32, 64],
    )  # fmt: skip
    assert texts == lists
    assert texts.only == ("cat", "dog")
    assert texts.split == (1000, 20, 30)
    assert texts.preprocess == ("gray", "resize:24x24")
    assert texts.input_shape == (3, 32, 64)
    assert make_recipe(augment="flip+crop:2") == make_recipe(augment=["crop:2", "flip"])


@pytest.mark.parametrize("nothing", [{}, {"preprocess": ""}, {"preprocess": []}, {"exclude": ""}, {"only": []}])
def test_nothing_is_nothing_however_it_is_written(nothing):
    assert make_view(**nothing) == View()
    assert make_recipe(augment=[]) == make_recipe(augment="") == Recipe()


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"optimizer": "adagrad"}, "Give one of adam, adamw, sgd, adadelta, rmsprop."),
        ({"schedule": "linear"}, "Give one of constant, cosine, step, exponential."),
        ({"scaling": "none"}, "Give one of standard, unit, centered."),
        ({"position_loss": "max"}, "Give one of mean, sum."),
        ({"precision": "fp8"}, "Give one of fp32, tf32, bf16."),
        ({"momentum": 1.0}, "Give a number at least 0 and below 1."),
        ({"momentum": -0.1}, "Give a number at least 0 and below 1."),
        ({"lr_decay": 0.0}, "Give a number above 0 and at most 1."),
        ({"lr_decay": 1.1}, "Give a number above 0 and at most 1."),
        ({"l2": -1e-9}, "Give a number at least 0."),
        ({"l2": math.nan}, "Give a number at least 0."),
        ({"lr": math.inf}, "Give a number above 0."),
        ({"lr": True}, "Give a number above 0."),
        ({"weight_decay": "0.1"}, "Give a number at least 0."),
        ({"epochs": True}, "Give a whole number from 1 to 100,000."),
        ({"epochs": 2.0}, "Give a whole number from 1 to 100,000."),
        ({"batch_size": 65_537}, "Give a whole number from 2 to 65,536."),
        ({"limit": 0}, "Give a whole number from 1 to 1,000,000,000."),
        ({"split_seed": -1}, "Give a whole number from 0 to 4,294,967,295."),
        ({"split": "1/2"}, "Give train/validation/test as numbers of images, such as 48000/6000/10000."),
        ({"split": [1, 2, -3]}, "Give train/validation/test as numbers of images, such as 48000/6000/10000."),
        ({"input": [1, 2]}, "Give (C, H, W), or channels x height x width, such as 1x28x28 or 3x224x224."),
    ],
)
def test_what_is_not_accepted_says_what_is(settings, remedy):
    recipe, view = divided(settings)
    with pytest.raises(InputError) as caught:
        make_view(**view) if view else make_recipe(**recipe)
    assert caught.value.remedy == remedy


def test_settings_are_divided_between_recipe_and_view():
    assert divided({"lr": 1, "split": "1/2/3", "l2": 2}) == ({"lr": 1, "l2": 2}, {"split": "1/2/3"})
    assert divided({}) == ({}, {})


def test_a_setting_that_is_none_is_told_with_the_nearest():
    with pytest.raises(InputError, match="'batchsize' is no setting") as caught:
        divided({"lr": 1, "batchsize": 2})
    assert caught.value.remedy.startswith("Did you mean batch_size")
    with pytest.raises(InputError, match="'seed' is no setting"):
        divided({"seed": 1})
    with pytest.raises(InputError) as caught:
        divided({"zzzzzz": 1})
    assert caught.value.remedy.startswith("Give one of epochs, batch_size, lr, ")


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.none()))
def test_a_number_is_in_its_bounds_or_refused(value):
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    accepted = plain and 0 < value <= 1
    try:
        assert number("x", value, above=0, most=1) == value
    except InputError:
        assert not accepted
    else:
        assert accepted


@given(st.one_of(st.integers(-3, 9), st.floats(), st.booleans(), st.text(max_size=2), st.none(), st.lists(st.just(1))))
def test_a_whole_number_is_in_its_bounds_or_refused(value):
    accepted = type(value) is int and 1 <= value <= 5
    try:
        assert whole("x", value, 1, 5) == value
    except InputError:
        assert not accepted
    else:
        assert accepted


@pytest.mark.parametrize("value", ["", "ADAM", None, ["adam"], 1])
def test_one_of_a_few_words(value):
    assert one_of("optimizer", "adam", Recipe) == "adam"
    with pytest.raises(InputError, match="is no optimizer"):
        one_of("optimizer", value, Recipe)
