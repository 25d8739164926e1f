"""Tables as people read them: frames of formatted words, for the terminal and for Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.markup import markdown, markdown_table
from archbench.reference import shown
from archbench.schema import Budget
from archbench.tables import DEVICES, MODES, timed_against
from archbench.timing_words import doubt_notes
from archbench.units import compact, either, grouped, micros, number, options, percent, ratio, short, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from archbench.schema import Record


def summary_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the summary as people read it: few columns, formatted, narrow enough for a terminal."""
    import pandas as pd

    words = []
    whole = "test_word" in table
    for row in _rows(table):
        note = row["not_done"] or ""
        line = {
            **_named(row, table),
            "budget": _budget_words(row),
            "params": grouped(row["params"]) if row["params"] is not None else "",
            "MACs": short(row["macs"]) if row["macs"] is not None else "",
            "accuracy, %": with_interval(*_percent(row, "test_accuracy")) or note,
            **({"words, %": with_interval(row["test_word"] and 100 * row["test_word"], None)} if whole else {}),
            "n": str(row["n"]) + (f" ({note})" if note and row["n"] else ""),
        }
        for device, mode in _timed(table):
            line[f"{_heading(mode, device, table)}, µs"] = micros(row[f"{mode}_step_us_{device}"])
        words.append(line)
    return pd.DataFrame(words)


def overhead_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the overhead table as people read it, values and ratios; a ratio whose interval holds 1 is a tie."""
    import pandas as pd

    words = []
    for row in _rows(table):
        line = {
            **_named(row, table),
            "budget": compact(row["budget"]) if row["budget"] is not None else "",
            "params": grouped(row["params"]) if row["params"] is not None else "",
            "MACs": f"{short(row['macs'])} ({ratio(row['macs_ratio'])})" if row["macs_ratio"] is not None else "",
        }
        for device, mode in _timed(table):
            heading = _heading(mode, device, table)
            line[f"{heading}, µs/step"] = micros(row[f"{mode}_step_us_{device}"])
            line[f"{heading}, ratio"] = "1" if row["is_baseline"] else _ratio_words(row, f"{mode}_ratio_{device}")
        line["accuracy, points"] = "baseline" if row["is_baseline"] else _points_words(row)
        words.append(line)
    return pd.DataFrame(words)


def overhead_brief(table: pd.DataFrame) -> pd.DataFrame:
    """Return what differs from the baseline as ratios alone, narrow enough for a terminal."""
    import pandas as pd

    return pd.DataFrame([
        {
            **_named(row, table),
            "budget": compact(row["budget"]) if row["budget"] is not None else "",
            "MACs": ratio(row["macs_ratio"]),
            **{
                f"{_heading(mode, device, table)} time": _ratio_words(row, f"{mode}_ratio_{device}")
                for device, mode in _timed(table)
            },
            "points": _points_words(row),
        }
        for row in _rows(table)
        if not row["is_baseline"]
    ])  # fmt: skip


def epochs_words(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return one run's epochs as people read them, both splits in a row."""
    import pandas as pd

    words = []
    for epoch, group in epochs.groupby("epoch"):
        splits = {row["split"]: row for row in _rows(group)}
        line = {"epoch": str(epoch)}
        for split, row in splits.items():
            line[f"{split} loss"] = "" if row["loss"] is None else f"{row['loss']:.4f}"
            line[f"{split} accuracy"] = "" if row["accuracy"] is None else f"{row['accuracy']:.4f}"
        words.append(line)
    return pd.DataFrame(words)


