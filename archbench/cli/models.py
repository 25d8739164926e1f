"""`list`, `show` and `cost`: models without data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.options import import_plugins
from archbench.cli.show import err, out, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archbench.cost.layers import Layer
    from archbench.cost.reconcile import Reconciliation
    from archbench.schema import Cost, SizedModel

Graph = Annotated[bool, typer.Option("--graph", help="Write a diagram of the layers to MODEL.svg.")]
GraphFile = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Where --graph writes to: a file of .svg, .png or .pdf.", metavar="FILE",
                 show_default="MODEL.svg"),
]  # fmt: skip
Family = Annotated[str | None, typer.Option("--family", help="Only models of this family.")]
MaxParams = Annotated[
    str | None, typer.Option("--max-params", help="Only models of at most so many parameters: 100k.", metavar="PARAMS")
]
Reconcile = Annotated[
    bool, typer.Option("--reconcile", help="Explain how each counter's figure differs from ours; exit 1 where not.")
]
LayersToo = Annotated[bool, typer.Option("--layers", help="Layer by layer, too: as a table, or within --json.")]
LayersFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the layers as .csv, or --published as .md.", metavar="FILE")
]
PublishedToo = Annotated[
    bool, typer.Option("--published", help="Count all of torchvision's classifiers beside what it publishes of them.")
]
Pattern = Annotated[list[str] | None, typer.Argument(help="Shell patterns: res*, *net*.", metavar="[PATTERN...]")]


def list_(
    patterns: Pattern = None,
    family: Family = None,
    max_params: MaxParams = None,
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """List the models: scalable families at their own width on 3x32x32 and 10 classes, published ones as published."""
    import zoo
    from archbench.catalog import models
    from archbench.errors import reason
    from archbench.model_words import models_words
    from archbench.units import parse_count

    import_plugins(imports)
    for name, why in zoo.load_plugins().items():
        err.print(f"warning: the plugin {name} is broken: {reason(why)}")
    rows = models(patterns or [], family, None if max_params is None else parse_count(max_params))
    if as_json:
        print_json(rows)
    else:
        print_table(models_words(rows))


def show(
    models: o.Models,
    budget: o.Budget = None,
    width: o.Width = None,
    scale: o.Scale = None,
    head: o.Head = None,
    freeze: o.Freeze = None,
    input_shape: o.Input = None,
    classes: o.Classes = None,
    graph: Graph = False,
    out_file: GraphFile = None,
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Show a model layer by layer, or several side by side: output shape, parameters and their share, MACs.

    Side by side, all stand on the input of the first that was published somewhere.
    """
    from archbench import api
    from archbench.catalog import common_home
    from archbench.cost.layers import layer_table, totals_of
    from archbench.reference import canonical, with_options

    import_plugins(imports)
    place: dict[str, Any] = {"input": input_shape, "classes": classes}
    models = [canonical(model) for model in with_options(models, {"scale": scale, "head": head, "freeze": freeze})]
    _check_shown(models, out_file)
    if len(models) > 1:
        common = common_home(models)
        place = {"input": input_shape or common[0], "classes": classes or common[1]}
    sized = {model: api.size(model, budget, width=width, **place) for model in models}
    tables = {name: layer_table(one) for name, one in sized.items()}
    if as_json:
        rows = [
            {"model": sized[name], "rel_error": sized[name].rel_error, "layers": table, "totals": totals_of(table)}
            for name, table in tables.items()
        ]
        print_json(rows[0] if len(rows) == 1 else rows)
    elif len(tables) == 1:
        _show_one(next(iter(sized.values())), next(iter(tables.values())), budget)
    else:
        _show_several(sized, tables, budget)
    if graph or out_file is not None:
        from archbench.diagram import write_diagram

        for name, one in sized.items():
            path = write_diagram(one, name, out_file if len(sized) == 1 else None)
            (err if as_json else out).print(f"Written: {path}")


