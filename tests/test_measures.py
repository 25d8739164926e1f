from __future__ import annotations

import dataclasses
import math

import pytest
from conftest import timing_of as timing
from scipy import stats as scipy_stats
from test_schema import CELL, COST, ENVIRONMENT, RECORD, SIZED

from archbench import stats
from archbench.measures import Measures, is_metric, is_share, metric_names
from archbench.schema import Budget, Epoch, Metrics, Recipe, Training
from archbench.study_schema import Place, Published

IMAGES = (1000, 200, 400)


def run(
    model="cnn", seed=0, accuracy=0.9, case="", budget=None, *, params=1000, status="done", error=None, steps=None,
    session="s", cost=True, images=IMAGES, statistics=7, trainable=None, positions=(), epochs=3,
):  # fmt: skip
    """Return the record of a run whose validation accuracy grows by 0.1 an epoch; `steps` are its times in µs."""
    sized = dataclasses.replace(SIZED, model=model, params=params, budget=budget and Budget(budget))
    cell = dataclasses.replace(
        CELL, model=model, budget=budget and Budget(budget), recipe=Recipe(seed=seed), sized=sized, case=case,
        images=images, data_sha256=f"of {case}",
    )  # fmt: skip
    curve = tuple(
        Epoch(n, Metrics(1 / n, 0.1 * n + seed / 100, 0.9), Metrics(2 / n, 0.1 * n, 0.9, positions), 2.0, 0.5)
        for n in range(1, epochs + 1)
    )
    training = Training(curve, 3, Metrics(0.1, accuracy, 0.99, positions, 0.5 if positions else None), 9.0)
    found = dataclasses.replace(COST, params=params, macs=10 * params, statistics=statistics)
    if trainable is not None:
        found = dataclasses.replace(found, trainable_params=trainable)
    timings = () if steps is None else tuple(
        timing([step * factor for step in steps], mode=mode, session=session, sized_key=sized.key)
        for mode, factor in (("train", 1.0), ("infer", 0.25))
    )  # fmt: skip
    done = status == "done"
    return dataclasses.replace(
        RECORD, cell=cell, status=status, environment=ENVIRONMENT, cost=found if cost else None,
        training=training if done else None, timings=timings, error=None if done else error,
    )  # fmt: skip


def runs(model="cnn", accuracies=(0.90, 0.91, 0.92), **settings):
    return [run(model, seed, accuracy, **settings) for seed, accuracy in enumerate(accuracies)]


def test_a_place_is_a_model_in_a_case_at_a_budget():
    records = [
        *runs("cnn", case="a", budget=1000), *runs("cnn", case="a", budget=5000), *runs("mlp", case="a"),
        *runs("mlp[activation=tanh,dropout=0.1]", case="b"),
    ]  # fmt: skip
    measures = Measures.of(records)
    assert measures.at(Place("cnn", "a", 5000)) == measures.at(Place("cnn@5k", "a")) == records[3:6]
    assert measures.at(Place("cnn @ 5000", "a", 1000)) == records[3:6]
    assert measures.at(Place("mlp", "a")) == records[6:9]
    assert measures.at(Place("mlp[dropout=.1, activation='tanh']", "b")) == records[9:]
    assert measures.at(Place("mlp", "b")) == measures.at(Place("cnn")) == measures.at(Place("mlp", "a", 5000)) == []


def test_the_model_may_be_left_out():
    measures = Measures.of([*runs("cnn", case="a"), *runs("mlp", (0.5, 0.6), case="b")])
    assert measures.samples(Place(case="b"), "test_accuracy") == {0: 0.5, 1: 0.6}
    assert measures.estimate(Published({}, "x", case="b"), "test_accuracy").value == pytest.approx(0.55)
    assert measures.difference(Place(case="a"), Place(case="b"), "test_accuracy").value == pytest.approx(0.355)


def test_samples_are_columns_of_runs_by_seed():
    measures = Measures.of([run(seed=4, accuracy=0.8), run(seed=2, accuracy=0.7, status="failed"), run(seed=9)])
    assert measures.samples(Place("cnn"), "test_accuracy") == {4: 0.8, 9: 0.9}
    assert measures.samples(Place("cnn"), "test_loss") == {4: 0.1, 9: 0.1}
    assert measures.samples(Place("cnn"), "epochs_done") == {4: 3.0, 9: 3.0}


