from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from test_measures import run, runs

from archbench.measures import Measures
from archbench.published import figures
from archbench.schema import Metrics
from archbench.study_schema import Published, Scales, ScaleTable, StudyFile


def verdict_on(values, records, scale="full", baseline="cnn", scales=None, assumed=(), **published):
    """Return the one figure of one published value."""
    if isinstance(values, tuple):
        values = dict([values])
    file = StudyFile("t", published=[Published(values, "a report", **{"model": "cnn", **published})])
    file.assumed = list(assumed)
    if scales is not None:
        file.scales = scales
    (figure,) = figures(file, Measures.of(records), scale, baseline)
    return figure


def test_each_published_value_is_a_figure():
    file = StudyFile("t", published=[
        Published({"params": 1000, "test_accuracy": 0.91}, "p. 1", model="cnn"),
        Published({"train_loss": 0.5}, "p. 2", model="cnn", epoch=2),
    ])  # fmt: skip
    found = figures(file, Measures.of(runs()), "full", "cnn")
    assert [(f.metric, f.published, f.source, f.epoch) for f in found] == [
        ("params", 1000, "p. 1", None), ("test_accuracy", 0.91, "p. 1", None), ("train_loss", 0.5, "p. 2", 2),
    ]  # fmt: skip
    assert found[1].measured.value == pytest.approx(0.91)
    assert found[1].difference == pytest.approx(0.0)
    assert {f.verdict for f in found} == {"agrees"}


@pytest.mark.parametrize(("published", "verdict"), [(1000, "agrees"), (1001, "differs"), (999, "differs")])
def test_a_count_agrees_where_it_is_equal(published, verdict):
    figure = verdict_on(("params", published), runs())
    assert (figure.verdict, figure.reason) == (verdict, "")
    assert figure.difference == 1000 - published


def test_a_figure_agrees_inside_the_prediction_interval():
    accuracies = (0.90, 0.91, 0.95)
    # One more value of a normal sample: mean ± t(0.975, n - 1) s sqrt(1 + 1 / n); s = 0.02646, t = 4.3027.
    reach = scipy_stats.t.ppf(0.975, 2) * 0.026457513110645897 * math.sqrt(4 / 3)
    assert reach == pytest.approx(0.13145, abs=1e-4)
    figure = verdict_on(("test_accuracy", 0.9), runs(accuracies=accuracies))
    assert (figure.low, figure.high) == (pytest.approx(0.92 - reach), 1.0)  # a share has no more
    assert figure.measured.n == 3
    # The last digit of 0.7885 stands for 0.78845 to 0.78855; the interval begins at 0.78855.
    for published, verdict in [(0.79, "agrees"), (0.7886, "agrees"), (0.7884, "differs")]:
        assert verdict_on(("test_accuracy", published), runs(accuracies=accuracies)).verdict == verdict, published


def test_equal_runs_leave_the_last_published_digit_as_slack():
    equal = runs(accuracies=(0.9149, 0.9149, 0.9149))
    for published, verdict in [(0.915, "agrees"), (0.91, "agrees"), (0.9, "differs"), (0.914, "differs"),
                               (0.9148, "differs"), (0.9149, "agrees")]:  # fmt: skip
        assert verdict_on(("test_accuracy", published), equal).verdict == verdict, published


@pytest.mark.parametrize(("published", "half"), [(1e-5, 5e-6), (2.5e-6, 5e-8), (0.0016, 5e-5)])
def test_small_published_numbers_have_digits_too(published, half):
    def of(loss):
        record = run()
        test = dataclasses.replace(record.training.test, loss=loss)
        training = dataclasses.replace(record.training, test=test)
        return [dataclasses.replace(r, training=training) for r in (record, run(seed=1), run(seed=2))]

    assert verdict_on(("test_loss", published), of(published + 0.9 * half)).verdict == "agrees"
    assert verdict_on(("test_loss", published), of(published + 1.1 * half)).verdict == "differs"


def test_a_single_share_agrees_within_what_two_samples_of_images_differ_by():
    record = [run(accuracy=0.9)]  # on 400 test images
    normal = 1.959964 * math.sqrt(2 * 0.9 * 0.1 / 400)  # of the difference of two such shares
    figure = verdict_on(("test_accuracy", 0.88), record)
    assert (figure.low, figure.high) == pytest.approx((0.9 - normal, 0.9 + normal), abs=0.01)
    assert verdict_on(("test_accuracy", 0.85), record).verdict == "agrees"
    assert verdict_on(("test_accuracy", 0.93), record).verdict == "agrees"
    assert verdict_on(("test_accuracy", 0.84), record).verdict == "differs"
    assert verdict_on(("test_accuracy", 0.95), record).verdict == "differs"


