from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archbench import units
from archbench.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30000", 30_000), ("30k", 30_000), ("30K", 30_000), ("1.6M", 1_600_000), ("1.6m", 1_600_000), ("2e5", 200_000),
        ("2E5", 200_000), ("2e+5", 200_000), ("1", 1), ("0.03M", 30_000), ("1e12", 10**12), (" 73k ", 73_000),
        ("28.775k", 28_775), ("007", 7), ("1.50e3", 1500),
    ],
)  # fmt: skip
def test_accepted_budgets(text, value):
    assert units.parse_count(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "30q", "nan", "inf", "-5", "+5", "0", "0k", "1e99", "1e13", "1.5", "0.0001k", "30 k", "30kk", "2e5k",
        "1_000", "1,000", "٣٠", "0x10", "k", "e5", ".5M", "5.M", "1e-3", "9" * 50, "30k\x00", "３０k",
    ],
)  # fmt: skip
def test_refused_budgets_list_the_accepted_forms(text):
    with pytest.raises(InputError) as caught:
        units.parse_count(text)
    assert "30000, 30k, 1.6M or 2e5" in caught.value.remedy
    assert caught.value.exit_code == 2


@given(st.text(max_size=60))
@example("1e1000000000")
def test_any_text_is_a_count_or_an_input_error(text):
    try:
        assert 1 <= units.parse_count(text) <= units.MAX_COUNT
    except InputError as error:
        assert "\n" not in str(error)


@given(st.integers(1, units.MAX_COUNT))
def test_a_compact_count_is_read_back(count):
    assert units.parse_count(units.compact(count)) == count
    assert units.parse_count(str(count)) == count


@given(st.integers(1, 10**9), st.integers(0, 3))
def test_suffixes_agree_with_plain_digits(thousandths, places):
    digits = f"{thousandths // 10**places}.{thousandths % 10**places:0{places}d}" if places else str(thousandths)
    exact = thousandths * 1000
    if exact % 10**places == 0 and exact // 10**places <= units.MAX_COUNT:
        assert units.parse_count(f"{digits}k") == exact // 10**places


def test_duplicate_budgets_are_refused():
    assert units.parse_counts("30k, 200k,1.6M") == (30_000, 200_000, 1_600_000)
    with pytest.raises(InputError, match="30,000 is given twice"):
        units.parse_counts("30k,30000")
    with pytest.raises(InputError):
        units.parse_counts("30k,,200k")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1x48x48", (1, 48, 48)), ("3x224x224", (3, 224, 224)), ("48x48x1", (1, 48, 48)), ("64X64X3", (3, 64, 64)),
        ("3x50x130", (3, 50, 130)), ("16x8x8", (16, 8, 8)), ("3x4x4", (3, 4, 4)),
    ],
)  # fmt: skip
def test_shapes(text, shape):
    assert units.parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "3", "3x224", "3x224x224x1", "0x8x8", "axbxc", "-1x8x8", "3x9999x8", "3x8.0x8"])
def test_refused_shapes(text):
    with pytest.raises(InputError, match="is not an input shape"):
        units.parse_shape(text)


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("1", (0,)), ("0,7,42", (0, 7, 42)), ("7,", (7,)), (" 5, 6 ", (5, 6))]
)
def test_seeds(text, seeds):
    assert units.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "", "1.5", "-1", "1,1", "a", "1001", "9999999999", ",", "3;4"])
def test_refused_seeds(text):
    with pytest.raises(InputError, match="names no seeds"):
        units.parse_seeds(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7"), (950, "950"), (999.6, "1.00k"), (28_775, "28.8k"), (203_463, "203k"), (1_600_012, "1.60M"),
     (12_349_584, "12.3M"), (1_814_073_344, "1.81G"), (999_999, "1.00M")],
)  # fmt: skip
def test_short_has_three_digits(count, text):
    assert units.short(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(30_000, "30k"), (1_600_000, "1.6M"), (28_775, "28.8k"), (1_600_012, "1.60M"), (950, "950"), (29_999.6, "30k")],
)
def test_a_count_is_told_as_a_budget_where_it_is_one(count, text):
    assert units.briefest(count) == text


@given(st.floats(1, 1e12))
def test_short_is_within_half_a_percent(count):
    number, suffix = re.fullmatch(r"([0-9.e+]+)([kMG]?)", units.short(count)).groups()
    assert float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[suffix] == pytest.approx(count, rel=0.0051)


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (99.312345, 0.0812, "99.312 ± 0.081"), (95.6, 2.79, "95.6 ± 2.8"), (50.7, 28.1, "51 ± 28"), (9.0, None, "9.0"),
        (98.0, 0.0, "98.0 ± 0.0"), (None, 1.0, ""), (float("nan"), None, ""), (12.0, 0.0000123, "12.0000 ± 0.0000"),
    ],
)  # fmt: skip
def test_digits_follow_the_interval(value, half, text):
    assert units.with_interval(value, half) == text


def test_small_words():
    assert units.with_interval(0.44, None, sign=True) == "+0.4"
    assert units.grouped(28_775) == "28,775"
    assert units.micros(5864.2) == "5,860"
    assert units.micros(68.44) == "68.4"
    assert units.micros(None) == ""
    assert units.ratio(1.4512, 1.4, 1.5) == "1.45x [1.40, 1.50]"
    assert units.percent(-0.000367) == "-0.04 %"
    assert units.seconds(8.24) == "8.2 s"
    assert units.seconds(125) == "2 min 5 s"
    assert units.seconds(4320) == "1 h 12 min"
    assert units.number(1, "seed") == "1 seed"
    assert units.options({"channels": (6, 15), "dense": 117}) == "channels=6-15, dense=117"


def test_small_ratios_keep_three_digits():
    assert units.ratio(0.01234, 0.0121, 0.0126) == "0.0123x [0.0121, 0.0126]"
    assert units.ratio(0.1) == "0.10x"
    assert units.ratio(0.0) == "0.00x"


def test_a_narrow_interval_shows_what_it_resolves():
    assert units.ratio(1.004, 1.0015, 1.0065) == "1.0040x [1.0015, 1.0065]"
    assert units.ratio(1.21, 1.2, 1.215) == "1.210x [1.200, 1.215]"
    assert units.ratio(1.5, 1.5, 1.5) == "1.50x [1.50, 1.50]"


@pytest.mark.parametrize("text", ["", "0", "1,", "a", "1.5", "-1", "1;2"])
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(InputError, match=r"threads: .* is not accepted"):
        units.parse_numbers(text, "threads")
    assert units.parse_numbers("4, 1,4", "threads") == (4, 1)


def test_an_interval_that_is_not_symmetric_has_both_ends():
    assert units.within(96.04, 94.62, 97.03) == "96.0 [94.6, 97.0]"