def test_metrics_of_an_epoch_and_of_the_last():
    measures = Measures.of([run(seed=0), run(seed=5)])
    assert measures.samples(Place("cnn", epoch=2), "train_accuracy") == pytest.approx({0: 0.2, 5: 0.25})
    assert measures.samples(Place("cnn", epoch=1), "validation_loss") == {0: 2.0, 5: 2.0}
    assert measures.samples(Place("cnn"), "train_accuracy") == pytest.approx({0: 0.3, 5: 0.35})
    assert measures.samples(Place("cnn", epoch=9), "train_accuracy") == {}
    assert measures.samples(Place("cnn", epoch=2), "test_accuracy") == {0: 0.9, 5: 0.9}  # there is one test
    assert measures.samples(Place("cnn", epoch=2), "train_seconds") == {}  # nor is it of an epoch


def test_metrics_that_are_computed():
    measures = Measures.of([run(accuracy=0.25, epochs=4)])  # four epochs of 2 s; the last has a train accuracy of 0.4
    assert measures.samples(Place("cnn"), "train_seconds") == {0: 8.0}
    assert measures.samples(Place("cnn"), "epoch_seconds") == {0: 2.0}
    assert measures.samples(Place("cnn"), "generalisation_gap") == pytest.approx({0: 0.15})


def test_seconds_of_several_machines_are_no_figure():
    there = dataclasses.replace(ENVIRONMENT, machine="another")
    measures = Measures.of([run("cnn"), dataclasses.replace(run("mlp"), environment=there)])
    for metric in ("train_seconds", "epoch_seconds"):
        assert measures.samples(Place("cnn"), metric) == {}
        assert measures.estimate(Place("cnn"), metric) is None
        assert measures.ratio(Place("cnn"), Place("mlp"), metric) is None
        assert "several machines" in measures.why_not(Place("cnn"), metric)
    assert measures.samples(Place("mlp"), "test_accuracy") == {0: 0.9}


def test_metrics_by_position():
    measures = Measures.of([run(accuracy=0.6, positions=(0.7, 0.5))])
    assert measures.samples(Place("cnn"), "test_accuracy_2") == {0: 0.5}
    assert measures.samples(Place("cnn"), "test_word") == {0: 0.5}
    assert measures.samples(Place("cnn", epoch=1), "validation_accuracy_1") == {0: 0.7}


@pytest.mark.parametrize("metric", ["nothing", "optimizer", "error", "diverged_epoch", "macs_x", "commit", "budget"])
def test_what_is_no_number_or_missing_is_no_sample(metric):
    measures = Measures.of(runs())
    assert measures.samples(Place("cnn"), metric) == {}
    assert measures.estimate(Place("cnn"), metric) is None
    assert measures.difference(Place("cnn"), Place("cnn"), metric) is None
    assert measures.ratio(Place("cnn"), Place("cnn"), metric) is None


def test_times_stand_in_the_column_of_the_device_that_trains():
    measures = Measures.of([run(steps=[100.0] * 8)])
    assert measures.samples(Place("cnn"), "train_step_us") == {0: 100.0}
    assert measures.samples(Place("cnn"), "infer_us_per_sample_cpu") == {0: 25.0 / 8}


@pytest.mark.parametrize(
    ("metric", "count"),
    [("params", 1000), ("params_keras", 1007), ("macs", 10_000), ("trainable_params", 600), ("frozen_params", 407),
     ("activations", COST.activations)],
)  # fmt: skip
def test_a_count_is_exact_and_needs_no_run_that_ended(metric, count):
    measures = Measures.of(runs(status="diverged", trainable=600))
    assert measures.estimate(Place("cnn"), metric) == stats.Estimate(count, count, count, 1)
    assert Measures.of(runs(status="failed", cost=False)).estimate(Place("cnn"), "macs") is None