def _check_shown(models: Sequence[str], out_file: Path | None) -> None:
    from archbench.diagram import check_format
    from archbench.errors import InputError

    if len(set(models)) < len(models):
        msg = f"a model is named twice: {', '.join(models)}"
        raise InputError(msg, "Name each model once.")
    if out_file is not None and len(models) > 1:
        msg = f"{len(models)} diagrams do not go into one file"
        raise InputError(msg, "Leave --out out: each goes to a file of its model's name.")
    if out_file is not None:
        check_format(out_file)


def _show_one(sized: SizedModel, layers: Sequence[Layer], budget: str | None) -> None:
    from archbench.cost.layers import totals_of
    from archbench.model_words import layers_words
    from archbench.units import options, shape

    chosen = options(sized.options)
    title = f"{sized.model} on {shape(sized.input_shape)}, {sized.classes} classes{': ' if chosen else ''}{chosen}"
    print_table(layers_words(layers), title, footer=True)
    totals = totals_of(layers)
    if statistics := totals.params_keras - totals.params:
        out.print(f"Keras total {totals.params_keras:,}: with {statistics:,} running statistics of batch norms.")
    _say_uncounted(layers)
    _say_budget(sized, budget)


def _show_several(sized: Mapping[str, SizedModel], tables: Mapping[str, Sequence[Layer]], budget: str | None) -> None:
    from archbench.model_words import side_by_side_words, totals_words
    from archbench.units import shape

    one = next(iter(sized.values()))
    print_table(side_by_side_words(tables), f"On {shape(one.input_shape)}, {one.classes} classes")
    out.print()
    print_table(totals_words(tables), "In all, and in ratio to the first")
    for model, layers in tables.items():
        _say_uncounted(layers, f" of {model}")
        _say_budget(sized[model], budget)


def _say_uncounted(layers: Sequence[Layer], of: str = "") -> None:
    missed = sorted({layer.kind for layer in layers if layer.macs is None})
    if missed:
        out.print(f"Not counted in MACs{of}: {', '.join(missed)} (no closed form); `archbench cost` asks the counters.")


def _say_budget(sized: SizedModel, asked: str | None) -> None:
    from archbench.units import grouped, percent

    if sized.budget is None and asked is not None:
        err.print(f"warning: {sized.model} has one size; the budget does not apply")
    if sized.budget is not None:
        out.print(f"{sized.model}: budget {grouped(sized.budget.target)}, off by {percent(sized.rel_error)}.")
        if not sized.within_budget:
            out.print("This is the nearest size that the model reaches; choose another budget or a larger input.")


