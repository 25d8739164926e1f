from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from conftest import timing_of as timing
from test_schema import CELL, COST, ENVIRONMENT, RECORD, SIZED, TRAINING

from archbench import words
from archbench.frame import epochs_frame, runs_frame
from archbench.schema import Budget, Metrics, Recipe
from archbench.tables import overhead, summary


def record(model, target, seed, accuracy, samples=None, params=None, status="done", session="s"):
    params = params or target
    budget = Budget(target) if target else None
    sized = dataclasses.replace(SIZED, model=model, family=model, params=params, budget=budget)
    cell = dataclasses.replace(CELL, model=model, budget=budget, recipe=Recipe(seed=seed), sized=sized)
    training = dataclasses.replace(TRAINING, test=Metrics(0.1, accuracy, 1.0), diverged_epoch=None)
    timings = () if samples is None else tuple(
        timing(np.array(samples) * factor, mode=mode, sized_key=sized.key, session=session)
        for mode, factor in (("train", 1.0), ("infer", 0.25))
    )  # fmt: skip
    cost = dataclasses.replace(COST, params=params, macs=10 * params)
    done = status == "done"
    return dataclasses.replace(
        RECORD, cell=cell, status=status, cost=cost, training=training if done else None, timings=timings,
        environment=ENVIRONMENT, error=None if done else "it broke",
    )  # fmt: skip


def elsewhere(record):
    return dataclasses.replace(record, environment=dataclasses.replace(ENVIRONMENT, machine="another"))


BASE = [100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0, 100.5] * 3
SLOW = [1.5 * value for value in BASE]
RECORDS = [
    *(record("cnn", 1000, seed, 0.90 + seed / 100, BASE) for seed in range(3)),
    *(record("net", 1000, seed, 0.929 + 0.011 * seed, SLOW, params=1005) for seed in range(3)),
    record("net", 5000, 0, 0.0, SLOW, status="failed"),
    record("fixed", None, 0, 0.5, BASE, params=1200),
]


def test_a_row_a_run_with_exact_integers_and_empty_cells():
    frame = runs_frame(RECORDS)
    assert len(frame) == 8
    first = frame.iloc[0]
    assert (first["params"], first["macs"], first["flops"], first["seed"]) == (1000, 10_000, 20_000, 0)
    assert first["flops_torch"] == 14
    assert pd.isna(first["macs_x"])
    assert first["train_step_us_cpu"] == 100.0
    assert first["train_us_per_sample_cpu"] == 12.5
    assert first["infer_step_us_cpu"] == 25.0
    assert frame["params"].dtype == "Int64"
    failed = frame.iloc[6]
    assert (failed["status"], failed["error"]) == ("failed", "it broke")
    assert pd.isna(failed["test_accuracy"])
    assert pd.isna(frame.iloc[7]["budget"])


def test_integers_survive_csv(tmp_path):
    frame = runs_frame([record("cnn", 30_000, 0, 0.9, params=123_456_789_012)])
    frame.to_csv(tmp_path / "runs.csv", index=False)
    assert ",123456789012," in (tmp_path / "runs.csv").read_text()


def test_an_epoch_has_a_row_a_split():
    frame = epochs_frame(RECORDS[:1])
    assert frame["split"].tolist() == ["train", "validation"]
    assert pd.isna(frame["loss"][0])
    assert frame["accuracy"].tolist() == [0.1, 0.3]


def test_the_summary_averages_over_seeds_and_counts_the_rest():
    table = summary(runs_frame(RECORDS)).set_index(["model", "budget"])
    row = table.loc[("cnn", 1000)]
    assert (row["n"], row["test_accuracy"]) == (3, pytest.approx(0.91))
    # t(0.975, 2) = 4.303 times the standard error 0.01 / sqrt(3)
    assert row["test_accuracy_high"] - row["test_accuracy"] == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    failed = table.loc[("net", 5000)]
    assert (failed["n"], failed["not_done"]) == (0, "1 failed")
    assert pd.isna(failed["test_accuracy"])
    fixed = summary(runs_frame(RECORDS)).iloc[-1]
    assert pd.isna(fixed["budget"])
    assert pd.isna(fixed["test_accuracy_low"])


