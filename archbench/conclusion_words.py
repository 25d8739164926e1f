"""Conclusions as people read them: tables of words, and the page of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.markup import markdown, markdown_table
from archbench.units import briefest, grouped, micros, number, ratio, short, with_interval, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from archbench.conclusions import Conclusions

LEAST_P = 1e-4


def conclusions_markdown(conclusions: Conclusions) -> str:
    """Return what is concluded as Markdown: the answer, then every table that has rows with how it came about."""
    lines = ["# Conclusions", "", *(markdown(sentence) + "\n" for sentence in conclusions.answer)]
    accuracies = points_words(conclusions.points)
    first = [("Accuracy", accuracies, POINTS)] if len(accuracies) else []
    for heading, words, note in (*first, *sections(conclusions)):
        lines += [f"## {heading}", "", markdown_table(words), "", note, ""]
    lines += ["docs/statistics.md of archbench states every rule.", ""]
    return "\n".join(lines)


def points_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies of `Conclusions.points` as people read them, of models that have one."""
    return _words(table[table["n"] > 0], lambda row: {
        "model": row["name"], "accuracy, %": accuracy_words(row),
        "median": "" if row["n"] < 2 else f"{100 * row['accuracy_median']:.1f}",
        "range": "" if row["n"] < 2 else f"{100 * row['accuracy_least']:.1f} to {100 * row['accuracy_most']:.1f}",
        "n": str(row["n"]), "not done": row["not_done"] or "",
    })  # fmt: skip


def accuracy_words(row: Mapping[str, Any]) -> str:
    """Return the accuracy of a row of `Conclusions.points` in percent with its interval, of one run that of images."""
    if row["accuracy"] is None:
        return ""
    ends = ("images_low", "images_high") if row["n"] == 1 else ("accuracy_low", "accuracy_high")
    low, high = (None if row[end] is None else 100 * row[end] for end in ends)
    if low is None or high is None:
        return with_interval(100 * row["accuracy"], None)
    value = 100 * row["accuracy"]
    return within(value, low, high) if row["n"] == 1 else with_interval(value, (high - low) / 2)


def sections(conclusions: Conclusions) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield a heading, a table of words and what must be known of it, for everything that has rows."""
    made = (
        ("Differences", pairs_words(conclusions.pairs), _pairs_note(conclusions.pairs)),
        ("Crossings", crossovers_words(conclusions.crossovers), CROSSINGS),
        ("Pareto fronts", pareto_words(conclusions.pareto), FRONTS),
        ("Error by size", fits_words(conclusions.fits), FITS),
        ("What time buys", verdicts_words(conclusions.verdicts), VERDICTS),
        ("How the models learned", diagnoses_words(conclusions.diagnoses), DIAGNOSES),
        ("Enough epochs", enough_words(conclusions.enough), ENOUGH),
    )
    yield from ((heading, words, note) for heading, words, note in made if len(words))


def pairs_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return `Conclusions.pairs` as people read it."""
    return _words(table, lambda row: {
        "model": row["first"], "against": row["second"],
        "difference, points": with_interval(*_half(row, "difference_points", "low_points", "high_points"), sign=True),
        "n": str(row["n"]) + (" (images)" if row["by"] == "images" else ""), "p": _p(row["p"]),
        "p, Holm": _p(row["p_holm"]), "p, exact": _p(row["p_exact"]),
        "detectable": "" if row["detectable_points"] is None else f"{row['detectable_points']:.2g}",
        "seeds needed": "" if row["seeds_needed"] is None else grouped(row["seeds_needed"]),
        "": "resolved" if row["resolved"] else "not resolved",
    })  # fmt: skip


def _pairs_note(table: pd.DataFrame) -> str:
    by = table["by"].value_counts()
    seeds, images = int(by.get("seeds", 0)), int(by.get("images", 0))
    corrected = f" {seeds} comparisons by seeds are corrected by Holm's method, data set by data set."
    by_seeds = (
        "Mean over paired seeds ± half the 95 % t-interval, of each alone. p is of the paired t-test, of equal "
        f"differences the exact one.{corrected if seeds > 1 else ''} A difference is resolved where that p is under "
        "5 %. The exact test is by sign flips, and cannot come under 0.25 with three seeds, or under 5 % with fewer "
        "than six. Detectable is the difference in points that so many seeds resolve 80 % of the time at least, all "
        "comparisons being corrected for; seeds needed would so resolve the one that was seen."
    )
    by_images = (
        "Of single runs the interval and p are of the images alone, corrected among themselves by Holm's method: how "
        "runs differ is not in them, so that they resolve nothing."
    )
    return " ".join(note for note, rows in ((by_seeds, seeds), (by_images, images)) if rows)


POINTS = (
    "Means over n seeds on the test split after the last epoch ± half the 95 % t-interval. Of a single run [95 % "
    "interval of its images], in which nothing is of how runs differ."
)
CROSSINGS = (
    "Between measured sizes accuracy is taken as linear in the logarithm; the 95 % interval is that of the crossings "
    "of curves as the seeds allow them. Not resolved: fewer than 95 % of these cross there. Each is told by itself: "
    "that there are several axes and pairs of lines is not corrected for."
)
FRONTS = (
    "Means; models that met one budget count as equally large, and times are as measured, without their intervals. In "
    "doubt: the accuracies of the two are not told apart by the 95 % interval of their difference."
)
FITS = "Error = a + b · params^-c by least squares over all runs, with 95 % profile intervals."
VERDICTS = (
    "Ratios of times taken side by side, differences of accuracy paired by seed, each with its 95 % interval. A tie is "
    "a ratio whose narrow interval comes as near to 1 as A does to A, timed beside it. A time that buys less than 0.5 "
    "points for sure is not worth it; where more is possible, that is not resolved."
)
DIAGNOSES = "Read off the curves of train and validation; the rules are in docs/statistics.md."
ENOUGH = (
    "Kendall's rank correlation of the models' validation accuracies at an epoch with those at the last; the mean over "
    "seeds with its 95 % interval."
)


