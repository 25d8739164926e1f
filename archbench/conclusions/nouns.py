"""What a comparison comes to, as tables of numbers: figures and pages draw them, files hold them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


@dataclass(frozen=True)
class Conclusions:
    """What can be said of a comparison, data set by data set, each figure with its interval.

    A table without rows has its columns all the same. Shares and accuracies are fractions, times microseconds, memory
    bytes; `points` in a column's name are percentage points. A bound that cannot be told is missing, never 0.

    Every table has `dataset`. `name` is a point (`cnn@30k`, with its case behind it where there are several), `series`
    the line that it belongs to: a model over its budgets, or models of fixed sizes that share a family and a case.

    Attributes:
        answer: sentences, the most important first; of several data sets each begins with its name.
        points: a row a model, case and budget, in the frame's order: `dataset, name, series, model, family, case,
            budget, params, macs, step_us, infer_us, memory_bytes` (what does not depend on the seed), `n` (runs that
            went into the accuracy), `not_done` (`1 failed`; missing where all are done), `accuracy, accuracy_low,
            accuracy_high` (mean on the test split after the last epoch, t-interval over seeds; no interval for one
            run), `accuracy_median, accuracy_least, accuracy_most`, `test_images`, `images_low, images_high` (Wilson's
            interval of the images that one run was tested on; missing where n is not 1), `loss, loss_low, loss_high`.
        pairs: a row two points of one budget (or two without one): `dataset, budget, first, second` (names),
            `difference_points, low_points, high_points` (first minus second, paired by seed; of single runs Newcombe's
            interval of images; none where all differences are equal), `n` (seeds in common), `by` (`seeds` or
            `images`), `p` (of the paired t-test; of equal differences as `p_exact`; of single runs Fisher's exact test
            of images), `p_exact` (of the exact sign-flip test), `p_exact_least` (what it can come to at best), `p_holm`
            (`p` corrected for all rows of the data set with this `by`), `resolved` (`p_holm` < 0.05, by seeds),
            `detectable_points` (the difference that so many seeds find 80 % of the time at 5 % over the number of
            tests by seeds), `seeds_needed` (that find the difference seen so).
        crossovers: a row a crossing of two lines over one of `x` (`params`, `macs`, `step_us`), or a row that says that
            there is none: `dataset, x, before, after` (the series that lead below and above; without a crossing the
            leader and the other, of equals the first and the second), `value, low, high` (in units of x; missing
            without a crossing; no interval where fewer than 95 % of the draws cross there), `crossings` (how many there
            are in all), `from_x, to_x` (the range in which both were measured), `verdict` (`crossing`; `none`, the
            leader being surely ahead throughout; `equal`, in the means; `not resolved`).
        pareto: a row a point and `axes` (`params+accuracy`, ...): `dataset, axes, name, series`, the values `accuracy`,
            `params`, `macs`, `step_us`, `memory_bytes`, `on_front`, `dominated_by` (the name of the most accurate point
            that is nowhere worse; missing on the front), `sure` (whether the accuracies of the two are told apart, or
            the lead of a point on the front over all that cost no more; missing where there is nothing to tell, or
            accuracy is no axis).
        fits: a row a series, error = a + b * params^-c: `dataset, series, a, a_low, a_high, b, b_low, b_high, c, c_low,
            c_high`, `sizes` (distinct), `runs`, `from_params, to_params` (measured), `refused` (why there is none; then
            the figures are missing).
        fit_lines: the curves of the fits to be drawn: `dataset, series, params, error, low, high, extrapolated` (drawn
            dashed; never beyond one decade of what was measured).
        diagnoses: a row a point and finding: `dataset, name, series, diagnosis` (`diverged`, `not learning`,
            `overfitting`, `still improving`, `generalisation gap`), `epoch` (since when; missing where it has none),
            `value, low, high` (what decides it, a fraction; `unit` says of what), `note` (a sentence).
        gaps: a row a point: `dataset, name, series, gap_points, low, high, n`: train minus validation accuracy after
            the last epoch.
        enough: a row an epoch: `dataset, epoch, of_epochs, models, tau, low, high, n`: Kendall's rank correlation of
            the models' validation accuracies at that epoch with those at the last, the mean over seeds; `settled`
            (whether tau is at least 0.9 from here on).
        verdicts: a row a point, mode and device against its baseline: `dataset, name, baseline, mode, device, ratio,
            ratio_low, ratio_high, tie` (missing where neither that nor its contrary is told), `points, points_low,
            points_high`, `verdict` (`better`, `worse`, `trade-off`,
            `worth it`, `not worth it`, `tie`, `not resolved`), `sentence`.
    """

    answer: tuple[str, ...]
    points: pd.DataFrame
    pairs: pd.DataFrame
    crossovers: pd.DataFrame
    pareto: pd.DataFrame
    fits: pd.DataFrame
    fit_lines: pd.DataFrame
    diagnoses: pd.DataFrame
    gaps: pd.DataFrame
    enough: pd.DataFrame
    verdicts: pd.DataFrame

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield every table with its name."""
        for field in fields(self):
            if field.name != "answer":
                yield field.name, getattr(self, field.name)


COLUMNS = {
    "points": (
        "dataset", "name", "series", "model", "family", "case", "budget", "params", "macs", "step_us", "infer_us",
        "memory_bytes", "n", "not_done", "accuracy", "accuracy_low", "accuracy_high", "accuracy_median",
        "accuracy_least", "accuracy_most", "test_images", "images_low", "images_high", "loss", "loss_low", "loss_high",
    ),
    "pairs": (
        "dataset", "budget", "first", "second", "difference_points", "low_points", "high_points", "n", "by", "p",
        "p_exact", "p_exact_least", "p_holm", "resolved", "detectable_points", "seeds_needed",
    ),
    "crossovers": (
        "dataset", "x", "before", "after", "value", "low", "high", "crossings", "from_x", "to_x", "verdict",
    ),
    "pareto": (
        "dataset", "axes", "name", "series", "accuracy", "params", "macs", "step_us", "memory_bytes", "on_front",
        "dominated_by", "sure",
    ),
    "fits": (
        "dataset", "series", "a", "a_low", "a_high", "b", "b_low", "b_high", "c", "c_low", "c_high", "sizes", "runs",
        "from_params", "to_params", "refused",
    ),
    "fit_lines": ("dataset", "series", "params", "error", "low", "high", "extrapolated"),
    "diagnoses": ("dataset", "name", "series", "diagnosis", "epoch", "value", "low", "high", "unit", "note"),
    "gaps": ("dataset", "name", "series", "gap_points", "low", "high", "n"),
    "enough": ("dataset", "epoch", "of_epochs", "models", "tau", "low", "high", "n", "settled"),
    "verdicts": (
        "dataset", "name", "baseline", "mode", "device", "ratio", "ratio_low", "ratio_high", "tie", "points",
        "points_low", "points_high", "verdict", "sentence",
    ),
}  # fmt: skip
"""The columns of each table, which it has even where it has no row."""