def test_parameters_are_known_from_the_size_alone():
    assert Measures.of([run(cost=False)]).estimate(Place("cnn"), "params").value == 1000
    uncounted = dataclasses.replace(COST, macs=None)
    assert Measures.of([dataclasses.replace(run(), cost=uncounted)]).estimate(Place("cnn"), "macs") is None


def test_several_seeds_have_scipys_t_interval():
    estimate = Measures.of(runs()).estimate(Place("cnn"), "test_accuracy")
    theirs = scipy_stats.ttest_1samp([0.90, 0.91, 0.92], 0).confidence_interval(0.95)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.91, theirs.low, theirs.high))


@pytest.mark.parametrize(
    ("metric", "hits", "images"), [("test_accuracy", 360, 400), ("validation_accuracy", 60, 200),
                                   ("train_topk", 900, 1000)]
)  # fmt: skip
def test_a_single_share_has_the_wilson_interval_of_its_images(metric, hits, images):
    estimate = Measures.of([run()]).estimate(Place("cnn"), metric)
    theirs = scipy_stats.binomtest(hits, images).proportion_ci(method="wilson")
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((hits / images, *theirs))


def test_a_single_run_has_no_interval_where_it_is_no_share_of_known_images():
    assert Measures.of([run()]).estimate(Place("cnn"), "test_loss") == stats.Estimate(0.1, None, None, 1)
    assert Measures.of([run(images=(0, 0, 0))]).estimate(Place("cnn"), "test_accuracy").low is None


def test_what_is_a_share_of_images():
    assert all(map(is_share, ("test_accuracy", "validation_topk", "test_word", "test_accuracy_3")))
    assert not any(map(is_share, ("test_loss", "params", "train_us", "generalisation_gap", "train_seconds")))


def test_differences_are_paired_by_seed():
    measures = Measures.of([*runs("a", (0.90, 0.92, 0.97)), *runs("b", (0.85, 0.90, 0.89, 0.1))])
    found = measures.difference(Place("a"), Place("b"), "test_accuracy")
    theirs = scipy_stats.ttest_rel([0.90, 0.92, 0.97], [0.85, 0.90, 0.89]).confidence_interval(0.95)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((0.05, theirs.low, theirs.high, 3))
    apart = Measures.of([run("a", 0), run("b", 1)])
    assert apart.difference(Place("a"), Place("b"), "test_accuracy") is None


def test_the_difference_of_single_runs_is_that_of_two_shares():
    measures = Measures.of([run("a", accuracy=0.9), run("b", accuracy=0.8)])
    found = measures.difference(Place("a"), Place("b"), "test_accuracy")
    assert found == stats.difference_of_proportions(0.9, 0.8, 400)
    assert found.low < 0.1 < found.high
    assert measures.difference(Place("a"), Place("b"), "test_loss").low is None


def test_counts_differ_and_divide_exactly():
    measures = Measures.of([*runs("a", params=3000), *runs("b", params=1000), *runs("c", status="failed", cost=False)])
    assert measures.difference(Place("a"), Place("b"), "params") == stats.exact(2000.0)
    assert measures.ratio(Place("a"), Place("b"), "macs") == stats.exact(3.0)
    assert measures.ratio(Place("a"), Place("c"), "macs") is None
    assert measures.difference(Place("c"), Place("a"), "macs") is None


def test_ratios_are_geometric_means_by_seed():
    measures = Measures.of([*runs("a", (0.8, 0.4)), *runs("b", (0.4, 0.1))])
    assert measures.ratio(Place("a"), Place("b"), "test_accuracy").value == pytest.approx(math.sqrt(2 * 4))


