from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tvf

from archbench.data.transforms import AUGMENTATIONS, augment, parse_augment, turned
from archbench.errors import InputError


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


# --- how augmentations are written


def test_augmentations_are_put_in_order_with_their_amounts():
    text = "cutout+zoom+crop+brightness+flip+rotate+shift"
    assert parse_augment(text) == (
        "flip", "shift", "crop:4", "rotate:15", "zoom:0.1", "brightness:0.2", "cutout"
    )  # fmt: skip
    assert parse_augment([" rotate:7.50", "flip", "cutout:8.0"]) == ("flip", "rotate:7.5", "cutout:8")
    assert parse_augment("") == parse_augment(" ") == parse_augment(()) == ()


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        ("tilt", "'tilt' is no augmentation", "flip, shift, crop:PIXELS, rotate:DEGREES, zoom:FRACTION"),
        ("flip+", "'' is no augmentation", "flip, shift"), ("Flip", "'Flip' is no", "flip"),
        ("crop:2+flip+crop:3", "crop is given twice", "once"),
        ("flip:0.5", "'flip:0.5' is not accepted", "flip has no amount"),
        ("crop:", "'crop:' is not accepted", "give PIXELS, a whole number from 1 to 512"),
        ("crop:2.5", "'crop:2.5' is not accepted", "whole"), ("crop:0", "not accepted", "from 1"),
        ("rotate:181", "not accepted", "DEGREES, a number from 0.1 to 180"), ("rotate:-5", "not accepted", "0.1"),
        ("zoom:1", "not accepted", "to 0.9"), ("zoom:nan", "not accepted", "to 0.9"),
        ("brightness:inf", "not accepted", "to 1"), ("cutout:many", "not accepted", "from 1 to 4096"),
    ],
)  # fmt: skip
def test_what_is_not_accepted_is_said(text, said, remedy):
    with pytest.raises(InputError, match=said) as caught:
        parse_augment(text)
    assert remedy in caught.value.remedy
    with pytest.raises(InputError, match=said):
        augment(noise(2, 1, 8, 8), text.split("+"))


AMOUNTS = {
    "flip": st.none(), "shift": st.none(), "crop": st.integers(1, 512), "rotate": st.floats(0.1, 180),
    "zoom": st.floats(0.001, 0.9), "brightness": st.floats(0.001, 1), "cutout": st.integers(1, 4096),
}  # fmt: skip


@given(st.fixed_dictionaries({}, optional=AMOUNTS), st.randoms())
def test_the_written_form_is_read_back(amounts, random):
    items = [name if amount is None else f"{name}:{amount}" for name, amount in amounts.items()]
    random.shuffle(items)
    canonical = parse_augment("+".join(items))
    assert parse_augment("+".join(canonical)) == parse_augment(canonical) == canonical
    assert [item.partition(":")[0] for item in canonical] == [name for name in AUGMENTATIONS if name in amounts]
    for item in canonical:
        name, _, amount = item.partition(":")
        assert (float(amount) if amount else None) == amounts[name]


# --- what they do


def test_flips_half_of_the_samples_left_to_right():
    torch.manual_seed(0)
    images = noise(2000, 1, 4, 5)
    flipped = augment(images, ("flip",))
    same = (flipped == images).all(dim=(1, 2, 3))
    mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    assert (same | mirrored).all()
    assert 900 < mirrored.sum() < 1100


def offsets(images, augmented):
    """Rows and columns by which the one bright pixel of each image was moved; images that lost it are left out."""
    width = images.shape[3]
    pixels = augmented.flatten(1)
    moved = pixels[(pixels > 0).any(1)].argmax(1)
    home = images[0].flatten().argmax()
    return moved // width - home // width, moved % width - home % width


def test_shifts_each_sample_by_up_to_an_eighth_and_fills_with_zeros():
    torch.manual_seed(0)
    images = torch.zeros(3000, 1, 16, 24, dtype=torch.uint8)
    images[:, :, 8, 12] = 255
    shifted = augment(images, ("shift",))
    assert (shifted.flatten(1).sum(1) == 255).all()
    rows, columns = offsets(images, shifted)
    assert set(rows.tolist()) == set(range(-2, 3))
    assert set(columns.tolist()) == set(range(-3, 4))
    counts = torch.bincount(rows + 2).float()
    assert (counts / 600 - 1).abs().max() < 0.15  # uniform
    assert torch.corrcoef(torch.stack([rows.float(), columns.float()]))[0, 1].abs() < 0.06


