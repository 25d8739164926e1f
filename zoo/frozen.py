"""Freezing: parts of a net that take no gradient, and keep their statistics."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn
from torch.func import functional_call

from zoo.grammar import OptionError
from zoo.heads import shapes_of

if TYPE_CHECKING:
    from torch import Tensor

# Submodules whose children are the parts of a backbone.
CONTAINERS = {"features", "blocks", "stages", "layers", "encoder", "trunk_output"}


class Frozen(nn.Module):
    """A net behind whose first parts, which take no gradient and stay in eval mode, the rest is trained.

    Attributes:
        net: the network.
        root: name of its top-level child that makes the logits.
        frozen: names of the submodules that are frozen, from the input on.
        whole: whether all before `root` is frozen, so that what comes into it is the same each time.
    """

    def __init__(self, net: nn.Module, root: str, stages: int | None = None) -> None:
        super().__init__()
        self.net = net
        self.root = root
        parts = parts_of(net, root)
        self.frozen = parts if stages is None else parts[:stages]
        self.whole = len(self.frozen) == len(parts)
        for name, parameter in net.named_parameters():
            loose = self.whole and name.partition(".")[0] != root  # such as positions, which belong to no part
            if loose or any(name.startswith(f"{part}.") for part in self.frozen):
                parameter.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained; what is frozen stays in eval mode, its batch norms with it."""
        super().train(mode)
        for part in self.frozen:
            self.net.get_submodule(part).eval()
        if self.whole:
            for name, child in self.net.named_children():
                child.train(mode and name == self.root)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) images to logits as the net does."""
        logits: Tensor = self.net(x)
        return logits

    @property
    def head(self) -> nn.Module:
        """What makes the logits."""
        return self.net.get_submodule(self.root)

    def features(self, x: Tensor) -> Tensor:
        """Return what comes into the head for a batch of images."""
        return features_of(self.net, self.root, x)


def features_of(net: nn.Module, root: str, x: Tensor, state: dict[str, Tensor] | None = None) -> Tensor:
    """Return what comes into the submodule `root` when the net, with another state if one is given, gets `x`."""
    seen: list[Any] = []

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0])
        raise _SeenError

    hook = net.get_submodule(root).register_forward_pre_hook(note)
    try:
        with contextlib.suppress(_SeenError):
            net(x) if state is None else functional_call(net, state, x)
    finally:
        hook.remove()
    if not seen:
        msg = f"what comes into {root!r} cannot be seen: the net calls its parts one by one"
        raise OptionError(msg)
    features: Tensor = seen[0]
    return features


class _SeenError(Exception):
    """The features were seen; nothing after them need run."""


def width_into(net: nn.Module, root: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape, without the batch, of what comes into `root` for images of `shape`: nothing is computed."""
    with torch.no_grad():
        images = torch.empty(1, *shape, device="meta")
        return tuple(features_of(net.eval(), root, images, shapes_of(net)).shape[1:])


def parts_of(net: nn.Module, root: str) -> list[str]:
    """Return the names of the parts before `root` that hold parameters, in order: what `freeze=N` counts."""
    parts = []
    for name, child in net.named_children():
        if name == root or next(child.parameters(), None) is None:
            continue
        if name in CONTAINERS:
            grandchildren = [f"{name}.{n}" for n, c in child.named_children() if next(c.parameters(), None) is not None]
            parts += grandchildren
        else:
            parts.append(name)
    return parts


def frozen(net: nn.Module, root: str, what: str | int) -> nn.Module:
    """Return the net with `what` of it frozen: `none`, `backbone`, or its first so many parts.

    Raises:
        OptionError: anything else, or more parts than there are.
    """
    if what == "none":
        return net
    if what == "backbone":
        return Frozen(net, root)
    parts = parts_of(net, root)
    if isinstance(what, int) and not isinstance(what, bool) and 0 < what <= len(parts):
        return Frozen(net, root, what)
    listed = f"{len(parts)} parts: {', '.join(parts)}"
    msg = f"freeze={what} is not accepted; give none, backbone, or how many of its {listed}"
    raise OptionError(msg)