def test_the_overhead_is_against_the_baseline_of_the_same_budget():
    table = overhead(RECORDS).set_index(["model", "budget"])
    row = table.loc[("net", 1000)]
    assert row["baseline"] == "cnn@1k"
    assert row["params_ratio"] == 1.005
    assert row["macs_ratio"] == 1.005
    assert row["train_ratio_cpu"] == pytest.approx(1.5)  # paired: the noise that both share is not in it
    assert row["train_ratio_cpu_low"] == pytest.approx(1.5)
    assert row["infer_ratio_cpu"] == pytest.approx(1.5)
    assert row["accuracy_points"] == pytest.approx(3.0)
    assert row["accuracy_points_low"] == pytest.approx(3.0 - 4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert table.loc[("cnn", 1000)]["params_ratio"] == 1.0
    assert pd.isna(table.loc[("cnn", 1000)]["accuracy_points"])


def test_a_fixed_model_stands_against_the_nearest_baseline():
    fixed = overhead([*RECORDS, record("cnn", 1_000_000, 0, 0.9, BASE)]).iloc[-2]
    assert (fixed["model"], fixed["baseline"]) == ("fixed", "cnn@1k")
    assert overhead(RECORDS, "fixed").iloc[0]["baseline"] == "fixed"
    assert overhead(RECORDS, "net").set_index(["model", "budget"]).loc[("cnn", 1000)][
        "accuracy_points"
    ] == pytest.approx(-3)


def test_accuracies_on_different_data_are_never_set_against_each_other():
    def case(record, dataset, name):
        return dataclasses.replace(record, cell=dataclasses.replace(record.cell, dataset=dataset, case=name))

    records = [
        case(record(model, 1000, seed, accuracy), dataset, name)
        for name, dataset, cnn, net in (("a", "one", 0.9, 0.8), ("b", "two", 0.5, 0.4), ("c", "two", 0.6, 0.3))
        for model, accuracy in (("cnn", cnn), ("net", net))
        for seed in range(2)
    ] + [case(record("net", 1000, 0, 0.7), "three", "d")]
    rows = {(row["model"], row["case"]): row for row in overhead(records).to_dict("records")}
    assert rows["cnn", "a"]["is_baseline"]
    assert rows["cnn", "b"]["is_baseline"]
    assert rows["cnn", "c"]["baseline"] == "cnn@1k, b"
    assert rows["cnn", "c"]["accuracy_points"] == pytest.approx(10)
    assert rows["net", "b"]["accuracy_points"] == pytest.approx(-10)
    assert rows["net", "d"]["params_ratio"] == 1
    assert pd.isna(rows["net", "d"]["accuracy_points"])


def test_times_of_two_sessions_have_no_ratio():
    table = overhead([record("cnn", 1000, 0, 0.9, BASE), record("net", 1000, 0, 0.9, SLOW, session="later")])
    assert table["train_step_us_cpu"].tolist() == [100.0, 150.0]
    assert pd.isna(table["train_ratio_cpu"][1])


def test_no_records_make_no_table():
    assert overhead([]).empty
    assert words.overhead_markdown(overhead([]), []) == "Nothing has been run.\n"


def test_words_of_the_summary():
    lines = words.summary_words(summary(runs_frame(RECORDS)))
    assert lines["accuracy, %"].tolist() == ["91.0 ± 2.5", "94.0 ± 2.7", "1 failed", "50.0"]
    assert lines["budget"].tolist() == ["1k", "1k", "5k", ""]
    assert lines["train, µs"].tolist() == ["100", "150", "150", "100"]


def test_words_of_the_overhead():
    text = words.overhead_markdown(overhead(RECORDS), RECORDS)
    assert text.startswith("# Time overhead against cnn\n")
    assert "1.50x [1.50, 1.50]" in text
    assert "+3.00 ± 0.25" in text
    assert "baseline" in text
    assert "a CPU" in text
    assert "Unstable" not in text
    shaky = [record("cnn", 1000, 0, 0.9, [100.0, 140.0] * 4)]
    assert (
        "Unstable: the middle half of the samples spreads over more than 10 % of the median (all: 33 %): quiet"
        in words.overhead_markdown(overhead(shaky), shaky)
    )
    lines = words.overhead_words(overhead(RECORDS))
    assert lines["train, ratio"].tolist()[-1] == "1.00x [1.00, 1.00] tie"


def test_a_ratio_that_may_be_one_is_a_tie():
    wobble = [value * factor for value, factor in zip(BASE, [1.1, 0.9] * 12, strict=True)]
    lines = words.overhead_words(overhead([record("cnn", 1000, 0, 0.9, BASE), record("net", 1000, 0, 0.9, wobble)]))
    assert lines["train, ratio"][1].endswith("tie unstable")


def test_both_devices_have_columns_of_their_own():
    cuda = tuple(timing([10.0] * 8, mode=mode, device="cuda") for mode in ("train", "infer"))
    records = [dataclasses.replace(r, timings=(*r.timings, *cuda)) for r in RECORDS[:2]]
    lines = words.overhead_words(overhead(records))
    assert {"train on cpu, µs/step", "train on cuda, µs/step", "infer on cuda, ratio"} <= set(lines.columns)


def test_the_brief_overhead_has_ratios_alone_and_no_baseline():
    lines = words.overhead_brief(overhead(RECORDS))
    assert lines["model"].tolist() == ["net", "net", "fixed"]
    assert lines["train time"].tolist() == ["1.50x [1.50, 1.50]"] * 2 + ["1.00x [1.00, 1.00] tie"]
    assert lines["points"].tolist() == ["+3.00 ± 0.25", "", "-40.0"]
    assert all(len(line) <= 80 for line in lines.to_string(index=False).splitlines())


def test_seconds_of_several_machines_have_no_mean_and_all_else_has():
    here = [record("cnn", 1000, seed, 0.9) for seed in range(2)]
    apart = [record("net", 1000, 0, 0.8), elsewhere(record("net", 1000, 1, 0.9))]
    there = [elsewhere(record("other", 1000, seed, 0.7)) for seed in range(2)]
    table = summary(runs_frame([*here, *apart, *there])).set_index("model")
    assert table["train_seconds"].notna().to_dict() == {"cnn": True, "net": False, "other": True}
    assert table["test_accuracy"].to_dict() == pytest.approx({"cnn": 0.9, "net": 0.85, "other": 0.7})
