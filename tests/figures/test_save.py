from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zlib

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from test_tables import RECORDS, record

from archbench import figures
from archbench.errors import InputError
from archbench.figures.style import GROUND, LINE_CONTRAST, contrast, legible, markers, width_in
from archbench.frame import runs_frame

SVG = "{http://www.w3.org/2000/svg}"


def drawn(style="paper", width="full"):
    return figures.draw_scatter(runs_frame(RECORDS), figures.Wanted(style=style, width=width))


def saved(path, one):
    figures.save(one.figure, path, style=one.style, title=one.title, description=one.description)
    return path


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_data_gives_the_same_bytes_in_every_format(tmp_path, suffix):
    first, second = (saved(tmp_path / f"{name}.{suffix}", drawn()).read_bytes() for name in "ab")
    assert first == second


def test_a_pdf_has_its_fonts_in_it_as_truetype(tmp_path):
    content = saved(tmp_path / "a.pdf", drawn()).read_bytes()
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    fonts = [stream for stream in map(inflated, streams) if stream[:4] == b"\0\1\0\0"]  # how a TrueType file begins
    described = re.findall(rb"/FontFile2 \d+ 0 R", content)
    assert described
    assert len(fonts) == len(described) == len(re.findall(rb"/Type /FontDescriptor", content))
    assert b"/Subtype /Type3" not in content
    assert b"CreationDate" not in content


def inflated(stream):
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return stream


def test_an_svg_is_one_picture_with_a_title_and_a_description_and_needs_no_font(tmp_path):
    one = drawn()
    root = ET.parse(saved(tmp_path / "a.svg", one)).getroot()
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert (title.text, description.text) == (one.title, one.description)
    assert "cnn at 1k params: 91.0 ± 2.5 %" in description.text
    assert "1 failed of 8 runs" in description.text
    assert not list(root.iter(f"{SVG}text"))


def test_words_of_users_are_text_in_an_svg(tmp_path):
    name = "<script>&]]>\x1b"
    one = figures.draw_scatter(runs_frame([record(name, 1000, 0, 0.9)]))
    root = ET.parse(saved(tmp_path / "a.svg", one)).getroot()
    assert "<script>&]]>\\x1b at 1k params" in root[1].text


@pytest.mark.parametrize("style", figures.STYLES)
def test_text_and_lines_can_be_told_from_the_ground_in_every_style(style):
    with figures.styled(style):
        ground = to_rgb(mpl.rcParams["axes.facecolor"])
        assert contrast(to_rgb(mpl.rcParams["text.color"]), ground) > 7
        for color in figures.colors(10):
            assert contrast(to_rgb(color), ground) >= LINE_CONTRAST
            assert contrast(legible(color), ground) >= 4.5


def test_a_colour_that_can_be_read_stays_as_it_is():
    """On white two of the ten have less contrast than lines need: 1.92 and 1.58."""
    with figures.styled():
        changed = [a != to_rgb(b) for a, b in zip(figures.colors(10), mpl.color_sequences["petroff10"], strict=True)]
    assert changed == [False, True, False, False, False, False, False, False, False, True]


def test_contrast_is_that_of_wcag():
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast(to_rgb("#777777"), (1, 1, 1)) == pytest.approx(4.48, abs=0.005)  # the grey that just fails


def test_a_hundred_lines_have_a_look_each():
    looks = list(zip(figures.colors(100), markers(100), strict=True))
    assert len(set(looks)) == 100


def test_the_dark_style_is_dark_to_the_edge(tmp_path):
    with Image.open(saved(tmp_path / "a.png", drawn("dark"))) as image:
        assert image.convert("RGB").getpixel((0, 0)) == tuple(int(GROUND[i : i + 2], 16) for i in (1, 3, 5))
        assert image.info["Title"] == drawn("dark").title


@pytest.mark.parametrize(("style", "width"), [(s, w) for s in figures.STYLES for w in figures.WIDTHS])
def test_a_figure_is_as_wide_as_asked_for(tmp_path, style, width):
    with Image.open(saved(tmp_path / "a.png", drawn(style, width))) as image:
        assert image.width == pytest.approx(160 * width_in(style, width), abs=1)


def test_what_is_no_format_style_or_width_is_named():
    assert figures.parse_formats("svg, pdf,svg") == ("svg", "pdf")
    for call, near in (
        (lambda: figures.parse_formats("pgn"), "png"),
        (lambda: drawn("darc"), "dark"),
        (lambda: drawn(width="colum"), "column"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert near in caught.value.remedy
