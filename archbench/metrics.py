"""Logits and labels -> losses, hits and Metrics, for one label an image or for one at each of several positions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from archbench.schema import Metrics

if TYPE_CHECKING:
    from torch import Tensor

    from archbench.schema import Kind, Recipe


def top_k(classes: int) -> int:
    """Return the k of top-k: 5 from 100 classes up, 3 below, and always fewer than there are classes."""
    return max(1, min(5 if classes >= 100 else 3, classes - 1))  # ImageNet's custom, and MNIST's


def by_position(logits: Tensor, labels: Tensor) -> Tensor:
    """Return logits as (N, P, K) where labels are (N, P), and as they are where there is one label an image."""
    if labels.ndim == 2 and logits.ndim == 2:  # a net with one output for everything
        return logits.view(len(logits), labels.shape[1], -1)
    return logits


def loss_of(logits: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """Return the cross-entropy that is trained on: the mean over images, and over positions or summed over them."""
    from torch.nn.functional import cross_entropy

    logits = by_position(logits, labels)
    if logits.ndim == 2:
        return cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    positions = logits.shape[1]
    loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=recipe.label_smoothing)
    return loss * positions if recipe.position_loss == "sum" else loss


def tally(logits: Tensor, labels: Tensor, k: int, mean_loss: Tensor | None = None) -> Tensor:
    """Return what a batch adds to the sums of a split, float64: loss, hits at k, whole words, hits at each position.

    Args:
        logits: (N, K), (N, P, K), or (N, P * K).
        labels: (N,) or (N, P).
        k: of top-k.
        mean_loss: the mean cross-entropy over images and positions, where it is known already.
    """
    import torch
    from torch.nn.functional import cross_entropy

    logits = by_position(logits, labels).float()
    labels = labels[:, None] if labels.ndim == 1 else labels
    logits = logits[:, None] if logits.ndim == 2 else logits
    if mean_loss is None:
        mean_loss = cross_entropy(logits.flatten(0, 1), labels.flatten())
    hits = logits.topk(k, dim=2).indices == labels[..., None]
    first = hits[..., 0]
    sums = [mean_loss.double() * len(labels), hits.sum().double() / labels.shape[1], first.all(1).sum().double()]
    return torch.cat([torch.stack(sums), first.sum(0).double()])


def metrics_of(sums: Tensor, samples: int) -> Metrics:
    """Return the metrics of a split from the sum of its batches' tallies."""
    loss, topk, word, *positions = (sums / samples).tolist()
    several = len(positions) > 1
    return Metrics(
        loss if math.isfinite(loss) else None,
        sum(positions) / len(positions),
        topk,
        tuple(positions) if several else (),
        word if several else None,
        kind_of(loss),
    )


def kind_of(value: float) -> Kind:
    """Return what a value is, where None has to stand for it."""
    if math.isnan(value):
        return "nan"
    return "number" if math.isfinite(value) else "+inf" if value > 0 else "-inf"
