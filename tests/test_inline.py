from __future__ import annotations

import base64
import re

import pandas as pd
from test_tables import RECORDS, record

from archbench.comparison import Comparison
from archbench.inline import table
from archbench.schema import Study
from archbench.words import summary_words


def test_results_show_their_summary_and_the_scatter_in_a_notebook(tmp_path):
    shown = Comparison(Study(("cnn",)), RECORDS, tmp_path)
    html = shown._repr_html_()
    cells = re.findall(r"<td>(.*?)</td>", html)
    assert cells == [str(cell) for row in summary_words(shown.summary()).to_numpy() for cell in row]
    svg = base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]+)", html)[1]).decode()
    assert svg.startswith("<?xml")
    assert "The data is in" not in svg  # no file of it is written
    assert html == shown._repr_html_()


def test_what_is_markup_is_text():
    html = table(pd.DataFrame({"<b>": ["</td><script>alert(1)</script>", '"&\x1b', "long" * 50]}))
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert '"&amp;\\x1b' in html
    assert "long" * 50 in html


def test_what_is_long_is_cut_and_says_so():
    html = table(pd.DataFrame({"model": [f"net{place}" for place in range(70)]}))
    assert html.count("<tr>") == 60
    assert "And 10 rows more" in html


def test_without_a_run_that_is_done_there_is_no_figure(tmp_path):
    failed = Comparison(Study(("net",)), [record("net", 1000, 0, 0.0, status="failed")], tmp_path)
    assert "No run is done." in failed._repr_html_()
    assert "Nothing has been run" in Comparison(Study(()), [], tmp_path)._repr_html_()
