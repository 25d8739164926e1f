from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest
from test_measures import run, runs

from archbench.comparison import Comparison
from archbench.reproduction import Reproduction
from archbench.schema import Study
from archbench.study_schema import Claim, Place, Published, Scales, ScaleTable, StudyFile
from archbench.tuning import TUNED, Trial, Tuning

STEPS = [100.0, 110.0, 90.0, 100.0, 120.0, 80.0]
RECORDS = [
    *runs("cnn", (0.90, 0.91, 0.92), params=1000, statistics=0, steps=STEPS),
    *runs("net", (0.80, 0.81, 0.85), params=20_000, statistics=40, steps=[1.5 * step for step in STEPS]),
    run("lost", 0, status="diverged"),
]
FILE = StudyFile(
    "A comparison", source="a report", about="What else is to be known.\n", baseline="cnn",
    scales=Scales(quick=ScaleTable(about="minutes", epochs=1)),
    published=[
        Published({"params_keras": 1000, "test_accuracy": 0.89, "epoch_seconds": 3.5}, "p. 1", model="cnn"),
        Published({"params_keras": 20_400, "train_us_ratio": 1.5}, "p. 2", model="net"),
        Published({"train_loss": 0.5}, "p. 3", model="net", epoch=2),
        Published({"test_accuracy": 0.5}, "p. 4", model="lost"),
    ],
    claims=[
        Claim("The first is better.", "difference", of=Place("cnn"), against=Place("net"), above=0.0),
        Claim("The lost one is good.", "value", of=Place("lost"), above=0.9),
    ],
)  # fmt: skip


def reproduction(tmp_path, file=FILE, records=RECORDS, scale="full", tuning=None, **study):
    asked = Study(("cnn", "net", "lost"), name="mine", scale=scale, baseline=file.baseline, **study)
    full = Study(asked.models, scale="full")
    return Reproduction(file, Comparison(asked, tuple(records), tmp_path), full, tuning)


def test_a_row_a_published_figure(tmp_path):
    table = reproduction(tmp_path).published()
    assert len(table) == 7
    assert set(table["study"]) == {"mine"}
    assert table["model"].tolist() == ["cnn"] * 3 + ["net"] * 3 + ["lost"]
    assert table["verdict"].tolist() == [
        "agrees", "agrees", "not comparable", "differs", "agrees", "agrees", "not measured",
    ]  # fmt: skip
    count = table.iloc[3]
    assert (count["published"], count["measured"], count["difference"], count["n"]) == (20_400, 20_040, -360, 1)
    share = table.iloc[1]
    # s = 0.01: the mean ± 4.3027 * 0.01 / sqrt(3), and one more run ± 4.3027 * 0.01 * sqrt(4 / 3)
    assert (share["low"], share["high"]) == pytest.approx((0.91 - 0.02484, 0.91 + 0.02484), abs=1e-5)
    assert (share["expected_low"], share["expected_high"]) == pytest.approx((0.91 - 0.04968, 0.91 + 0.04968), abs=1e-5)
    assert (table["epoch"].dtype, table["epoch"][5], table["n"][1]) == ("Int64", 2, 3)
    assert pd.isna(table["epoch"][0])
    assert pd.isna(table["measured"][6])
    assert table["reason"][6] == "diverged"


def test_a_row_a_claim(tmp_path):
    table = reproduction(tmp_path).claims()
    assert table["verdict"].tolist() == ["holds", "not resolved"]
    assert table["figures"][1] == "lost: diverged"


def test_verdicts_are_counted(tmp_path):
    assert reproduction(tmp_path).verdicts() == {
        "agrees": 4, "not comparable": 1, "differs": 1, "not measured": 1, "holds": 1, "not resolved": 1,
    }  # fmt: skip