def plan_words(cells: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return planned cells (`archbench.plan.planned`) as people read them: a row a model and budget."""
    import pandas as pd

    groups: dict[tuple[str, str, int | None], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["model"], cell["case"], cell["budget"]), []).append(cell)
    named = any(case for _, case, _ in groups)
    return pd.DataFrame([
        {
            "model": shown(model), **({"case": case} if named else {}),
            "budget": "" if budget is None else compact(budget),
            "params": "" if group[0]["params"] is None else grouped(group[0]["params"]),
            "off": percent(group[0]["rel_error"]),
            "runs": str(len(group)), "done": str(sum(cell["done"] for cell in group)),
            "options": options(group[0]["options"] or {}) if not group[0]["problem"] else "cannot be built",
        }
        for (model, case, budget), group in groups.items()
    ])  # fmt: skip


def overhead_markdown(table: pd.DataFrame, records: Sequence[Record]) -> str:
    """Return the overhead table as Markdown with what it was measured on."""
    if not records:
        return "Nothing has been run.\n"
    cells, environment = [record.cell for record in records], records[0].environment
    recipes = [cell.recipe for cell in cells]
    seeds = len({recipe.seed for recipe in recipes})
    warnings = dict.fromkeys(warning for record in records for warning in record.cell.warnings)
    baseline = next(iter(table.loc[table["is_baseline"], "model"]), "the baseline")
    lines = [
        f"# Time overhead against {markdown(baseline)}",
        "",
        markdown_table(overhead_words(table)),
        "",
        f"Data set {markdown(either(cell.dataset for cell in cells))}; {number(seeds, 'seed')}, "
        f"{either(number(recipe.epochs, 'epoch') for recipe in recipes)}. "
        f"Steps of {either(str(recipe.batch_size) for recipe in recipes)} samples, "
        f"{either(recipe.precision for recipe in recipes)}, {number(cells[0].threads, 'thread')} "
        f"on {environment.cpu}"
        + (f" and on {environment.gpu}" if environment.gpu else "")
        + f"; torch {environment.torch}. Ratios: median over processes of rounds timed side by side [95 % interval]. "
        "Accuracy: mean difference over paired seeds ± half the 95 % t-interval.",
    ]
    lines += [line for warning in warnings for line in ("", f"**Warning: {markdown(warning)}.**")]
    for note in timing_notes(records, baseline):
        lines += ["", markdown(note)]
    return "\n".join(lines) + "\n"


def timing_notes(records: Sequence[Record], baseline: str | None = None) -> list[str]:
    """Return what must be known of the timings: the least difference that could be told, and why some are unstable."""
    return doubt_notes(timed_against(records, baseline))


def _timed(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the (device, mode) pairs that a table holds steps of."""
    return [(device, mode) for device in DEVICES for mode in MODES if f"{mode}_step_us_{device}" in table]


def _heading(mode: str, device: str, table: pd.DataFrame) -> str:
    """Return the mode, with the device where it is not the CPU alone."""
    return mode if {d for d, _ in _timed(table)} == {"cpu"} else f"{mode} on {device}"


def _ratio_words(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    text = ratio(row[name], low, high)
    if not text or low is None:
        return text
    unstable = row.get(name.replace("_ratio_", "_unstable_"))
    return text + (" tie" if low <= 1 <= high else "") + (" unstable" if unstable else "")


def _points_words(row: Mapping[str, Any]) -> str:
    return with_interval(row["accuracy_points"], _half(row, "accuracy_points"), sign=True)


def _named(row: Mapping[str, Any], table: pd.DataFrame) -> dict[str, str]:
    """Return the model, and its case where a table has several."""
    return {"model": shown(row["model"])} | ({"case": row["case"]} if table["case"].any() else {})


def _budget_words(row: Mapping[str, Any]) -> str:
    """Return the budget, and by how much it was missed where it was."""
    if row["budget"] is None:
        return ""
    missed = row["rel_error"] is not None and abs(row["rel_error"]) > Budget.tolerance
    return compact(row["budget"]) + (f" missed by {percent(row['rel_error'], 0)}" if missed else "")


def _percent(row: Mapping[str, Any], name: str) -> tuple[float | None, float | None]:
    value, half = row[name], _half(row, name)
    return None if value is None else 100 * value, None if half is None else 100 * half


def _half(row: Mapping[str, Any], name: str) -> float | None:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return None if low is None or high is None else (high - low) / 2


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries in which whatever is missing is None."""
    plain = table.astype(object).where(table.notna(), None)
    return [dict(zip(plain.columns, row, strict=True)) for row in plain.itertuples(index=False)]
