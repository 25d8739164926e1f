"""`cost`: what models cost, by our definition and by every counter, and why they differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli import recipe_options as r
from archbench.cli.models import show_layers
from archbench.cli.sharing import sharing, sized_as, sizing
from archbench.cli.show import err, out, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.cost.layers import Layer
    from archbench.cost.reconcile import Reconciliation
    from archbench.schema import Cost, Memory, SizedModel

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


StepMemory = Annotated[
    int | None,
    typer.Option("--batch-size", "-b", help="Measure the memory of a training step of so many samples, too.", min=1,
                 show_default="not measured"),
]  # fmt: skip
MemoryDevice = Annotated[str, typer.Option("--device", help="Where that step is taken: cpu or cuda.")]


@sharing(sizing)
def cost(
    models: o.MaybeModels = None,
    reconcile: Reconcile = False,
    layers: LayersToo = False,
    layers_file: LayersFile = None,
    published: PublishedToo = False,
    batch_size: StepMemory = None,
    optimizer: r.Optimizer = "adam",
    precision: r.Precision = "fp32",
    device: MemoryDevice = "cpu",
    imports: o.Imports = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
    **options: Any,
) -> None:
    """Count parameters and MACs for one example in eval mode, by our definition and by every counter.

    With --reconcile each counter's figure is taken apart until it is ours; a difference that cannot be explained is
    shown as such, and the command ends with exit code 1.
    """
    from archbench import api
    from archbench.cost import measure_cost
    from archbench.cost.layers import layer_table, layers_frame
    from archbench.cost.reconcile import reconcile as reconciled
    from archbench.errors import InputError
    from archbench.exports import write_csv
    from archbench.model_words import cost_words

    o.import_plugins(imports)
    if published:
        _show_published(layers_file, as_json=as_json)
        return
    if not models:
        msg = "no model is named"
        raise InputError(msg, "Name at least one; `archbench list` shows them.")
    models, place = sized_as(models, options)
    sized = [api.size(model, **place) for model in models]
    costs = [measure_cost(one) for one in sized]
    tables = [layer_table(one) for one in sized] if layers or layers_file else []
    memories = _memories(sized, batch_size, device, {"optimizer": optimizer, "precision": precision})
    if layers_file is not None:
        frame = layers_frame(dict(zip(models, tables, strict=True)))
        write_csv(frame, layers_file)
    if as_json:
        _print_json(sized, costs, tables, memories)
    else:
        print_table(cost_words(sized, costs), "For one example in eval mode")
        _show_memories(sized, memories)
        for one, figures in zip(sized, costs, strict=True):
            _show_counters(one, figures, reconcile=reconcile)
        for one, table in zip(sized, tables, strict=False):
            show_layers(one, table, place["budget"])
        if layers_file is not None:
            out.print(f"Written: {layers_file}")
    if reconcile and any(found.residual for cost in costs for found in reconciled(cost)):
        raise typer.Exit(1)


def _print_json(
    sized: Sequence[SizedModel],
    costs: Sequence[Cost],
    tables: Sequence[Sequence[Layer]],
    memories: Sequence[Memory | None],
) -> None:
    from archbench.cost.reconcile import reconcile as reconciled

    rows = [_cost_row(one, cost, reconciled(cost)) for one, cost in zip(sized, costs, strict=True)]
    for name, found in (("layers", tables), ("memory", memories)):  # each only where it was asked for
        for row, value in zip(rows, found, strict=False):
            row[name] = value
    print_json(rows[0] if len(rows) == 1 else rows)


def _memories(
    sized: Sequence[SizedModel], batch_size: int | None, device: str, recipe: dict[str, Any]
) -> list[Memory | None]:
    """Return the memory of a training step of each model; nothing where no batch size is asked for."""
    from archbench import api

    return [] if batch_size is None else [api.memory_of(one, batch_size, device, **recipe) for one in sized]


def _show_memories(sized: Sequence[SizedModel], memories: Sequence[Memory | None]) -> None:
    from archbench.model_words import memory_words

    known = [memory for memory in memories if memory is not None]
    if memories:
        what = f" of {known[0].batch_size} samples on {known[0].device}" if known else ""
        out.print()
        print_table(memory_words(sized, memories), f"A training step{what}")


def _show_published(file: Path | None, *, as_json: bool) -> None:
    """Print our counts beside torchvision's, or write them as Markdown; where one differs, the command fails."""
    from archbench.cost.published import published_counts
    from archbench.files import write_bytes
    from archbench.markup import markdown_table
    from archbench.model_words import published_words

    rows = published_counts()
    words = published_words(rows)
    said = f"{sum(row.agrees for row in rows)} of {len(rows)} agree to the printed digits"
    if file is not None:
        write_bytes(file, f"{markdown_table(words)}\n\n{said}\n".encode())
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
