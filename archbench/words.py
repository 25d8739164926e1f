"""Tables as people read them: frames of formatted words, for the terminal and for Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench import stats
from archbench.schema import Budget
from archbench.tables import DEVICES, MODES, name_of
from archbench.units import compact, grouped, micros, number, options, percent, ratio, shape, short, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from archbench.catalog import ListedDataset, ListedModel
    from archbench.cost.layers import Layer
    from archbench.schema import Cost, Record, SizedModel


def summary_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the summary as people read it: few columns, formatted, narrow enough for a terminal."""
    import pandas as pd

    words = []
    for row in _rows(table):
        note = row["not_done"] or ""
        line = {
            "model": row["model"],
            "budget": _budget_words(row),
            "params": grouped(row["params"]) if row["params"] is not None else "",
            "MACs": short(row["macs"]) if row["macs"] is not None else "",
            "accuracy, %": with_interval(*_percent(row, "test_accuracy")) or note,
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
            "model": row["model"],
            "budget": compact(row["budget"]) if row["budget"] is not None else "",
            "params": grouped(row["params"]) if row["params"] is not None else "",
            "MACs": f"{short(row['macs'])} ({ratio(row['macs_ratio'])})" if row["macs_ratio"] is not None else "",
        }
        for device, mode in _timed(table):
            heading = _heading(mode, device, table)
            line[f"{heading}, µs/step"] = micros(row[f"{mode}_step_us_{device}"])
            line[f"{heading}, ratio"] = "1" if _is_baseline(row) else _ratio_words(row, f"{mode}_ratio_{device}")
        line["accuracy, points"] = "baseline" if _is_baseline(row) else _points_words(row)
        words.append(line)
    return pd.DataFrame(words)


