from __future__ import annotations

import pytest
from test_measures import run, runs

from archbench.claims import Finding, findings
from archbench.measures import Measures
from archbench.study_schema import Claim, Place


def verdict_on(records, kind="value", of="cnn", against="", **claim):
    """Return the finding on one claim; `of` and `against` are models."""
    of, against = (Place(place) if isinstance(place, str) and place else place or None for place in (of, against))
    (finding,) = findings([Claim("So it is.", kind, of=of, against=against, **claim)], Measures.of(records))
    assert finding.text == "So it is."
    return finding


# The t-interval of 0.90, 0.91, 0.92 is 0.91 ± 4.3027 * 0.01 / sqrt(3) = 0.91 ± 0.0248.
THREE = runs("cnn", (0.90, 0.91, 0.92))


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"above": 0.88}, "holds"), ({"below": 0.94}, "holds"), ({"above": 0.88, "below": 0.94}, "holds"),
        ({"above": 0.94}, "does not hold"), ({"below": 0.88}, "does not hold"),
        ({"above": 0.5, "below": 0.6}, "does not hold"), ({"above": 0.95, "below": 0.99}, "does not hold"),
        ({"above": 0.91}, "not resolved"), ({"below": 0.93}, "not resolved"),
        ({"above": 0.9, "below": 0.92}, "not resolved"), ({"above": 0.5, "below": 0.9}, "not resolved"),
    ],
)  # fmt: skip
def test_a_value_holds_where_its_whole_interval_is_inside(bounds, verdict):
    assert verdict_on(THREE, metric="test_accuracy", **bounds).verdict == verdict


def test_the_figures_say_what_decides():
    assert verdict_on(THREE, above=0.88, below=0.95) == Finding(
        "So it is.", "holds", "test_accuracy 91.00 % [88.52 %, 93.48 %]; claimed above 88.00 % and below 95.00 %"
    )
    records = [*runs("a", (0.91, 0.94), params=3000), *runs("b", (0.90, 0.92), params=1200)]
    found = verdict_on(records, "difference", "a", "b", above=0.0)
    assert (
        found.figures
        == "test_accuracy difference +1.50 points [-4.85 points, +7.85 points]; claimed above +0.00 points"
    )
    assert verdict_on(records, "ratio", "a", "b", metric="params", above=2).figures == (
        "params ratio 2.5x; claimed above 2x"
    )
    assert verdict_on(records, "difference", "a", "b", metric="params", above=0).figures == (
        "params difference 1,800; claimed above 0"
    )
    assert verdict_on([run()], metric="test_loss", below=1).figures == (
        "test_loss 0.1 without an interval: one run; claimed below 1"
    )


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [({"above": 999}, "holds"), ({"above": 1000}, "does not hold"), ({"below": 1000}, "does not hold"),
     ({"above": 999, "below": 1001}, "holds"), ({"above": 1000, "below": 1000}, "does not hold")],
)  # fmt: skip
def test_a_count_that_equals_a_bound_is_not_beyond_it(bounds, verdict):
    assert verdict_on(THREE, metric="params", **bounds).verdict == verdict


def test_equal_differences_tell_nothing_of_how_runs_differ():
    for others in ((0.9, 0.92), (0.89, 0.91)):
        records = [*runs("a", (0.9, 0.92)), *runs("b", others)]
        assert verdict_on(records, "difference", "a", "b", above=0.0).verdict == "not resolved"


def test_a_difference_is_paired_by_seed():
    # Unpaired, the spread over seeds hides what holds in each of them.
    records = [*runs("a", (0.70, 0.80, 0.90)), *runs("b", (0.69, 0.788, 0.891))]
    assert verdict_on(records, "difference", "a", "b", above=0.0).verdict == "holds"
    assert verdict_on(records, "difference", "b", "a", above=0.0).verdict == "does not hold"
    assert verdict_on(records, "difference", "a", "b", above=0.01).verdict == "not resolved"


def test_the_difference_of_single_runs_is_that_of_shares_of_images():
    def records(accuracy):
        return [run("a", accuracy=accuracy), run("b", accuracy=0.80)]  # on 400 images each

    assert verdict_on(records(0.90), "difference", "a", "b", above=0.0).verdict == "holds"
    assert verdict_on(records(0.82), "difference", "a", "b", above=0.0).verdict == "not resolved"
    assert verdict_on(records(0.70), "difference", "a", "b", above=0.0).verdict == "does not hold"


