"""Our counts beside those that torchvision publishes with each of its ImageNet weights, which are not needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from archbench.cost.trace import counted, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

GIGA = 1e9


@dataclass(frozen=True)
class PublishedCount:
    """One weight entry of torchvision, and what is counted of its model here.

    Attributes:
        weights: the name of the entry. side: pixels of its square images.
        params: published; `gmacs` likewise, in billions, to three decimals.
        our_params: counted; `our_macs` likewise.
    """

    model: str
    weights: str
    side: int
    params: int
    gmacs: float
    our_params: int
    our_macs: int

    @property
    def agrees(self) -> bool:
        """Whether both are equal, to the printed digits."""
        return self.params == self.our_params and self.gmacs == round(self.our_macs / GIGA, 3)


def published_counts(on_model: Callable[[str], object] = lambda name: None) -> list[PublishedCount]:
    """Count every classifier of torchvision at the input of each of its weight entries.

    Every net is built without memory and runs on the meta device, where attention falls apart into its products.

    Args:
        on_model: is told of each model before it is counted.
    """
    from torchvision import models

    found = []
    for name in models.list_models(module=models):
        on_model(name)
        for entry in models.get_model_weights(name):
            meta, side = entry.meta, entry.transforms().crop_size[0]
            params, macs = _count(name, side)
            found.append(PublishedCount(name, entry.name, side, meta["num_params"], meta["_ops"], params, macs))
    return found


@cache  # many entries are other weights of one model at one size
def _count(name: str, side: int) -> tuple[int, int]:
    import torch

    net = _skeleton(name, side)
    return sum(p.numel() for p in net.parameters()), counted(trace(net, torch.empty(1, 3, side, side, device="meta")))


def _skeleton(name: str, side: int) -> nn.Module:
    """Build a model as its published weights know it: GoogLeNet without its auxiliary heads, Inception with its own."""
    from torchvision import models

    import zoo

    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options = {"image_size": side}
    if name in {"googlenet", "inception_v3"}:
        options = {"aux_logits": name == "inception_v3", "init_weights": False}
    try:
        with zoo.skeletons():
            net: nn.Module = models.get_model(name, **options)
    except NotImplementedError:  # RegNets compute their widths with tensors
        with zoo.skeletons("cpu"):
            net = models.get_model(name, **options)
    return net.to("meta")
