"""Models of torchvision and timm as equals: `torchvision:resnet50`, `timm:mobilenetv3_small_050`.

They are built by their library, for the channels and classes that are asked for. What torchvision has no argument for
follows what timm does: a first convolution for other channels gets the sum of the weights for one channel, else their
repetition, scaled to keep the size of its output.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from zoo.frozen import freeze, width_into
from zoo.grammar import OptionError
from zoo.heads import make_head
from zoo.spec import ModelSpec
from zoo.weights import locate, read_state, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

LIBRARIES = {"torchvision": "", "timm": "timm"}  # and the extra of archbench that brings each
IMAGENET_SHAPE = (3, 224, 224)
IMAGENET_CLASSES = 1000
INCEPTIONS = {"googlenet", "inception_v3"}  # with heads at half-way, which a comparison has no use for


class MissingLibraryError(ImportError):
    """The library of an external model is not installed; the message says how to."""


def external_spec(name: str) -> ModelSpec:
    """Return the specification of `torchvision:NAME` or `timm:NAME`.

    Raises:
        MissingLibraryError: the library is not installed.
        LookupError: it has no classifier of that name.
    """
    library, _, model = name.partition(":")
    if model.partition(".")[0] not in external_names(library):  # what follows a dot names timm's weights
        raise LookupError(name)
    return ModelSpec(
        name=name,
        build=Builder(library, model),
        family=library,
        summary=f"{model} of {library}",
        source=f"{library}.models",
        input_shape=_home(library, model),
        classes=IMAGENET_CLASSES,
        requires=LIBRARIES[library],
    )


def external_names(library: str, pattern: str = "*") -> list[str]:
    """Return the names of a library's image classifiers that match a shell pattern.

    Raises:
        MissingLibraryError: it is not installed.
    """
    if importlib.util.find_spec(library) is None:
        msg = f"{library} is not installed; pip install 'archbench[{LIBRARIES[library]}]'"
        raise MissingLibraryError(msg)
    if library == "torchvision":
        from torchvision import models

        return fnmatch.filter(models.list_models(models), pattern)
    import timm

    return fnmatch.filter(timm.list_models(), pattern)


def _home(library: str, model: str) -> tuple[int, int, int]:
    if library == "torchvision":
        return (3, 299, 299) if model == "inception_v3" else IMAGENET_SHAPE
    import timm

    config = timm.get_pretrained_cfg(model)
    channels, height, width = config.input_size if config else IMAGENET_SHAPE
    return channels, height, width


@dataclass(frozen=True)
class Builder:
    """Builds a library's model; an instance is the `build` of a specification."""

    library: str
    model: str

    def __call__(
        self,
        *,
        num_classes: int,
        in_chans: int,
        input_size: tuple[int, int],
        weights: str | None = None,
        freeze: str | int = "none",
        head: tuple[int, ...] | None = None,
        dropout: float = 0.0,
        conv_bias: bool = False,
    ) -> nn.Module:
        """Build it; see `build_external` for the options."""
        return build_external(
            self.library, self.model, num_classes, in_chans, input_size,
            weights=weights, frozen=freeze, head=head, dropout=dropout, conv_bias=conv_bias,
        )  # fmt: skip

    def fetch(self, weights: str) -> None:
        """Fetch weights that are not on this machine.

        Raises:
            OptionError: there are none of that name, or they cannot be fetched.
        """
        locate(self.library, self.model, weights, download=True)


def build_external(
    library: str,
    model: str,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    *,
    weights: str | None = None,
    frozen: str | int = "none",
    head: str | tuple[int, ...] | None = None,
    dropout: float = 0.0,
    conv_bias: bool = False,
) -> nn.Module:
    """Build a library's model.

    Args:
        library: `torchvision` or `timm`.
        model: its name there.
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        weights: `imagenet`, or a file; None for random ones. The classifier is always fresh.
        frozen: `none`, `backbone`, or how many of the first parts take no gradient.
        head: units of dense layers that replace all that follows the pooled features; None for the library's own head.
        dropout: rate before the last layer of such a head.
        conv_bias: whether every convolution has a bias, as in Keras' ResNets: more parameters before the same function,
            since a batch norm follows.

    Raises:
        OptionError: an option's value is not accepted, or the weights are not there or not this model's.
        MissingLibraryError: the library is not installed.
    """
    external_names(library)  # says how to install what is missing
    path = None if weights in {None, "none"} else locate(library, model, str(weights))
    make = _torchvision_net if library == "torchvision" else _timm_net
    net, classifier = make(model, num_classes, in_chans, input_size, path)
    if conv_bias:
        _add_biases(net)
    root = classifier.partition(".")[0]
    if head is not None:
        if isinstance(head, str):
            msg = f"{head!r} is no head for {library}:{model}; give the units of its dense layers, such as 512-256"
            raise OptionError(msg)
        features = width_into(net, root, (in_chans, *input_size))
        net.set_submodule(root, nn.Sequential(make_head(head, features, num_classes, dropout=dropout)))
    net = freeze(net.train(), root, frozen)
    if path is not None:
        net.weights_sha256 = sha256_of(path)  # type: ignore[assignment]
    return net


