"""`list` and `show`: models without data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.options import import_plugins
from archbench.cli.sharing import sharing, sized_as, sizing
from archbench.cli.show import err, out, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archbench.cost.layers import Layer
    from archbench.schema import SizedModel

Width = Annotated[float | None, typer.Option("--width", help="Scale the model to this width instead of to a budget.")]
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
    from archbench.catalog import broken_plugins, models
    from archbench.errors import reason
    from archbench.model_words import models_words
    from archbench.units import parse_count

    import_plugins(imports)
    for name, why in broken_plugins().items():
        err.print(f"warning: the plugin {name} is broken: {reason(why)}")
    rows = models(patterns or [], family, None if max_params is None else parse_count(max_params))
    if as_json:
        print_json(rows)
    else:
        print_table(models_words(rows))


@sharing(sizing)
def show(
    models: o.Models,
    width: Width = None,
    graph: Graph = False,
    out_file: GraphFile = None,
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
    **options: Any,
) -> None:
    """Show a model layer by layer, or several side by side: output shape, parameters and their share, MACs.

    Side by side, all stand on the input of the first that was published somewhere.
    """
    from archbench import api
    from archbench.catalog import common_home
    from archbench.cost.layers import layer_table, totals_of
    from archbench.reference import canonical

    import_plugins(imports)
    names, place = sized_as(models, options)
    models = [canonical(model) for model in names]
    _check_shown(models, out_file)
    if len(models) > 1:
        common = common_home(models)
        place |= {"input": place["input"] or common[0], "classes": place["classes"] or common[1]}
    sized = {model: api.size(model, width=width, **place) for model in models}
    tables = {name: layer_table(one) for name, one in sized.items()}
    if as_json:
        rows = [
            {"model": sized[name], "rel_error": sized[name].rel_error, "layers": table, "totals": totals_of(table)}
            for name, table in tables.items()
        ]
        print_json(rows[0] if len(rows) == 1 else rows)
    elif len(tables) == 1:
        show_layers(next(iter(sized.values())), next(iter(tables.values())), place["budget"])
    else:
        _show_several(sized, tables, place["budget"])
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


def show_layers(sized: SizedModel, layers: Sequence[Layer], budget: str | None) -> None:
    """Print a model layer by layer, with its totals."""
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