def test_figures_as_people_read_them(tmp_path):
    lines = reproduction(tmp_path).published_words()
    assert list(lines.columns) == [
        "model",
        "epoch",
        "figure",
        "published",
        "measured",
        "expected",
        "difference",
        "verdict",
    ]
    assert lines["epoch"].tolist() == ["", "", "", "", "", "2", ""]
    assert lines["published"].tolist() == ["1,000", "89.00 %", "3.5", "20,400", "1.50x", "0.5", "50.00 %"]
    assert lines["measured"].tolist() == [
        "1,000", "91.00 % [88.52 %, 93.48 %]", "2", "20,040", "1.50x", "0.5", "",
    ]  # fmt: skip
    assert lines["expected"].tolist() == ["", "[86.03 %, 95.97 %]", "", "", "[1.50x, 1.50x]", "[0.5, 0.5]", ""]
    assert lines["difference"].tolist() == ["+0", "+2.00 %", "-1.5", "-360", "+0.00x", "+0", ""]
    assert lines["verdict"][2] == "not comparable: other hardware: times are compared as ratios"
    assert lines["verdict"][6] == "not measured: diverged"


def test_cases_have_a_column_where_there_are_any(tmp_path):
    file = StudyFile("t", published=[Published({"params": 1000}, "x", case="a")])
    lines = reproduction(tmp_path, file, runs(case="a")).published_words()
    assert lines.to_dict("records") == [
        {"model": "cnn", "case": "a", "figure": "params", "published": "1,000", "measured": "1,000",
         "expected": "", "difference": "+0", "verdict": "agrees"},
    ]  # fmt: skip


def test_files_are_written_and_read_back(tmp_path):
    found = reproduction(tmp_path)
    assert [file.name for file in found.write()] == ["published.csv", "claims.csv", "published.md"]
    table = pd.read_csv(tmp_path / "published.csv")
    assert table["published"].tolist() == found.published()["published"].tolist()
    assert pd.read_csv(tmp_path / "claims.csv")["verdict"].tolist() == ["holds", "not resolved"]
    assert [file.parent for file in found.write(tmp_path / "other")] == [tmp_path / "other"] * 3


def test_the_report_says_what_was_measured_on_what(tmp_path):
    text = reproduction(tmp_path, scale="quick").markdown()
    assert text.startswith("# A comparison\n\nStudy mine, scale quick.\nScale: minutes.\nPublished by: a report.\n")
    assert "What else is to be known." in text
    assert "Measured on a CPU, 2 cores; torch 2.14; 3 seeds; trained on cpu." in text
    assert re.search(r"\| The first is better\. +\| holds ", text)
    assert "not comparable: the quick scale trains less than was published" in text
    assert "Warning" not in text


def test_the_report_repeats_the_warnings_of_the_data(tmp_path):
    warned = [dataclasses.replace(r, cell=dataclasses.replace(r.cell, warnings=("3 leaks",))) for r in RECORDS]
    assert reproduction(tmp_path, records=warned).markdown().count("**Warning: 3 leaks.**") == 1


def test_a_study_without_figures_and_claims_writes_nothing(tmp_path):
    plain = reproduction(tmp_path, StudyFile("t"))
    assert plain.write() == []
    assert plain.published().empty
    assert plain.claims().empty
    assert plain.published_words().empty
    assert plain.verdicts() == {}
    assert "## Claims" not in plain.markdown()
    assert "## Published" not in plain.markdown()


def test_nothing_was_run(tmp_path):
    found = reproduction(tmp_path, records=())
    assert set(found.published()["verdict"]) == {"not measured", "not comparable"}
    assert set(found.claims()["verdict"]) == {"not resolved"}
    assert "Measured on" not in found.markdown()
    found.write()


def test_ratios_are_to_the_first_model_where_no_baseline_is_named(tmp_path):
    file = StudyFile("t", published=[Published({"params_ratio": 20}, "x", model="net")])
    assert reproduction(tmp_path, file).figures[0].measured.value == 20.0
    assert reproduction(tmp_path, file).figures[0].verdict == "agrees"


def test_what_a_search_found_stands_in_its_case(tmp_path):
    won = Comparison(Study(("cnn",)), tuple(runs("cnn", (0.98, 0.981, 0.982), case=TUNED)), tmp_path / "tune")
    tuning = Tuning((Trial("cnn", 1, {"lr": 0.1}, 0.97, "done"),), won)
    file = StudyFile(
        "t", published=[Published({"test_accuracy": 0.981}, "x", model="cnn", case=TUNED)],
        claims=[Claim("x", "difference", of=Place("cnn", TUNED), against=Place("cnn"), above=0.0)],
    )  # fmt: skip
    found = reproduction(tmp_path, file, tuning=tuning)
    assert found.figures[0].verdict == "agrees"
    assert found.findings[0].verdict == "holds"
