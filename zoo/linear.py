"""The linear softmax classifier: what any net has to be better than."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from zoo.blocks import listed, scaled
from zoo.registry import register_model


def factors(width: float) -> dict[str, int | tuple[int, ...]]:
    """Two inner sizes, the second half the first."""
    return {"ranks": scaled(width, 1, 0.5)}


@register_model(shape=factors, source="multinomial logistic regression; as a product of matrices arXiv:1312.6120")
def linear(
    *, num_classes: int, in_chans: int, input_size: tuple[int, int], ranks: int | tuple[int, ...] = ()
) -> nn.Module:
    """Linear softmax classifier; sized to a budget, its matrix is a product of matrices.

    Its own size is one matrix and a bias. A budget is met by factors of the matrix, without biases: the function stays
    linear, of the least rank among them, and only the way that gradient descent takes changes (Saxe et al. 2013,
    arXiv:1312.6120).

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        ranks: inner sizes of the product.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    features = in_chans * input_size[0] * input_size[1]
    for index, rank in enumerate(listed(ranks), start=1):
        layers[f"factor{index}"] = nn.Linear(features, rank, bias=False)
        features = rank
    layers["classifier"] = nn.Linear(features, num_classes)
    return nn.Sequential(layers)