def test_ratios_of_times_need_one_session():
    steps = [100.0, 110.0, 90.0, 100.0, 120.0, 80.0]
    slow = [1.5 * step for step in steps]
    measures = Measures.of([*runs("a", steps=slow), *runs("b", steps=steps), *runs("c", steps=steps, session="t")])
    for metric in ("train_us", "infer_us"):
        found = measures.ratio(Place("a"), Place("b"), metric)
        assert (found.value, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
        assert measures.ratio(Place("a"), Place("c"), metric) is None
        assert measures.ratio(Place("a"), Place("d"), metric) is None
    assert Measures.of(runs("a")).ratio(Place("a"), Place("a"), "train_us") is None


def test_times_on_the_device_that_trains_are_compared():
    cuda = dataclasses.replace(run(steps=[100.0] * 6).cell, device="cuda")
    fast = [timing([10.0] * 6, device="cuda"), timing([90.0] * 6, device="cpu")]
    slow = [timing([30.0] * 6, device="cuda"), timing([10.0] * 6, device="cpu")]
    records = [
        dataclasses.replace(run(), cell=dataclasses.replace(cuda, model=model), timings=tuple(timings))
        for model, timings in (("fast", fast), ("slow", slow))
    ]
    assert Measures.of(records).ratio(Place("slow"), Place("fast"), "train_us").value == pytest.approx(3.0)


def test_why_there_is_no_figure():
    records = [
        *runs("a"), run("b", 0, status="failed", error="out of luck"), run("b", 1, status="diverged"),
        run("c", 0, status="failed", error="it broke"), run("c", 1),
    ]  # fmt: skip
    measures = Measures.of(records)
    assert measures.why_not(Place("a"), "test_accuracy") == ""
    assert measures.why_not(Place("c"), "test_accuracy") == ""
    assert measures.why_not(Place("b"), "test_accuracy") == "out of luck; diverged"
    assert measures.why_not(Place("b"), "params") == "out of luck; diverged"
    assert measures.why_not(Place("x"), "test_accuracy") == "not run at this scale"
    assert measures.why_not(Place("a"), "test_word") == "no test_word"
    assert measures.why_not(Place("a", epoch=50), "train_loss") == "no train_loss at epoch 50"


def test_nothing_was_run():
    measures = Measures.of([])
    assert measures.at(Place("cnn")) == []
    assert measures.samples(Place("cnn"), "test_accuracy") == measures.samples(Place("cnn"), "params") == {}
    assert measures.samples(Place("cnn", epoch=1), "train_loss") == {}
    assert measures.estimate(Place("cnn"), "test_accuracy") is None
    assert measures.estimate(Place("cnn"), "epoch_seconds") is None
    assert measures.ratio(Place("a"), Place("b"), "train_us") is None
    assert measures.images(Place("cnn"), "test_accuracy") == 0


def test_times_are_those_of_the_samples_not_one_a_seed():
    steps = [100.0, 110.0, 90.0, 100.0, 120.0, 80.0]
    measures = Measures.of([*runs("cnn", steps=steps), *runs("net", steps=[2 * step for step in steps])])
    batch = measures.records[0].timings[0].batch_size
    whole, each = (measures.estimate(Place("cnn"), name) for name in ("train_step_us", "train_us_per_sample"))
    assert (whole.value, whole.n) == (100.0, 6)
    assert 80.0 <= whole.low < 100.0 < whole.high <= 120.0
    assert (each.value, each.high) == pytest.approx((100 / batch, whole.high / batch))
    assert measures.ratio(Place("net"), Place("cnn"), "train_us_per_sample").value == pytest.approx(2.0)
    assert measures.estimate(Place("gone"), "train_us") is None


def test_what_a_search_found_is_found_by_what_was_asked_for():
    measures = Measures.of([*runs("mlp[dropout=0.2,norm=batch]", case="tuned"), *runs("mlp[dropout=0.2]", case="a")])
    assert len(measures.at(Place("mlp", "tuned"))) == len(measures.at(Place("mlp[norm=batch]", "tuned"))) == 3
    assert measures.at(Place("mlp[dropout=0.3]", "tuned")) == measures.at(Place("mlp", "a")) == []


def test_runs_that_are_lost_are_counted():
    records = [*runs("cnn"), run("cnn", 3, status="diverged"), run("cnn", 4, status="failed"), run("net", status="oom")]
    measures = Measures.of(records)
    assert measures.lost(Place("cnn")) == "2 of 5 runs diverged or failed"
    assert measures.lost(Place("net")) == measures.lost(Place("gone")) == ""


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_is_one(name):
    assert is_metric(name)
    assert not is_metric(f"{name}x")
