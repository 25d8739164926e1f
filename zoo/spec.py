"""What is known of a model before it is built."""

from __future__ import annotations

import hashlib
import marshal
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

    def source_sha256(self, net: nn.Module) -> str:
        """Hash what the model is made from: its sources and the built network's own description.

        The sources are the files of the builder, of what its file draws on in its own package, and of every class among
        the network's modules that is not torch's; what was defined at a prompt stands for itself by its compiled code.
        """
        home = self.build.__module__
        package = home.partition(".")[0]
        drawn = {getattr(value, "__module__", None) or "" for value in list(vars(sys.modules[home]).values())}
        names = {home} | {module for module in drawn if module.partition(".")[0] == package}
        classes = {type(module) for module in net.modules() if not type(module).__module__.startswith("torch.")}
        names |= {cls.__module__ for cls in classes}
        digest = hashlib.sha256(repr(net).encode())
        for name in sorted(names - SHARED):
            file = Path(getattr(sys.modules.get(name), "__file__", None) or "")
            if file.is_file():
                digest.update(file.read_bytes())
            else:
                for thing in sorted([self.build, *classes], key=_qualname):
                    digest.update(_code(thing))
        return digest.hexdigest()


def _qualname(thing: Any) -> str:
    """Return the name that a function or class was given where it was defined."""
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def _code(thing: Any) -> bytes:
    """Return the compiled code, constants included, of a function or of a class's methods."""
    functions = vars(thing).values() if isinstance(thing, type) else [thing]
    # Format 2 writes no back references, which would follow the interpreter's reference counts instead of the code.
    return b"".join(marshal.dumps(f.__code__, 2) for f in functions if hasattr(f, "__code__"))
