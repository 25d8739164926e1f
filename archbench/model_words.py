"""Models and data sets as people read them, without anything having been run: lists, layers, costs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from archbench.units import grouped, ratio, seconds, shape, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from archbench.catalog import ListedDataset, ListedModel
    from archbench.cost.layers import Layer, Totals
    from archbench.cost.published import PublishedCount
    from archbench.cost.reconcile import Reconciliation
    from archbench.schema import Cost, Memory, SizedModel


def layers_words(layers: Sequence[Layer]) -> pd.DataFrame:
    """Return a layer table as people read it, with its totals in the last row.

    `share` is of the parameters; which layers are trained is shown where not all are.
    """
    import pandas as pd

    from archbench.cost.layers import totals_of

    totals = totals_of(layers)
    frozen = totals.trainable_params < totals.params
    words = []
    for layer in layers:
        line = {"layer": layer.name, "kind": layer.kind, "output": shape(layer.output_shape)}
        line["params"] = grouped(layer.params)
        line["share"] = f"{layer.params / totals.params:.1%}" if layer.params else ""
        if frozen:
            line["trained"] = _trained(layer.params, layer.trainable_params)
        line["MACs"] = "" if layer.macs is None else grouped(layer.macs)
        line["activations"] = grouped(layer.activations) if layer.activations else ""
        words.append(line)
    if not words:
        return pd.DataFrame()
    total = dict.fromkeys(words[0], "") | {"layer": "total", "params": grouped(totals.params)}
    total |= {"trained": grouped(totals.trainable_params)} if frozen else {}
    total |= {"MACs": "" if totals.macs is None else grouped(totals.macs), "activations": grouped(totals.activations)}
    return pd.DataFrame([*words, total])


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

    from archbench.cost.layers import totals_of

    totals = {name: totals_of(layers) for name, layers in tables.items()}
    first = next(iter(totals.values()))

    def word(values: Totals, key: str) -> str:
        value, base = getattr(values, key), getattr(first, key)
        if value is None:
            return ""
        return grouped(value) + (f" ({ratio(value / base)})" if values is not first and base else "")

    return pd.DataFrame(
        [{"": title, **{name: word(values, key) for name, values in totals.items()}} for key, title in TOTALS.items()]
    )


def models_words(rows: Sequence[ListedModel]) -> list[dict[str, str]]:
    """Return the list of models as people read it."""
    return [
        {
            "model": row.model, "family": row.family, "scales": "yes" if row.scalable else "fixed",
            "input": shape(row.input), "params": "" if row.params is None else grouped(row.params),
            "Keras total": "" if row.params_keras is None else grouped(row.params_keras),
            "MACs": "" if row.macs is None else short(row.macs),
            "published": "" if row.published is None else f"{grouped(row.published)} ({row.counting})",
            "source": row.source,
        }
        for row in rows
    ]  # fmt: skip


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


def reconciled_words(found: Sequence[Reconciliation]) -> pd.DataFrame:
    """Return each counter's figure as ours and the named parts that lead to it, a row a part."""
    import pandas as pd

    rows = []
    for one in found:
        unit = "MACs" if one.count.unit == "macs" else "FLOPs"
        rows.append((f"{one.count.counter} {one.count.version}".strip(), "ours", grouped(one.macs)))
        rows += [("", name, f"{'+' if amount > 0 else ''}{amount:,}") for name, amount in one.parts.items()]
        if one.residual:
            rows.append(("", "UNEXPLAINED", f"{one.residual:+,}"))
        rows.append(("", f"its {unit}", grouped(one.count.value or 0)))
    return pd.DataFrame(rows, columns=["counter", "part", "figure"])


def memory_words(models: Sequence[SizedModel], memories: Sequence[Memory | None]) -> pd.DataFrame:
    """Return what a training step of each model holds at most, in MiB: measured and estimated, each in its column."""
    import pandas as pd

    def mebibytes(value: int | None) -> str:
        return "" if value is None else f"{value / 2**20:,.1f}"

    return pd.DataFrame([
        {
            "model": sized.model,
            "measured, MiB": "" if memory is None else mebibytes(memory.peak_memory_bytes),
            "estimated, MiB": "" if memory is None else mebibytes(memory.estimated_memory_bytes),
            "": "no training step" if memory is None else memory.error or "",
        }
        for sized, memory in zip(models, memories, strict=True)
    ])  # fmt: skip


def counters_words(cost: Cost) -> pd.DataFrame:
    """Return what each counter says of itself: version, unit, figure, share of the operations it knows, seconds."""
    import pandas as pd

    return pd.DataFrame([
        {
            "counter": count.counter, "version": count.version, "unit": "MACs" if count.unit == "macs" else "FLOPs",
            "figure": "failed" if count.value is None else grouped(count.value),
            "knows": "" if count.coverage is None else f"{count.coverage:.0%} of operations",
            "took": seconds(count.seconds),
        }
        for count in cost.counters
    ])  # fmt: skip


def published_words(rows: Sequence[PublishedCount]) -> pd.DataFrame:
    """Return our counts beside torchvision's as people read them."""
    import pandas as pd

    return pd.DataFrame([
        {
            "model": row.model, "weights": row.weights, "input": shape((3, row.side, row.side)),
            "params, published": grouped(row.params), "params, ours": grouped(row.our_params),
            "difference": f"{row.our_params - row.params:+,}", "GMACs, published": f"{row.gmacs:.3f}",
            "MACs, ours": grouped(row.our_macs),
            "difference, GMACs": f"{round(row.our_macs / 1e9, 3) - row.gmacs:+.3f}",
        }
        for row in rows
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
            "train MACs": "" if cost.train_macs is None else grouped(cost.train_macs),
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
