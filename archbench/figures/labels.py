"""Names beside what they name: none on another, none outside of the axes, on data only where nothing is free."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from archbench.figures.names import fitting, plain
from archbench.figures.save import missing_glyphs
from archbench.figures.style import ink, legible, text_pt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Annotation
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

RINGS_PT = np.array([5.0, 7.0, 10.0, 14.0, 19.0, 26.0, 35.0, 47.0, 62.0, 82.0, 108.0, 142.0, 186.0])
ANGLES = np.radians([0, 20, -20, 45, -45, 160, -160, 180, 135, -135, 70, -70, 110, -110, 90, -90])  # nicest first
LED_PT = 12.0  # a label further from its point than this is led to it by a line
COVERS = 25.0  # what a label costs that lies on a mark, in points of distance
TURNS = 0.3  # what each of the less nice angles costs
GAP_PT = 1.5  # between labels
MARK_PT = 2.5  # around the middle of a mark
USUAL_PT = 8.0  # the size of text that all of these are for; they grow with it
SAMPLES = 40  # points of a line that labels keep away from


class Name(NamedTuple):
    """A name, the point it belongs to in the data, and how far that is drawn aside, in points of the page."""

    text: str
    x: float
    y: float
    color: Any
    aside_pt: float = 0.0


def label(ax: Axes, names: Sequence[Name]) -> bool:
    """Write names beside their points; return whether all found a place. Where not, none is written.

    Call it when the axes have their final place and limits.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101 - axes that are drawn on have one
    with missing_glyphs():
        figure.draw_without_rendering()  # so that positions on the page are final
        sizes = np.array([_size(ax, name) for name in names]).reshape(-1, 2)
    pixels = figure.dpi / 72
    points = np.array([(name.x, name.y) for name in names], dtype=float).reshape(-1, 2)
    aside = np.array([(name.aside_pt, 0.0) for name in names]).reshape(-1, 2)
    anchors = ax.transData.transform(points) / pixels + aside
    bounds = np.array(ax.get_window_extent().extents) / pixels
    places = placed(sizes / pixels, anchors, obstacles(ax) / pixels, bounds, text_pt() / USUAL_PT)
    if places is None:
        return False
    for name, size, offset in zip(names, sizes / pixels, places - anchors, strict=True):
        away = np.maximum(np.abs(offset) - size / 2, 0)
        _write(
            ax,
            name,
            (float(offset[0]), float(offset[1])),
            led=bool(np.linalg.norm(away) > LED_PT * text_pt() / USUAL_PT),
        )
    return True


def placed(sizes: Array, anchors: Array, marks: Array, bounds: Array, scale: float = 1.0) -> Array | None:
    """Return the centres of labels, the nearest to their anchors that are free; None where one has no place at all.

    A place has to lie inside the bounds and apart from the labels placed before; of these the one that is near and
    covers few marks is taken. Those that have the most neighbours choose first.

    Args:
        sizes: (N, 2), width and height of each.
        anchors: (N, 2), what each belongs to.
        marks: (M, 2), what is better not covered.
        bounds: left, bottom, right, top.
        scale: of the distances, where text and marks are larger than usual.
    """
    found = np.full_like(anchors, np.nan)
    marks = marks[np.isfinite(marks).all(axis=1)]  # what is nowhere is in nobody's way
    taken: list[int] = []
    distances = np.linalg.norm(anchors[:, None] - anchors[None], axis=2)
    order = np.argsort(-(distances < 3 * sizes[:, 1:].max(initial=0)).sum(axis=1), kind="stable")
    for place in order.tolist():
        half = sizes[place] / 2 + GAP_PT / 2
        rings, angles = np.meshgrid(scale * RINGS_PT, ANGLES, indexing="ij")
        # From the anchor to the edge of the box it is a ring's radius, whatever the box's shape.
        offsets = np.stack([np.cos(angles) * (rings + half[0]), np.sin(angles) * (rings + half[1])], axis=-1)
        centres = anchors[place] + offsets.reshape(-1, 2)
        free = ((centres - half >= bounds[:2]) & (centres + half <= bounds[2:])).all(axis=1)
        for other in taken:
            apart = np.abs(centres - found[other]) >= half + sizes[other] / 2 + GAP_PT / 2
            free &= apart.any(axis=1)
        if not free.any():
            return None
        covered = np.zeros(len(centres))
        # In units of what a label and a mark reach the boxes are squares; their edges are left out.
        reach = half + scale * MARK_PT
        tree = cKDTree(marks / reach, balanced_tree=False)
        covered[free] = tree.query_ball_point(centres[free] / reach, np.nextafter(1, 0), np.inf, return_length=True)
        cost = rings.ravel() + COVERS * covered + TURNS * np.tile(np.arange(len(ANGLES)), len(RINGS_PT))
        found[place] = centres[np.where(free, cost, np.inf).argmin()]
        taken.append(place)
    return found


