"""How figures look: three styles, widths in columns, colours that can be told apart and read on their ground."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from archbench.choices import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
GROUND = "#16191d"  # of the dark style: nearly black, as white on black glares
TEXT_CONTRAST, LINE_CONTRAST = 4.5, 2.0  # WCAG's least of text; of lines less, as their shape tells them too
SHADES = 20  # steps to black or white in which a colour that cannot be read is moved
# Text is drawn as outlines in SVG and embedded as TrueType in PDF, so that figures look the same without the font.
EMBEDDED = {"svg.fonttype": "path", "svg.hashsalt": "archbench", "pdf.fonttype": 42, "ps.fonttype": 42}


@dataclass(frozen=True)
class Style:
    """What a figure is made for.

    Attributes:
        widths_in: of a figure, in inches: a column of two, the text of one column, both columns of two.
        text_pt: size of the text.
        base: of matplotlib's styles.
    """

    widths_in: Mapping[str, float]
    text_pt: float
    base: str = "seaborn-v0_8-whitegrid"
    own: Mapping[str, Any] = field(default_factory=dict)


PAPER_IN = {"column": 3.5, "text": 5.5, "full": 7.16}  # a column and both of IEEE's, the text width of NeurIPS
SLIDES_IN = {"column": 6.0, "text": 9.0, "full": 12.3}  # half, three quarters and all of a slide of 13.3 x 7.5
DARK = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), GROUND),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), "#e8eaed"),
    "grid.color": "#3a4048", "axes.edgecolor": "#6b7480", "axes.grid": True, "axes.axisbelow": True,
}  # fmt: skip
STYLES = {
    "paper": Style(PAPER_IN, 8.0),
    "slides": Style(SLIDES_IN, 16.0),
    "dark": Style(PAPER_IN, 8.0, "dark_background", DARK),
}
WIDTHS = tuple(PAPER_IN)


def width_in(style: str, width: str) -> float:
    """Return the inches of a width in a style.

    Raises:
        InputError: there is no such style or width.
    """
    choose(width, WIDTHS, "width")
    return STYLES[choose(style, STYLES, "style")].widths_in[width]


@contextmanager
def styled(style: str = "paper") -> Iterator[None]:
    """Within: figures look as archbench's do, with the font that matplotlib brings, so on all machines alike.

    Args:
        style: `paper`, `slides` or `dark`.

    Raises:
        InputError: there is no such style.
    """
    from matplotlib import style as matplotlib_style

    chosen = STYLES[choose(style, STYLES, "style")]
    size = chosen.text_pt
    sizes = {
        **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "figure.titlesize"), size),
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 0.9 * size),
        "lines.markersize": 0.75 * size, "lines.linewidth": 0.17 * size, "axes.linewidth": 0.09 * size,
        "grid.linewidth": 0.07 * size, "patch.linewidth": 0.07 * size, "hatch.linewidth": 0.08 * size,
    }  # fmt: skip
    own = {**EMBEDDED, "font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "axes.unicode_minus": True}
    with matplotlib_style.context([chosen.base, {**sizes, **own, **chosen.own}]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return a figure (inches) of its own, outside pyplot's list of open ones."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def text_pt() -> float:
    """Return the size of the text of the style that is in force."""
    import matplotlib as mpl

    return float(mpl.rcParams["font.size"])


def ink() -> Any:
    """Return the colour of the text of the style that is in force."""
    import matplotlib as mpl

    return mpl.rcParams["text.color"]


def palette() -> list[str]:
    """Return ten colours that colour-blind people tell apart (M. A. Petroff, arXiv:2107.02270), as #rrggbb."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in mpl.color_sequences["petroff10"]]


def colors(count: int) -> list[Any]:
    """Return so many colours that can be read on the ground of the style that is in force; ten, then again."""
    return list(itertools.islice(itertools.cycle(legible(color, LINE_CONTRAST) for color in palette()), count))


def markers(count: int) -> list[str]:
    """Return so many markers; beside `colors` no pair of the two comes again before the hundredth."""
    return [MARKERS[(place + place // len(MARKERS)) % len(MARKERS)] for place in range(count)]


class Look(NamedTuple):
    """How a line is told from the others."""

    color: Any
    marker: str


def looks(names: Iterable[Any]) -> dict[Any, Look]:
    """Return a look a name, in the style that is in force.

    Figures that are given all names of a comparison, in the order of its frame, show each alike, whichever of them they
    draw; so does the page of a report.
    """
    different = list(dict.fromkeys(names))
    return dict(zip(different, map(Look, colors(len(different)), markers(len(different))), strict=True))


def legible(color: Any, least: float = TEXT_CONTRAST) -> Any:
    """Return a colour as near to the given one as can be read on the ground of the style that is in force."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    ground = to_rgb(mpl.rcParams["axes.facecolor"])
    start = to_rgb(color)
    end = 0.0 if luminance(ground) > 0.5 else 1.0
    for step in range(SHADES):
        share = step / SHADES
        shade = tuple((1 - share) * part + share * end for part in start)
        if contrast(shade, ground) >= least:
            return shade
    return (end, end, end)


def luminance(color: tuple[float, ...]) -> float:
    """Return the relative luminance of a colour of sRGB, as WCAG 2 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(color: tuple[float, ...], ground: tuple[float, ...]) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    low, high = sorted((luminance(color), luminance(ground)))
    return (high + 0.05) / (low + 0.05)
