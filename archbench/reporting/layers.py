"""Models of a report -> their layer tables, worked out anew from what they are built of: nothing is run for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from archbench.errors import ArchbenchError
from archbench.plan import label
from archbench.units import shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.cost.layers import Layer
    from archbench.schema import Record, SizedModel

MOST = 24  # networks whose layers are shown: each takes 1 to 50 ms
LARGE = 2_000_000  # parameters from which a network is not given memory, which takes longer for small ones
LIBRARIES = {"torchvision", "timm"}


def layer_tables(firsts: Sequence[Record]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the layer tables of distinct networks, and of every model which one is its own, or why it has none.

    Args:
        firsts: a run of every model.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for one small image threads take longer to meet than to work
    try:
        return _tables(firsts)
    finally:
        torch.set_num_threads(threads)


def _tables(firsts: Sequence[Record]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    tables: list[dict[str, Any]] = []
    found: dict[str, dict[str, Any]] = {}
    of_model = []
    for record in firsts:
        sized = record.cell.sized
        if sized is None:
            of_model.append({"why": record.cell.problem or record.error or "It could not be built."})
            continue
        command = f"archbench show {_quoted(record)} --input {shape(sized.input_shape)} --classes {sized.classes}"
        if sized.key not in found:
            found[sized.key] = _table(sized, tables)
        of_model.append({"command": command, **found[sized.key]})
    return tables, of_model


def _table(sized: SizedModel, tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Add a network's layers to the tables and return their place, or why there are none."""
    if len(tables) >= MOST:
        return {"why": f"The layers of {MOST} networks are shown; those of this one the command shows."}
    prefix, colon, _ = sized.model.partition(":")
    if colon and prefix not in LIBRARIES:  # a report runs no code of whoever wrote the results
        return {"why": "Its layers are shown by the command, which imports the module that it comes from."}
    from archbench.cost.layers import totals_of
    from archbench.model_words import layers_words

    try:
        layers = _layers(sized)
    except ArchbenchError as error:
        return {"why": f"Its layers cannot be shown here: {error}"}
    if totals_of(layers).params != sized.params:
        return {"why": "It is built otherwise now than when it was measured."}
    words = layers_words(layers)
    tables.append({"head": list(words.columns), "rows": words.to_numpy().tolist()})
    return {"layers": len(tables) - 1}


def _layers(sized: SizedModel) -> list[Layer]:
    """Return the layers of a network; a small one runs for real, with whatever lies in its memory as weights."""
    import torch

    import zoo
    from archbench.budget import build_model
    from archbench.cost.layers import layer_table, run_layers

    if sized.params < LARGE and math.prod(sized.input_shape) < LARGE // 100:
        try:
            with zoo.skeletons("cpu"):
                net = build_model(sized)
            with torch.no_grad():
                return run_layers(net, torch.zeros(1, *sized.input_shape))
        except Exception:  # noqa: BLE001 - what it is that does not run so is told below, where it is run with care
            return layer_table(sized)
    return layer_table(sized)


def _quoted(record: Record) -> str:
    import shlex

    return shlex.quote(label(record.cell.model, record.cell.budget))
