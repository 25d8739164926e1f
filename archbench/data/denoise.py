"""Two ways of cleaning dark writing on a light ground: without its speckles, and without speckles and arc.

An arc is what CAPTCHAs are crossed out with: a thin parabola of ink from the left to the right edge. It is searched for
in any image; nothing here knows how one was drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archbench.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gray = NDArray[np.uint8]
    Mask = NDArray[np.bool_]
    Curve = NDArray[np.float64]

SPECKLE = 1 / 400  # of the image's area: connected ink that is no larger is a speckle; 16 of 50x130 pixels
SOFT = 0.25  # of the way from ground to ink: what is lighter than that is no edge of a glyph
THICKEST = 0.14  # of the image's height: vertical runs of ink that are longer do not belong to an arc
MARGINS = 0.1  # of the image's width, left and right: an arc comes in at one and goes out at the other
TRIALS = 200  # triples of runs that a parabola is laid through; all at once, 30 times as fast as scikit-learn's RANSAC
NEAR = 1.5  # pixels between an arc's run and the curve
STROKE = 2.5  # pixels that a glyph's stroke is wider than the arc, at the least
INKED = 0.9  # of the columns: the share at which a curve must meet ink to be an arc


def denoise(image: Gray, *, arc: bool) -> Gray:
    """Return the image without speckles, and without the arc where `arc` says so.

    Ink is what is darker than Otsu's threshold; it keeps its levels, and so do the smooth edges of its strokes, while
    all else becomes white. Connected ink of up to 1/400 of the area is a speckle. The arc is found as in RANSAC: of the
    parabolas through three short vertical runs of ink, one near either edge and one between, that which meets ink in
    most columns, fitted by least squares to all the short runs along it. It is erased but where a disc that is wider
    than the arc fits into the ink: strokes that it crosses stay. Where no arc leads from edge to edge, none is erased.

    The same image always gives the same result.

    Args:
        image: uint8 (H, W), dark ink on a light ground.
        arc: whether an arc is erased, too.

    Returns:
        uint8 (H, W).

    Raises:
        InputError: scikit-image is not installed.
    """
    from scipy import ndimage

    try:
        from skimage.filters import threshold_otsu
    except ImportError as error:
        msg = "denoising needs scikit-image, which is not installed"
        raise InputError(msg, "Install it: pip install 'archbench[images]'.") from error
    threshold: int = threshold_otsu(image)  # type: ignore[no-untyped-call]
    dark = image <= threshold if threshold < image.max() else np.zeros(image.shape, bool)
    ink = _without_speckles(dark)
    if arc:
        ink = _without_speckles(_without_arc(ink))
    if not ink.any():
        return np.full_like(image, 255)
    ground = np.median(image[~dark])
    soft = (image < ground - SOFT * (ground - np.median(image[ink]))) & ~dark
    edges = ndimage.binary_dilation(ink, np.ones((3, 3), bool)) & soft
    return np.where(ink | edges, image, np.uint8(255))


def _without_speckles(ink: Mask) -> Mask:
    from scipy import ndimage

    parts, _ = ndimage.label(ink, np.ones((3, 3), bool))
    large = np.bincount(parts.ravel()) > SPECKLE * ink.size
    large[0] = False  # the ground
    return np.asarray(large[parts])


class _Runs(NamedTuple):
    """Vertical runs of ink: the column, the middle row and the length in pixels of each."""

    x: NDArray[np.int64]
    centre: Curve
    length: NDArray[np.int64]


def _thin_runs(ink: Mask) -> _Runs:
    steps = np.diff(np.pad(ink.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    x, top = np.nonzero(steps == 1)
    bottom = np.nonzero(steps == -1)[1]  # the row behind the last
    thin = bottom - top <= max(1, THICKEST * len(ink))
    return _Runs(x[thin], (top + bottom - 1)[thin] / 2, (bottom - top)[thin])


def _without_arc(ink: Mask) -> Mask:
    """Return the ink without the arc, or all of it where there is none."""
    from scipy import ndimage

    thin = _thin_runs(ink)
    found = _parabola(thin, ink)
    if found is None:
        return ink
    x = np.arange(ink.shape[1])
    curve, slope = np.polyval(found, x), np.polyval(np.polyder(found), x)
    stretch = np.hypot(1, slope)  # of a vertical run against the thickness across
    along = np.abs(thin.centre - curve[thin.x]) <= NEAR * stretch[thin.x]
    thickness = np.median(thin.length[along] / stretch[thin.x[along]])
    band = np.abs(np.arange(len(ink))[:, None] - curve) <= (thickness / 2 + 0.5) * stretch  # half a pixel: rounding
    side = round(thickness + STROKE)
    place = np.arange(side) - (side - 1) / 2
    disc = np.hypot(place[:, None], place) <= (thickness + STROKE) / 2
    strokes = ndimage.binary_opening(np.pad(ink, side), disc)[side:-side, side:-side]
    return ink & ~(band & ~strokes)


def _parabola(thin: _Runs, ink: Mask) -> Curve | None:
    """Return the coefficients, highest power first, of the parabola that the arc follows; None where there is none."""
    width = ink.shape[1]
    left, right = thin.x < MARGINS * width, thin.x >= (1 - MARGINS) * width
    thirds = [np.flatnonzero(part) for part in (left, ~left & ~right, right)]
    if not all(len(part) for part in thirds):
        return None
    rng = np.random.default_rng(0)  # the same image, the same result
    triples = np.stack([rng.choice(part, TRIALS) for part in thirds], 1)
    powers = thin.x[triples][..., None] ** np.arange(2, -1, -1.0)
    trials = np.linalg.solve(powers, thin.centre[triples][..., None])[..., 0]
    best = trials[np.argmax(_met(trials, ink).mean(1))]
    for _ in range(2):  # the second time with the runs that the better curve is near to
        near = np.abs(thin.centre - np.polyval(best, thin.x)) <= NEAR
        if len(np.unique(thin.x[near])) < 3:  # no parabola follows
            return None
        best = np.polyfit(thin.x[near], thin.centre[near], 2)
    met = _met(best[None], ink)[0]
    enters, leaves = met[: round(MARGINS * width) or 1], met[-(round(MARGINS * width) or 1) :]
    return best if min(met.mean(), enters.mean(), leaves.mean()) >= INKED else None


def _met(curves: Curve, ink: Mask) -> Mask:
    """Return whether curves, coefficients (N, 3), meet ink in each column: (N, W)."""
    height, width = ink.shape
    x = np.arange(width)
    rows = np.rint(curves @ (x ** np.arange(2, -1, -1.0)[:, None])).astype(np.int64)
    return np.asarray(ink[rows.clip(0, height - 1), x] & (rows >= 0) & (rows < height))
