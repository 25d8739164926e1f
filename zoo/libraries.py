"""What torchvision and timm build, for other channels and classes, with weights from a file."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from zoo.grammar import OptionError
from zoo.weights import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

IMAGENET_SHAPE = (3, 224, 224)
IMAGENET_CLASSES = 1000
HALFWAY = ("AuxLogits.", "aux1.", "aux2.")
POSITIONS = "encoder.pos_embedding"
INCEPTIONS = {"googlenet", "inception_v3"}  # with heads at half-way, which a comparison has no use for


def torchvision_net(
    model: str, num_classes: int, in_chans: int, input_size: tuple[int, int], path: Path | None
) -> tuple[nn.Module, list[str]]:
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
        _load(net, path, f"torchvision:{model}")
    layers = [name for name, module in net.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    first, classifier = layers[0], layers[-1]
    if path is not None:
        net.set_submodule(classifier, _like(net.get_submodule(classifier), out=num_classes))
    if in_chans != IMAGENET_SHAPE[0]:
        net.set_submodule(first, _for_channels(net.get_submodule(first), in_chans, keep=path is not None))
    return net, [classifier]


def timm_net(
    model: str, num_classes: int, in_chans: int, input_size: tuple[int, int], path: Path | None
) -> tuple[nn.Module, list[str]]:
    """Return the net and the names of its last layers: two in a few that were distilled."""
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
    known_as: Any = net.pretrained_cfg.get("classifier") or "head"  # type: ignore[union-attr,operator]
    classifiers = [known_as] if isinstance(known_as, str) else list(known_as)
    # timm loads whatever names fit, and says nothing of a file in which none does.
    missing = [
        name for name in net.state_dict()
        if name not in present and not name.startswith(tuple(classifiers)) and not name.endswith("num_batches_tracked")
    ]  # fmt: skip
    if loads and missing:
        msg = (
            f"{path} does not hold the weights of timm:{model}: {len(missing)} of its names are missing ({missing[0]})"
        )
        raise OptionError(msg)
    for name in classifiers if loads else ():
        net.set_submodule(name, _like(net.get_submodule(name), out=num_classes))
    return net, classifiers


def _is_skeleton() -> bool:
    """Whether only shapes are wanted: a net on the meta device has no place for weights."""
    return torch.get_default_device().type == "meta"


def _load(net: nn.Module, path: Path, name: str) -> None:
    """Load a state; its last layer may be for other classes, since that is replaced."""
    own = net.state_dict()
    classifier = list(own)[-1].rpartition(".")[0] + "."
    state = read_state(path)
    for key in list(state):
        if key.startswith(HALFWAY):
            del state[key]
        elif "densenet" in name:  # its files are older than the names of its layers: norm.1 is norm1
            state[re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", key)] = state.pop(key)
    if POSITIONS in own and POSITIONS in state and own[POSITIONS].shape != state[POSITIONS].shape:
        from torchvision.models.vision_transformer import interpolate_embeddings

        state = interpolate_embeddings(net.image_size, net.patch_size, state)
    free = {key for key in own if key.startswith(classifier) or key.endswith("num_batches_tracked")}
    wrong = [key for key in state if key not in own or (own[key].shape != state[key].shape and key not in free)]
    missing = [key for key in own if key not in state and key not in free]
    if wrong or missing:
        some = ", ".join([*(f"no {key}" for key in missing[:2]), *(f"a stray {key}" for key in wrong[:2])])
        msg = f"{path} does not hold the weights of {name}: {len(missing) + len(wrong)} names or shapes differ ({some})"
        raise OptionError(msg)
    for key in [key for key in state if own[key].shape != state[key].shape]:
        del state[key]
    net.load_state_dict(state, strict=False)


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
        in_chans, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.dilation,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )  # fmt: skip
    if not layer.weight.is_meta:
        with torch.no_grad():
            if keep:
                new.weight.copy_(_adapted(layer.weight, in_chans))
            else:  # as widely spread as the model draws them
                new.weight.normal_(std=float(layer.weight.std()))
            if new.bias is not None and layer.bias is not None:
                new.bias.copy_(layer.bias)
    return new


def _adapted(weight: Tensor, in_chans: int) -> Tensor:
    if in_chans == 1:
        return weight.sum(1, keepdim=True)
    own = weight.shape[1]
    repeated = weight.repeat(1, math.ceil(in_chans / own), 1, 1)[:, :in_chans]
    return repeated * (own / in_chans)
