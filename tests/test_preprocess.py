from __future__ import annotations

import sys

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from archbench.data import glyphs, preprocess
from archbench.data.denoise import denoise
from archbench.data.preprocess import apply_steps, parse_steps, shape_after, steps_text
from archbench.errors import DataError, InputError


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def apply(text, images):
    return apply_steps(parse_steps(text), images)


# --- the text of a chain


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("original", ()),
        ("", ()),
        ("original+original", ()),
        ("gray+original", ("gray",)),
        ("resize:24", ("resize:24x24",)),
        ("resize:24x48", ("resize:24x48",)),
        (" Gray + resize:024 + NORMALIZE ", ("gray", "resize:24x24", "normalize")),
        ("letterbox:224", ("letterbox:224",)),
        ("denoise2+denoise", ("denoise2", "denoise")),
        ("resize:1+resize:4096x1", ("resize:1x1", "resize:4096x1")),
    ],
)
def test_a_chain_is_read_into_its_one_spelling(text, steps):
    assert parse_steps(text) == steps


def test_a_chain_is_written_as_it_is_read():
    assert steps_text(()) == "original"
    assert steps_text(parse_steps("gray+original+resize:24")) == "gray+resize:24x24"


SIDE = st.integers(1, 4096)
STEP = st.one_of(
    st.sampled_from(["original", "gray", "denoise", "denoise2", "normalize"]),
    st.builds("letterbox:{}".format, SIDE),
    st.builds("resize:{}".format, SIDE),
    st.builds("resize:{}x{}".format, SIDE, SIDE),
)


@given(st.lists(STEP, min_size=1, max_size=6))
def test_what_is_written_is_read_back_the_same(steps):
    canonical = parse_steps("+".join(steps))
    assert parse_steps(steps_text(canonical)) == canonical
    assert len(canonical) == sum(step != "original" for step in steps)


@given(st.text(alphabet="grayesizdnotlbxmo2:0x+ 9", max_size=20))
def test_any_text_is_either_read_or_refused(text):
    try:
        steps = parse_steps(text)
    except InputError as error:
        assert error.remedy
    else:
        assert parse_steps(steps_text(steps)) == steps


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("grey", "unknown pre-processing step 'grey'", "Did you mean gray?"),
        ("gray+letterbocks:3", "unknown pre-processing step 'letterbocks:3'", "Did you mean letterbox"),
        (
            "blur",
            "unknown pre-processing step 'blur'",
            "They are written original, gray, denoise, denoise2, resize:S or",
        ),
        ("gray++normalize", "unknown pre-processing step ''", "join several with +"),
        ("original:3", "unknown pre-processing step 'original:3'", "Did you mean original"),
        (
            "resize",
            "'resize' is not how the pre-processing step resize is written",
            "Write resize:S or resize:HxW, in pix",
        ),
        ("resize:0", "'resize:0' is not", "from 1 to 4096"),
        ("resize:4097x3", "'resize:4097x3' is not", "from 1 to 4096"),
        ("resize:3x4x5", "'resize:3x4x5' is not", "Write resize:S or resize:HxW"),
        ("resize:", "'resize:' is not", "Write resize:S"),
        ("letterbox:3x4", "'letterbox:3x4' is not", "Write letterbox:S, in pixels"),
        ("letterbox:-3", "'letterbox:-3' is not", "Write letterbox:S, in pixels"),
        ("gray:3", "'gray:3' is not", "Write gray."),
        ("gray:", "'gray:' is not", "Write gray."),
    ],
)
def test_a_fault_names_the_step_and_what_is_accepted(text, message, remedy):
    with pytest.raises(InputError) as caught:
        parse_steps(text)
    assert message in str(caught.value)
    assert remedy in caught.value.remedy


# --- the steps, except those that denoise


def test_nothing_is_done_to_originals():
    images = noise(3, 3, 8, 9)
    assert apply("original", images) is images


def test_gray_is_the_luma_and_gray_images_stay():
    images = noise(9, 3, 12, 13)
    red, green, blue = images.double().unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    gray = apply("gray", images)
    assert gray.shape == (9, 1, 12, 13)
    assert (gray[:, 0] - luma).abs().max() < 1.05  # whole levels, cut off, of weights with four decimals
    assert torch.equal(apply("gray", gray), gray)


def test_images_without_luma_are_refused():
    for step in ("gray", "denoise", "resize:3+denoise2"):
        with pytest.raises(DataError, match="images of 4 channels have no luma"):
            apply(step, noise(2, 4, 8, 8))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("size", [(24, 24), (6, 9), (40, 5)])