def cost(
    models: o.MaybeModels = None,
    budget: o.Budget = None,
    scale: o.Scale = None,
    head: o.Head = None,
    freeze: o.Freeze = None,
    input_shape: o.Input = None,
    classes: o.Classes = None,
    reconcile: Reconcile = False,
    layers: LayersToo = False,
    layers_file: LayersFile = None,
    published: PublishedToo = False,
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Count parameters and MACs for one example in eval mode, by our definition and by every counter.

    With --reconcile each counter's figure is taken apart until it is ours; a difference that cannot be explained is
    shown as such, and the command ends with exit code 1.
    """
    from archbench import api
    from archbench.cost import measure_cost
    from archbench.cost.layers import layer_table
    from archbench.cost.reconcile import reconcile as reconciled
    from archbench.errors import InputError
    from archbench.model_words import cost_words
    from archbench.reference import with_options

    import_plugins(imports)
    if published:
        _show_published(layers_file, as_json=as_json)
        return
    if not models:
        msg = "no model is named"
        raise InputError(msg, "Name at least one; `archbench list` shows them.")
    models = list(with_options(models, {"scale": scale, "head": head, "freeze": freeze}))
    sized = [api.size(model, budget, input=input_shape, classes=classes) for model in models]
    costs = [measure_cost(one) for one in sized]
    tables = [layer_table(one) for one in sized] if layers or layers_file else []
    if layers_file is not None:
        _write_layers(layers_file, models, tables)
    if as_json:
        rows = [_cost_row(one, cost, reconciled(cost)) for one, cost in zip(sized, costs, strict=True)]
        for row, table in zip(rows, tables, strict=False):
            row["layers"] = table
        print_json(rows[0] if len(rows) == 1 else rows)
    else:
        print_table(cost_words(sized, costs), "For one example in eval mode")
        for one, figures in zip(sized, costs, strict=True):
            _show_counters(one, figures, reconcile=reconcile)
        for one, table in zip(sized, tables, strict=False):
            _show_one(one, table, budget)
        if layers_file is not None:
            out.print(f"Written: {layers_file}")
    if reconcile and any(found.residual for cost in costs for found in reconciled(cost)):
        raise typer.Exit(1)


def _show_published(file: Path | None, *, as_json: bool) -> None:
    """Print our counts beside torchvision's, or write them as Markdown; where one differs, the command fails."""
    from archbench.cost.published import published_counts
    from archbench.files import write_file
    from archbench.model_words import published_words

    rows = published_counts()
    words = published_words(rows)
    said = f"{sum(row.agrees for row in rows)} of {len(rows)} agree to the printed digits"
    if file is not None:
        text = words.to_markdown(index=False, disable_numparse=True)
        write_file(file, lambda path: path.write_text(f"{text}\n\n{said}\n", encoding="utf-8"))
    if as_json:
        print_json(rows)
    else:
        if file is None:
            print_table(words)
        out.print(said if file is None else f"{said}\nWritten: {file}")
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)


def _cost_row(one: SizedModel, cost: Cost, found: Sequence[Reconciliation]) -> dict[str, Any]:
    return {
        "model": one.model, "input": list(one.input_shape), "classes": one.classes, "options": one.options,
        "budget": one.budget and one.budget.target, "rel_error": one.rel_error,
        "params": cost.params, "params_keras": cost.params_keras,
        "trainable_params": cost.trainable_params, "frozen_params": cost.params - cost.trainable_params,
        "buffers": cost.buffers, "size_bytes": cost.size_bytes, "macs": cost.macs,
        "flops": None if cost.macs is None else 2 * cost.macs, "train_macs": cost.train_macs,
        "activations": cost.activations, "counters": cost.counters,
        "reconciliation": [
            {"counter": one.count.counter, "parts": one.parts, "residual": one.residual} for one in found
        ],
    }  # fmt: skip


def _show_counters(one: SizedModel, cost: Cost, *, reconcile: bool) -> None:
    from archbench.cost.reconcile import reconcile as reconciled
    from archbench.model_words import counters_words, reconciled_words

    out.print()
    print_table(counters_words(cost), f"Counters on {one.model}")
    for count in cost.counters:
        if count.error:
            err.print(f"warning: {count.counter} failed on {one.model}: {count.error}")
        elif count.uncounted:
            out.print(f"{count.counter} does not count in {one.model}: {', '.join(count.uncounted)}")
    if reconcile:
        found = reconciled(cost)
        out.print()
        print_table(reconciled_words(found), f"From our MACs of {one.model} to each counter's figure")
        for left in (item for item in found if item.residual):
            err.print(f"warning: {left.residual:+,} of {left.count.counter}'s figure on {one.model} are not explained")


def _write_layers(file: Path, models: Sequence[str], tables: Sequence[Sequence[Layer]]) -> None:
    import pandas as pd

    from archbench.files import write_file
    from archbench.schema import fields

    rows = [{"model": model, **fields(layer)} for model, table in zip(models, tables, strict=True) for layer in table]
    frame = pd.DataFrame(rows)
    frame["output_shape"] = ["x".join(map(str, sides)) for sides in frame["output_shape"]]
    write_file(file, lambda path: frame.to_csv(path, index=False))