def test_flips_and_shifts_are_torchvisions_for_the_draws_that_they_always_made():
    images = noise(30, 3, 16, 24)
    torch.manual_seed(3)
    augmented = augment(images, ("flip", "shift"))
    torch.manual_seed(3)
    flipped = torch.rand(30) < 0.5
    rows, columns = torch.randint(5, (30, 1)).flatten(), torch.randint(7, (30, 1)).flatten()
    for image, ours, flip, row, column in zip(images, augmented, flipped, rows, columns, strict=True):
        padded = tvf.pad(tvf.horizontal_flip(image) if flip else image, [3, 2])  # left and right, top and bottom
        assert torch.equal(ours, tvf.crop(padded, int(row), int(column), 16, 24))


@pytest.mark.parametrize("margin", [1, 4, 9])
def test_a_crop_moves_by_up_to_its_margin(margin):
    torch.manual_seed(0)
    images = torch.zeros(3000, 2, 20, 22, dtype=torch.uint8)
    images[:, :, 10, 11] = 7
    cropped = augment(images, (f"crop:{margin}",))
    assert torch.equal(cropped[:, 0], cropped[:, 1])
    for moved in offsets(images[:, :1], cropped[:, :1]):
        assert set(moved.tolist()) == set(range(-margin, margin + 1))
        counts = torch.bincount(moved + margin).float()
        assert (counts / counts.mean() - 1).abs().max() < 5 / counts.mean().sqrt()  # uniform


def test_a_crop_has_a_margin_of_4_by_default():
    images = noise(20, 1, 12, 12)
    made = []
    for name in ("crop", "crop:4"):
        torch.manual_seed(0)
        made.append(augment(images, (name,)))
    assert torch.equal(*made)


def test_the_edge_of_a_crop_is_zero():
    torch.manual_seed(0)
    cropped = augment(torch.full((500, 1, 8, 8), 9, dtype=torch.uint8), ("crop:20",))
    assert set(cropped.unique().tolist()) == {0, 9}
    assert (cropped == 0).flatten(1).all(1).any()  # moved out altogether


@pytest.mark.parametrize("size", [(15, 15), (12, 20)])
@pytest.mark.parametrize(("degrees", "factor"), [(0, 1), (30, 1), (-17.5, 1), (0, 1.3), (0, 0.8), (170, 1.1)])
def test_turning_and_scaling_are_torchvisions(size, degrees, factor):
    images = noise(3, 3, *size)
    ours = turned(images, torch.full((3,), float(degrees)), torch.full((3,), float(factor)))
    # torchvision's angles go clockwise; a float image is not rounded
    bilinear = v2.InterpolationMode.BILINEAR
    theirs = tvf.affine(images.float(), -degrees, translate=[0, 0], scale=factor, shear=[0, 0], interpolation=bilinear)
    assert ours.dtype == torch.uint8
    assert (ours.float() - theirs).abs().max() <= 0.51  # whole levels


def test_a_quarter_turn_is_exact_and_each_sample_has_its_own():
    images = noise(4, 2, 9, 9)
    made = turned(images, torch.tensor([0.0, 90, 180, -90]), torch.ones(4))
    for turns, (image, ours) in enumerate(zip(images, made, strict=True)):
        assert torch.equal(ours, torch.rot90(image, turns, (1, 2)))  # anticlockwise


def angles(images):
    """Direction of the one bright place of each image from the middle, in degrees, anticlockwise from the right."""
    side = images.shape[2]
    places = torch.arange(side) - (side - 1) / 2
    weights = images[:, 0].float()
    return torch.atan2(-(weights.sum(2) * places).sum(1), (weights.sum(1) * places).sum(1)).rad2deg()


def test_rotations_are_uniform_to_either_side():
    torch.manual_seed(0)
    images = torch.zeros(3000, 1, 65, 65, dtype=torch.uint8)
    images[:, :, 31:34, 53:56] = 255  # to the right of the middle
    seen_angles = angles(augment(images, ("rotate:40",)))
    assert seen_angles.abs().max() < 41
    counts = torch.histc(seen_angles, 8, -40, 40)
    assert (counts / 375 - 1).abs().max() < 0.2


