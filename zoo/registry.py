"""The registry: one dictionary of model specifications, and the ways in for models from elsewhere."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import importlib.metadata
import inspect
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, overload
from unittest import mock

import torch
from torch import nn

from zoo import ENTRY_POINT_GROUP
from zoo.external import LIBRARIES, MissingLibraryError, external_names, external_spec
from zoo.grammar import split_options
from zoo.imports import ModelImportError, import_builder
from zoo.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from zoo.spec import Build, Published, Shape

_SPECS: dict[str, ModelSpec] = {}
_BROKEN_PLUGINS: dict[str, Exception] = {}
_plugins_loaded = False


class UnknownModelError(LookupError):
    """No model of that name is registered; `near` holds the closest names that are."""

    def __init__(self, name: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(f"unknown model {name!r}")
        self.name = name
        self.near = near


class DuplicateModelError(ValueError):
    """Two different models want one name."""


@overload
def register_model(name: Build, /) -> Build: ...
@overload
def register_model(
    name: str | None = None,
    /,
    *,
    family: str | None = None,
    summary: str = "",
    source: str = "",
    shape: Shape | None = None,
    width: float | None = None,
    depth: Shape | None = None,
    preset: Mapping[str, Any] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    published: Published | None = None,
    by_gradient: bool = True,
    requires: str = "",
    positions: int = 1,
) -> Callable[[Build], Build]: ...
def register_model(name: str | Build | None = None, /, **known: Any) -> Build | Callable[[Build], Build]:
    """Register the decorated builder (a function or an `nn.Module` class), under its own name unless one is given.

    A builder with a parameter `width` scales by it, rounded to whole numbers, and needs no `shape`. One builder may be
    registered under several names, each with a `preset` of options that the name stands for.

    Args:
        name: by default the builder's own.
        known: what else the model's `ModelSpec` holds: `family`, `summary` (by default the first line of the builder's
            docstring), `source`, `shape`, `width`, `depth`, `preset`, `input_shape`, `classes`, `published`,
            `by_gradient`, `requires`, `positions`.

    Raises:
        DuplicateModelError: the name is taken by another builder.
        ValueError: it cannot be written where models are named.
    """
    if callable(name):
        return register_model()(name)

    def decorate(build: Build) -> Build:
        _add(_spec_of(build, name, **known))
        return build

    return decorate


def _spec_of(build: Build, name: str | None = None, **known: Any) -> ModelSpec:
    parameter = inspect.signature(build).parameters.get("width")
    if known.get("shape") is None and parameter is not None:
        known["shape"] = _by_width
        if known.get("width") is None and parameter.default is not parameter.empty:
            known["width"] = parameter.default
    name = name or build.__name__
    summary = (inspect.getdoc(build) or "").partition("\n")[0]
    defaults = {"family": name, "summary": summary, "source": build.__module__}
    return ModelSpec(name, build, **defaults | {key: value for key, value in known.items() if value not in (None, "")})


def _by_width(width: float) -> dict[str, int]:
    return {"width": max(1, round(width))}


def _add(spec: ModelSpec) -> None:
    unwritable = any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in spec.name)  # controls, surrogates
    if not spec.name or spec.name != spec.name.strip() or "[" in spec.name or unwritable:
        msg = f"no model can be named {spec.name!r}: a name has no spaces around it, no [ and no control characters"
        raise ValueError(msg)
    present = _SPECS.get(spec.name)
    # A module that is imported again (a reload, a notebook cell run twice) replaces its own model, nobody else's.
    if present is not None and _origin(present) != _origin(spec):
        msg = f"two models are named {spec.name!r}: {present.build.__module__} and {spec.build.__module__}"
        raise DuplicateModelError(msg)
    _SPECS[spec.name] = spec


def _origin(spec: ModelSpec) -> tuple[str, str]:
    return spec.build.__module__, getattr(spec.build, "__qualname__", repr(spec.build))


def load_plugins() -> Mapping[str, Exception]:
    """Import every model that installed packages announce (entry points of `archbench.models`), once.

    Returns:
        The entry points that failed, by name: a broken one does not stop the rest.
    """
    global _plugins_loaded  # noqa: PLW0603 - the once of "once"
    if not _plugins_loaded:
        _plugins_loaded = True
        for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            try:
                loaded = entry.load()
                if callable(loaded) and not any(spec.build is loaded for spec in _SPECS.values()):
                    _add(_spec_of(loaded, entry.name))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything at import
                _BROKEN_PLUGINS[entry.name] = error if isinstance(error, Exception) else RuntimeError(repr(error))
    return dict(_BROKEN_PLUGINS)


def model_spec(name: str) -> ModelSpec:
    """Return the specification of a model: a registered name, or any `module:attribute` that builds one.

    Either may be followed by options, as in `cnn[activation=sigmoid,dropout=0.2]`; see `zoo.grammar`.

    Raises:
        UnknownModelError: no such model; it carries the nearest names.
        ModelImportError: `module:attribute` cannot be imported.
        OptionError: the options are malformed, or the model does not take them.
    """
    base, options = split_options(name)
    spec = _base_spec(base)
    return spec.variant(options) if options else spec


def _base_spec(name: str) -> ModelSpec:
    if name not in _SPECS:
        if name.partition(":")[0] in LIBRARIES and ":" in name:
            return _of_library(name)
        if ":" in name:
            return _attribute(name)
        load_plugins()
    if name not in _SPECS:
        lowered = {known.lower(): known for known in _SPECS}
        near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
        raise UnknownModelError(name, tuple(lowered[n] for n in near))
    return _SPECS[name]


def _of_library(name: str) -> ModelSpec:
    library, _, model = name.partition(":")
    try:
        return external_spec(name)
    except MissingLibraryError as error:
        raise ModelImportError(str(error)) from error
    except LookupError as error:
        near = difflib.get_close_matches(model, external_names(library), n=3, cutoff=0.5)
        raise UnknownModelError(name, tuple(f"{library}:{one}" for one in near)) from error


def _attribute(name: str) -> ModelSpec:
    build = import_builder(name)
    try:
        return _spec_of(build, name)
    except ValueError as error:
        msg = f"{name} has no signature to build a model by"
        raise ModelImportError(msg) from error


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all registered models that match a shell pattern such as `res*`, sorted.

    A pattern such as `torchvision:res*` or `timm:*` asks that library for its models.

    Raises:
        ModelImportError: the library is not installed.
    """
    library, colon, rest = pattern.partition(":")
    if colon and library in LIBRARIES:
        try:
            return sorted(f"{library}:{name}" for name in external_names(library, rest))
        except MissingLibraryError as error:
            raise ModelImportError(str(error)) from error
    load_plugins()
    return sorted(fnmatch.filter(_SPECS, pattern))


