"""What is known of a model before it is built."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

Build = Callable[..., nn.Module]
Shape = Callable[[float], Mapping[str, int | tuple[int, ...]]]

SHARED = {"zoo.registry", "zoo.spec"}  # what every model draws on and no result depends on


@dataclass(frozen=True)
class Published:
    """A count that somebody published for a model, on its own input and classes.

    Attributes:
        params: the count.
        counting: `torch` for the sum of parameters, `keras` where the running mean and variance of every batch norm are
            in it as well.
        basis: how sure the architecture is: `stated` by the source, `inferred` from the count, or what else is to say.
    """

    params: int
    counting: Literal["torch", "keras"]
    basis: str


@dataclass(frozen=True)
class ModelSpec:
    """One architecture that can be built.

    `build(num_classes=, in_chans=, input_size=(H, W), **options)` returns the module, which maps (N, C, H, W) images to
    logits. A scalable family has a `shape`: it maps a width (a real number; `width` is the family's own) to the integer
    options that `build` takes, in the family's natural proportions. A fixed model has none. `preset` holds options that
    the name stands for. A model that was published is at home on its `input_shape` (C, H, W) and `classes`.
    """

    name: str
    build: Build
    family: str
    summary: str
    source: str
    shape: Shape | None = None
    width: float | None = None
    preset: Mapping[str, Any] = field(default_factory=dict, hash=False)
    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None
    published: Published | None = None

    @property
    def scalable(self) -> bool:
        """Whether the model can be sized to a budget."""
        return self.shape is not None

    def options(self, width: float | None = None, /, **options: Any) -> dict[str, Any]:
        """All options of a build at `width` (the model's own by default); `options` given by name win."""
        if width is not None and self.shape is None:
            msg = f"{self.name} has one size: it takes no width"
            raise TypeError(msg)
        width = self.width if width is None else width
        natural = {} if self.shape is None or width is None else dict(self.shape(width))
        return natural | dict(self.preset) | options

    @property
    def source_sha256(self) -> str:
        """Hash of the source files the model is built from: its own and those of its package that it draws on."""
        home = self.build.__module__
        package = home.partition(".")[0]
        drawn = {getattr(value, "__module__", None) or "" for value in list(vars(sys.modules[home]).values())}
        names = {home} | {module for module in drawn if module.partition(".")[0] == package} - SHARED
        digest = hashlib.sha256()
        for name in sorted(names):
            file = getattr(sys.modules.get(name), "__file__", None)
            digest.update(Path(file).read_bytes() if file else _code(self.build))
        return digest.hexdigest()


def _code(build: Build) -> bytes:
    """Return what stands for the source of a builder that was defined at a prompt."""
    try:
        return inspect.getsource(build).encode()
    except (OSError, TypeError):
        return getattr(getattr(build, "__code__", None), "co_code", build.__qualname__.encode())