def test_resizing_is_pillows(channels, mode, size):
    images = noise(5, channels, 16, 20)
    ours = apply(f"resize:{size[0]}x{size[1]}", images)
    for image, made in zip(images, ours, strict=True):
        pixels = image.permute(1, 2, 0).numpy()
        theirs = Image.fromarray(pixels if channels == 3 else pixels[..., 0], mode=None).resize(
            size[::-1], Image.Resampling.BILINEAR
        )
        difference = np.asarray(theirs, int).reshape(*size, channels) - made.permute(1, 2, 0).numpy()
        assert theirs.mode == mode
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(("height", "width", "inner"), [(10, 20, (12, 24)), (30, 7, (24, 6)), (9, 9, (24, 24))])
def test_a_letterbox_keeps_the_aspect_and_fills_with_the_borders_median(height, width, inner):
    images = noise(4, 3, height, width)
    boxed = apply("letterbox:24", images)
    top, left = (24 - inner[0]) // 2, (24 - inner[1]) // 2
    inside = torch.zeros(24, 24, dtype=torch.bool)
    inside[top : top + inner[0], left : left + inner[1]] = True
    resized = v2.functional.resize(images, list(inner), antialias=True)
    assert torch.equal(boxed[:, :, inside], resized.flatten(2))
    on_border = torch.ones(height, width, dtype=torch.bool)
    on_border[1:-1, 1:-1] = False
    medians = np.quantile(images[:, :, on_border].numpy(), 0.5, axis=2, method="lower")
    assert (boxed[:, :, ~inside].numpy() == medians[..., None]).all()


def test_a_letterbox_of_a_thin_line_keeps_a_pixel_of_it():
    line = torch.full((1, 1, 1, 400), 9, dtype=torch.uint8)
    assert torch.equal(apply("letterbox:16", line), torch.full((1, 1, 16, 16), 9, dtype=torch.uint8))


def test_normalizing_stretches_each_image_to_the_full_range():
    images = noise(6, 3, 8, 9) // 3 + 40
    images[0] = 77
    made = apply("normalize", images)
    for image, stretched in zip(images[1:].double(), made[1:].double(), strict=True):
        expected = (image - image.min()) / (image.max() - image.min()) * 255
        assert (stretched - expected).abs().max() <= 0.51  # rounded
        assert (stretched.min(), stretched.max()) == (0, 255)
    assert torch.equal(made[0], images[0])


# --- chains


CHAINS = [
    "gray+resize:10",
    "normalize+letterbox:30",
    "denoise",
    "resize:20x52+denoise2+normalize",
    "letterbox:9+resize:3x5",
]


@pytest.fixture(scope="module")
def captchas():
    return torch.from_numpy(glyphs.draw(12, split="train")[0])


@pytest.mark.parametrize("text", CHAINS)
def test_a_chain_is_its_steps_one_after_the_other(text, captchas):
    step_by_step = captchas
    for step in text.split("+"):
        step_by_step = apply(step, step_by_step)
    assert torch.equal(apply(text, captchas), step_by_step)


@pytest.mark.parametrize("text", CHAINS)
def test_each_image_is_treated_by_itself_whatever_the_chunks(text, captchas, monkeypatch):
    whole = apply(text, captchas)
    one_by_one = torch.cat([apply(text, image[None]) for image in captchas])
    monkeypatch.setattr(preprocess, "CHUNK_BYTES", 5 * captchas[0].numel())
    assert torch.equal(whole, one_by_one)
    assert torch.equal(whole, apply(text, captchas))


@pytest.mark.parametrize("text", CHAINS)
def test_the_shape_is_known_beforehand(text, captchas):
    made = apply(text, captchas)
    assert made.dtype == torch.uint8
    assert made.shape[1:] == shape_after(parse_steps(text), (3, 50, 130))
    assert apply(text, captchas[:0]).shape == (0, *made.shape[1:])


def test_the_images_that_came_stay_as_they_are(captchas):
    before = captchas.clone()
    for text in ("gray", "normalize", "letterbox:130", "denoise", "resize:50x130"):
        apply(text, captchas)
        apply(text, captchas[:, :1])
    assert torch.equal(captchas, before)


def test_parts_that_are_denoised_apart_are_joined_in_order(captchas, monkeypatch):
    alone = apply("denoise", captchas)
    monkeypatch.setattr(preprocess, "PARALLEL_PIXELS", 1)
    monkeypatch.setattr(preprocess, "usable_cores", lambda: 2)
    with joblib.parallel_config("threading"):  # as processes would, without their start
        assert torch.equal(alone, apply("denoise", captchas))


# --- denoising, against what was drawn


