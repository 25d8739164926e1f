"""What is concluded of comparisons whose truth is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from test_tables import BASE, SLOW, record

from archbench import stats
from archbench.comparison import Comparison
from archbench.conclusion_words import conclusions_markdown, enough_words, points_words, sections
from archbench.conclusions import COLUMNS, conclude, pareto
from archbench.conclusions.verdicts import judged, timed
from archbench.errors import InputError
from archbench.frame import epochs_frame, runs_frame
from archbench.schema import Epoch, Metrics, Study
from archbench.tables import overhead

BUDGETS = (10_000, 100_000, 1_000_000, 10_000_000)
WAVE = (-0.001, 0.0, 0.001)  # what the seeds differ in, alike in all


def runs_of(model, accuracies, *, wave=WAVE, **changes):
    """Return a row a run, of a model that has these accuracies at the first budgets."""
    return [
        {
            "model": model, "family": model, "case": "", "budget": budget, "params": budget, "macs": 10 * budget,
            "train_step_us_cpu": budget / 100, "infer_step_us_cpu": budget / 400, "device": "cpu", "seed": seed,
            "dataset": "digits", "status": "done", "test_accuracy": accuracy + noise, "test_loss": 1 - accuracy,
            "test_images": 1000, "classes": 10, "peak_memory_bytes": 4 * budget, "estimated_memory_bytes": None,
            **changes,
        }
        for budget, accuracy in zip(BUDGETS, accuracies, strict=False) for seed, noise in enumerate(wave)
    ]  # fmt: skip


def frame_of(*groups):
    frame = pd.DataFrame([row for group in groups for row in group])
    return frame.astype({"budget": "Int64", "params": "Int64"})


CROSSED = frame_of(
    runs_of("small", (0.80, 0.84, 0.86, 0.87)), runs_of("large", (0.74, 0.82, 0.90, 0.95), wave=WAVE[::-1])
)


def rows(table):
    plain = table.astype(object).where(table.notna(), None)
    return plain.to_dict(orient="records")


def test_every_table_has_its_columns_with_rows_or_without():
    for found in (conclude(CROSSED), conclude(runs_frame([])), conclude(CROSSED.assign(status="failed"))):
        assert [name for name, _ in found.tables()] == list(COLUMNS)
        for name, table in found.tables():
            assert tuple(table.columns) == COLUMNS[name]
            assert found.answer


def test_the_answer_is_where_they_cross():
    found = conclude(CROSSED)
    (row,) = [row for row in rows(found.crossovers) if row["x"] == "params"]
    planted = math.exp(math.log(1e5) + 0.02 / 0.06 * math.log(10))  # from +2 to -4 points over a decade
    assert (row["before"], row["after"], row["crossings"], row["verdict"]) == ("small", "large", 1, "crossing")
    assert row["value"] == pytest.approx(planted)
    assert row["low"] < planted < row["high"]
    assert (row["from_x"], row["to_x"]) == pytest.approx((1e4, 1e7))
    first = found.answer[0]
    assert first.startswith("small is ahead below about 215k parameters (")
    assert first.endswith("), large above it.")
    assert {row["x"]: row["value"] for row in rows(found.crossovers)} == pytest.approx(
        {"params": planted, "macs": 10 * planted, "step_us": planted / 100}
    )


def test_without_a_crossing_it_is_said_who_is_ahead():
    apart = frame_of(runs_of("low", (0.5, 0.6)), runs_of("high", (0.7, 0.8)))
    assert conclude(apart).answer[0] == "No crossing between 10k and 100k parameters: high is ahead throughout."
    near = frame_of(
        runs_of("low", (0.5, 0.6), wave=(-0.1, 0.0, 0.1)), runs_of("high", (0.51, 0.61), wave=(0.1, 0.0, -0.1))
    )
    assert "not resolved with 3 seeds" in conclude(near).answer[0]


def test_equal_curves_have_no_leader():
    found = conclude(frame_of(runs_of("a", (0.5, 0.6)), runs_of("b", (0.5, 0.6))))
    assert found.answer[0] == "The two are equal between 10k and 100k parameters."
    assert {row["verdict"] for row in rows(found.crossovers)} == {"equal"}


def test_two_crossings_are_both_told():
    twice = frame_of(runs_of("a", (0.9, 0.8, 0.9)), runs_of("b", (0.85, 0.85, 0.85)))
    found = conclude(twice)
    assert found.crossovers["crossings"].tolist() == [2] * 6
    assert found.answer[0].startswith("The two cross 2 times between 10k and 1M parameters, at 31.6k (")
    assert found.answer[0].endswith("): ahead is a, then b, then a.")


def test_of_two_crossings_that_are_in_doubt_the_means_are_told():
    third = 0.85 + 0.003  # ahead again by less than the runs deviate
    wide = frame_of(
        runs_of("a", (0.9, 0.8, third), wave=(-0.01, 0.0, 0.01)),
        runs_of("b", (0.85, 0.85, 0.85), wave=(0.01, 0.0, -0.01)),
    )
    (first,) = conclude(wide).answer[:1]
    assert first.startswith("The means cross 2 times between 10k and 1M parameters, at ")
    assert first.endswith(" (not resolved); ahead in the mean is a, then b, then a.")


def test_a_sentence_lists_eight_places_and_counts_the_others():
    def alone(count):
        models = [runs_of(f"m{place}", (0.9,), budget=1000 * (place + 1), wave=(0.0,)) for place in range(count)]
        return conclude(frame_of(*models)).answer[0]

    assert alone(8).endswith("m6@7k with 90.0 % and m7@8k with 90.0 %.")
    assert alone(9).endswith("m5@6k with 90.0 %, m6@7k with 90.0 % and 2 more.")


def test_pairs_are_tested_and_corrected():
    found = rows(conclude(CROSSED).pairs)
    assert [(row["first"], row["second"], row["n"]) for row in found] == [
        (f"small@{size}", f"large@{size}", 3) for size in ("10k", "100k", "1M", "10M")
    ]
    for row, difference in zip(found, (6, 2, -4, -8), strict=True):
        seeds = difference + 200 * np.asarray(WAVE)
        theirs = scipy_stats.ttest_1samp(seeds, 0)
        assert (row["difference_points"], row["p"]) == pytest.approx((difference, theirs.pvalue))
        interval = theirs.confidence_interval()
        assert (row["low_points"], row["high_points"]) == pytest.approx((interval.low, interval.high))
        assert (row["p_exact"], row["p_exact_least"]) == (0.25, 0.25)
        assert row["p"] <= row["p_holm"] <= 4 * row["p"]
        assert row["resolved"] == (row["p_holm"] < 0.05)
        assert row["detectable_points"] == pytest.approx(stats.detectable(3, seeds.std(ddof=1), 0.05 / 4))


def test_seeds_that_all_differ_by_one_image_decide_nothing():
    records = [
        *(record("cnn", 1000, seed, 0.90 + seed / 100, BASE) for seed in range(2)),
        *(record("net", 1000, seed, 0.91 + seed / 100, SLOW) for seed in range(2)),
    ]  # fmt: skip
    found = conclude(runs_frame(records), None, overhead(records))
    (pair,) = rows(found.pairs)
    assert (pair["p"], pair["resolved"]) == (0.5, False)
    assert [pair[name] for name in ("low_points", "high_points", "detectable_points", "seeds_needed")] == [None] * 4
    assert {row["verdict"] for row in rows(found.verdicts)} == {"not resolved"}
    sure = {row["name"]: row["sure"] for row in rows(found.pareto) if row["axes"] == "params+accuracy"}
    assert sure == {"cnn@1k": False, "net@1k": False}


def test_a_single_run_is_held_against_images():
    single = frame_of(runs_of("a", (0.9,), wave=(0.0,)), runs_of("b", (0.8,), wave=(0.0,)))
    (row,) = rows(conclude(single).pairs)
    assert (row["n"], row["by"], row["seeds_needed"]) == (1, "images", None)
    assert row["p"] == pytest.approx(scipy_stats.fisher_exact(np.asarray([[900, 100], [800, 200]]))[1])
    assert (row["p_holm"], row["resolved"]) == (row["p"], False)  # how runs differ is not in it
    (first, _) = rows(conclude(single).points)
    wilson = scipy_stats.binomtest(900, 1000).proportion_ci(method="wilson")
    assert (first["images_low"], first["images_high"]) == pytest.approx((wilson.low, wilson.high))
    assert first["accuracy_low"] is None
    (said,) = conclude(single).answer
    assert said.startswith("Not resolved with 1 seed which of the best two is more accurate: at 10k a and b (+10.0 ± ")
    assert said.endswith(" points, single runs).")


def test_tests_of_images_and_of_seeds_are_corrected_apart():
    seeds = [runs_of("a", (0.9,)), runs_of("b", (0.8,), wave=WAVE[::-1])]
    alone = rows(conclude(frame_of(*seeds)).pairs)
    single = [runs_of(name, (0.7,), wave=(0.0,)) for name in "cd"]
    found = {(row["first"][0], row["second"][0]): row for row in rows(conclude(frame_of(*seeds, *single)).pairs)}
    assert found["a", "b"] == alone[0]
    assert {row["by"] for pair, row in found.items() if pair != ("a", "b")} == {"images"}
    images = [row for row in found.values() if row["by"] == "images"]
    assert min(row["p_holm"] for row in images) == pytest.approx(5 * min(row["p"] for row in images))
    assert not any(row["resolved"] for row in images)


def test_points_have_mean_median_and_range_of_what_is_done():
    frame = CROSSED.copy()
    frame.loc[0, ["status", "test_accuracy"]] = ["failed", np.nan]
    first = rows(conclude(frame).points)[0]
    assert (first["n"], first["not_done"]) == (2, "1 failed")
    assert (first["accuracy"], first["accuracy_median"]) == pytest.approx((0.8005, 0.8005))
    assert (first["accuracy_least"], first["accuracy_most"]) == pytest.approx((0.80, 0.801))


def test_data_sets_are_concluded_apart():
    both = frame_of(
        runs_of("a", (0.9,)), runs_of("b", (0.8,), wave=WAVE[::-1]), runs_of("a", (0.5,), dataset="x", case="x")
    )
    found = conclude(both)
    assert len(found.pairs) == 1
    assert found.answer[0].startswith("digits: Most accurate: a at 10k (+10")
    assert found.answer[1].startswith("x: There is one model")


def test_one_name_for_two_sets_of_test_images_is_two_data_sets():
    found = conclude(frame_of(runs_of("a", (0.9,)), runs_of("b", (0.8,), test_images=50, limit=50)))
    assert set(found.points["dataset"]) == {"digits (test images 1000)", "digits (limit 50.0, test images 50)"}
    assert not len(found.pairs)


def test_runs_of_one_data_set_are_concluded_with_a_pandas_that_has_no_rows_without_columns(monkeypatch):
    """As before 3.1."""
    usual = pd.DataFrame.itertuples
    monkeypatch.setattr(
        pd.DataFrame, "itertuples",
        lambda frame, *given, **named: usual(frame, *given, **named) if len(frame.columns) else iter(()),
    )  # fmt: skip
    found = conclude(frame_of(runs_of("cnn", [0.5, 0.6]), runs_of("mobilenet", [0.7, 0.8])))
    assert set(found.points["dataset"]) == {"digits"}
    assert len(found.points) == 4


def test_the_front_names_what_dominates():
    frame = frame_of(runs_of("good", (0.9, 0.95)), runs_of("bad", (0.8, 0.94), wave=WAVE[::-1], params=200_000, macs=1))
    table = conclude(frame).pareto
    params = {row["name"]: row for row in rows(table[table["axes"] == "params+accuracy"])}
    assert {name: row["dominated_by"] for name, row in params.items()} == {
        "good@10k": None, "good@100k": None, "bad@10k": "good@100k", "bad@100k": "good@100k",
    }  # fmt: skip
    assert params["bad@10k"]["sure"] is True
    macs = {row["name"]: row["on_front"] for row in rows(table[table["axes"] == "macs+accuracy"])}
    assert macs == {"good@10k": False, "good@100k": True, "bad@10k": False, "bad@100k": True}
    assert set(table["axes"]) >= {"params+step_us+accuracy", "memory_bytes+accuracy"}


@pytest.mark.parametrize("axes", [
    ("params", "accuracy"), ("macs", "step_us"), ("memory", "macs", "accuracy"), ("step_us", "params", "memory"),
])  # fmt: skip
def test_a_front_over_other_axes_is_what_nothing_beats(axes):
    rng = np.random.default_rng(3)
    models = [
        runs_of(
            f"m{place}", (rng.integers(80, 90) / 100,), wave=(0.0,), params=int(rng.integers(1000, 1009)),
            macs=int(rng.integers(1, 9)), train_step_us_cpu=rng.integers(1, 9), peak_memory_bytes=rng.integers(1, 9),
        )
        for place in range(12)
    ]  # fmt: skip
    frame = frame_of(*models).assign(budget=pd.array([pd.NA] * 12, dtype="Int64"))
    found = rows(pareto(frame, axes))
    costs = {
        point["name"]: [-point[name] if name == "accuracy" else point[COLUMN.get(name, name)] for name in axes]
        for point in rows(conclude(frame).points)
    }

    def beaten(mine):
        return any(all(a <= b for a, b in zip(cost, mine, strict=True)) and cost != mine for cost in costs.values())

    assert {row["name"]: row["on_front"] for row in found} == {name: not beaten(cost) for name, cost in costs.items()}
    assert {row["on_front"] for row in found} == {True, False}
    assert {row["axes"] for row in found} == {"+".join(COLUMN.get(name, name) for name in axes)}


COLUMN = {"memory": "memory_bytes"}


@pytest.mark.parametrize(
    ("axes", "remedy"),
    [(("param", "accuracy"), "Did you mean params?"), (("params",), "two or three of accuracy, params, macs"),
     (("params", "params"), "each once"), (("params", "macs", "step_us", "memory"), "two or three")],
)  # fmt: skip
def test_a_front_over_anything_else_is_refused(axes, remedy, tmp_path):
    with pytest.raises(InputError) as refused:
        Comparison(Study(("cnn",)), against([0.9, 0.9, 0.9]), tmp_path).pareto(*axes)
    assert remedy in refused.value.remedy


def test_the_fronts_that_are_concluded_are_the_default(tmp_path):
    compared = Comparison(Study(("cnn", "net")), against([0.91, 0.90, 0.92]), tmp_path)
    pd.testing.assert_frame_equal(compared.pareto(), compared.conclusions().pareto)


def test_models_that_met_one_budget_are_equally_large():
    frame = frame_of(runs_of("a", (0.9,), params=10_050), runs_of("b", (0.8,), params=9_950))
    table = conclude(frame).pareto
    (row,) = rows(table[(table["axes"] == "params+accuracy") & (table["name"] == "b@10k")])
    assert (row["dominated_by"], row["params"]) == ("a@10k", 9_950)


def test_a_law_of_size_is_fitted_and_drawn_a_decade_on():
    law = [1 - (0.05 + 3 * size**-0.4) for size in BUDGETS]
    found = conclude(frame_of(runs_of("a", law), runs_of("b", (0.8, 0.85, 0.9))))
    first, second = rows(found.fits)
    assert (first["a"], first["b"], first["c"]) == pytest.approx((0.05, 3.0, 0.4), rel=0.05)
    assert first["c_low"] < 0.4 < first["c_high"]
    assert second["refused"] == "a fit needs 4 sizes, and there are 3"
    lines = found.fit_lines
    assert set(lines["series"]) == {"a"}
    assert lines["params"].min() == pytest.approx(1e4)
    assert lines["params"].max() == pytest.approx(1e8)
    assert (lines["extrapolated"] == (lines["params"] > 1.0001e7)).all()
    assert np.allclose(lines["error"], 0.05 + 3 * lines["params"] ** -0.4, rtol=0.05)


def test_models_of_fixed_sizes_are_a_line_where_they_share_family_and_case():
    sizes = [row | {"model": f"net_{row['budget']}", "family": "net"} for row in runs_of("net", (0.7, 0.8, 0.9))]
    frame = frame_of(sizes).assign(budget=pd.array([pd.NA] * 9, dtype="Int64"))
    assert set(conclude(frame).points["series"]) == {"net"}
    same = frame.assign(params=10_000)
    assert set(conclude(same).points["series"]) == set(same["model"])


@pytest.mark.parametrize(
    ("ratio", "points", "verdict"),
    [
        ((1.4, 1.5), (-0.1, 0.1), "not worth it"), ((1.4, 1.5), (-3.0, 3.0), "not resolved"),
        ((1.4, 1.5), (0.2, 0.6), "trade-off"), ((1.4, 1.5), (-0.6, -0.2), "worse"),
        ((0.6, 0.7), (-0.1, 0.1), "worth it"), ((0.6, 0.7), (-3.0, 3.0), "not resolved"),
        ((0.6, 0.7), (0.2, 0.6), "better"), ((0.6, 0.7), (-0.6, -0.2), "trade-off"),
        ((0.97, 1.03), (-0.1, 0.1), "tie"), ((0.97, 1.03), (0.2, 0.6), "worth it"),
        ((0.97, 1.03), (-0.6, -0.2), "not worth it"),
        ((0.9, 1.1), (-0.1, 0.1), "not resolved"), ((0.9, 1.1), (0.2, 0.6), "not resolved"),  # no tie, not told
        ((None, None), (0.2, 0.6), "not resolved"), ((1.4, 1.5), (None, None), "not resolved"),
    ],
)  # fmt: skip
def test_verdicts_follow_from_both_intervals(ratio, points, verdict):
    assert judged(timed(ratio), points) == verdict


@pytest.mark.parametrize(
    ("ratio", "time"),
    [((1.031, 1.04), "slower"), ((1.01, 1.02), "tie"), ((1.02, 1.06), "tie"), ((0.98, 0.99), "tie"),
     ((0.95, 0.96), "faster"), ((1.01, 1.2), None)],
)  # fmt: skip
def test_a_time_is_told_beyond_what_a_model_differs_from_itself(ratio, time):
    assert timed(ratio, 0.03) == time


def test_what_is_not_told_apart_among_several_decides_nothing():
    assert judged("slower", (0.2, 0.6), told=False) == "not resolved"
    assert judged("slower", (-0.1, 0.1), told=False) == "not worth it"


def against(accuracies, samples=SLOW):
    return [
        *(record("cnn", 1000, seed, 0.90 + seed / 1000, BASE) for seed in range(3)),
        *(record("net", 1000, seed, accuracy, samples) for seed, accuracy in enumerate(accuracies)),
    ]


def test_the_verdict_is_a_sentence():
    records = against([0.9001, 0.9010, 0.9019])
    found = conclude(runs_frame(records), None, overhead(records))
    train, infer = rows(found.verdicts)
    assert train["sentence"] == "50 % slower for +0.000 ± 0.025 points: not worth it on this data"
    assert (train["name"], train["baseline"], train["mode"], infer["mode"]) == ("net@1k", "cnn@1k", "train", "infer")
    assert (train["verdict"], train["tie"]) == ("not worth it", False)
    faster = against([0.90, 0.901, 0.902], [0.905 * value for value in BASE])
    assert rows(conclude(runs_frame(faster), None, overhead(faster)).verdicts)[0]["sentence"].startswith(
        "9.5 % faster for"
    )


def test_differences_between_sizes_are_corrected_for_in_verdicts():
    """Models of fixed sizes against a baseline of another: of one the difference is resolved, of four alike none is."""
    gains = (0.0025, 0.0040, 0.0055)
    assert 0.05 / 4 < scipy_stats.ttest_1samp(gains, 0).pvalue < 0.05

    def verdicts(count):
        records = [record("cnn", 1000, seed, 0.9, BASE) for seed in range(3)] + [
            record(f"fixed{place}", None, seed, 0.9 + gain, SLOW, params=2000 + 1000 * place)
            for place in range(count) for seed, gain in enumerate(gains)
        ]  # fmt: skip
        return [row["verdict"] for row in rows(conclude(runs_frame(records), None, overhead(records)).verdicts)]

    assert verdicts(1) == ["trade-off"] * 2
    assert verdicts(4) == ["not resolved"] * 8


def test_of_many_models_each_is_held_against_the_baseline_and_the_best_two_by_validation():
    waves = (WAVE, WAVE[::-1])
    groups = [
        runs_of(f"m{place:02}", (0.80 + place / 1000,), wave=waves[place % 2], validation_accuracy=0.7 - place / 100)
        for place in range(14)
    ]
    groups[4] = runs_of("m04", (0.90,), validation_accuracy=0.95)
    groups[9] = runs_of("m09", (0.95,), wave=WAVE[::-1], validation_accuracy=0.94)
    frame = frame_of(*groups)
    against = pd.DataFrame({"model": ["m02"], "case": "", "budget": 10_000, "baseline": "m02@10k", "is_baseline": True})
    found = conclude(frame, None, against)
    pairs = {frozenset((row["first"], row["second"])) for row in rows(found.pairs)}
    assert len(found.pairs) == 14
    assert pairs == {frozenset(("m02@10k", f"m{place:02}@10k")) for place in range(14) if place != 2} | {
        frozenset(("m04@10k", "m09@10k"))
    }
    said = "Most accurate: m09 at 10k (+5.00 ± 0.50 points over m04; by validation the best two of 14)."
    assert found.answer == (said,)


def test_a_comparison_tells_times_as_its_overhead_does(tmp_path):
    twin = tuple(value * 1.03 for value in BASE)  # the machine, or its memory, favours one of two equal copies
    records = [
        dataclasses.replace(one, timings=tuple(
            dataclasses.replace(timing, twin_us=twin) if timing.mode == "train" else timing for timing in one.timings
        ))
        for one in against([0.9001, 0.9010, 0.9019], [1.02 * value for value in BASE])
    ]  # fmt: skip
    train, infer = rows(Comparison(Study(("cnn", "net")), records, tmp_path).conclusions().verdicts)
    assert (train["tie"], train["verdict"]) == (True, "tie")
    assert train["sentence"].startswith("as fast, to what can be told, for +0.000 ±")
    assert (infer["tie"], infer["verdict"]) == (False, "not worth it")


# Curves.


def learned(model, train, validation, losses=None, *, status="done", target=1000, seeds=3):
    """Return records with these accuracies by epoch, and losses that are theirs to 1 unless they are given."""
    losses = losses or ([1 - value for value in train], [1 - value for value in validation])
    records = []
    for seed in range(seeds):
        one = record(model, target, seed, validation[-1] + seed / 1000)
        epochs = tuple(
            Epoch(place, Metrics(lost, right + seed / 1000, 1.0), Metrics(also, checked + seed / 1000, 1.0), 1.0, 0.1)
            for place, (lost, right, also, checked) in enumerate(
                zip(losses[0], train, losses[1], validation, strict=True), 1
            )
        )
        records.append(
            dataclasses.replace(one, status=status, training=dataclasses.replace(one.training, epochs=epochs))
        )
    return records


def diagnosed(records):
    found = conclude(runs_frame(records), epochs_frame(records))
    return {row["diagnosis"]: row for row in rows(found.diagnoses)}, found


def test_overfitting_since_the_epoch_of_the_lowest_validation_loss():
    found, _ = diagnosed(
        learned("net", [0.5, 0.6, 0.7, 0.8], [0.5, 0.6, 0.6, 0.79], ([0.9, 0.5, 0.3, 0.1], [0.9, 0.60, 0.66, 0.75]))
    )
    assert set(found) == {"overfitting"}
    assert (found["overfitting"]["epoch"], found["overfitting"]["value"]) == (2, pytest.approx(0.25))
    assert "since epoch 2" in found["overfitting"]["note"]


def test_still_improving_where_the_last_quarter_still_brought_something():
    falls = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.40]
    up = [0.5 + 0.01 * place for place in range(8)]
    found, _ = diagnosed(learned("net", up, up, (falls, falls)))
    assert set(found) == {"still improving"}
    assert found["still improving"]["value"] == pytest.approx(0.20)  # 0.40 after 0.50 two epochs before
    flat = [*falls[:6], 0.405, 0.40]
    assert set(diagnosed(learned("net", up, up, (flat, [*flat[:5], 0.403, 0.402, 0.40])))[0]) == set()


def test_a_wide_gap_and_none():
    found, concluded = diagnosed(learned("net", [0.9, 0.99], [0.8, 0.89], ([0.2, 0.1], [0.3, 0.3])))
    assert set(found) == {"generalisation gap"}
    assert "10" in found["generalisation gap"]["note"]
    (gap,) = rows(concluded.gaps)
    assert (gap["gap_points"], gap["n"]) == (pytest.approx(10), 3)
    assert set(diagnosed(learned("net", [0.9, 0.91], [0.8, 0.89], ([0.2, 0.1], [0.3, 0.3])))[0]) == set()


def test_what_guesses_is_not_learning_and_nothing_else():
    found, _ = diagnosed(learned("net", [0.10, 0.11], [0.05, 0.02], ([2.3, 2.29], [2.3, 3.0])))
    assert set(found) == {"not learning"}
    assert "guessing has 10 %" in found["not learning"]["note"]


def test_diverged_runs_are_counted():
    records = [*learned("net", [0.5, 0.6], [0.5, 0.6], seeds=2), *learned("net", [0.5], [0.5], status="diverged")[2:]]
    found, _ = diagnosed(records)
    assert found["diverged"]["value"] == pytest.approx(1 / 3)


def test_enough_is_the_epoch_from_which_the_ranking_is_the_last():
    curves = {
        "a": [0.1, 0.3, 0.3, 0.3],
        "b": [0.2, 0.2, 0.4, 0.4],
        "c": [0.3, 0.1, 0.5, 0.6],
        "d": [0.4, 0.6, 0.6, 0.7],
    }
    records = [one for name, values in curves.items() for one in learned(name, values, values)]
    found = rows(conclude(runs_frame(records), epochs_frame(records)).enough)
    assert [row["tau"] for row in found] == pytest.approx([1.0, 0.0, 1.0, 1.0])
    assert [row["settled"] for row in found] == [False, False, True, True]
    assert {(row["models"], row["of_epochs"], row["n"]) for row in found} == {(4, 4, 3)}
    assert (found[0]["low"], found[0]["high"]) == (1.0, 1.0)


@pytest.mark.parametrize(("swapped", "words"), [(False, "is that of epoch 3"), (True, "is nearly that of epoch 3")])
def test_a_ranking_is_that_of_the_end_only_where_it_is_the_same(swapped, words):
    finals = [0.1 * place for place in range(1, 10)]
    before = [*finals[:7], finals[8], finals[7]] if swapped else finals  # tau 34 / 36 with one pair of 36 turned
    records = [
        one for name, now, end in zip("abcdefghi", before, finals, strict=True)
        for one in learned(name, [now, now, end], [now, now, end])
    ]  # fmt: skip
    (row,) = rows(enough_words(conclude(runs_frame(records), epochs_frame(records)).enough))
    assert row[""] == f"from epoch 1 on the ranking {words}"


def test_two_models_or_one_epoch_have_no_ranking_to_settle():
    for records in (
        [one for name in "ab" for one in learned(name, [0.1, 0.2], [0.1, 0.2])],
        [one for name in "abc" for one in learned(name, [0.1], [0.1])],
    ):
        assert not len(conclude(runs_frame(records), epochs_frame(records)).enough)


# As people read them.


def test_the_page_holds_the_answer_and_every_table_that_has_rows():
    records = [
        one
        for place, name in enumerate("abc")
        for one in learned(name, [0.4, 0.5], [0.3, 0.4 + place / 50], ([0.9, 0.5], [0.9, 0.95]))
    ]
    found = conclude(runs_frame(records), epochs_frame(records), overhead(records))
    page = conclusions_markdown(found)
    assert page.startswith("# Conclusions\n\n" + found.answer[0])
    headings = [heading for heading, *_ in sections(found)]
    assert headings == ["Differences", "Pareto fronts", "How the models learned", "Enough epochs"]
    assert all(f"## {heading}\n" in page for heading in ("Accuracy", *headings))
    empty = conclusions_markdown(conclude(runs_frame([])))
    assert "Nothing has been run." in empty
    assert "##" not in empty


def test_accuracies_are_told_with_median_and_range_or_the_interval_of_images():
    frame = frame_of(runs_of("a", (0.9,), wave=(-0.02, 0.0, 0.01)), runs_of("b", (0.8,), wave=(0.0,)))
    several, single = rows(points_words(conclude(frame).points))
    half = 100 * np.std([0.88, 0.90, 0.91], ddof=1) * scipy_stats.t.ppf(0.975, 2) / math.sqrt(3)
    assert several == {
        "model": "a@10k", "accuracy, %": f"89.7 ± {half:.1f}", "median": "90.0", "range": "88.0 to 91.0", "n": "3",
    }  # fmt: skip
    wilson = scipy_stats.binomtest(800, 1000).proportion_ci(method="wilson")
    assert single["accuracy, %"] == f"80.0 [{100 * wilson.low:.1f}, {100 * wilson.high:.1f}]"
    assert (single["median"], single["range"], single["n"]) == ("", "", "1")


def test_names_of_others_are_inert_on_the_page():
    frame = frame_of(runs_of("<b>|x|", (0.9,)), runs_of("*y*", (0.8,)))
    page = conclusions_markdown(conclude(frame))
    assert "<b>" not in page
    assert "\\*y\\*" in page
