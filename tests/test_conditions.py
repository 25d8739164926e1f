from __future__ import annotations

import math
import operator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archbench.conditions import DEEPEST, UNITS, parse_condition
from archbench.errors import InputError

KINDS = {"params": "count", "accuracy": "share", "step_us": "us", "memory": "bytes", "loss": "number", "model": "text"}
ROW = {"params": 30_000, "accuracy": 0.95, "step_us": 1500.0, "memory": 2.5e6, "loss": 0.2, "model": "cnn"}


def look(row):
    """Return what a row has as ranges of no width."""
    return lambda name: row[name] if row[name] is None or isinstance(row[name], str) else (row[name], row[name])


def holds(text, **changes):
    return parse_condition(text, KINDS).of(look(ROW | changes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params < 1M and accuracy > 0.80", True), ("params < 30k", False), ("params <= 30k", True),
        ("params == 3e4", True), ("params != 30000", False), ("params<.03M", False), ("params < 0.031M", True),
        ("accuracy > 95 %", False), ("accuracy >= 95%", True), ("accuracy < 95.1 %", True),
        ("step_us < 2ms", True), ("step_us > 1.5ms", False), ("step_us < 1 s", True), ("step_us > 1,", None),
        ("step_us >= 1500µs", True), ("step_us == 1500 us", True), ("step_us > 1000", True),
        ("memory < 2.5MB", False), ("memory <= 2.5 MB", True), ("memory < 2.4MiB", True), ("memory < 3GB", True),
        ("loss > -1", True), ("loss < 1e-1", False), ("model == cnn", True), ("model != cnn", False),
        ("model == 'cnn'", True), ('model == "mobile net"', False),
        ("not model == cnn", False), ("not not model == cnn", True),
        ("model == mlp or params < 1M and accuracy > 0.9", True),  # and binds closer than or
        ("(model == mlp or params < 1M) and accuracy > 0.99", False),
        ("not (params < 1M and accuracy > 0.99)", True), ("not params < 1M and accuracy > 0.99", False),
        ("((((params > 1))))", True),
    ],
)  # fmt: skip
def test_conditions_say_what_they_say(text, expected):
    if expected is None:
        with pytest.raises(InputError):
            holds(text)
    else:
        assert holds(text) is expected


@pytest.mark.parametrize(
    "name", ["cnn[activation=sigmoid,dropout=0.2]", "timm:mobilenetv3_small_050", "a.b:c", "cnn@30k"]
)
def test_names_of_models_need_no_quotes(name):
    assert holds(f"model == {name} and params > 1", model=name) is True
    assert holds(f"model == '{name}'", model=name) is True


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "a name is missing"), ("params", "one of < <="), ("params <", "a number"), ("params < k", "a number"),
        ("params < 1X", "'X' is no unit of params, which takes k, K, M"), ("params < 1 %", "'%' is no unit"),
        ("step_us < 3 GB", "no unit of step_us"), ("params = 3", "one of <"), ("params < 1M accuracy > 1", "and, or"),
        ("(params < 1M", "a ) is missing"), ("params < 1M)", "and, or, or the end"), ("params < 1 and", "a name"),
        ("model > cnn", "takes == or !="), ("model ==", "a text"), ("accuracy > 80", "80 % or 0.8"),
        ("__import__('os')", "there is no '__import__'"), ("params < (1)", "a number"), ("1 < params", "a name is"),
        ("params & 3", "'&' is not accepted"), ("!", "'!' is not accepted"), ("model == 'cnn", "is not accepted"),
        ("params < 1M; accuracy", "not accepted"), ("not", "a name is missing"), ("and", "there is no 'and'"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_what_is_accepted(text, wanted):
    with pytest.raises(InputError) as refused:
        parse_condition(text, KINDS)
    assert wanted in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("parms < 3", "Did you mean params?"), ("Accuracy > 0.5", "Did you mean accuracy?"),
     ("zzz > 1", "Give one of params, accuracy, step_us, memory, loss, model")],
)  # fmt: skip
def test_an_unknown_name_is_told_the_nearest_or_all(text, remedy):
    with pytest.raises(InputError, match=r"there is no .(parms|Accuracy|zzz). to ask for") as refused:
        parse_condition(text, KINDS)
    assert refused.value.remedy.startswith(remedy)


def test_nobody_is_let_fill_the_stack():
    deep = "(" * (DEEPEST + 1) + "params < 1" + ")" * (DEEPEST + 1)
    for text in (deep, "not " * (DEEPEST + 1) + "params < 1"):
        with pytest.raises(InputError, match="within each other"):
            parse_condition(text, KINDS)
    with pytest.raises(InputError, match="letters"):
        parse_condition("params < 1 and " * 1000 + "params < 1", KINDS)
    assert holds("(" * DEEPEST + "params > 1" + ")" * DEEPEST) is True


@given(st.text(max_size=80))
@example("params < 1e999")
@example("params < 1e400M")
def test_any_text_is_a_condition_or_refused(text):
    try:
        parse_condition(text, KINDS)
    except InputError as refused:
        assert refused.remedy


SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
NUMBERS = st.integers(0, 40_000)
LEAVES = st.tuples(st.sampled_from(["params", "step_us"]), st.sampled_from(list(SIGNS)), NUMBERS)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=12,
)  # fmt: skip


def written(tree):
    match tree:
        case ("not", inner):
            return f"not ({written(inner)})"
        case (("and" | "or") as word, left, right):
            return f"({written(left)}) {word} ({written(right)})"
    return "{} {} {}".format(*tree)


def truth(tree, row):
    """Return what Python says of a condition, with None where a value is missing (Kleene)."""
    match tree:
        case ("not", inner):
            found = truth(inner, row)
            return None if found is None else not found
        case (("and" | "or") as word, left, right):
            found = [truth(left, row), truth(right, row)]
            decides = word == "or"
            return decides if decides in found else None if None in found else not decides
    name, sign, number = tree
    return None if row[name] is None else SIGNS[sign](row[name], number)


@given(TREES, st.one_of(st.none(), NUMBERS), NUMBERS)
def test_conditions_are_what_python_makes_of_them(tree, params, step_us):
    row = {"params": params, "step_us": step_us}
    assert parse_condition(written(tree), KINDS).of(look(row)) is truth(tree, row)


@given(TREES, NUMBERS, NUMBERS, NUMBERS)
def test_what_holds_of_a_range_holds_of_all_in_it(tree, low, high, step_us):
    low, high = min(low, high), max(low, high)
    condition = parse_condition(written(tree), KINDS)
    sure = condition.of({"params": (low, high), "step_us": (step_us, step_us)}.get)
    inside = {truth(tree, {"params": value, "step_us": step_us}) for value in {low, high, (low + high) // 2}}
    if sure is not None:
        assert inside == {sure}


def test_what_is_missing_is_not_told():
    assert holds("loss < 1", loss=None) is None
    assert holds("not loss < 1", loss=None) is None
    assert holds("loss < 1 or params > 1", loss=None) is True
    assert holds("loss < 1 and params > 30k", loss=None) is False
    assert holds("model == cnn", model=None) is None


def test_units_are_powers_of_ten_or_two():
    for units in UNITS.values():
        assert all(math.log10(factor) % 1 == 0 or math.log2(factor) % 10 == 0 for factor in units.values())