def create_model(
    name: str,
    *,
    num_classes: int = 10,
    in_chans: int = 3,
    input_size: int | tuple[int, int] = 32,
    width: float | None = None,
    **options: Any,
) -> nn.Module:
    """Build a model with fresh weights from torch's global generator.

    Args:
        name: a registered name, or `module:attribute`; with options in brackets, if any.
        num_classes: outputs of the last layer.
        in_chans: channels of the input.
        input_size: height and width of the input, or one number for a square.
        width: the size of a scalable family; its own by default.
        options: the family's own options; they win over what `width` implies.

    Returns:
        A module from (N, in_chans, H, W) to (N, num_classes), or (N, positions, num_classes).

    Raises:
        UnknownModelError: no such model.
        ModelImportError: `module:attribute` or a library cannot be imported.
        OptionError: an option in brackets that the model does not take, or any option of a value that it does not.
        TypeError: an option given by name that the model does not take.
    """
    spec = model_spec(name)
    size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    arguments = {"num_classes": num_classes, "in_chans": in_chans, "input_size": size}
    parameters = inspect.signature(spec.build).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        # A model from elsewhere need not care about all three.
        arguments = {key: value for key, value in arguments.items() if key in parameters}
    return spec.build(**arguments, **spec.options(width, **options))


@contextmanager
def skeletons(device: str = "meta") -> Iterator[None]:
    """Within: modules are built on the meta device and not initialised, so that only their shapes cost time.

    Args:
        device: `cpu` for models that compute with numbers while they are built, such as torchvision's RegNets.
    """
    initialisers = [n for n in dir(nn.init) if n.endswith("_") and not n.startswith("_")]
    with (
        mock.patch.multiple(nn.init, **dict.fromkeys(initialisers, _untouched)),  # type: ignore[call-overload]
        torch.device(device),
        torch.no_grad(),
    ):
        yield


def _untouched(tensor: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:
    return tensor
