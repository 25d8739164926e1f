"""Drawn CAPTCHAs of the kind of the Taiwan High Speed Rail: four symbols, an arc through them, a noisy ground.

Pure drawing with numpy and Pillow in the font that comes with matplotlib: no image of anybody is needed or copied.
"""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archbench.environment import usable_cores
from archbench.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Coverage = NDArray[np.float32]

VERSION = 1
"""Raised whenever the same seed draws another image: part of the keys of what is cached."""

ALPHABET = "234579ACFHKMNPQRTYZ"  # no two that are easily taken for each other
POSITIONS = 4
HEIGHT, WIDTH = 50, 130  # pixels
SPLITS = ("train", "validation", "test")
MAX_DIFFICULTY = 3.0

FONT = "DejaVuSans-Bold.ttf"
FONT_SIZE = 35  # pixels an em: four of the widest symbol, M, just fit
OVERSAMPLING = 2  # glyphs are drawn at twice the size and averaged, which smooths their edges
MARGIN = 2  # pixels that glyphs stay away from the edges
GAP = 3.0  # pixels between glyphs where nothing is made difficult

# What is random, at difficulty 1.
ROTATION = 14.0  # degrees to either side
SCALE = 0.12  # to either side
SHIFT = 3.0  # pixels up or down
OVERLAP = (1.0, 4.0)  # pixels that a gap is narrowed by
ARC = (2.0, 3.0)  # pixels of thickness; it grows as the root of the difficulty, lest it hide the glyphs
SPECKLES = (0.02, 0.05)  # share of the pixels where one begins
JITTER = 5.0  # standard deviation of a pixel's level, of 255

ALONE = 2000  # images that are drawn in the time that other processes take to start
BATCH = 250  # images a task of another process


def draw(
    count: int,
    *,
    split: str,
    seed: int = 0,
    difficulty: float = 1.0,
    clean: bool = False,
    workers: int | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the first `count` images of a split; each depends on `seed`, `split`, its index and `difficulty` alone.

    Args:
        count: how many.
        split: `train`, `validation` or `test`: different images each.
        seed: of the whole data set; 0 or more.
        difficulty: scales rotation, size, overlap, arc and noise, from 0 (upright symbols and nothing else) to 3; 1 is
            as readable as the real ones. It changes no label.
        clean: leave out arc, speckles and jitter; glyphs, colours and labels are the very same.
        workers: processes; by default one a core. They make no difference to the images.

    Returns:
        images: uint8 (N, 3, 50, 130), RGB.
        labels: int64 (N, 4), indices into `ALPHABET` from left to right, uniform and independent.

    Raises:
        InputError: a count, split, seed or difficulty that is not accepted.
    """
    _check(count, split, seed, difficulty)
    workers = usable_cores() if workers is None else workers
    starts = range(0, count, BATCH)
    jobs = [(range(start, min(start + BATCH, count)), SPLITS.index(split), seed, difficulty, clean) for start in starts]
    if count <= ALONE or workers == 1:
        parts = [_draw_some(*job) for job in jobs]
    else:
        from joblib import Parallel, delayed

        parts = Parallel(n_jobs=workers)(delayed(_draw_some)(*job) for job in jobs)
    images = np.concatenate([part for part, _ in parts] or [np.empty((0, 3, HEIGHT, WIDTH), np.uint8)])
    labels = np.concatenate([part for _, part in parts] or [np.empty((0, POSITIONS), np.int64)])
    return images, labels


def _check(count: int, split: str, seed: int, difficulty: float) -> None:
    if count < 0 or seed < 0:
        msg = f"{count} images with seed {seed} cannot be drawn"
        raise InputError(msg, "Give whole numbers from 0.")
    if split not in SPLITS:
        msg = f"{split!r} is not a split"
        raise InputError(msg, f"Give {', '.join(SPLITS)}.")
    if not 0 <= difficulty <= MAX_DIFFICULTY:  # false for nan, too
        msg = f"{difficulty} is not a difficulty"
        raise InputError(msg, f"Give a number from 0 (clean) to {MAX_DIFFICULTY:g}; 1 is as readable as the real ones.")


def _draw_some(
    indices: range, split: int, seed: int, difficulty: float, clean: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = np.empty((len(indices), 3, HEIGHT, WIDTH), np.uint8)
    labels = np.empty((len(indices), POSITIONS), np.int64)
    for row, index in enumerate(indices):
        plan = _plan(seed, split, index, difficulty)
        images[row], labels[row] = _paint(plan, clean=clean), plan.labels
    return images, labels


class _Plan(NamedTuple):
    """One image before it is put together; levels are from 0 to 255."""

    labels: NDArray[np.int64]  # (4,)
    glyphs: Coverage  # (H, W), from 0 to 1
    arc: Coverage  # (H, W), from 0 to 1
    ink: Coverage  # (3,) levels
    ground: Coverage  # (3,) levels
    speckled: Coverage  # (3, H, W) levels of the ground with its speckles
    jitter: Coverage  # (3, H, W) levels to be added


def _plan(seed: int, split: int, index: int, difficulty: float) -> _Plan:
    """Decide everything about one image: labels first, glyphs next, so that arc and noise change neither."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, split, index]))
    labels = rng.integers(len(ALPHABET), size=POSITIONS)
    glyphs = _glyphs(labels, rng, difficulty)
    ink = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.4, 1), rng.uniform(0.15, 0.5)), np.float32) * 255
    ground = (rng.uniform(225, 250) + rng.uniform(-5, 5, 3)).astype(np.float32)
    arc = _arc(rng, difficulty)
    speckled = _speckled(ground, rng, difficulty)
    jitter = JITTER * difficulty * rng.standard_normal((3, HEIGHT, WIDTH), np.float32)
    return _Plan(labels, glyphs, arc, ink, ground, speckled, jitter)


