"""What makes results of two machines comparable: all that the key of a run depends on is the same on both."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from archbench.errors import ArchbenchError, reason
from archbench.schema import RESULT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from archbench.execute.remote import Place
    from archbench.schema import Cell, Device

SHOWN = 160  # characters of what a fact is: as many as a path and a remedy may need


@dataclass(frozen=True)
class Answer:
    """What a node is: all that must be as for the driver, by name, and whether it sees the driver's results folder."""

    facts: Mapping[str, str]
    shared: bool


def telling(cells: Sequence[Cell]) -> list[Cell]:
    """Return the first cell of each data set and of each model: what is asked of a node is asked once."""
    seen: set[str] = set()
    chosen = []
    for cell in cells:
        new = {_images(cell), _source(cell)} - seen
        if new:
            chosen.append(cell)
            seen |= new
    return chosen


def wanted(cells: Sequence[Cell]) -> dict[str, str]:
    """Return what these cells were planned with."""
    facts = _versions(cells[0].torch, cells[0].device, cells[0].device_name)
    for cell in cells:
        facts.setdefault(_images(cell), cell.data_sha256)
        if cell.sized is not None:
            facts.setdefault(_source(cell), cell.sized.source_sha256)
    return facts


def answer(cells: Sequence[Cell], place: Place) -> Answer:
    """Return the same of this node, and why there is none of a model or of data."""
    from archbench.execute.remote import CONNECT_SECONDS, surround

    surround(place)
    socket.create_connection(place.address, CONNECT_SECONDS).close()  # a node that cannot reach the driver is of no use
    if cells[0].device == "cuda":
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray hides the cards from who asks for none
    import torch

    import zoo

    for plugin in place.setup.plugins:
        with contextlib.suppress(zoo.ModelImportError, zoo.DuplicateModelError):  # its models will say so
            zoo.import_models(plugin)
    facts = _versions(str(torch.__version__), cells[0].device, ", ".join(_devices(cells[0].device)))
    for cell in cells:
        if _images(cell) not in facts:
            facts[_images(cell)] = _or_why(_data_sha256, cell, place.setup.data_root)
        if cell.sized is not None and _source(cell) not in facts:
            facts[_source(cell)] = _or_why(_source_sha256, cell)
    return Answer(facts, Path(place.witness).is_file())


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Return in words what differs on a node."""
    return [
        f"{name}: {there.get(name, 'none')[:SHOWN]} there, {value[:SHOWN]} here"
        for name, value in here.items() if there.get(name) != value
    ]  # fmt: skip


def _versions(torch: str, device: Device, device_name: str) -> dict[str, str]:
    return {
        "archbench": metadata.version("archbench"), "version of its results": str(RESULT_VERSION), "torch": torch,
        {"cpu": "processor", "cuda": "card"}[device]: device_name,
    }  # fmt: skip


def _devices(device: Device) -> list[str]:
    """Return the models of a kind of device that this node has."""
    import torch

    from archbench.environment import capture, device_name

    if device == "cpu" or not torch.cuda.is_available():
        return [device_name(capture(), device)]
    return sorted({torch.cuda.get_device_name(card) for card in range(torch.cuda.device_count())})


def _images(cell: Cell) -> str:
    return f"images of {cell.dataset}"


def _source(cell: Cell) -> str:
    return f"source of {cell.model}"


def _data_sha256(cell: Cell, root: str | None) -> str:
    from archbench.data import load_dataset

    return load_dataset(cell.dataset, root, view=cell.view).sha256


def _source_sha256(cell: Cell) -> str:
    from archbench.building import find_spec, skeleton

    assert cell.sized is not None  # noqa: S101 - it is asked of models that could be built
    spec = find_spec(cell.model)
    return spec.source_sha256(skeleton(spec, cell.sized.options, cell.sized.input_shape, cell.sized.classes))


def _or_why(look: Callable[..., str], *what: object) -> str:
    try:
        return look(*what)
    except (ArchbenchError, OSError) as error:
        return reason(error)
