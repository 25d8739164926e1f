"""First-layer weights as images: what each hidden unit or kernel of a trained net looks at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from archbench.figures import Drawn, Wanted, new_figure, styled
from archbench.figures.captions import captioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

MOST_UNITS = 100  # drawn of a layer, those of the largest weights first


def first_weights(state: Mapping[str, Tensor], input_shape: tuple[int, int, int]) -> Tensor | None:
    """Return the first layer's weights as images (N, C, H, W) of one or three channels; None where they are no images.

    Args:
        state: of a network, in the order of its layers.
        input_shape: (C, H, W) of its input.
    """
    channels, height, width = input_shape
    first = next((tensor for tensor in state.values() if tensor.ndim in {2, 4} and tensor.is_floating_point()), None)
    if first is None or channels not in {1, 3}:
        return None
    if first.ndim == 2:
        return first.reshape(-1, *input_shape) if first.shape[1] == channels * height * width else None
    return first if first.shape[1] == channels and min(first.shape[2:]) > 1 else None


def weights_figure(title: str, weights: Tensor, width: float = 6.0) -> Figure:
    """Return a grid of weights as images, each stretched to its own range.

    Args:
        title: above the grid.
        weights: (N, C, H, W).
        width: of the figure, in inches.
    """
    order = weights.flatten(1).norm(dim=1).argsort(descending=True)[:MOST_UNITS]
    shown = weights[order].float()
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(width, width * rows / columns + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image in zip(axes.flat, shown, strict=False):
        ax.imshow(_stretched(image), cmap="gray", vmin=0, vmax=1)
    of = f"the {len(shown)} largest of {len(weights)}" if len(shown) < len(weights) else f"all {len(weights)}"
    captioned(figure, f"{title}: first layer, {of}")
    return figure


def draw_weights(file: str, title: str, weights: Tensor, wanted: Wanted | None = None) -> Drawn:
    """Return the grid of a layer with what goes with it; its data are the weights themselves, which are kept.

    Args:
        file: its name, without a suffix.
        title: above the grid.
        weights: (N, C, H, W).
        wanted: `style` and `width`.
    """
    import pandas as pd

    wanted = wanted or Wanted()
    with styled(wanted.style):
        figure = weights_figure(title, weights, wanted.width_in)
    count, _, height, width = weights.shape
    caption = f"{title}: first layer, {count} images of {height} x {width} weights"
    return Drawn(file, figure, pd.DataFrame(), caption, style=wanted.style)


def _stretched(image: Tensor) -> NDArray[np.float32]:
    low, high = image.min(), image.max()
    stretched: NDArray[np.float32] = ((image - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0).numpy()
    return stretched[..., 0] if stretched.shape[2] == 1 else stretched
