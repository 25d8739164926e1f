"""Names -> networks: specifications found, networks built, every failure told as the model's or the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zoo
from archbench.errors import InputError, ModelError, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn


OWN = {"zoo", "archbench", "__main__"}


def find_spec(model: str) -> zoo.ModelSpec:
    """Return the specification of a model by name.

    Raises:
        InputError: unknown; the remedy holds the nearest names, or why a plugin that may hold it is broken.
        ModelError: a `module:attribute` that cannot be imported.
    """
    try:
        return zoo.model_spec(model)
    except zoo.UnknownModelError as error:
        broken = "".join(f" The plugin {name} is broken: {reason(why)}." for name, why in zoo.load_plugins().items())
        known = f"Did you mean {' or '.join(error.near)}?" if error.near else f"Known: {', '.join(zoo.list_models())}."
        raise InputError(str(error), f"{known} `archbench list` shows all.{broken}") from error
    except zoo.OptionError as error:
        raise InputError(str(error), "Quote the whole for the shell.") from error
    except zoo.ModelImportError as error:
        raise ModelError(str(error), "Give module:attribute, where the attribute builds a model.") from error


def plugins_for(models: Iterable[str]) -> list[str]:
    """Return the modules beside the zoo that another process must import to have the same models.

    What the running script or notebook defines exists nowhere else, and is not among them.
    """
    modules = {find_spec(model).build.__module__ for model in models}
    return sorted(module for module in modules if module.partition(".")[0] not in OWN)


def fetch_weights(model: str) -> None:
    """Fetch the trained weights that a model's options name, if any and if they are not on this machine.

    Raises:
        InputError: they cannot be had.
    """
    spec = find_spec(model)
    fetch, weights = getattr(spec.build, "fetch", None), spec.preset.get("weights")
    if fetch is not None and weights is not None:
        try:
            fetch(str(weights))
        except zoo.OptionError as error:
            raise InputError(str(error)) from error


def skeleton(spec: zoo.ModelSpec, options: Mapping[str, Any], input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return the network without memory on the meta device or, where it refuses that, a real one."""
    try:
        with zoo.skeletons():
            return build(spec, options, input_shape, classes)
    except ModelError:
        return build(spec, options, input_shape, classes)


def params_of(net: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in net.parameters())


def build(spec: zoo.ModelSpec, options: Mapping[str, Any], input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a network with weights from torch's global generator.

    Raises:
        InputError: an option has a value that the model does not take.
        ModelError: it cannot be built.
    """
    import torch
    from torch.nn.parameter import is_lazy

    channels, height, width = input_shape
    try:
        net: Any = zoo.create_model(
            spec.name, num_classes=classes, in_chans=channels, input_size=(height, width), **options
        )
        if not isinstance(net, torch.nn.Module):
            msg = f"it gives a {type(net).__name__}, not a network"
            raise TypeError(msg)
        if any(is_lazy(parameter) for parameter in net.parameters()):
            with torch.no_grad():
                net.eval()(torch.zeros(1, *input_shape))  # lazy layers take their sizes from the first input
        return net.train()
    except zoo.OptionError as error:
        msg = f"{spec.name}: {error}"
        raise InputError(msg) from error
    except ImportError as error:
        msg = f"{spec.name} cannot be built: {error}"
        raise ModelError(msg) from error
    except (Exception, SystemExit) as error:
        msg = f"{spec.name} cannot be built at {channels}x{height}x{width}: {reason(error)}"
        raise ModelError(msg, "Try a larger input or budget, or mend the model.") from error