def test_all_images_right_does_not_mean_that_nothing_else_agrees():
    record = [run(accuracy=1.0)]
    assert verdict_on(("test_accuracy", 0.99), record).verdict == "agrees"
    assert verdict_on(("test_accuracy", 0.97), record).verdict == "differs"


def test_the_expected_share_covers_another_run_as_often_as_it_says():
    rng = np.random.default_rng(0)
    here, there = rng.binomial(400, 0.9, (2, 5000)) / 400
    expected = {
        share: verdict_on(("test_accuracy", share), [run(accuracy=share)]) for share in np.unique(here).tolist()
    }
    covered = [expected[mine].low <= theirs <= expected[mine].high for mine, theirs in zip(here, there, strict=True)]
    assert 0.94 <= np.mean(covered) <= 0.96


def test_a_single_loss_is_not_comparable():
    figure = verdict_on(("test_loss", 0.1), [run()])
    assert (figure.verdict, figure.reason) == ("not comparable", "one run has no interval")
    assert figure.measured.value == 0.1
    assert verdict_on(("test_accuracy", 0.9), [run(images=(0, 0, 0))]).reason == "one run has no interval"


@pytest.mark.parametrize("metric", ["train_seconds", "epoch_seconds", "train_step_us", "train_us", "infer_step_us_cpu"])
def test_times_are_of_other_hardware(metric):
    figure = verdict_on((metric, 100.0), runs(steps=[100.0] * 8))
    assert (figure.verdict, figure.reason) == ("not comparable", "other hardware: times are compared as ratios")


STEPS = [100.0, 110.0, 90.0, 100.0, 120.0, 80.0]
SLOW = [1.5 * step for step in STEPS]


def test_ratios_of_times_to_the_baseline_are_compared_at_every_scale():
    records = [*runs("cnn", steps=STEPS), *runs("net", steps=SLOW)]
    quick = Scales(quick=ScaleTable(epochs=1))
    for scale in ("quick", "full"):
        for published, verdict in [(1.5, "agrees"), (1.46, "differs")]:
            figure = verdict_on(("train_us_ratio", published), records, scale, model="net", scales=quick)
            assert (figure.verdict, figure.measured.value) == (verdict, pytest.approx(1.5))
    apart = [*runs("cnn", steps=STEPS), *runs("net", steps=SLOW, session="later")]
    figure = verdict_on(("train_us_ratio", 1.5), apart, model="net")
    assert (figure.verdict, figure.reason) == ("not measured", "not beside its baseline")


def test_other_ratios_to_the_baseline():
    records = [*runs("cnn", (0.8, 0.4)), *runs("net", (0.4, 0.1), params=8700)]
    assert verdict_on(("params_ratio", 8.7), records, model="net").verdict == "agrees"
    assert verdict_on(("params_ratio", 8.8), records, model="net").verdict == "differs"
    figure = verdict_on(("test_accuracy_ratio", 0.4), records, model="net")
    assert figure.measured.value == pytest.approx(math.sqrt(0.5 * 0.25))


def test_ratios_are_to_the_baseline_of_the_same_case_and_budget():
    records = [
        *runs("cnn", params=1000, case="a", budget=1000), *runs("net", params=2000, case="a", budget=1000),
        *runs("cnn", params=5000, case="a", budget=5000), *runs("net", params=15_000, case="a", budget=5000),
        *runs("cnn", params=7000, case="b"),
    ]  # fmt: skip
    found = [verdict_on(("params_ratio", 2), records, model="net", case="a", budget=b) for b in (1000, 5000)]
    assert [figure.measured.value for figure in found] == [2.0, 3.0]
    assert [figure.verdict for figure in found] == ["agrees", "differs"]


def test_what_a_quick_scale_trains_less_is_not_comparable():
    quick = Scales(quick=ScaleTable(epochs=1))
    figure = verdict_on(("test_accuracy", 0.91), runs(), "quick", scales=quick)
    assert (figure.verdict, figure.reason) == ("not comparable", "the quick scale trains less than was published")
    assert figure.measured.value == pytest.approx(0.91)
    assert verdict_on(("params", 1000), runs(), "quick", scales=quick).verdict == "agrees"
    assert verdict_on(("params_ratio", 1), runs(), "quick", scales=quick).verdict == "agrees"