def test_differences_between_cases_and_epochs():
    records = [*runs("cnn", case="x"), *runs("cnn", (0.5, 0.51, 0.53), case="y")]
    found = verdict_on(records, "difference", Place("cnn", "x"), Place(case="y"), above=0.3)
    assert found.verdict == "holds"
    epochs = [Place("cnn", "x", epoch=epoch) for epoch in (3, 1)]
    found = verdict_on(records, "difference", *epochs, metric="validation_accuracy", above=0.19)
    assert found.figures.startswith("validation_accuracy difference +20.00 points without an interval")


STEPS = [100.0, 110.0, 90.0, 100.0, 120.0, 80.0]


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [({"above": 1.0}, "holds"), ({"above": 1.4, "below": 1.6}, "holds"), ({"below": 1.2}, "does not hold")],
)
def test_a_ratio_of_times_taken_side_by_side(bounds, verdict):
    records = [*runs("a", steps=[1.5 * step for step in STEPS]), *runs("b", steps=STEPS)]
    assert verdict_on(records, "ratio", "a", "b", metric="train_us", **bounds).verdict == verdict
    assert verdict_on(records, "ratio", "a", "b", metric="infer_us", **bounds).verdict == verdict


def test_few_rounds_have_no_interval_and_are_not_called_one_run():
    records = [*runs("a", steps=[150.0] * 3), *runs("b", steps=[100.0] * 3)]
    found = verdict_on(records, "ratio", "a", "b", metric="train_us", above=1.0)
    assert found.verdict == "not resolved"
    assert found.figures == "train_us ratio 1.5x without an interval; claimed above 1x"


# What was not measured.