def obstacles(ax: Axes) -> Array:
    """Return what is drawn on axes as points on the page, in pixels: marks, lines between them, intervals."""
    found = [np.empty((0, 2))]
    for line in ax.get_lines():
        path = line.get_transform().transform(np.asarray(line.get_xydata(), dtype=float))
        if line.get_gid() == BEHIND or not len(path):
            continue
        found.append(path)
        if line.get_linestyle() not in {"None", ""} and len(path) > 1:
            share = np.linspace(0, 1, SAMPLES)[:, None]
            found += [a + share * (b - a) for a, b in itertools.pairwise(path)]
    for container in ax.containers:
        for bars in getattr(container, "lines", (None, (), ()))[2]:
            for segment in bars.get_segments():
                if not len(segment):  # of a mean without an interval
                    continue
                ends = bars.get_transform().transform(segment)
                found.append(ends[0] + np.linspace(0, 1, SAMPLES)[:, None] * (ends[-1] - ends[0]))
    points = np.concatenate(found)
    return np.asarray(points[np.isfinite(points).all(axis=1)], dtype=float)


BEHIND = "behind"  # the gid of lines that labels may lie on, such as the front


def shared_legend(figure: Figure, handles: Sequence[Any], texts: Sequence[str], title: str = "") -> Legend:
    """Put a legend under a figure, in as many columns as fit, and make the figure that much higher."""
    size = 0.9 * text_pt()
    longest = max((len(fitting(text)) for text in texts), default=1)
    width_in = (0.62 * longest + 4.5) * size / 72
    columns = max(1, min(len(texts), int(figure.get_figwidth() / width_in)))
    rows = -(-len(texts) // columns) + bool(title)
    figure.set_figheight(figure.get_figheight() + rows * 1.45 * size / 72 + 0.05)
    legend = figure.legend(
        handles, [fitting(text) for text in texts], loc="outside lower center", ncols=columns, frameon=False,
        fontsize=size, title=title or None, title_fontsize=size, columnspacing=1.2, handlelength=1.8,
    )  # fmt: skip
    plain([*legend.get_texts(), legend.get_title()])
    return legend


def _size(ax: Axes, name: Name) -> tuple[float, float]:
    """Return the width and height of a name, in pixels."""
    text = _write(ax, name, (0.0, 0.0), led=False)
    box = text.get_window_extent()
    text.remove()
    return box.width, box.height


def _write(ax: Axes, name: Name, offset_pt: tuple[float, float], *, led: bool) -> Annotation:
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import offset_copy

    leader = {
        "arrowstyle": "-", "color": ink(), "alpha": 0.4, "linewidth": 0.07 * text_pt(), "shrinkA": 0, "shrinkB": 0,
    }  # fmt: skip
    text = ax.annotate(
        name.text, (name.x, name.y), offset_pt,
        xycoords=offset_copy(ax.transData, ax.get_figure(root=True), x=name.aside_pt, units="points"),
        textcoords="offset points", ha="center", va="center", color=legible(name.color), fontsize=text_pt(),
        fontweight="bold", parse_math=False, annotation_clip=False, arrowprops=leader if led else None,
        path_effects=[withStroke(linewidth=0.25 * text_pt(), foreground=ax.get_facecolor())],  # on lines it is read too
    )  # fmt: skip
    text.set_in_layout(False)
    return text