def _torchvision_net(
    model: str, num_classes: int, in_chans: int, input_size: tuple[int, int], path: Path | None
) -> tuple[nn.Module, str]:
    """Return the net and the name of its last layer."""
    from torchvision.models import get_model

    known: dict[str, Any] = {"num_classes": num_classes if path is None else IMAGENET_CLASSES}
    if model in INCEPTIONS:
        known |= {"aux_logits": False, "init_weights": True, "transform_input": path is not None and in_chans == 3}
    if model.startswith("vit_") and input_size[0] == input_size[1]:
        known["image_size"] = input_size[0]
    if model.startswith("maxvit"):
        known["input_size"] = input_size
    net = get_model(model, weights=None, **known)
    if path is not None and not _is_skeleton():
        _load(net, path, f"torchvision:{model}", ignored=("AuxLogits.", "aux1.", "aux2."))
    layers = [name for name, module in net.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    first, classifier = layers[0], layers[-1]
    if path is not None:
        net.set_submodule(classifier, _like(net.get_submodule(classifier), out=num_classes))
    if in_chans != IMAGENET_SHAPE[0]:
        net.set_submodule(first, _for_channels(net.get_submodule(first), in_chans, keep=path is not None))
    return net, classifier


def _timm_net(
    model: str, num_classes: int, in_chans: int, input_size: tuple[int, int], path: Path | None
) -> tuple[nn.Module, str]:
    """Return the net and the name of its last layer."""
    import timm

    known: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans}
    config = timm.get_pretrained_cfg(model)
    if config is not None and config.fixed_input_size:
        known["img_size"] = input_size
    loads = path is not None and not _is_skeleton()
    if loads:
        known |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path), "custom_load": False}}
    present = set(read_state(path)) if loads and path is not None else set()
    try:
        net = timm.create_model(model, **known)
    except RuntimeError as error:
        if path is None:
            raise
        msg = f"{path} does not hold the weights of timm:{model}: {' '.join(str(error).split())[:200]}"
        raise OptionError(msg) from error
    classifier: Any = net.pretrained_cfg.get("classifier") or "head"  # type: ignore[union-attr,operator]
    classifier = classifier if isinstance(classifier, str) else classifier[0]
    # timm loads whatever names fit, and says nothing of a file in which none does.
    missing = [name for name in net.state_dict() if not name.startswith(classifier) and name not in present]
    if loads and missing:
        msg = (
            f"{path} does not hold the weights of timm:{model}: {len(missing)} of its names are missing ({missing[0]})"
        )
        raise OptionError(msg)
    return net, classifier


def _is_skeleton() -> bool:
    """Whether only shapes are wanted: a net on the meta device has no place for weights."""
    return torch.get_default_device().type == "meta"


def _load(net: nn.Module, path: Path, name: str, ignored: tuple[str, ...]) -> None:
    """Load a state; its classifier may be for other classes, since it is replaced."""
    state = {key: value for key, value in read_state(path).items() if not key.startswith(ignored)}
    own = net.state_dict()
    last = list(own)[-2:]
    wrong = [key for key in state if key not in own or (own[key].shape != state[key].shape and key not in last)]
    missing = [key for key in own if key not in state and key not in last]
    if wrong or missing:
        some = ", ".join([*(f"no {key}" for key in missing[:2]), *(f"a stray {key}" for key in wrong[:2])])
        msg = f"{path} does not hold the weights of {name}: {len(missing) + len(wrong)} names or shapes differ ({some})"
        raise OptionError(msg)
    net.load_state_dict({key: value for key, value in state.items() if own[key].shape == value.shape}, strict=False)


def _like(layer: nn.Module, out: int) -> nn.Module:
    """Return a fresh last layer for other classes."""
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(layer.in_channels, out, layer.kernel_size)  # type: ignore[arg-type]
    assert isinstance(layer, nn.Linear)  # noqa: S101 - the last layer is one or the other
    return nn.Linear(layer.in_features, out, bias=layer.bias is not None)


def _for_channels(layer: nn.Module, in_chans: int, *, keep: bool) -> nn.Module:
    """Return a first convolution for other channels, with the weights of `layer` adapted if they are to be kept."""
    assert isinstance(layer, nn.Conv2d)  # noqa: S101 - every classifier of torchvision begins with one
    new = nn.Conv2d(
        in_chans, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )  # fmt: skip
    if keep:
        with torch.no_grad():
            new.weight.copy_(_adapted(layer.weight, in_chans))
            if new.bias is not None and layer.bias is not None:
                new.bias.copy_(layer.bias)
    return new


def _adapted(weight: Tensor, in_chans: int) -> Tensor:
    if in_chans == 1:
        return weight.sum(1, keepdim=True)
    own = weight.shape[1]
    repeated = weight.repeat(1, math.ceil(in_chans / own), 1, 1)[:, :in_chans]
    return repeated * (own / in_chans)


def _add_biases(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