@pytest.mark.parametrize(
    ("records", "claim", "reason"),
    [
        ([], {}, "cnn: not run at this scale"),
        ([run(status="diverged")], {}, "cnn: diverged"),
        ([run(status="failed", error="out of memory")], {}, "cnn: out of memory"),
        (THREE, {"metric": "test_word"}, "cnn: no test_word"),
        (THREE, {"of": Place("cnn", epoch=9), "metric": "train_loss"}, "cnn: no train_loss at epoch 9"),
        (THREE, {"kind": "difference", "against": "mlp"}, "mlp: not run at this scale"),
        ([run("a", 0), run("b", 1)], {"kind": "difference", "of": "a", "against": "b"}, "no seed or size in common"),
        (
            [run("a", 0, case="x")], {"kind": "ratio", "of": Place("b", "x"), "against": Place(case="y")},
            "b in x: not run at this scale; y: not run at this scale",
        ),
        (
            [run("a", steps=STEPS), run("b", steps=STEPS, session="t")],
            {"kind": "ratio", "of": "a", "against": "b", "metric": "train_us"},
            "not timed side by side",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_is_not_resolved_and_says_why(records, claim, reason):
    found = verdict_on(records, **{"above": 0.0, **claim})
    assert (found.verdict, found.figures) == ("not resolved", reason)


@pytest.mark.parametrize("says", ["holds", "does not hold"])
def test_what_diverged_says_what_the_claim_lets_it(says):
    lost = [run("a", seed, status="diverged") for seed in range(2)]
    claim = {"kind": "difference", "of": "a", "against": "b", "below": -0.2, "diverged": says}
    found = verdict_on([*lost, *runs("b")], **claim)
    assert (found.verdict, found.figures) == (says, "2 of 2 runs diverged")
    # Where one run ended, it decides nothing alone.
    left = [*lost, run("a", 2, 0.1), *runs("b", (0.9, 0.9, 0.9))]
    found = verdict_on(left, **claim)
    assert found.verdict == ("holds" if says == "holds" else "not resolved")
    assert "; 2 of 3 runs diverged; claimed below" in found.figures
    assert verdict_on(left, **{**claim, "diverged": ""}).verdict == "not resolved"
    assert (
        verdict_on(left, **{**claim, "of": "b", "against": "a", "below": None, "above": 0.1}).verdict == found.verdict
    )
    # What it is set against may have diverged as well.
    assert verdict_on([*lost, *runs("b")], **{**claim, "of": "b", "against": "a"}).verdict == says
    failed = [run("a", status="failed", error="why"), *runs("b")]
    assert verdict_on(failed, **claim).figures == "a: why"


# The smallest.

SIZES = [
    *runs("tiny", (0.80, 0.81), params=10_000), *runs("small", (0.950, 0.951), params=50_000),
    *runs("large", (0.990, 0.991), params=1_000_000),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "expected", "verdict"),
    [
        ({"most_params": 100_000, "least_accuracy": 0.9}, "small", "holds"),
        ({"most_params": 100_000, "least_accuracy": 0.9}, "tiny", "does not hold"),
        ({"most_params": 100_000, "least_accuracy": 0.9}, "large", "does not hold"),
        ({"least_accuracy": 0.98}, "large", "holds"),
        ({"least_accuracy": 0.7}, "tiny", "holds"),
        ({"most_params": 50_000}, "tiny", "holds"),
        ({"most_params": 5_000, "least_accuracy": 0.1}, "tiny", "does not hold"),
        ({"most_params": 20_000, "least_accuracy": 0.99}, "tiny", "does not hold"),
    ],
)
def test_the_smallest_that_is_accurate_enough(bounds, expected, verdict):
    assert verdict_on(SIZES, "smallest", expected=expected, **bounds).verdict == verdict


def test_the_smallest_is_named_with_what_makes_it_so():
    found = verdict_on(SIZES, "smallest", expected="small", least_accuracy=0.9)
    assert found.figures == "the smallest of 3 models that were compared is small with 50,000 parameters and 95.0 %"
    found = verdict_on(SIZES, "smallest", expected="tiny", least_accuracy=0.999)
    assert found == Finding(
        "So it is.", "does not hold", "none of 3 models that were compared surely has at least 99.9 %"
    )
    found = verdict_on(SIZES, "smallest", expected="tiny", most_params=5000, least_accuracy=0.5)
    assert found.figures == "none of 3 models that were compared surely has at most 5k parameters and at least 50 %"


def test_a_smaller_one_in_doubt_leaves_it_open():
    records = [*SIZES, *runs("unsure", (0.85, 0.95), params=20_000)]
    found = verdict_on(records, "smallest", expected="small", least_accuracy=0.9)
    assert found.verdict == "not resolved"
    assert "in doubt: unsure with 20,000 parameters and 90.0 %" in found.figures
    only = verdict_on(runs("unsure", (0.85, 0.95)), "smallest", expected="unsure", least_accuracy=0.9)
    assert only.verdict == "not resolved"
    larger = [*SIZES, *runs("unsure", (0.85, 0.95), params=60_000)]
    assert verdict_on(larger, "smallest", expected="small", least_accuracy=0.9).verdict == "holds"


def test_what_did_not_end_is_not_the_smallest():
    records = [*SIZES, *[run("broken", seed, params=20_000, status="diverged") for seed in range(2)]]
    found = verdict_on(records, "smallest", expected="small", least_accuracy=0.9)
    assert found.verdict == "not resolved"  # it might have been
    assert "in doubt: broken with 20,000 parameters, which diverged" in found.figures
    larger = [*SIZES, run("broken", params=60_000, status="diverged")]
    assert verdict_on(larger, "smallest", expected="small", least_accuracy=0.9).verdict == "holds"
    some = [*SIZES, *runs("unlucky", (0.95, 0.95), params=20_000), run("unlucky", 2, params=20_000, status="failed")]
    found = verdict_on(some, "smallest", expected="small", least_accuracy=0.9)
    assert found.verdict == "not resolved"
    assert "and 95.0 %, 1 of 3 runs failed" in found.figures
    missing = verdict_on(SIZES, "smallest", expected="huge", least_accuracy=0.9)
    assert missing == Finding("So it is.", "not resolved", "huge: not run at this scale")
    assert verdict_on([], "smallest", expected="small", least_accuracy=0.9).verdict == "not resolved"
    assert verdict_on(SIZES, "smallest", expected="small", least_accuracy=0.9, case="x").verdict == "not resolved"


def test_single_runs_are_as_sure_as_their_images():
    records = [run("tiny", accuracy=0.80, params=10), run("small", accuracy=0.95, params=20)]  # 400 images each
    assert verdict_on(records, "smallest", expected="small", least_accuracy=0.9).verdict == "holds"
    assert verdict_on(records, "smallest", expected="small", least_accuracy=0.94).verdict == "not resolved"


def test_sizes_of_one_family_are_told_apart():
    records = [
        *runs("cnn", (0.80, 0.81), params=1000, budget=1000), *runs("cnn", (0.95, 0.951), params=5000, budget=5000)
    ]  # fmt: skip
    for expected, verdict in [("cnn@5k", "holds"), ("cnn @ 5000", "holds"), ("cnn@1k", "does not hold")]:
        found = verdict_on(records, "smallest", expected=expected, least_accuracy=0.9)
        assert found.verdict == verdict
        assert found.figures.startswith("the smallest of 2 models that were compared is cnn@5k with 5,000 parameters")


# Crossovers.


def family(name, accuracies, wobble=0.0, seeds=3):
    """Return the runs of a family whose accuracy is given by parameters; seeds differ by `wobble`."""
    return [
        run(name, seed, accuracy + wobble * (seed - 1), params=params, budget=params)
        for params, accuracy in accuracies.items()
        for seed in range(seeds)
    ]


def crossover(records, **claim):
    return verdict_on(records, "crossover", "", family=["a"], rival=["b"], **claim)


# a leads by 0.1 at 1e4 parameters and trails by 0.1 at 1e6: on the logarithm they meet half-way, at 1e5.
CROSSING = [*family("a", {10_000: 0.8, 1_000_000: 0.8}, 0.01), *family("b", {10_000: 0.7, 1_000_000: 0.9}, 0.01)]


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [({"above": 50_000, "below": 200_000}, "holds"), ({"above": 300_000}, "does not hold"),
     ({"below": 30_000}, "does not hold"), ({"above": 100_000}, "not resolved"), ({}, "holds")],
)  # fmt: skip
def test_where_a_family_falls_behind(bounds, verdict):
    found = crossover(CROSSING, **bounds)
    assert found.verdict == verdict
    assert found.figures.startswith("crossing at 100,000 [")
    assert ("claimed" in found.figures) == bool(bounds)


def test_a_family_may_be_named_size_by_size():
    records = [
        *runs("a1", (0.8, 0.8001), params=10_000), *runs("a2", (0.8, 0.8001), params=1_000_000),
        *runs("b1", (0.7, 0.7001), params=10_000), *runs("b2", (0.9, 0.9001), params=1_000_000),
    ]  # fmt: skip
    claim = {"family": ["a1", "a2"], "rival": ["b1", "b2"], "above": 90_000, "below": 110_000}
    assert verdict_on(records, "crossover", "", **claim).verdict == "holds"
    named = {"family": ["a@10k", "a@1M"], "rival": ["b@10k", "b@1M"], "above": 50_000, "below": 200_000}
    assert verdict_on(CROSSING, "crossover", "", **named).verdict == "holds"


def test_a_family_that_does_not_fall_behind():
    ahead = [*family("a", {10_000: 0.8, 1_000_000: 0.95}, 0.001), *family("b", {10_000: 0.7, 1_000_000: 0.9}, 0.001)]
    found = crossover(ahead, above=50_000)
    assert found.verdict == "does not hold"
    assert found.figures == "the family leads at all measured sizes"
    behind = [*family("a", {10_000: 0.6, 1_000_000: 0.7}, 0.001), *family("b", {10_000: 0.7, 1_000_000: 0.9}, 0.001)]
    assert crossover(behind, above=50_000).figures == "the family is behind at all measured sizes"
    # At the larger size the two are a tenth of a deviation apart: they may well cross.
    close = [*family("a", {10_000: 0.8, 1_000_000: 0.901}, 0.01), *family("b", {10_000: 0.7, 1_000_000: 0.9}, 0.01)]
    found = crossover(close, above=50_000)
    assert found.verdict == "not resolved"
    assert found.figures.endswith("which so few runs leave in doubt")


def test_sizes_that_were_not_measured_decide_nothing():
    apart = [*family("a", {10_000: 0.8, 20_000: 0.8}), *family("b", {100_000: 0.7, 1_000_000: 0.9})]
    assert crossover(apart, above=1).verdict == "not resolved"
    assert crossover(apart[:6], above=1) == Finding("So it is.", "not resolved", "b: not run at this scale")


def test_a_crossing_of_single_runs_has_no_interval():
    single = [record for record in CROSSING if record.cell.recipe.seed == 1]
    found = crossover(single, above=50_000)
    assert found.verdict == "not resolved"
    assert found.figures == "crossing at 100,000 without an interval: one run; claimed above 50,000"


def test_a_crossing_that_many_resamples_miss_has_no_interval():
    near = [*family("a", {10_000: 0.8, 1_000_000: 0.8}, 0.05), *family("b", {10_000: 0.7, 1_000_000: 0.81}, 0.05)]
    found = crossover(near, above=1)
    assert found.verdict == "not resolved"
    assert "without an interval;" in found.figures
