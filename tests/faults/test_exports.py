"""What other programs read: CSV as csv and pandas read it, timm's columns, Markdown, LaTeX, parquet."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tables import BASE, RECORDS, SLOW, record

from archbench import exports
from archbench.cli.show import json_rows, out, print_json
from archbench.comparison import Comparison
from archbench.errors import InputError, OutputError
from archbench.exports import DIALECTS, FORMULA, timm_table, write_conclusions, write_csv, write_dialect
from archbench.schema import Metrics, Study

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\0", "a,b", 'a"b', "a\nb", "a\rb", "'", "'=1", " x ", "-0.5"]
)


def compared(tmp_path, records=RECORDS):
    return Comparison(Study(tuple(dict.fromkeys(r.cell.model for r in records))), tuple(records), tmp_path)


def defused(text):
    return f"'{text}" if text.startswith(FORMULA) else text


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6), TEXT)
def test_text_comes_back_but_for_the_apostrophe(tmp_path_factory, rows, name):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    frame = pd.DataFrame(rows, columns=[name, "other"], dtype=object)
    write_csv(frame, path)
    wanted = [[defused(name), "other"], *[[defused(cell) for cell in row] for row in rows]]
    assert read(path) == wanted
    text = path.read_bytes()
    assert text.endswith(b"\n")
    if "\0" not in name + "".join(map("".join, rows)):  # which pandas takes for the end of a text
        back = pd.read_csv(path, dtype=str, keep_default_na=False, header=None)
        assert back.to_numpy().tolist() == wanted


@given(
    st.lists(
        st.tuples(
            st.floats(), st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.booleans(), st.booleans(),
            st.none() | st.sampled_from(["", "a", "b,c", 'd"', "é\nf"]),
            st.none() | st.floats() | st.booleans() | st.integers() | st.just("x"),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_all_else_is_what_pandas_writes(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    names = ["float", "Int64", "maybe", "bool", "text", "mixed"]
    frame = pd.DataFrame(rows, columns=names, dtype=object).astype({"float": float, "Int64": "Int64"})
    if rows:
        frame = frame.astype({"bool": bool})
    write_csv(frame, path)
    assert path.read_text(encoding="utf-8") == frame.to_csv(index=False)


def test_numbers_are_exact_and_what_is_missing_is_empty(tmp_path):
    numbers = [-0.1, 0.0, -0.0, 1e22, 5e-324, math.inf, -math.inf, math.nan, 1 / 3]
    frame = pd.DataFrame({"float": numbers, "whole": pd.array([-1, 0, None] * 3, dtype="Int64")})
    write_csv(frame, tmp_path / "a.csv")
    _, *rows = read(tmp_path / "a.csv")
    assert [row[0] for row in rows] == [
        "-0.1", "0.0", "-0.0", "1e+22", "5e-324", "inf", "-inf", "", "0.3333333333333333"
    ]  # fmt: skip
    assert [row[1] for row in rows] == ["-1", "0", ""] * 3


def test_values_that_are_equal_and_look_different_stay_different(tmp_path):
    values = [True, 1, 1.0, np.float64(1), np.int64(1), np.bool_(True), None, pd.NA, [1], "1", float("nan")]
    write_csv(pd.DataFrame({"a": pd.Series(values, dtype=object), "b": 0}), tmp_path / "a.csv")
    assert [row[0] for row in read(tmp_path / "a.csv")[1:]] == [
        "True", "1", "1.0", "1.0", "1", "True", "", "", "[1]", "1", "",
    ]  # fmt: skip


def test_a_frame_of_many_parts_has_every_row_in_its_order(monkeypatch, tmp_path):
    monkeypatch.setattr(exports, "ROWS", 7)
    frame = pd.DataFrame({"n": range(100), "t": [f"t{n % 3}" for n in range(100)]})
    write_csv(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == frame.to_csv(index=False)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame({"a": [None, "x", ""]})])
def test_small_frames_are_what_pandas_writes(frame, tmp_path):
    write_csv(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == frame.to_csv(index=False)


def test_text_that_utf8_cannot_write_is_written_as_python_does(tmp_path):
    write_csv(pd.DataFrame({"a": pd.Series(["\ud800x"], dtype=object)}), tmp_path / "a.csv")
    assert read(tmp_path / "a.csv")[1] == ["\\ud800x"]


def test_there_is_no_number_in_json_that_json_does_not_have(monkeypatch):
    frame = pd.DataFrame({"a": [math.inf, -math.inf, math.nan, 1.5], "b": pd.array([1, None, 2, 3], dtype="Int64")})
    monkeypatch.setattr(out, "file", io.StringIO())
    print_json({"rows": json_rows(frame), "nested": {"x": math.nan, "y": [math.inf]}})
    text = out.file.getvalue()

    def refuse(literal):
        raise AssertionError(literal)

    result = json.loads(text, parse_constant=refuse)
    assert [row["a"] for row in result["rows"]] == [None, None, None, 1.5]
    assert [row["b"] for row in result["rows"]] == [1, None, 2, 3]
    assert result["nested"] == {"x": None, "y": [None]}


# As benchmark.py --bench both writes them, and results-imagenet.csv.
TIMM = [
    "model", "infer_samples_per_sec", "infer_step_time", "infer_batch_size", "infer_img_size", "infer_gmacs",
    "infer_macts", "train_samples_per_sec", "train_step_time", "train_batch_size", "train_img_size", "param_count",
    "top1", "top1_err", "top5", "top5_err",
]  # fmt: skip


def test_timms_columns_and_units(tmp_path):
    [path] = write_dialect("timm", compared(tmp_path), tmp_path)
    assert read(path)[0] == TIMM
    rows = pd.read_csv(path).set_index("model")
    assert rows.index.tolist() == ["cnn@1k", "net@1k", "net@5k", "fixed"]
    row = rows.loc["cnn@1k"]
    assert row["train_step_time"] == 0.1  # 100 µs
    assert row["train_batch_size"] == 8
    assert row["train_samples_per_sec"] == pytest.approx(8 / 100e-6)
    assert row["infer_step_time"] == 0.025
    assert row["infer_img_size"] == 8
    assert row["infer_gmacs"] == 10_000 / 1e9
    assert row["infer_macts"] == 6 / 1e6
    assert (row["top1"], row["top1_err"]) == (pytest.approx(91.0), pytest.approx(9.0))
    assert pd.isna(row["top5"])  # k is 3 here
    assert pd.isna(rows.loc["net@5k", "top1"])
    assert pd.isna(rows.loc["net@5k", "top1_err"])


def test_small_models_are_told_apart_by_timms_millions(tmp_path):
    records = [record(f"m{params}", None, 0, 0.9, BASE, params=params) for params in (29_999, 30_000, 30_003)]
    [path] = write_dialect("timm", compared(tmp_path, records), tmp_path)
    assert [1e6 * count for count in pd.read_csv(path)["param_count"]] == pytest.approx([29_999, 30_000, 30_003])
    assert [row[11] for row in read(path)[1:]] == ["0.029999", "0.03", "0.030003"]


def test_top_5_is_given_where_k_is_5(tmp_path):
    training = dataclasses.replace(RECORDS[0].training, k=5, test=Metrics(0.1, 0.9, 0.98))
    frame = compared(tmp_path, [dataclasses.replace(RECORDS[0], training=training)])
    [row] = timm_table(frame.frame(), frame.summary()).to_dict("records")
    assert (row["top5"], row["top5_err"]) == (98.0, 2.0)


def test_two_devices_have_a_row_each(tmp_path):
    both = [
        dataclasses.replace(
            one, timings=(*one.timings, *(dataclasses.replace(t, device="cuda", samples_us=(10.0,) * 8, processes=())
                                          for t in one.timings)),
        )
        for one in RECORDS[:1]
    ]  # fmt: skip
    records = [*both, record("later", 1000, 0, 0.9, SLOW), record("untimed", 1000, 0, 0.9)]
    found = compared(tmp_path, records)
    rows = timm_table(found.frame(), found.summary())
    assert list(rows.columns) == ["model", "device", *TIMM[1:]]
    assert list(zip(rows["model"], rows["device"], strict=True)) == [
        ("cnn@1k", "cpu"), ("cnn@1k", "cuda"), ("later@1k", "cpu"), ("untimed@1k", "")
    ]  # fmt: skip
    assert rows["infer_step_time"].tolist()[:3] == [0.025, 0.01, pytest.approx(0.0375)]


def test_markdown_and_latex_are_the_summary_as_people_read_it(tmp_path):
    [file] = write_dialect("markdown", compared(tmp_path), tmp_path / "new" / "folder")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert file == tmp_path / "new" / "folder" / "summary.md"
    assert len(lines) == 2 + 4
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert "91.0 ± 2.5" in lines[2]
    [file] = write_dialect("latex", compared(tmp_path), tmp_path)
    text = file.read_text(encoding="utf-8")
    assert [text.count(rf"\{rule}") for rule in ("toprule", "midrule", "bottomrule", "hline")] == [1, 1, 1, 0]
    assert text.startswith(r"\begin{tabular}")
    assert len(re.findall(r"\\\\$", text, re.MULTILINE)) == 1 + 4
    assert r"accuracy, \%" in text


def test_parquet_holds_the_runs_exactly(tmp_path):
    [file] = write_dialect("parquet", compared(tmp_path), tmp_path)
    back, frame = pd.read_parquet(file), compared(tmp_path).frame()
    assert list(back.columns) == list(frame.columns)
    assert back["params"].dtype == "Int64"
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)


def test_without_pyarrow_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pyarrow") as caught:
        write_dialect("parquet", compared(tmp_path), tmp_path)
    assert "pip install 'archbench[parquet]'" in caught.value.remedy


def test_another_dialect_is_refused_and_the_known_ones_named(tmp_path):
    with pytest.raises(InputError, match="no dialect 'xlsx'") as caught:
        write_dialect("xlsx", compared(tmp_path), tmp_path)
    assert all(dialect in caught.value.remedy for dialect in DIALECTS)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_comparison_is_the_same_bytes_and_nothing_to_write_is_no_error(dialect, tmp_path):
    first = {file.name: file.read_bytes() for file in write_dialect(dialect, compared(tmp_path), tmp_path / "a")}
    again = {file.name: file.read_bytes() for file in write_dialect(dialect, compared(tmp_path), tmp_path / "b")}
    assert first == again
    assert all(file.is_file() for file in write_dialect(dialect, compared(tmp_path, []), tmp_path / "c"))


# What is concluded.


def test_a_table_without_rows_leaves_the_header_of_one_of_before(tmp_path):
    first = compared(tmp_path)
    written = write_conclusions(first.conclusions(), tmp_path)
    pairs = tmp_path / "pairs.csv"
    header = pairs.read_text().splitlines()[0]
    assert pairs in written
    alone = compared(tmp_path, RECORDS[:3]).conclusions()
    assert pairs in write_conclusions(alone, tmp_path)
    assert pairs.read_text() == header + "\n"
    assert not len(pd.read_csv(pairs))


def test_a_file_of_somebody_else_stays_where_there_is_no_table(tmp_path):
    own = tmp_path / "pairs.csv"
    own.write_text("shoe,size\nleft,43\n")
    (tmp_path / "fits.csv").mkdir()
    alone = compared(tmp_path, RECORDS[:3]).conclusions()
    assert not {own, tmp_path / "fits.csv"} & {*write_conclusions(alone, tmp_path)}
    assert own.read_text() == "shoe,size\nleft,43\n"
    assert (tmp_path / "fits.csv").is_dir()


def test_a_table_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "pairs.csv").mkdir()
    with pytest.raises(OutputError, match=r"pairs\.csv cannot be written"):
        write_conclusions(compared(tmp_path).conclusions(), tmp_path)