def crossovers_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return `Conclusions.crossovers` as people read it."""
    return _words(table, lambda row: {
        "over": {"step_us": "µs a step", "macs": "MACs"}.get(row["x"], row["x"]),
        "ahead below": row["before"] if row["verdict"] != "equal" else "",
        "ahead above": row["after"] if row["value"] is not None else "", "at": _size(row, "value"),
        "95 % interval": f"{_size(row, 'low')} to {_size(row, 'high')}" if row["low"] is not None else "",
        "measured": f"{_size(row, 'from_x')} to {_size(row, 'to_x')}",
        "": {"none": "no crossing"}.get(row["verdict"], row["verdict"]),
    })  # fmt: skip


def pareto_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return `Conclusions.pareto` as people read it: a row a point, a column a front, and what dominates it there."""
    if not len(table):
        return table
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in _rows(table):
        word = "on the front" if row["on_front"] else f"{row['dominated_by']}" + ("" if row["sure"] else " (in doubt)")
        line = found.setdefault((row["dataset"], row["name"]), {"model": row["name"]})
        line[row["axes"].replace("+accuracy", "").replace("_us", "").replace("_bytes", "").replace("+", ", ")] = word
    import pandas as pd

    several = len(set(table["dataset"])) > 1
    rows = [({"data": dataset} if several else {}) | line for (dataset, _), line in found.items()]
    return pd.DataFrame(rows).fillna("")


def fits_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return `Conclusions.fits` as people read it."""

    def figure(row: Mapping[str, Any], name: str) -> str:
        if row[name] is None:
            return ""
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        ends = f" [{'' if low is None else f'{low:.3g}'}, {'' if high is None else f'{high:.3g}'}]"
        return f"{row[name]:.3g}" + (" (no limit)" if low is None and high is None else ends)

    return _words(table, lambda row: {
        "family": row["series"], "a": figure(row, "a"), "b": figure(row, "b"), "c": figure(row, "c"),
        "params": f"{briefest(row['from_params'])} to {briefest(row['to_params'])}", "sizes": str(row["sizes"]),
        "runs": str(row["runs"]), "": row["refused"] or "",
    })  # fmt: skip


def verdicts_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return `Conclusions.verdicts` as people read it."""
    several = len(set(table["device"])) > 1
    return _words(table, lambda row: {
        "model": row["name"], "against": row["baseline"],
        "time of": row["mode"] + (f" on {row['device']}" if several else ""),
        "ratio": ratio(row["ratio"], row["ratio_low"], row["ratio_high"]) + (" tie" if row["tie"] else ""),
        "verdict": row["sentence"],
    })  # fmt: skip


def diagnoses_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return `Conclusions.diagnoses` as people read it."""
    return _words(table, lambda row: {"model": row["name"], "what its curves show": row["note"]})


def enough_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return of `Conclusions.enough` the sentence for each data set, and the correlation where it settles."""
    import pandas as pd

    rows = []
    for dataset, group in table.groupby("dataset", sort=False):
        epochs = _rows(group)
        settled = next((row for row in epochs if row["settled"]), None)
        if settled is None:
            continue
        last = settled["of_epochs"]
        before = epochs[-2] if len(epochs) > 1 else epochs[-1]
        shown = settled if settled["epoch"] < last else before
        if settled["epoch"] == last:
            said = f"the ranking still changes in the last epoch: {number(last, 'epoch')} may not be enough"
        else:
            same = all(row["tau"] > 1 - 1e-9 for row in epochs[settled["epoch"] - 1 :])  # 1, but for rounding
            said = f"from epoch {settled['epoch']} on the ranking is {'' if same else 'nearly '}that of epoch {last}"
        rows.append({
            "data": str(dataset), "models": str(shown["models"]), "epoch": f"{shown['epoch']} of {last}",
            "tau": with_interval(*_half(shown, "tau", "low", "high")), "": said,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _words(table: pd.DataFrame, line: Any) -> pd.DataFrame:
    """Return a line of words a row, with the data set where there are several; columns of which all are empty go."""
    import pandas as pd

    several = len(set(table["dataset"])) > 1
    rows = [({"data": row["dataset"]} if several else {}) | line(row) for row in _rows(table)]
    words = pd.DataFrame(rows)
    return words.loc[:, [name for name in words.columns if (words[name] != "").any()]]


def _rows(table: pd.DataFrame) -> Sequence[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return [dict(zip(plain.columns, row, strict=True)) for row in plain.itertuples(index=False)]


def _half(row: Mapping[str, Any], value: str, low: str, high: str) -> tuple[float | None, float | None]:
    return row[value], None if row[low] is None or row[high] is None else (row[high] - row[low]) / 2


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return f"under {LEAST_P:.4f}" if value < LEAST_P else f"{value:.2g}"


def _size(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return ""
    if row["x"] == "step_us":
        return micros(row[name])
    return briefest(row[name]) if name in {"from_x", "to_x"} else short(row[name])
