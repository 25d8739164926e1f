"""What is known of a model before it is built."""

from __future__ import annotations

import hashlib
import inspect
import marshal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from torch import nn

from zoo.grammar import OptionError, join_options, split_options
from zoo.options import accepted

Build = Callable[..., nn.Module]
Knobs = Mapping[str, int | tuple[int, ...]]
Shape = Callable[[float], Knobs]
Scale = Literal["width", "depth", "compound"]

PLACE = ("num_classes", "in_chans", "input_size")  # what a build is told of where the model stands
COUNT_KEEPING = {"dropout", "freeze", "weights"}  # options that leave a published count what it is
# What every model draws on and no result depends on.
SHARED = {"zoo.grammar", "zoo.imports", "zoo.options", "zoo.registry", "zoo.spec"}


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

    Attributes:
        depth: maps a multiple of the family's own depth to the integer options that `build` takes, where it has any.
        scale: how the family meets a budget: by its `width`, by its `depth`, or by both at once (`compound`).
        by_gradient: whether it learns by gradient descent; else its module says `learns_by_fit = True` and has a
            method `fit(images, labels)`, which takes float (N, C, H, W) and int64 (N,), and learns in that one call.
        requires: the extra of archbench that the model needs installed; empty where it needs none.
        positions: labels that it gives an image, each of `num_classes`: its logits are (N, positions, num_classes).
    """

    name: str
    build: Build
    family: str
    summary: str
    source: str
    shape: Shape | None = None
    width: float | None = None
    depth: Shape | None = None
    scale: Scale = "width"
    preset: Mapping[str, Any] = field(default_factory=dict, hash=False)
    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None
    published: Published | None = None
    by_gradient: bool = True
    requires: str = ""
    positions: int = 1

    @cached_property
    def scalable(self) -> bool:
        """Whether the model can be sized to a budget: whether a knob of its shape is left free."""
        by_depth = self.scale != "width" and any(name not in self.preset for name in self.layers(1.0))
        return bool(self.knobs(self.width or 1.0)) or by_depth

    @cached_property
    def accepts(self) -> tuple[str, ...] | None:
        """The options that a build takes, the knobs among them; None where it takes whatever it is given."""
        parameters = inspect.signature(self.build).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return None
        return tuple(name for name in parameters if name not in PLACE)

    def knobs(self, width: float) -> dict[str, int | tuple[int, ...]]:
        """The integers that a width stands for, without those that the preset fixes; none of a fixed model."""
        natural = self.shape(width) if self.shape else {}
        return {name: value for name, value in natural.items() if name not in self.preset}

    def layers(self, multiple: float) -> dict[str, int | tuple[int, ...]]:
        """The integers that a multiple of the own depth stands for; none where depth is no knob."""
        return dict(self.depth(multiple)) if self.depth else {}

    def options(self, width: float | None = None, /, **options: Any) -> dict[str, Any]:
        """All options of a build at `width` (the model's own by default); `options` given by name win."""
        if width is not None and self.shape is None:
            msg = f"{self.name} has one size: it takes no width"
            raise TypeError(msg)
        width = self.width if width is None else width
        return ({} if width is None else self.knobs(width)) | dict(self.preset) | options

    def variant(self, options: Mapping[str, Any]) -> ModelSpec:
        """Return the model with options as its preset, named `name[option=value,...]`.

        `scale=width`, `depth` or `compound` is an option of every family that has a depth.

        Raises:
            OptionError: an option that the model does not take; the message holds those that it takes.
        """
        base, own = split_options(self.name)
        options = own | {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        scale = options.get("scale", self.scale)
        rest = {name: value for name, value in options.items() if name != "scale"}
        if scale not in get_args(Scale) or (scale != self.scale and self.depth is None):
            has = f"it takes scale={', '.join(get_args(Scale) if self.depth else ['width'])}"
            msg = f"{base} does not scale by {scale!r}; {has if self.shape else 'it has one size'}"
            raise OptionError(msg)
        unknown = [name for name in rest if name in PLACE or (self.accepts is not None and name not in self.accepts)]
        if unknown:
            taken = [*(self.accepts or ()), *(["scale"] if self.depth else [])]
            msg = f"{base} takes no option {unknown[0]!r}; it takes {', '.join(sorted(taken)) or 'none'}"
            raise OptionError(msg)
        natural = self.shape(self.width or 1.0) if self.shape else {}
        rest = {name: accepted(self.build, name, value, natural) for name, value in rest.items()}
        return replace(
            self,
            name=join_options(base, options),
            preset={**self.preset, **rest},
            scale=scale,
            published=self.published if set(rest) <= COUNT_KEEPING else None,
        )

    def source_sha256(self, net: nn.Module) -> str:
        """Hash what the model is made from: its sources and the built network's own description.

        The sources are the files of the builder, of what they draw on in its own package, and of every class among
        the network's modules that is not torch's; what was defined at a prompt stands for itself by its compiled code.
        Weights that were loaded stand for themselves too, by the hash that the module keeps as `weights_sha256`.
        """
        names = {self.build.__module__}
        new = set(names)
        while new:
            new = {module for name in new for module in _drawn(name)} - names
            names |= new
        classes = {type(module) for module in net.modules() if not type(module).__module__.startswith("torch.")}
        names |= {cls.__module__ for cls in classes}
        digest = hashlib.sha256(repr(net).encode())
        digest.update(getattr(net, "weights_sha256", "").encode())
        for name in sorted(names - SHARED):
            file = Path(getattr(sys.modules.get(name), "__file__", None) or "")
            if file.is_file():
                digest.update(file.read_bytes())
            else:
                for thing in sorted([self.build, *classes], key=_qualname):
                    digest.update(_code(thing))
        return digest.hexdigest()


def _drawn(home: str) -> set[str]:
    """Return the modules of `home`'s own package that things in its namespace were defined in."""
    package = home.partition(".")[0]
    values = vars(sys.modules[home]).values() if home in sys.modules and home not in SHARED else ()
    modules = {getattr(value, "__module__", None) or "" for value in list(values)}
    return {module for module in modules if module.partition(".")[0] == package}


def _qualname(thing: Any) -> str:
    """Return the name that a function or class was given where it was defined."""
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def _code(thing: Any) -> bytes:
    """Return the compiled code, constants included, of a function or of a class's methods."""
    functions = vars(thing).values() if isinstance(thing, type) else [thing]
    # Format 2 writes no back references, which would follow the interpreter's reference counts instead of the code.
    return b"".join(marshal.dumps(f.__code__, 2) for f in functions if hasattr(f, "__code__"))
