"""scikit-learn's handwritten digits: 1,797 real images that come with the library, so nothing is downloaded."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from archbench.data import Parts, Request, register_dataset
from archbench.data.cache import cached

if TYPE_CHECKING:
    from numpy.typing import NDArray


@register_dataset(
    "digits",
    summary="handwritten digits of the UCI repository, embedded in scikit-learn: 1,797 images",
    input_shape=(1, 8, 8),
    classes=10,
)
def load(request: Request) -> Parts:  # noqa: ARG001 - nothing can be asked for
    """Load the 1x8x8 images; their 17 levels of gray are spread over 0 to 255."""
    import torch

    kept = cached("digits", metadata.version("scikit-learn"), _arrays)  # the library takes a second to import
    images = (torch.from_numpy(kept["images"]) * (255 / 16)).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(kept["target"]).long()
    classes = tuple(str(name) for name in kept["target_names"].tolist())
    return Parts({"all": images}, {"all": labels}, classes, "scikit-learn's digits (UCI ML repository)")


def _arrays() -> dict[str, NDArray[Any]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {name: bunch[name] for name in ("images", "target", "target_names")}
