"""Models of a report -> their layer tables, worked out anew from what they are built of: nothing is run for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.errors import ArchbenchError
from archbench.plan import label
from archbench.units import shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.schema import Record, SizedModel

MOST = 100  # networks whose layers are shown: each takes 10 to 50 ms
LIBRARIES = {"torchvision", "timm"}


def layer_tables(firsts: Sequence[Record]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the layer tables of distinct networks, and of every model which one is its own, or why it has none.

    Args:
        firsts: a run of every model.
    """
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
    from archbench.cost.layers import layer_table, totals_of
    from archbench.model_words import layers_words

    try:
        layers = layer_table(sized)
    except ArchbenchError as error:
        return {"why": f"Its layers cannot be shown here: {error}"}
    if totals_of(layers).params != sized.params:
        return {"why": "It is built otherwise now than when it was measured."}
    words = layers_words(layers)
    tables.append({"head": list(words.columns), "rows": words.to_numpy().tolist()})
    return {"layers": len(tables) - 1}


def _quoted(record: Record) -> str:
    import shlex

    return shlex.quote(label(record.cell.model, record.cell.budget))