def _paint(plan: _Plan, *, clean: bool) -> NDArray[np.uint8]:
    """Return the image, uint8 (3, H, W)."""
    ground = plan.ground[:, None, None] if clean else plan.speckled
    cover = plan.glyphs if clean else np.maximum(plan.glyphs, plan.arc)
    image = ground + cover * (plan.ink[:, None, None] - ground)
    if not clean:
        image += plan.jitter
    return image.round().clip(0, 255).astype(np.uint8)


def _glyphs(labels: NDArray[np.int64], rng: np.random.Generator, difficulty: float) -> Coverage:
    """Return how much of each pixel the symbols cover, (H, W)."""
    from PIL import Image

    turns = np.radians(ROTATION * difficulty * rng.uniform(-1, 1, POSITIONS))
    scales = 1 + SCALE * difficulty * rng.uniform(-1, 1, POSITIONS)
    gaps = GAP - difficulty * rng.uniform(*OVERLAP, POSITIONS - 1)
    shifts, place = rng.uniform(-1, 1, POSITIONS), rng.uniform(-1, 1)

    masks = [_mask(ALPHABET[label]) for label in labels]
    sides = np.array([mask.size for mask in masks]) / OVERSAMPLING  # width, height
    cos, sin = np.abs(np.cos(turns)), np.abs(np.sin(turns))
    widths = scales * (sides[:, 0] * cos + sides[:, 1] * sin)  # of the turned symbols
    heights = scales * (sides[:, 0] * sin + sides[:, 1] * cos)
    fit = min(1, (WIDTH - 2 * MARGIN) / (widths.sum() + gaps.sum()), (HEIGHT - 2 * MARGIN) / heights.max())
    scales, widths, heights, gaps = (fit * part for part in (scales, widths, heights, gaps))

    room = WIDTH - widths.sum() - gaps.sum() - 2 * MARGIN
    left = MARGIN + room / 2 * (1 + difficulty / MAX_DIFFICULTY * place)
    x = left + np.cumsum(widths) - widths / 2 + np.concatenate([[0], np.cumsum(gaps)])
    y = HEIGHT / 2 + shifts * np.minimum(SHIFT * difficulty, (HEIGHT - heights) / 2 - MARGIN)

    canvas = np.zeros((HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING), np.uint8)
    boxes = np.ceil(OVERSAMPLING * np.stack([widths, heights], 1)).astype(int) + 1
    corners = np.floor(OVERSAMPLING * np.stack([x, y], 1) - boxes / 2).astype(int)
    centres = OVERSAMPLING * np.stack([x, y], 1) - corners
    for mask, turn, scale, centre, box, corner in zip(masks, turns, scales, centres, boxes, corners, strict=True):
        where = _affine(mask, turn, scale, centre)
        turned = mask.transform(tuple(box), Image.Transform.AFFINE, where, Image.Resampling.BICUBIC)
        region = canvas[corner[1] : corner[1] + box[1], corner[0] : corner[0] + box[0]]
        np.maximum(region, np.asarray(turned), out=region)
    return np.asarray(Image.fromarray(canvas).reduce(OVERSAMPLING), np.float32) / np.float32(255)


