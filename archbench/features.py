"""What a frozen backbone makes of every image, once: epochs are then trained on that alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.forward import forward_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from archbench.schema import Precision, Split

BATCH = 256
MOST_BYTES = 4 * 2**30  # of features that are kept


def features_of(
    net: nn.Module,
    prepare: Callable[[Tensor], Tensor],
    images: Mapping[Split, Tensor],
    precision: Precision,
    on_step: Callable[[], None],
) -> dict[Split, Tensor] | None:
    """Return what a frozen backbone makes of every image, or None where that is not all that its head sees.

    Args:
        net: the network, on the device of the images; it is left in eval mode where it is a `zoo.frozen.Frozen`.
        prepare: uint8 (N, C, H, W) -> normalised float.
        images: uint8 (N, C, H, W) of each split.
        precision: of the forward pass.
        on_step: is called after each batch.
    """
    import torch

    from zoo.frozen import Frozen
    from zoo.grammar import OptionError

    if not isinstance(net, Frozen) or not net.whole:
        return None
    net.eval()
    device = images["train"].device.type
    with torch.no_grad(), forward_pass(device, precision):
        few = prepare(images["train"][:2])
        try:
            probe = net.features(few)
        except OptionError:  # its head is no one module
            return None
        wanted = sum(len(tensor) for tensor in images.values()) * probe[0].numel() * probe.element_size()
        if wanted > MOST_BYTES or not torch.equal(net.head(probe).flatten(1), net(few)):
            return None
        return {
            split: torch.cat([_told(net.features(prepare(batch)), on_step) for batch in tensor.split(BATCH)])
            for split, tensor in images.items()
        }


def _told(batch: Tensor, on_step: Callable[[], None]) -> Tensor:
    on_step()
    return batch
