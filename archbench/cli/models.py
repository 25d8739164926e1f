"""`list`, `show` and `cost`: models without data."""

from __future__ import annotations

from typing import Annotated

import typer

from archbench.cli import options as o
from archbench.cli.options import import_plugins
from archbench.cli.show import err, out, print_json, print_table

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
    import zoo
    from archbench.catalog import models
    from archbench.errors import reason
    from archbench.units import parse_count
    from archbench.words import models_words

    import_plugins(imports)
    for name, why in zoo.load_plugins().items():
        err.print(f"warning: the plugin {name} is broken: {reason(why)}")
    rows = models(patterns or [], family, None if max_params is None else parse_count(max_params))
    if as_json:
        print_json(rows)
    else:
        print_table(models_words(rows))


def show(
    model: o.Model,
    budget: o.Budget = None,
    width: o.Width = None,
    input_shape: o.Input = None,
    classes: o.Classes = None,
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Show a model layer by layer: output shape, parameters, trainable or not, MACs."""
    from archbench import api
    from archbench.cost.layers import layer_table
    from archbench.units import grouped, options, percent, shape
    from archbench.words import layers_words

    import_plugins(imports)
    sized = api.size(model, budget, input=input_shape, classes=classes, width=width)
    layers = layer_table(sized)
    if as_json:
        totals = {
            "params": sum(layer.params for layer in layers),
            "trainable_params": sum(layer.trainable_params for layer in layers),
            "params_keras": sized.params + sum(layer.statistics for layer in layers),
            "macs": sum(layer.macs or 0 for layer in layers),
        }
        print_json({"model": sized, "rel_error": sized.rel_error, "layers": layers, "totals": totals})
        return
    chosen = options(sized.options)
    title = f"{model} on {shape(sized.input_shape)}, {sized.classes} classes{': ' if chosen else ''}{chosen}"
    print_table(layers_words(layers), title, footer=True)
    missed = sorted({layer.kind for layer in layers if layer.macs is None})
    if missed:
        out.print(f"Not counted in MACs: {', '.join(missed)} (no closed form); `archbench cost` asks the counters.")
    if sized.budget is not None:
        out.print(f"Budget {grouped(sized.budget.target)}, off by {percent(sized.rel_error)}.")
        if not sized.within_budget:
            out.print("This is the nearest size that the model reaches; choose another budget or a larger input.")
    elif budget is not None:
        err.print(f"warning: {model} has one size; the budget does not apply")


def cost(
    models: o.Models,
    budget: o.Budget = None,
    input_shape: o.Input = None,
    classes: o.Classes = None,
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
) -> None:
    """Count parameters and MACs for one example in eval mode, by every counter."""
    from archbench import api
    from archbench.cost import measure_cost
    from archbench.words import cost_words

    import_plugins(imports)
    sized = [api.size(model, budget, input=input_shape, classes=classes) for model in models]
    costs = [measure_cost(one) for one in sized]
    if as_json:
        rows = [
            {
                "model": one.model, "input": list(one.input_shape), "classes": one.classes, "options": one.options,
                "budget": one.budget and one.budget.target, "rel_error": one.rel_error,
                "params": cost.params, "trainable_params": cost.trainable_params, "buffers": cost.buffers,
                "macs": cost.macs, "flops": None if cost.macs is None else 2 * cost.macs,
                "activations": cost.activations, "counters": cost.counters,
            }
            for one, cost in zip(sized, costs, strict=True)
        ]  # fmt: skip
        print_json(rows[0] if len(rows) == 1 else rows)
        return
    print_table(cost_words(sized, costs), "For one example in eval mode")
    for one, figures in zip(sized, costs, strict=True):
        for count in figures.counters:
            if count.error:
                err.print(f"warning: {count.counter} failed on {one.model}: {count.error}")
            elif count.uncounted:
                out.print(f"{count.counter} does not count in {one.model}: {', '.join(count.uncounted)}")