def _affine(mask: Image, turn: float, scale: float, centre: NDArray[np.float64]) -> tuple[float, ...]:
    """Return Pillow's six coefficients, from places of the box to places of the mask, whose middle is at `centre`."""
    along, across = math.cos(turn) / scale, math.sin(turn) / scale
    x = mask.width / 2 - along * centre[0] - across * centre[1]
    y = mask.height / 2 + across * centre[0] - along * centre[1]
    return along, across, x, -across, along, y


@lru_cache(maxsize=len(ALPHABET))
def _mask(symbol: str) -> Image:
    """Return a symbol as upright gray-level ink, cut to its bounds, `OVERSAMPLING` times its size in an image."""
    from pathlib import Path

    import matplotlib as mpl
    from PIL import Image, ImageDraw, ImageFont

    file = Path(mpl.get_data_path()) / "fonts" / "ttf" / FONT
    size = FONT_SIZE * OVERSAMPLING
    font = ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(canvas).text((size // 2, size // 2), symbol, fill=255, font=font)
    return canvas.crop(canvas.getbbox())


def _arc(rng: np.random.Generator, difficulty: float) -> Coverage:
    """Return how much of each pixel a parabola from the left to the right edge covers, (H, W)."""
    thickness = math.sqrt(difficulty) * rng.uniform(*ARC)
    middle = HEIGHT * rng.uniform(0.35, 0.65)
    sag = HEIGHT * rng.uniform(0.1, 0.35) * (-1 if middle > HEIGHT / 2 else 1)  # towards the farther edge
    tilt = HEIGHT * rng.uniform(-0.1, 0.1)
    t = np.linspace(-1, 1, WIDTH, dtype=np.float32)
    curve = middle + tilt * t + sag * t**2
    slope = (tilt + 2 * sag * t) * 2 / (WIDTH - 1)
    distance = np.abs(np.arange(HEIGHT, dtype=np.float32)[:, None] - curve) / np.sqrt(1 + slope**2)
    cover: Coverage = np.clip((thickness + 1) / 2 - distance, 0, min(thickness, 1)).astype(np.float32)
    return cover  # with edges a pixel wide


def _speckled(ground: Coverage, rng: np.random.Generator, difficulty: float) -> Coverage:
    """Return the ground with speckles of random colours, one to two pixels wide and high, as levels (3, H, W)."""
    image = np.empty((3, HEIGHT, WIDTH), np.float32)
    image[:] = ground[:, None, None]
    number = round(difficulty * rng.uniform(*SPECKLES) * HEIGHT * WIDTH)
    y, x = rng.integers(HEIGHT, size=number), rng.integers(WIDTH, size=number)
    sides = rng.choice([1, 2], size=(2, number), p=[0.7, 0.3])
    colours = rng.uniform(0, 255, (3, number)).astype(np.float32)
    for down in range(2):
        for right in range(2):
            here = (down < sides[0]) & (right < sides[1]) & (y + down < HEIGHT) & (x + right < WIDTH)
            image[:, y[here] + down, x[here] + right] = colours[:, here]
    return image
