"""What happens to a batch between the stored bytes and the network: augmentation and normalisation, on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from archbench.data import Dataset

SHIFT_FRACTION = 8  # a shift goes up to a side / 8: 1 pixel of 8, 4 of 32


def normaliser(train_images: Tensor, device: str = "cpu") -> Callable[[Tensor], Tensor]:
    """Return the function that maps uint8 (N, C, H, W) to float32 with mean 0 and deviation 1 on the training images.

    Mean and deviation are per channel, from the training split alone; a constant channel is only centred.
    """
    import torch

    # From the histogram: exact, and without a float copy of the whole set.
    levels = torch.arange(256, dtype=torch.float64)
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in train_images.unbind(1)])
    weights = counts.double() / counts.sum(1, keepdim=True)
    mean = weights @ levels
    deviation = ((levels - mean[:, None]) ** 2 * weights).sum(1).sqrt()
    deviation[deviation == 0] = 1.0
    scale, offset = (1 / deviation).float().to(device), (-mean / deviation).float().to(device)

    def prepare(images: Tensor) -> Tensor:
        return images.float() * scale[:, None, None] + offset[:, None, None]

    return prepare


def preparer(dataset: Dataset, device: str = "cpu") -> Callable[[Tensor], Tensor]:
    """Return the function that maps uint8 images of a data set to what a network sees: brought to shape, normalised.

    One channel becomes three equal ones, three become their luma (ITU-R BT.601); other sizes are bilinear with
    antialiasing. The normalisation comes last; its mean and deviation are those of the images as they are stored, and
    of their luma where that is shown.
    """
    if dataset.shown_as is None:
        return normaliser(dataset.images["train"], device)
    from torchvision.transforms.v2.functional import resize, rgb_to_grayscale

    stored = dataset.images["train"]
    channels, *sides = dataset.input_shape
    to_gray = stored.shape[1] == 3 and channels == 1
    normalise = normaliser(rgb_to_grayscale(stored) if to_gray else stored, device)

    def prepare(images: Tensor) -> Tensor:
        batch = normalise(rgb_to_grayscale(images) if to_gray else images)
        if batch.shape[2:] != (*sides,):
            batch = resize(batch, sides, antialias=True)
        return batch.expand(-1, channels, -1, -1).contiguous()

    return prepare


def augment(images: Tensor, names: Sequence[str]) -> Tensor:
    """Apply augmentations to a batch, each sample with its own randomness from torch's CPU generator.

    Args:
        images: uint8 (N, C, H, W).
        names: of `flip` (left-right, half of the samples) and `shift` (up to an eighth of each side, the edge filled
            with zeros).
    """
    import torch
    from torch.nn.functional import pad

    if not names:
        return images
    samples, _, height, width = images.shape
    device = images.device
    if "flip" in names:
        flipped = (torch.rand(samples) < 0.5).to(device)  # half
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    if "shift" in names:
        reach_y, reach_x = max(1, height // SHIFT_FRACTION), max(1, width // SHIFT_FRACTION)
        rows = torch.randint(2 * reach_y + 1, (samples, 1)).to(device) + torch.arange(height, device=device)
        columns = torch.randint(2 * reach_x + 1, (samples, 1)).to(device) + torch.arange(width, device=device)
        padded = pad(images, (reach_x, reach_x, reach_y, reach_y))
        index = torch.arange(samples, device=device)[:, None, None]
        images = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return images
