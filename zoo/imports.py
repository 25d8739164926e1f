"""Models that lie in modules and files of the user's own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from zoo.spec import Build


class ModelImportError(ImportError):
    """A module or attribute that was to bring a model could not be had; the message says why."""


def import_models(name: str) -> None:
    """Import a module (`pkg.module`, or the path of a `.py` file) for the models that it registers.

    Raises:
        ModelImportError: the import failed, for whatever reason; the cause is chained.
    """
    _from_here()
    try:
        if name.endswith(".py"):
            path = Path(name).resolve()
            loaded = getattr(sys.modules.get(path.stem), "__file__", None)
            if path.stem in sys.modules and (loaded is None or Path(loaded).resolve() != path):
                msg = f"another module is named {path.stem} ({loaded}); rename the file"
                raise ImportError(msg)
            sys.path.insert(0, str(path.parent))
            try:
                importlib.import_module(path.stem)
            finally:
                sys.path.remove(str(path.parent))
        else:
            importlib.import_module(name)
    except (Exception, SystemExit) as error:
        first_line = str(error).partition("\n")[0]
        msg = f"importing {name} failed: {type(error).__name__}: {first_line}"
        raise ModelImportError(msg) from error


def _from_here() -> None:
    """Let modules of the current folder be imported, as `python -m` does and an installed script does not."""
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.insert(0, str(Path.cwd()))


def import_builder(name: str) -> Build:
    """Return what `module:attribute` names, a function or class that builds a model.

    Raises:
        ModelImportError: it cannot be imported, is not there, or builds nothing.
    """
    module, _, attribute = name.partition(":")
    import_models(module)
    try:
        build = getattr(sys.modules[Path(module).stem if module.endswith(".py") else module], attribute)
    except AttributeError as error:
        msg = f"module {module} has no attribute {attribute!r}"
        raise ModelImportError(msg) from error
    if not callable(build) or isinstance(build, nn.Module):  # a built net would carry its weights from run to run
        msg = f"{name} is a {type(build).__name__}, not a function or class that builds a model"
        raise ModelImportError(msg)
    found: Build = build
    return found
