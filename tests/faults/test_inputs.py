"""Whatever is typed is either read, or refused in one line that says what is accepted."""

from __future__ import annotations

import os
import sys
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_cli import invoke

from archbench import settings as own
from archbench.errors import InputError
from archbench.reference import parse_reference
from archbench.units import (
    COUNT_FORMS,
    MAX_COUNT,
    SEED_FORMS,
    SHAPE_FORMS,
    parse_count,
    parse_counts,
    parse_numbers,
    parse_seeds,
    shape_of,
)

thoroughly = settings(max_examples=10_000 if os.environ.get("ARCHBENCH_FAULTS") else 300)

# Half of what is tried looks like what is meant: a wild text is refused by its first letter.
NUMBERLIKE = st.text("0123456789.,+-eEkKmMxX*_ \t٣½∞nafi", max_size=24)
TEXTS = st.one_of(st.text(max_size=60), NUMBERLIKE, st.integers().map(str), st.floats().map(str))
REFERENCES = st.one_of(
    TEXTS,
    st.text("cnmlp[]()=,@.-0123456789k'\" \\\n{}:/*#", max_size=40),
    st.builds("cnn[{}={}]@{}".format, st.text(max_size=8), TEXTS, TEXTS),
    st.builds("mlp[hidden={}]".format, st.sampled_from("([{-~").flatmap(lambda sign: st.integers(0, 980).map(
        lambda count: sign * count))),
)  # fmt: skip


def read_or_refused(parse, text, *accepted):
    """Return what a text is read as, None where it is refused as it should be."""
    try:
        return parse(text)
    except InputError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 4_000
        assert error.exit_code == 2
        assert any(form in error.remedy for form in accepted), error.remedy
        return None


@thoroughly
@given(TEXTS)
@example("9" * 5000)
@example("1e999999999")
@example("٣k")
def test_a_budget(text):
    count = read_or_refused(parse_count, text, COUNT_FORMS)
    assert count is None or 1 <= count <= MAX_COUNT


@thoroughly
@given(TEXTS)
@example(",".join(["1"] * 5000))
def test_budgets(text):
    counts = read_or_refused(parse_counts, text, COUNT_FORMS, "Name each budget once")
    assert counts is None or len(set(counts)) == len(counts) > 0


@thoroughly
@given(TEXTS)
@example("999999999")
def test_seeds(text):
    seeds = read_or_refused(parse_seeds, text, SEED_FORMS)
    assert seeds is None or 1 <= len(seeds) <= 1000


@thoroughly
@given(st.one_of(TEXTS, st.builds("{}x{}x{}".format, TEXTS, TEXTS, TEXTS), st.lists(st.integers() | st.floats())))
@example(3)
@example((1, 2))
def test_an_input_shape(text):
    shape = read_or_refused(shape_of, text, SHAPE_FORMS)
    assert shape is None or (len(shape) == 3 and all(1 <= side <= 4096 for side in shape))


@thoroughly
@given(TEXTS)
def test_lists_of_whole_numbers(text):
    numbers = read_or_refused(partial(parse_numbers, what="batch size"), text, "whole numbers from 1")
    assert numbers is None or min(numbers) >= 1


ANYTHING = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), TEXTS, st.lists(st.integers()))


@thoroughly
@given(ANYTHING)
@example(10**5000)
@example("1" * 5000)
def test_whole_numbers_such_as_epochs(value):
    epochs = read_or_refused(partial(own.whole, "epochs", least=1, most=100_000), value, "from 1 to 100,000")
    assert epochs is None or (isinstance(epochs, int) and 1 <= epochs <= 100_000)


@thoroughly
@given(ANYTHING)
@example(10**400)
@example(-(10**5000))
@example(sys.float_info.max)
def test_numbers_such_as_a_learning_rate(value):
    rate = read_or_refused(partial(own.number, "learning rate", above=0), value, "above 0")
    assert rate is None or 0 < rate < float("inf")
    read_or_refused(partial(own.number, "any"), value, "Give a number")


@thoroughly
@given(REFERENCES)
@example("cnn[a=" + "-" * 900 + "1]")
@example("cnn[a='" + "(" * 900 + "']")
@example("cnn[a='" + "-" * 900 + "1']")
@example("[/foo]")
@example("cnn[\ud800=1]@3k")
@example("cnn@٣k")
@example("cnn[a=1e400]")
def test_a_model_with_options_and_a_budget(text):
    found = read_or_refused(parse_reference, text, COUNT_FORMS, "Quote the whole")
    if found is not None:
        model, target = found
        assert target is None or 1 <= target <= MAX_COUNT
        if "@" not in model:  # a budget in front of the options is part of a name that no model has
            assert parse_reference(model if target is None else f"{model}@{target}") == found  # one spelling


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--epochs", "abc"), "Invalid value for '--epochs'"),
        (("--epochs", "-1"), "epochs: -1 is not accepted. Give a whole number from 1"),
        (("--epochs", "1e400"), "Invalid value for '--epochs'"),
        (("--epochs", "9" * 4000), "is not accepted"),
        (("--seeds", ""), "'' names no seeds. Give how many"),
        (("--budgets", "٣k"), "is not a budget. Give a whole number from 1 to 1e12"),
        (("--budgets", "1e999"), "'1e999' is not a budget"),
        (("--budgets", "3k,3000"), "is given twice"),
        (("--threads", "0"), "threads: 0 is not accepted. Give a whole number from 1"),
        (("--batch-size", "1"), "batch size: 1 is not accepted"),
        (("--lr", "nan"), "learning rate: nan is not accepted. Give a number above 0"),
        (("--workers", "-1"), "greater than or equal to 0"),
        (("--limit", "0"), "greater than or equal to 1"),
        (("--split-seed", "1" * 30), "split seed"),
    ],
)
def test_the_command_line_says_it_in_one_line(monkeypatch, capsys, words, said):
    code, out, err = invoke(monkeypatch, capsys, "compare", "mlp", *words, "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
