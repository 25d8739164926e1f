from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tvf

from archbench.data import Parts
from archbench.data.batches import gatherer, normaliser, preparer
from archbench.data.views import seen
from archbench.errors import DataError
from archbench.schema import View


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


def coloured(channels, side=12):
    counts = {"train": 40, "validation": 10, "test": 12}
    images = {split: noise(count, channels, side, side, seed=count) for split, count in counts.items()}
    labels = {split: torch.arange(count) % 2 for split, count in counts.items()}
    return seen("noise", Parts(images, labels, ("a", "b"), "made in the test"), View())


def test_without_another_shape_images_are_only_normalised():
    data = coloured(3)
    images = data.images["train"]
    assert torch.equal(preparer(data)(images), normaliser(images)(images))


FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("stored", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_gathered_in_an_order_of_memory(order, stored, channels):
    images = noise(20, channels, 5, 6).contiguous(memory_format=FORMATS[stored])
    places = torch.tensor([3, 19, 0, 3])
    gathered = gatherer(images, order)(places)
    assert torch.equal(gathered, images[places])
    assert gathered.is_contiguous(memory_format=FORMATS[order])


def test_features_are_gathered_too():
    features = torch.randn(20, 7)
    assert torch.equal(gatherer(features)(torch.tensor([3, 0])), features[[3, 0]])


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("scaling", ["standard", "unit", "centered"])
@pytest.mark.parametrize("shape", [None, (1, 12, 12), (3, 9, 8)])
def test_a_network_sees_images_in_the_order_that_it_takes(order, scaling, shape):
    data = coloured(3).shown(shape)
    images = data.images["test"]
    batch = preparer(data, "cpu", scaling, order)(images)
    assert batch.is_contiguous(memory_format=FORMATS[order])
    for stored in FORMATS.values():
        same = preparer(data, "cpu", scaling)(images.contiguous(memory_format=stored))
        torch.testing.assert_close(batch, same, rtol=0, atol=1e-6)


def test_images_of_a_source_lie_pixel_by_pixel():
    data = coloured(3)
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images in data.images.values())
    other = replace(data, images={split: images.contiguous() for split, images in data.images.items()})
    assert data.sha256 == other.sha256


def test_a_gray_image_is_shown_as_three_equal_channels():
    data = coloured(1).shown((3, 12, 12))
    batch = preparer(data)(data.images["test"])
    assert data.input_shape == (3, 12, 12)
    assert batch.shape == (12, 3, 12, 12)
    assert torch.equal(batch[:, 0], batch[:, 2])
    assert torch.equal(batch[:, :1], preparer(coloured(1))(data.images["test"]))


def test_a_coloured_image_is_shown_as_its_luma():
    data = coloured(3)
    batch = preparer(data.shown((1, 12, 12)))(data.images["train"])
    red, green, blue = data.images["train"].double().unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    expected = (luma - luma.mean()) / luma.std(correction=0)
    assert torch.allclose(batch[:, 0].double(), expected, atol=0.02)  # whole levels


@pytest.mark.parametrize("scaling", ["standard", "unit", "centered"])
@pytest.mark.parametrize("size", [(24, 24), (6, 9)])
def test_other_sizes_are_torchvisions_after_the_scaling(size, scaling):
    data = coloured(3)
    images = data.images["test"]
    ours = preparer(data.shown((3, *size)), scaling=scaling)(images)
    theirs = tvf.resize(preparer(data, scaling=scaling)(images), list(size), antialias=True)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_unit_scaling_is_torchvisions():
    data = coloured(3)
    scaled = preparer(data, scaling="unit")(data.images["test"])
    assert torch.allclose(scaled, tvf.to_dtype(data.images["test"], torch.float32, scale=True), atol=1e-7)


@pytest.mark.parametrize("shape", [(3, 12, 12), (1, 12, 12)])
def test_centered_scaling_takes_the_mean_training_image_away(shape):
    data = coloured(3).shown(shape)
    prepare = preparer(data, scaling="centered")
    train, test = (
        tvf.rgb_to_grayscale(data.images[split]) if shape[0] == 1 else data.images[split] for split in ("train", "test")
    )
    expected = test.double() / 255 - train.double().mean(0) / 255
    batch = prepare(data.images["test"])
    assert batch.dtype == torch.float32
    assert torch.allclose(batch.double(), expected, atol=1e-6)
    assert prepare(data.images["train"]).mean(0).abs().max() < 1e-6


def test_another_shape_is_another_data_set():
    data = coloured(1)
    keys = {data.shown(shape).sha256 for shape in (None, (1, 12, 12), (3, 12, 12), (1, 24, 24))}
    assert len(keys) == 3
    assert data.shown((1, 12, 12)) is data


def test_channels_that_cannot_be_shown_are_refused():
    with pytest.raises(DataError, match="have 1 channels; they cannot be shown with 4") as caught:
        coloured(1).shown((4, 12, 12))
    assert caught.value.remedy == "Give 1 or 3 channels."
