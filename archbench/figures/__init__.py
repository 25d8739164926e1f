"""Figures: each takes a frame and an axes and returns the axes, so that it can stand in a figure of the user's own."""

from archbench.figures.batches import batch_figure, batch_frame, draw_batches
from archbench.figures.beside import Concluded
from archbench.figures.captions import warnings_of
from archbench.figures.drawn import Drawn, Wanted
from archbench.figures.epochs import curves, curves_figure, draw_curves
from archbench.figures.heat import draw_heat, heat
from archbench.figures.names import fitting, in_legend
from archbench.figures.overheads import draw_overhead, overhead_bars
from archbench.figures.points import scatter
from archbench.figures.save import FORMATS, parse_formats, save
from archbench.figures.scatters import draw_scatter, scatter_figure
from archbench.figures.style import STYLES, WIDTHS, colors, looks, new_figure, styled

__all__ = [
    "FORMATS", "STYLES", "WIDTHS", "Concluded", "Drawn", "Wanted", "batch_figure", "batch_frame", "colors", "curves",
    "curves_figure", "draw_batches", "draw_curves", "draw_heat", "draw_overhead", "draw_scatter", "fitting", "heat",
    "in_legend", "looks", "new_figure", "overhead_bars", "parse_formats", "save", "scatter", "scatter_figure", "styled",
    "warnings_of",
]  # fmt: skip
