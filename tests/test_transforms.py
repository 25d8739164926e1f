from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from archbench.data.splits import three_splits
from archbench.data.transforms import augment, normaliser, preparer
from archbench.errors import DataError


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def test_normalised_training_images_have_mean_0_and_deviation_1_by_channel():
    images = noise(50, 3, 8, 9) // torch.tensor([1, 2, 5])[:, None, None]
    normal = normaliser(images)(images)
    assert normal.dtype == torch.float32
    assert normal.mean((0, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-5)
    assert normal.std((0, 2, 3), correction=0) == pytest.approx([1, 1, 1], abs=1e-5)


def test_normalising_is_torchvisions_with_the_training_images_statistics():
    train, other = noise(50, 3, 8, 9), noise(20, 3, 8, 9, seed=1)
    values = train.double()
    theirs = v2.Normalize(values.mean((0, 2, 3)).tolist(), values.std((0, 2, 3), correction=0).tolist())(other.float())
    assert torch.allclose(normaliser(train)(other), theirs, atol=1e-5)


def test_a_constant_channel_is_only_centred():
    images = torch.full((4, 1, 3, 3), 7, dtype=torch.uint8)
    assert normaliser(images)(images).abs().max() < 1e-5


def test_flips_half_of_the_samples_left_to_right():
    torch.manual_seed(0)
    images = noise(2000, 1, 4, 5)
    flipped = augment(images, ("flip",))
    same = (flipped == images).all(dim=(1, 2, 3))
    mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    assert (same | mirrored).all()
    assert 900 < mirrored.sum() < 1100


def test_shifts_each_sample_by_up_to_an_eighth_and_fills_with_zeros():
    torch.manual_seed(0)
    images = torch.zeros(3000, 1, 16, 24, dtype=torch.uint8)
    images[:, :, 8, 12] = 255
    shifted = augment(images, ("shift",))
    assert (shifted.flatten(1).sum(1) == 255).all()
    position = shifted.flatten(1).argmax(1)
    rows, columns = position // 24 - 8, position % 24 - 12
    assert set(rows.tolist()) == set(range(-2, 3))
    assert set(columns.tolist()) == set(range(-3, 4))
    counts = torch.bincount(rows + 2).float()
    assert (counts / 600 - 1).abs().max() < 0.15  # uniform
    assert torch.corrcoef(torch.stack([rows.float(), columns.float()]))[0, 1].abs() < 0.06


def test_without_names_nothing_changes():
    images = noise(5, 3, 8, 8)
    assert augment(images, ()) is images


def test_augmentation_follows_torchs_seed():
    images = noise(20, 3, 16, 16)
    torch.manual_seed(5)
    first = augment(images, ("flip", "shift"))
    torch.manual_seed(5)
    assert torch.equal(first, augment(images, ("flip", "shift")))
    assert not torch.equal(first, augment(images, ("flip", "shift")))


def coloured(channels, side=12):
    parts = [(noise(count, channels, side, side, seed=count), torch.arange(count) % 2) for count in (40, 10, 10)]
    return three_splits("noise", *parts, ["a", "b"], "made in the test")


def test_without_another_shape_images_are_only_normalised():
    data = coloured(3)
    images = data.images["train"]
    assert torch.equal(preparer(data)(images), normaliser(images)(images))


def test_a_gray_image_is_shown_as_three_equal_channels():
    data = coloured(1).shown((3, 12, 12))
    batch = preparer(data)(data.images["test"])
    assert data.input_shape == (3, 12, 12)
    assert batch.shape == (10, 3, 12, 12)
    assert torch.equal(batch[:, 0], batch[:, 2])
    assert torch.equal(batch[:, :1], preparer(coloured(1))(data.images["test"]))


def test_a_coloured_image_is_shown_as_its_luma():
    data = coloured(3)
    batch = preparer(data.shown((1, 12, 12)))(data.images["train"])
    red, green, blue = data.images["train"].double().unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    expected = (luma - luma.mean()) / luma.std(correction=0)
    assert torch.allclose(batch[:, 0].double(), expected, atol=0.02)  # whole levels


@pytest.mark.parametrize("size", [(24, 24), (6, 9)])
def test_other_sizes_are_torchvisions(size):
    data = coloured(3)
    images = data.images["test"]
    ours = preparer(data.shown((3, *size)))(images)
    theirs = v2.functional.resize(preparer(data)(images), list(size), antialias=True)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_another_shape_is_another_data_set():
    data = coloured(1)
    keys = {data.shown(shape).sha256 for shape in (None, (1, 12, 12), (3, 12, 12), (1, 24, 24))}
    assert len(keys) == 3
    assert data.shown((1, 12, 12)) is data


def test_channels_that_cannot_be_shown_are_refused():
    with pytest.raises(DataError, match="have 1 channels; they cannot be shown with 4") as caught:
        coloured(1).shown((4, 12, 12))
    assert caught.value.remedy == "Give 1 or 3 channels."
