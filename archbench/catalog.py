"""What there is: the models of the zoo and the data sets, for lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archbench.budget import size_model
from archbench.data import SPLITS, load_dataset, sources
from archbench.errors import DataError, InputError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archbench.schema import Split

INPUT = (3, 32, 32)
CLASSES = 10


@dataclass(frozen=True)
class ListedModel:
    """A model as a list shows it; `params` at its own width on 3x32x32 images and 10 classes."""

    model: str
    family: str
    scalable: bool
    width: float | None
    params: int | None
    summary: str
    source: str


@dataclass(frozen=True)
class ListedDataset:
    """A data set as a list shows it; `images` by split where it is there, else `problem` and `remedy`."""

    dataset: str
    summary: str
    input: tuple[int, int, int] | None
    classes: int | None
    images: dict[Split, int] | None
    problem: str | None = None
    remedy: str | None = None


def models(patterns: Sequence[str] = ()) -> list[ListedModel]:
    """Return the models that match one of the shell patterns, or all.

    Raises:
        InputError: none matches.
    """
    import zoo

    names = sorted({name for pattern in patterns or ["*"] for name in zoo.list_models(pattern)})
    if not names:
        msg = f"no model matches {' '.join(patterns)}"
        raise InputError(msg, f"Known: {', '.join(zoo.list_models())}.")
    rows = []
    for name in names:
        spec = zoo.model_spec(name)
        try:
            params: int | None = size_model(name, None, INPUT, CLASSES).params
        except ModelError:
            params = None
        rows.append(ListedModel(name, spec.family, spec.scalable, spec.width, params, spec.summary, spec.source))
    return rows


def datasets(root: str | Path | None = None) -> list[ListedDataset]:
    """Return every data set, and whether its files are under the data root."""
    rows = []
    for source in sources().values():
        name = source.name + (":PATH" if source.takes_argument else "")
        images, problem, remedy = None, None, None
        if not source.takes_argument:
            try:
                labels = load_dataset(source.name, root).labels
                images = {split: len(labels[split]) for split in SPLITS}
            except DataError as error:
                problem, remedy = str(error), error.remedy
        rows.append(ListedDataset(name, source.summary, source.input_shape, source.classes, images, problem, remedy))
    return rows