def shares(difficulty, *, arc, count=40):
    """Return the shares of ink left: where only the arc was, of the glyphs, and of the speckles that touch neither."""
    left = {"arc": [], "glyphs": [], "speckles": []}
    for index in range(count):
        plan = glyphs._plan(1, 1, index, difficulty)
        gray = apply("gray", torch.from_numpy(glyphs._paint(plan, clean=False))[None])[0, 0].numpy()
        ink = denoise(gray, arc=arc) < 255
        alone = (plan.glyphs < 0.05) & (plan.arc < 0.05)
        left["arc"].append(ink[(plan.arc > 0.5) & (plan.glyphs < 0.05)])
        left["glyphs"].append(ink[plan.glyphs > 0.5])
        left["speckles"].append(ink[alone & (np.abs(plan.speckled - plan.ground[:, None, None]).max(0) > 60)])
    return {name: np.concatenate(parts).mean() for name, parts in left.items() if any(map(len, parts))}


def test_denoising_takes_the_arc_and_the_speckles_and_leaves_the_glyphs():
    left = shares(1, arc=True)
    assert left["arc"] < 0.15
    assert left["glyphs"] > 0.97
    assert left["speckles"] < 0.2  # those that touch a stroke stay


def test_denoising_of_speckles_alone_leaves_the_arc():
    left = shares(1, arc=False)
    assert left["arc"] > 0.97
    assert left["glyphs"] > 0.98
    assert left["speckles"] < 0.2


def test_what_is_difficult_is_still_denoised():
    left = shares(2, arc=True, count=20)
    assert left["arc"] < 0.25
    assert left["glyphs"] > 0.93


def test_glyphs_without_arc_lose_nothing():
    assert shares(0, arc=True, count=60)["glyphs"] > 0.999
    for arc in (True, False):
        gray = apply("gray", torch.from_numpy(glyphs.draw(1, split="test", difficulty=0)[0]))[0, 0].numpy()
        made = denoise(gray, arc=arc)
        dark = gray < (int(gray.min()) + int(gray.max())) / 2
        assert (made[dark] == gray[dark]).all()
        assert (made[gray == gray.max()] == 255).all()


def crossed(height=60, width=200):
    """Return a page with three thick bars, two of them crossed by a parabola, one apart; and the two masks."""
    y, x = np.mgrid[:height, :width]
    bars = ((x // 20) % 3 == 1) & (x % 20 < 10) & (y > 10) & (y < 50)
    curve = 25 + 0.0008 * (x - 80) ** 2
    return bars, np.abs(y - curve) <= 1.2


def test_a_parabola_through_bars_is_erased_where_it_is_not_over_a_bar():
    bars, arc = crossed()
    page = np.where(bars | arc, 40, 230).astype(np.uint8)
    assert np.array_equal(denoise(page, arc=False), np.where(bars | arc, 40, 255))
    made = denoise(page, arc=True)
    assert (made[bars] == 40).all()
    assert (made[arc & ~bars] == 255).mean() > 0.95


def test_a_parabola_that_ends_inside_is_no_arc():
    bars, arc = crossed()
    arc[:, 150:] = False
    page = np.where(bars | arc, 40, 230).astype(np.uint8)
    assert np.array_equal(denoise(page, arc=True), denoise(page, arc=False))


def test_speckles_go_and_what_is_larger_keeps_its_levels():
    page = np.full((50, 130), 240, np.uint8)
    page[5:8, 5:8] = 30  # 9 pixels of 6,500
    page[20:30, 40:50] = np.arange(30, 80, 5)
    expected = np.full_like(page, 255)
    expected[20:30, 40:50] = page[20:30, 40:50]
    for arc in (True, False):
        assert np.array_equal(denoise(page, arc=arc), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 8), (50, 130)])
@pytest.mark.parametrize("level", [0, 130, 255])
def test_an_even_image_holds_no_ink(size, level):
    assert (denoise(np.full(size, level, np.uint8), arc=True) == 255).all()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_image_can_be_denoised_and_always_to_the_same(height, width, seed):
    page = np.random.default_rng(seed).choice(np.array([0, 90, 255], np.uint8), (height, width), p=[0.5, 0.1, 0.4])
    made = denoise(page, arc=True)
    assert np.array_equal(made, denoise(page, arc=True))
    assert ((made == page) | (made == 255)).all()


def test_without_scikit_image_denoising_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.filters", None)
    with pytest.raises(InputError, match="needs scikit-image") as caught:
        apply("denoise", noise(1, 1, 8, 8))
    assert "pip install 'archbench[images]'" in caught.value.remedy
