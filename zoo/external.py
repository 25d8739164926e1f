"""Models of torchvision and timm as equals: `torchvision:resnet50`, `timm:mobilenetv3_small_050`.

They are built by their library, for the channels and classes that are asked for. What torchvision has no argument for
follows what timm does: a first convolution for other channels gets the sum of the weights for one channel, else their
repetition, scaled to keep the size of its output.
"""

from __future__ import annotations

import fnmatch
import importlib.util
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from zoo.frozen import frozen, width_into
from zoo.grammar import OptionError
from zoo.heads import make_head
from zoo.libraries import IMAGENET_CLASSES, IMAGENET_SHAPE, timm_net, torchvision_net
from zoo.spec import ModelSpec
from zoo.weights import locate, sha256_of

LIBRARIES = {"torchvision": "", "timm": "timm"}  # and the extra of archbench that brings each


class MissingLibraryError(ImportError):
    """The library of an external model is not installed; the message says how to."""


def external_spec(name: str) -> ModelSpec:
    """Return the specification of `torchvision:NAME` or `timm:NAME`.

    Raises:
        MissingLibraryError: the library is not installed.
        LookupError: it has no classifier of that name.
    """
    library, _, model = name.partition(":")
    base = model.partition(".")[0] if library == "timm" else model  # what follows a dot names timm's weights
    if base not in external_names(library):
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
    return fnmatch.filter(_all_names(library), pattern)


@lru_cache
def _all_names(library: str) -> tuple[str, ...]:
    if library == "torchvision":
        from torchvision import models

        return tuple(models.list_models(models))
    import timm

    return tuple(timm.list_models())


def _home(library: str, model: str) -> tuple[int, int, int]:
    if library == "torchvision":
        return (3, 299, 299) if model == "inception_v3" else IMAGENET_SHAPE
    import timm

    try:
        config = timm.get_pretrained_cfg(model)
    except RuntimeError as error:  # no weights of that tag
        raise LookupError(model) from error
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
        head: str | tuple[int, ...] | None = None,
        dropout: float = 0.0,
        conv_bias: bool = False,
    ) -> nn.Module:
        """Build it.

        Args:
            num_classes: outputs.
            in_chans: input channels.
            input_size: (H, W).
            weights: `imagenet`, or a file; None for random ones. The classifier is always fresh.
            freeze: `none`, `backbone`, or how many of the first parts take no gradient.
            head: units of dense layers that replace all that follows the pooled features; None for the library's own.
            dropout: rate before the last layer of such a head.
            conv_bias: whether every convolution has a bias, as in Keras' ResNets: more parameters, the same function,
                since a batch norm follows.

        Raises:
            OptionError: an option's value is not accepted, or the weights are not there or not this model's.
            MissingLibraryError: the library is not installed.
        """
        external_names(self.library)  # says how to install what is missing
        path = None if weights in {None, "none"} else locate(self.library, self.model, str(weights))
        make = torchvision_net if self.library == "torchvision" else timm_net
        net, classifiers = make(self.model, num_classes, in_chans, input_size, path)
        if conv_bias:
            _add_biases(net)
        name, classifier = f"{self.library}:{self.model}", classifiers[0]
        if len(classifiers) > 1 and (head is not None or freeze != "none"):
            msg = f"{name} has {len(classifiers)} last layers; freeze and head are for models with one"
            raise OptionError(msg)
        if head is not None:
            # timm's heads pool in ways of their own: there only the last layer goes.
            place = classifier.partition(".")[0] if self.library == "torchvision" else classifier
            _set_head(net, place, name, head, dropout, num_classes, (in_chans, *input_size))
        elif dropout:
            msg = f"dropout={dropout} belongs to a head of dense layers on {name}; give head=() for one layer"
            raise OptionError(msg)
        net = frozen(net.train(), classifier.partition(".")[0], freeze)
        if path is not None:
            net.weights_sha256 = sha256_of(path)  # type: ignore[assignment]
        return net

    def fetch(self, weights: str) -> None:
        """Fetch weights that are not on this machine.

        Raises:
            OptionError: there are none of that name, or they cannot be fetched.
        """
        locate(self.library, self.model, weights, download=True)


def _set_head(
    net: nn.Module,
    place: str,
    name: str,
    head: str | tuple[int, ...],
    dropout: float,
    num_classes: int,
    shape: tuple[int, int, int],
) -> None:
    """Put dense layers in the place of a submodule."""
    if isinstance(head, str):
        msg = f"{head!r} is no head for {name}; give the units of its dense layers, such as 512-256"
        raise OptionError(msg)
    features = width_into(net, place, shape)
    last = net.get_submodule(place)
    if isinstance(last, nn.Linear) and features[-1] == last.in_features:
        features = features[-1:]  # whatever stands before it, it is the last axis that goes in
    net.set_submodule(place, nn.Sequential(make_head(head, features, num_classes, dropout=dropout)))


def _add_biases(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
