"""Contact sheets: images of a data set with their labels, before and after pre-processing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archbench.data.preprocess import apply_steps, steps_text
from archbench.figures import new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from torch import Tensor

    from archbench.data import Dataset
    from archbench.schema import Split

WIDTH = 9.0  # inches of a sheet
LABEL_INCHES = 0.22
LONGEST_WORD = 14
TALLEST = 3.0  # heights of a cell in its width


def chosen(labels: Tensor, count: int, seed: int = 0) -> list[int]:
    """Return the indices of `count` images, each class in turn, drawn at random from a seed.

    Args:
        labels: (N,), or (N, P) of which the first position counts.
        count: how many; fewer where there are fewer.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    first = (labels if labels.ndim == 1 else labels[:, 0]).numpy()
    order = generator.permutation(len(first))
    turn = np.zeros(len(first), dtype=int)  # which of its class an image is
    for label in np.unique(first):
        own = order[first[order] == label]
        turn[own] = np.arange(len(own))
    by_turn = sorted(order.tolist(), key=lambda index: (turn[index], first[index]))
    return [int(index) for index in by_turn[:count]]


def words_of(dataset: Dataset, split: Split, index: int) -> str:
    """Return an image's label as a word: the class, or the classes of its positions together."""
    label = dataset.labels[split][index]
    names = [_drawable(dataset.classes[int(one)]) for one in label.flatten()]
    return "".join(names) if all(len(name) == 1 for name in names) else " ".join(names)


def sheet(dataset: Dataset, split: Split, count: int, chains: Sequence[tuple[str, ...]] = (), seed: int = 0) -> Figure:
    """Return a figure of images with their labels; what each chain of steps makes of them stands below.

    Args:
        dataset: whose images.
        split: of which split.
        count: how many.
        chains: of `archbench.data.preprocess`, each by itself.
        seed: which ones.
    """
    indices = chosen(dataset.labels[split], count, seed)
    images = dataset.images[split][indices]
    versions = {steps_text(steps): apply_steps(steps, images) for steps in ((), *chains)}
    height, width = images.shape[2:]
    columns = max(1, min(len(indices), round((len(indices) * len(versions) * height / width) ** 0.5 + 1)))
    rows = -(-len(indices) // columns)
    cell = WIDTH / columns
    tall = [cell * min(made.shape[2] / made.shape[3], TALLEST) for made in versions.values()]
    figure = new_figure(WIDTH, rows * (sum(tall) + LABEL_INCHES * (1 + len(versions) * 0.2)) + 0.4)
    axes = figure.subplots(rows * len(versions), columns, squeeze=False, gridspec_kw={"height_ratios": tall * rows})
    for ax in axes.flat:
        ax.set_axis_off()
    for place, index in enumerate(indices):
        for below, (name, made) in enumerate(versions.items()):
            ax = axes[place // columns * len(versions) + below, place % columns]
            image = made[place].permute(1, 2, 0).numpy()
            ax.imshow(image.squeeze(2) if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255)
            if below == 0:
                ax.set_title(_short(words_of(dataset, split, index)), fontsize=8, pad=2, parse_math=False)
            if place == 0 and len(versions) > 1:
                ax.text(0, 1, name, fontsize=6, transform=ax.transAxes, ha="right", va="top", rotation=90)
    steps = f"; {' above '.join(versions)}" if len(versions) > 1 else ""
    title = f"{_drawable(dataset.name)}, {split}{steps}"
    figure.suptitle(
        "\n".join([title, *(f"warning: {text}" for text in dataset.warnings)]), fontsize=9, parse_math=False
    )
    return figure


def _drawable(name: str) -> str:
    """Return a name without what is no character, as a folder's may hold."""
    return name.encode("utf-8", "replace").decode()


def _short(word: str) -> str:
    return word if len(word) <= LONGEST_WORD else f"{word[: LONGEST_WORD - 1]}…"