def test_zooms_are_uniform_about_one():
    torch.manual_seed(0)
    images = torch.zeros(2000, 1, 64, 64, dtype=torch.uint8)
    images[:, :, 16:48, 16:48] = 200
    areas = augment(images, ("zoom:0.4",)).float().sum((1, 2, 3)) / 200
    factors = areas.sqrt() / 32
    assert 0.59 < factors.min() < 0.61
    assert 1.39 < factors.max() < 1.41
    assert factors.mean() == pytest.approx(1, abs=0.02)
    assert (torch.histc(factors, 4, 0.6, 1.4) / 500 - 1).abs().max() < 0.15


def test_rotation_and_zoom_together_are_one_step():
    images = noise(6, 1, 12, 12)
    torch.manual_seed(2)
    augmented = augment(images, ("rotate:30", "zoom:0.2"))
    torch.manual_seed(2)
    degrees = 60 * torch.rand(6) - 30
    factors = 1 + 0.2 * (2 * torch.rand(6) - 1)
    assert (augmented.int() - turned(images, degrees, factors).int()).abs().max() <= 1


def test_brightness_multiplies_and_is_clamped():
    torch.manual_seed(0)
    images = torch.tensor([0, 100, 250], dtype=torch.uint8).expand(4000, 1, 1, 3)
    dark, middle, bright = augment(images, ("brightness:0.3",))[:, 0, 0].float().unbind(1)
    assert not dark.any()
    assert (middle.min(), middle.max()) == (70, 130)
    assert middle.mean() == pytest.approx(100, abs=1)
    assert (torch.histc(middle, 6, 70, 130) / (4000 / 6) - 1).abs().max() < 0.15
    assert bright.max() == 255
    factors = middle / 100
    assert torch.allclose(bright, (250 * factors).clamp(max=255), atol=1.76)  # half a level of each


def test_a_cutout_is_a_square_of_zeros_anywhere():
    torch.manual_seed(0)
    images = torch.full((4000, 3, 12, 16), 9, dtype=torch.uint8)
    holes = augment(images, ("cutout:5",)) == 0
    assert torch.equal(holes[:, 0], holes[:, 2])
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), rows * columns)  # a rectangle
    assert (set(rows.tolist()), set(columns.tolist())) == ({3, 4, 5}, {3, 4, 5})  # cut by an edge, or not
    # A pixel is covered if the middle lies in the 5 rows and columns about it, as far as there are such.
    near = [torch.tensor([min(i + 2, n - 1) - max(i - 2, 0) + 1 for i in range(n)]) / n for n in (12, 16)]
    shares = holes[:, 0].float().mean(0)
    assert (shares - near[0][:, None] * near[1]).abs().max() < 0.03


def test_a_cutout_is_a_quarter_of_the_shorter_side_by_default():
    torch.manual_seed(0)
    holes = augment(torch.ones(500, 1, 16, 40, dtype=torch.uint8), ("cutout",)) == 0
    assert holes.sum((1, 2, 3)).max() == 16
    assert (augment(torch.ones(5, 1, 2, 2, dtype=torch.uint8), ("cutout",)) == 0).sum() == 5


def test_without_names_nothing_changes():
    images = noise(5, 3, 8, 8)
    assert augment(images, ()) is images


ALL = parse_augment("+".join(AUGMENTATIONS))


def test_augmentation_follows_torchs_seed_and_leaves_the_images_alone():
    images = noise(20, 3, 16, 16)
    before = images.clone()
    torch.manual_seed(5)
    first = augment(images, ALL)
    torch.manual_seed(5)
    assert torch.equal(first, augment(images, ALL))
    assert not torch.equal(first, augment(images, ALL))
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_keeps_shape_and_type_and_differs_by_sample(name):
    torch.manual_seed(0)
    images = noise(1, 3, 9, 14).expand(64, -1, -1, -1)
    augmented = augment(images, (name,))
    assert (augmented.shape, augmented.dtype) == (images.shape, torch.uint8)
    assert len({image.numpy().tobytes() for image in augmented.contiguous()}) > 1


def test_the_order_is_always_the_same():
    images = noise(20, 3, 16, 16)
    made = []
    for names in (ALL, ALL[::-1]):
        torch.manual_seed(1)
        made.append(augment(images, names))
    assert torch.equal(*made)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_order_of_memory_changes_nothing(name):
    images = noise(20, 3, 9, 14)
    made = []
    for order in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(1)
        made.append(augment(images.contiguous(memory_format=order), [name]))
    assert torch.equal(*made)
