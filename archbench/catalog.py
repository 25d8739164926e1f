"""What there is: the models of the zoo and the data sets, for lists."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import zoo
from archbench.errors import DataError, InputError, ModelError
from archbench.reference import parse_reference
from archbench.schema import View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archbench.schema import Split
    from zoo import ModelSpec

MOST_COUNTED = 200  # models that a list counts: other libraries have thousands
INPUT = (3, 32, 32)
CLASSES = 10
COUNTING = ("torch", "torchvision", "timm")  # what a list follows from beside the sources


@dataclass(frozen=True)
class ListedModel:
    """A model as a list shows it, at its own width, on its own input and classes or on 3x32x32 and 10.

    Attributes:
        params: as torch counts. params_keras: with the running statistics of batch norms, as Keras counts.
        published: the count that was published; `counting` says which of the two it is, `basis` how it is known.
    """

    model: str
    family: str
    scalable: bool
    width: float | None
    input: tuple[int, int, int]
    classes: int
    params: int | None
    params_keras: int | None
    macs: int | None
    published: int | None
    counting: str | None
    basis: str | None
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


def models(patterns: Sequence[str] = (), family: str | None = None, max_params: int | None = None) -> list[ListedModel]:
    """Return the models that match one of the shell patterns (by default all), of a family, up to a size.

    Where more than `MOST_COUNTED` match, they are listed without counts, unless a size is asked for. A list of what
    archbench brings is made once and kept in the user's cache, as counting takes seconds; it is made anew when the
    sources or the libraries are others.

    Raises:
        InputError: no model matches the patterns and the family.
    """
    if "zoo.registry" in sys.modules or _plugins():
        return _models(patterns, family, max_params)  # there may be others' models, whose sources nobody watches
    from archbench.data.cache import recalled, remember

    key = f"{patterns, family, max_params} {_fingerprint()}"
    rows = recalled("lists", key, list[ListedModel])
    if rows is None:
        rows = _models(patterns, family, max_params)
        remember("lists", key, rows)
    return rows


def broken_plugins() -> Mapping[str, Exception]:
    """Return the plugins that cannot be imported, by name, without importing anything where there are none."""
    return zoo.load_plugins() if _plugins() else {}


def _plugins() -> bool:
    return bool(importlib.metadata.entry_points(group=zoo.ENTRY_POINT_GROUP))


def _fingerprint() -> str:
    """Return a hash of all that a list follows from."""
    found = hashlib.sha256()
    for name in COUNTING:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.update(f"{name} {importlib.metadata.version(name)}".encode())
    here = Path(__file__).parent
    for package in (here, here.parent / "zoo"):
        for file in sorted(package.rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()


def _models(patterns: Sequence[str], family: str | None, max_params: int | None) -> list[ListedModel]:
    try:
        names = sorted({name for pattern in patterns or ["*"] for name in zoo.list_models(pattern)})
    except zoo.ModelImportError as error:
        raise ModelError(str(error)) from error
    specs = [zoo.model_spec(name) for name in names]
    specs = [spec for spec in specs if family in {None, spec.family}]
    if not specs:
        msg = f"no model matches {' '.join([*patterns, *([f'--family {family}'] if family else [])])}"
        families = sorted({zoo.model_spec(name).family for name in zoo.list_models()})
        raise InputError(msg, f"Known: {', '.join(zoo.list_models())}; families: {', '.join(families)}.")
    counted = max_params is not None or len(specs) <= MOST_COUNTED
    rows = [_listed(spec, counted=counted) for spec in specs]
    return [row for row in rows if max_params is None or (row.params is not None and row.params <= max_params)]


def home(spec: ModelSpec) -> tuple[tuple[int, int, int], int]:
    """Return the input shape (C, H, W) and the number of classes that a model is shown at where none are asked for."""
    return spec.input_shape or INPUT, spec.classes or CLASSES


def common_home(models: Sequence[str]) -> tuple[tuple[int, int, int], int]:
    """Return where models are shown side by side: at home with the first that was published somewhere.

    Raises:
        InputError, ModelError: a model cannot be had.
    """
    from archbench.building import find_spec

    specs = [find_spec(parse_reference(model)[0]) for model in models]
    return home(next((spec for spec in specs if spec.input_shape), specs[0]))


def _listed(spec: ModelSpec, *, counted: bool) -> ListedModel:
    shape, classes = home(spec)
    params, keras, macs = _counts(spec.name, shape, classes) if counted else (None, None, None)
    known = spec.published
    return ListedModel(
        model=spec.name,
        family=spec.family,
        scalable=spec.scalable,
        width=spec.width,
        input=shape,
        classes=classes,
        params=params,
        params_keras=keras,
        macs=macs,
        published=known.params if known else None,
        counting=known.counting if known else None,
        basis=known.basis if known else None,
        summary=spec.summary,
        source=spec.source,
    )


def _counts(name: str, shape: tuple[int, int, int], classes: int) -> tuple[int | None, int | None, int | None]:
    """Return parameters in both countings and MACs; none of a model that cannot be built here."""
    from archbench.budget import size_model
    from archbench.cost.layers import layer_table, totals_of

    try:
        sized = size_model(name, None, shape, classes)
        totals = totals_of(layer_table(sized))
    except ModelError:
        return None, None, None
    return totals.params, totals.params_keras, totals.macs


def datasets(root: str | Path | None = None) -> list[ListedDataset]:
    """Return every data set, and whether its files are under the data root."""
    from archbench.data import SPLITS, load_parts, sources
    from archbench.data.splits import divide

    rows = []
    for source in sources().values():
        name = source.form
        problem, remedy = None, None
        images = dict(zip(SPLITS, source.counts, strict=True)) if source.counts else None
        if not source.takes_argument and images is None:
            try:
                taken, _ = divide(source.name, load_parts(source.name, root).labels, View())
                images = {split: len(taken[split][1]) for split in SPLITS}
            except DataError as error:
                problem, remedy = str(error), error.remedy
        rows.append(ListedDataset(name, source.summary, source.input_shape, source.classes, images, problem, remedy))
    return rows