@pytest.mark.parametrize("own", [{"only": ["a", "b"]}, {"input": "3x48x48"}, {"dataset": "digits"}])
def test_counts_of_other_classes_or_images_are_not_comparable(own):
    scales = Scales(quick=ScaleTable(epochs=1, **own), full=ScaleTable(dataset="mnist"))
    figure = verdict_on(("params", 900), runs(), "quick", scales=scales)
    assert (figure.verdict, figure.reason) == ("not comparable", f"the quick scale has its own {next(iter(own))}")
    assert verdict_on(("params", 900), runs(), "full", scales=scales).verdict == "differs"


def test_the_file_may_say_why_a_figure_is_not_comparable():
    figure = verdict_on(("params", 1000), runs(), not_comparable="counted otherwise")
    assert (figure.verdict, figure.reason) == ("not comparable", "counted otherwise")
    assert figure.measured.value == 1000


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([], "not run at this scale"),
        (runs("other"), "not run at this scale"),
        (runs(case="elsewhere"), "not run at this scale"),
        ([run(status="diverged"), run(seed=1, status="failed", error="out of memory")], "diverged; out of memory"),
    ],
)
def test_what_was_not_measured_says_why(records, reason):
    figure = verdict_on(("test_accuracy", 0.9), records)
    assert (figure.verdict, figure.reason) == ("not measured", reason)
    assert figure.measured is figure.difference is figure.low is None


def test_what_no_run_has_says_so():
    assert verdict_on(("test_word", 0.9), runs()).reason == "no test_word"
    assert verdict_on(("train_loss", 0.9), runs(), epoch=7).reason == "no train_loss at epoch 7"


def test_runs_that_are_left_decide_nothing():
    records = [run(status="diverged"), *(run(seed=seed, accuracy=0.9 + seed / 100) for seed in (1, 2, 3))]
    for published in (0.915, 0.1):
        figure = verdict_on(("test_accuracy", published), records)
        assert (figure.verdict, figure.reason) == ("not comparable", "1 of 4 runs diverged")
        assert figure.measured.n == 3


def test_two_runs_tell_that_a_figure_differs_not_that_it_agrees():
    figure = verdict_on(("test_accuracy", 0.915), runs(accuracies=(0.91, 0.92)))
    assert (figure.verdict, figure.reason) == ("not comparable", "2 runs are too few to say that it agrees")
    assert verdict_on(("test_accuracy", 0.2), runs(accuracies=(0.91, 0.92))).verdict == "differs"
    records = [run(status="diverged")]
    assert verdict_on(("params", 1000), records[:1]).verdict == "agrees"  # a count needs no training


def test_figures_of_an_epoch():
    records = [run(), run(seed=1), run(seed=2)]  # train accuracy 0.2, 0.21 and 0.22 in epoch 2
    figure = verdict_on(("train_accuracy", 0.2), records, epoch=2)
    assert (figure.measured.value, figure.epoch) == (pytest.approx(0.21), 2)
    assert figure.verdict == "agrees"


def test_the_model_may_be_left_out_where_the_case_has_one():
    figure = verdict_on({"params": 1000}, runs("net", case="a"), model="", case="a")
    assert (figure.model, figure.case, figure.verdict) == ("net", "a", "agrees")
    assert verdict_on({"params": 1000}, [], model="", case="a").model == ""


def test_whole_seconds_are_no_tenths():
    # 5 stands for 4.5 to 5.5 and 5.0 for 4.95 to 5.05; TOML's whole numbers come as floats, so 5 is taken as 5.
    equal = [
        dataclasses.replace(r, training=dataclasses.replace(r.training, test=Metrics(5.4, 0.5, 0.5))) for r in runs()
    ]
    assert verdict_on(("test_loss", 5.0), equal).verdict == "agrees"
    assert verdict_on(("test_loss", 5.3), equal).verdict == "differs"


def test_what_depends_on_a_batch_size_that_is_not_published_is_not_comparable():
    for metric, value in (("test_accuracy", 0.91), ("train_seconds_ratio", 1.0)):
        figure = verdict_on((metric, value), runs(), assumed=["batch_size"])
        assert (figure.verdict, figure.reason) == ("not comparable", "its batch size is not published")
    assert verdict_on(("params", 1000), runs(), assumed=["batch_size"]).verdict == "agrees"