def overhead_brief(table: pd.DataFrame) -> pd.DataFrame:
    """Return what differs from the baseline as ratios alone, narrow enough for a terminal."""
    import pandas as pd

    return pd.DataFrame([
        {
            "model": row["model"],
            "budget": compact(row["budget"]) if row["budget"] is not None else "",
            "MACs": ratio(row["macs_ratio"]),
            **{
                f"{_heading(mode, device, table)} time": _ratio_words(row, f"{mode}_ratio_{device}")
                for device, mode in _timed(table)
            },
            "points": _points_words(row),
        }
        for row in _rows(table)
        if not _is_baseline(row)
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


def layers_words(layers: Sequence[Layer]) -> pd.DataFrame:
    """Return a layer table as people read it, with its totals in the last row.

    `share` is of the parameters; which layers are trained is shown where not all are.
    """
    import pandas as pd

    totals = layer_totals(layers)
    frozen = totals["trainable_params"] < totals["params"]
    words = []
    for layer in layers:
        line = {"layer": layer.name, "kind": layer.kind, "output": shape(layer.output_shape)}
        line["params"] = grouped(layer.params)
        line["share"] = f"{layer.params / totals['params']:.1%}" if layer.params else ""
        if frozen:
            line["trained"] = _trained(layer.params, layer.trainable_params)
        line["MACs"] = "" if layer.macs is None else grouped(layer.macs)
        line["activations"] = grouped(layer.activations) if layer.activations else ""
        words.append(line)
    if not words:
        return pd.DataFrame()
    total = dict.fromkeys(words[0], "") | {"layer": "total", "params": grouped(totals["params"])}
    total |= {"trained": grouped(totals["trainable_params"])} if frozen else {}
    total |= {name: grouped(totals[key]) for name, key in (("MACs", "macs"), ("activations", "activations"))}
    return pd.DataFrame([*words, total])


def layer_totals(layers: Sequence[Layer]) -> dict[str, int]:
    """Return the sums over a layer table: parameters in both countings, multiply-accumulates, activations."""
    params, statistics = (sum(getattr(layer, name) for layer in layers) for name in ("params", "statistics"))
    return {
        "params": params,
        "trainable_params": sum(layer.trainable_params for layer in layers),
        "params_keras": params + statistics,
        "macs": sum(layer.macs or 0 for layer in layers),
        "activations": sum(layer.activations for layer in layers),
    }


def _trained(params: int, trainable: int) -> str:
    if params == 0:
        return ""
    return "yes" if trainable == params else "no" if trainable == 0 else grouped(trainable)


TOTALS = {
    "params": "parameters", "trainable_params": "trained", "params_keras": "Keras total", "macs": "MACs",
    "activations": "activations",
}  # fmt: skip


def side_by_side_words(tables: Mapping[str, Sequence[Layer]]) -> pd.DataFrame:
    """Return the layers of several models beside each other, in the order they run, by a model's name."""
    import itertools

    import pandas as pd

    rows = []
    for row in itertools.zip_longest(*tables.values()):
        line = {}
        for index, (name, layer) in enumerate(zip(tables, row, strict=True)):
            tail = " " * index  # columns have names of their own
            line[name] = layer.name if layer else ""
            line[f"output{tail}"] = shape(layer.output_shape) if layer else ""
            line[f"params{tail}"] = grouped(layer.params) if layer and layer.params else ""
            line[f"MACs{tail}"] = grouped(layer.macs) if layer and layer.macs else ""
        rows.append(line)
    return pd.DataFrame(rows)


def totals_words(tables: Mapping[str, Sequence[Layer]]) -> pd.DataFrame:
    """Return the totals of several models beside each other, with ratios to the first."""
    import pandas as pd

    totals = {name: layer_totals(layers) for name, layers in tables.items()}
    first = next(iter(totals.values()))
    return pd.DataFrame([
        {
            "": title,
            **{
                name: grouped(values[key])
                + (f" ({ratio(values[key] / first[key])})" if values is not first and first[key] else "")
                for name, values in totals.items()
            },
        }
        for key, title in TOTALS.items()
    ])  # fmt: skip


def models_words(rows: Sequence[ListedModel]) -> pd.DataFrame:
    """Return the list of models as people read it."""
    import pandas as pd

    return pd.DataFrame([
        {
            "model": row.model, "family": row.family, "scales": "yes" if row.scalable else "fixed",
            "input": shape(row.input), "params": "" if row.params is None else grouped(row.params),
            "Keras total": "" if row.params_keras is None else grouped(row.params_keras),
            "MACs": "" if row.macs is None else short(row.macs),
            "published": "" if row.published is None else f"{grouped(row.published)} ({row.counting})",
            "what it is": row.summary,
        }
        for row in rows
    ])  # fmt: skip


def datasets_words(rows: Sequence[ListedDataset]) -> pd.DataFrame:
    """Return the list of data sets as people read it."""
    import pandas as pd

    return pd.DataFrame([
        {
            "data set": row.dataset, "input": "" if row.input is None else shape(row.input),
            "classes": "" if row.classes is None else str(row.classes),
            "train / validation / test": " / ".join(map(grouped, row.images.values())) if row.images else "",
            "what it is": row.summary,
        }
        for row in rows
    ])  # fmt: skip


def plan_words(cells: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return planned cells (`archbench.plan.planned`) as people read them: a row a model and budget."""
    import pandas as pd

    groups: dict[tuple[str, int | None], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["model"], cell["budget"]), []).append(cell)
    return pd.DataFrame([
        {
            "model": model, "budget": "" if budget is None else compact(budget),
            "params": "" if group[0]["params"] is None else grouped(group[0]["params"]),
            "off": percent(group[0]["rel_error"]),
            "runs": str(len(group)), "done": str(sum(cell["done"] for cell in group)),
            "options": options(group[0]["options"] or {}) if not group[0]["problem"] else "cannot be built",
        }
        for (model, budget), group in groups.items()
    ])  # fmt: skip


def cost_words(sized: Sequence[SizedModel], costs: Sequence[Cost]) -> pd.DataFrame:
    """Return what models cost as people read it: a row a model, each counter's own figure in its own unit."""
    import pandas as pd

    return pd.DataFrame([
        {
            "model": one.model,
            "input": shape(one.input_shape),
            "params": grouped(cost.params),
            "trainable": grouped(cost.trainable_params),
            "Keras total": grouped(cost.params_keras),
            "buffers": grouped(cost.buffers),
            "MACs": "" if cost.macs is None else grouped(cost.macs),
            "activations": grouped(cost.activations),
            **{
                f"{count.counter} ({'MACs' if count.unit == 'macs' else 'FLOPs'})": "failed"
                if count.value is None
                else grouped(count.value)
                for count in cost.counters
            },
        }
        for one, cost in zip(sized, costs, strict=True)
    ])  # fmt: skip


def overhead_markdown(table: pd.DataFrame, records: Sequence[Record]) -> str:
    """Return the overhead table as Markdown with what it was measured on."""
    if not records:
        return "Nothing has been run.\n"
    cell, environment = records[0].cell, records[0].environment
    seeds = len({record.cell.recipe.seed for record in records})
    doubts = sorted({
        f"{name_of([record])}, {timing.mode} on {timing.device}: {doubt}"
        for record in records for timing in record.timings if (doubt := stats.instability(timing))
    })  # fmt: skip
    lines = [
        f"# Time overhead against {next(iter(table['baseline'].dropna()), 'the baseline').partition('@')[0]}",
        "",
        overhead_words(table).to_markdown(index=False, disable_numparse=True),
        "",
        f"Data set {cell.dataset}; {number(seeds, 'seed')}, {number(cell.recipe.epochs, 'epoch')}. "
        f"Steps of {cell.recipe.batch_size} samples, {cell.recipe.precision}, {number(cell.threads, 'thread')} "
        f"on {environment.cpu}"
        + (f" and on {environment.gpu}" if environment.gpu else "")
        + f"; torch {environment.torch}. Ratios: median over rounds timed side by side [95 % interval]. "
        "Accuracy: mean difference over paired seeds ± half the 95 % t-interval.",
    ]
    lines += ["", "Unstable timings:", "", *(f"- {doubt}" for doubt in doubts)] if doubts else []
    return "\n".join(lines) + "\n"


def _timed(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the (device, mode) pairs that a table holds steps of."""
    return [(device, mode) for device in DEVICES for mode in MODES if f"{mode}_step_us_{device}" in table]


def _heading(mode: str, device: str, table: pd.DataFrame) -> str:
    """Return the mode, with the device where it is not the CPU alone."""
    return mode if {d for d, _ in _timed(table)} == {"cpu"} else f"{mode} on {device}"


def _ratio_words(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    text = ratio(row[name], low, high)
    return f"{text} tie" if text and low is not None and low <= 1 <= high else text


def _points_words(row: Mapping[str, Any]) -> str:
    return with_interval(row["accuracy_points"], _half(row, "accuracy_points"), sign=True)


def _is_baseline(row: Mapping[str, Any]) -> bool:
    name = row["model"] if row["budget"] is None else f"{row['model']}@{compact(row['budget'])}"
    return bool(row["baseline"] == name)


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
