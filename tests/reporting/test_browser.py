"""A report in a real browser: what a reader sees, types, hears and prints."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
from importlib.resources import files

import pandas as pd
import pytest
from browsing import WHY, cells, in_browser, middle
from made import EVIL, compared, html

from archbench.markup import latex_table, markdown_table
from archbench.words import summary_words

if not WHY:
    from playwright.sync_api import expect
pytestmark = in_browser


def test_a_table_is_sorted_by_its_headings_and_empty_cells_stay_last(opened):
    page = opened()
    heading = page.locator("#summary-table th", has_text="accuracy")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    column = 1 + page.locator("#summary-table th").all_text_contents().index("accuracy, %")
    firsts = [cell.partition(" ")[0] for cell in cells(page, "summary-table", column)]
    assert firsts == ["50.0", "91.0", "94.0", "1"]  # the last is no accuracy: 1 failed
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert cells(page, "summary-table", column)[0].startswith("94")


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (["12 failed", "30k to 200k", "28.8k", "950"], ["950", "28.8k", "12 failed", "30k to 200k"]),
        (["1.5x [1.4, 1.6] unstable", "12.5x", "1.9x", "2e1"], ["1.5x [1.4, 1.6] unstable", "1.9x", "12.5x", "2e1"]),
        (["28,775", "1.60M", "+0.7 ± 3.5", "1x28x28"], ["+0.7 ± 3.5", "28,775", "1.60M", "1x28x28"]),
    ],
)  # fmt: skip
def test_cells_are_sorted_by_the_numbers_that_they_are(opened, words, ordered):
    page = opened()
    page.locator("#summary-table tbody td:nth-child(2)").evaluate_all(
        "(cells, words) => cells.forEach((cell, place) => { cell.textContent = words[place]; })", words
    )
    page.locator("#summary-table th").nth(1).get_by_role("button").click()
    assert cells(page, "summary-table", 2) == ordered


def test_a_row_opens_its_own_model_however_the_table_is_sorted(opened):
    page = opened()
    page.locator("#summary-table th").first.get_by_role("button").click()
    rows = {
        ("cnn", "1k"): "cnn@1k", ("fixed", ""): "fixed", ("net", "1k"): "net@1k", ("net", "5k"): "net@5k",
    }  # fmt: skip
    shown = list(zip(cells(page, "summary-table", 1), cells(page, "summary-table", 2), strict=True))
    assert shown == list(rows)
    for place, row in enumerate(shown):
        page.locator("#summary-table .open").nth(place).click()
        expect(page.locator("#detail h3")).to_have_text(rows[row])


def test_the_tables_of_a_model_are_sorted_and_copied_too(opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#summary-table .open").nth(1).click()
    figures = page.locator("#detail .table").last
    heading = figures.locator("th").first
    heading.get_by_role("button").click()
    names = figures.locator("tbody tr td:first-child").all_text_contents()
    assert len(names) > 20
    assert names == sorted(names, key=str.casefold)
    figures.get_by_role("button", name="Copy CSV").click()
    expect(figures.locator(".status")).to_have_text(f"{len(names)} rows copied as CSV")
    read = pd.read_csv(io.StringIO(page.evaluate("navigator.clipboard.readText()")), dtype=str)
    assert read["figure"].tolist() == names


def test_rows_are_filtered_by_what_is_typed(opened):
    page = opened("several data sets")
    every = len(cells(page, "summary-table", 1))
    page.get_by_role("searchbox", name="Filter rows: A row a model and budget").fill("NET mnist")
    found = cells(page, "summary-table", 1)
    assert 0 < len(found) < every
    assert all("net" in cell for cell in found)
    assert page.locator("#summary-table .status").text_content() == f"{len(found)} of {every} rows"


@pytest.mark.parametrize("kind", ["usual", "evil"])
def test_what_is_copied_is_what_the_library_writes(opened, kind):
    page = opened(kind, permissions=["clipboard-read", "clipboard-write"])
    words = summary_words(compared()[kind].summary()).fillna("")
    words = words.loc[:, [(words[name] != "").any() for name in words.columns]]

    def copied(form):
        page.click(f"#summary-table button:has-text('Copy {form}')")
        expect(page.locator("#summary-table .status")).to_have_text(re.compile(f"as {form}$"))
        return page.evaluate("navigator.clipboard.readText()")

    def bare(table):
        return [re.sub(r"\s+|:?-{3,}:?|l{3,}|r{3,}", "", line) for line in table.strip().splitlines()]

    assert bare(copied("Markdown")) == bare(markdown_table(words))
    assert bare(copied("LaTeX")) == bare(latex_table(words))
    read = pd.read_csv(io.StringIO(copied("CSV")), dtype=str, keep_default_na=False)
    assert list(read.columns) == list(words.columns)
    plain = words.map(lambda cell: cell.replace(",", "") if re.fullmatch(r"[\d,]+(\.\d+)?", cell) else cell)
    assert read.to_numpy().tolist() == plain.to_numpy().tolist()


def test_names_that_are_markup_do_nothing(opened):
    page = opened("evil")
    assert EVIL in page.locator("#summary-table tbody").text_content()
    page.mouse.move(*middle(page, 0))
    page.locator("#tip").wait_for(state="visible")
    assert EVIL in page.locator("#tip strong").text_content()
    page.click("#summary-table .open >> nth=0")
    assert EVIL in page.locator("#detail h3").text_content()
    assert page.locator("main img").count() == 0
    assert page.title() != "1"


def test_the_policy_stops_what_is_not_ours(chromium, tmp_path):
    """As if a name had got in as markup: neither its script nor its picture does anything."""
    page = chromium.new_page()
    refused, asked, stopped = [], [], []
    page.on("requestfailed", lambda request: stopped.append(request.url) if request.failure == "csp" else None)
    page.on("console", lambda message: refused.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    file = tmp_path / "broken.html"
    evil = "<script>document.title='run'</script><img src='https://example.org/x.png' onerror=\"document.title='run'\">"
    file.write_text(html("usual").replace("<footer>", f"{evil}<footer style='color:red'>"), encoding="utf-8")
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.title() != "run"
    assert page.evaluate("getComputedStyle(document.querySelector('footer')).color") != "rgb(255, 0, 0)"
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.querySelector('footer').innerHTML = '<b>x</b>'")
    assert sum("Content Security Policy" in text for text in refused) >= 3
    assert stopped == [one for one in asked if not one.startswith(("file:", "data:"))]
    page.close()


@pytest.mark.parametrize("width", [375, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_in_both_themes_and_both_widths(opened, width, scheme):
    page = opened("long names", width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", shade))) > 384) == (scheme == "light")
    page.click("#theme")  # from the system's to light
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#theme").text_content() == "Theme: dark"


def test_without_scripts_the_figures_stand_still_and_the_tables_are_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("#chart").is_hidden()
    assert page.locator("#theme").is_hidden()
    pictures = page.locator("noscript img.still")
    assert pictures.count() == 2
    assert all(pictures.nth(place).bounding_box()["height"] > 200 for place in range(2))
    assert "cnn" in pictures.first.get_attribute("alt")
    assert page.locator("#summary-table tbody tr").count() == 4


def test_it_prints_on_a4(opened):
    page = opened()
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = {tuple(map(float, box)) for box in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)}
    ((width, height),) = boxes
    assert (round(width * 25.4 / 72), round(height * 25.4 / 72)) == (210, 297)
    page.emulate_media(media="print")
    assert page.locator(".tools").first.is_hidden()
    assert page.locator("#summary-table td").first.is_visible()
    assert page.locator(".sort").first.evaluate("node => getComputedStyle(node).display") == "contents"


def test_no_word_of_a_table_is_broken_on_paper(opened):
    page = opened("in doubt", width=703)  # of A4 between its margins
    page.emulate_media(media="print")
    broken = """cells => cells.flatMap((cell) => {
        const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
        return text ? [...text.data.matchAll(/\\S+/g)].map((word) => {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            return range.getClientRects().length > 1 ? word[0] : null;
        }) : [];
    }).filter(Boolean)"""
    assert page.locator("th, td").count() > 100
    assert page.locator("th, td").evaluate_all(broken) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 703


def test_every_part_can_be_gone_to_in_a_wide_window(opened):
    page = opened(width=700)
    assert page.locator(".parts a").count() > 10
    assert page.locator(".parts").evaluate("nav => nav.scrollWidth <= nav.clientWidth")
    page.locator(".parts a").last.click()
    assert page.locator("h2").last.evaluate("node => node.getBoundingClientRect().top") >= page.locator(
        ".parts"
    ).evaluate("nav => nav.getBoundingClientRect().bottom")


@pytest.mark.parametrize("kind", ["usual", "one seed", "no timings", "failed alone", "several data sets", "nothing"])
def test_every_kind_of_page_opens_without_an_error(opened, kind):
    page = opened(kind)
    assert page.locator("h1").is_visible()


@pytest.mark.skipif(importlib.util.find_spec("axe_playwright_python") is None, reason="axe is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_issue(opened, scheme):
    page = opened(color_scheme=scheme)
    page.click("#summary-table .open >> nth=0")
    page.locator("#detail").wait_for(state="visible")
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 30
    assert [(one["id"], one["impact"]) for one in found["violations"]] == []


def test_pictures_are_whole(opened):
    """The addresses of the still figures hold the SVG that is written beside the report."""
    page = opened(java_script_enabled=False)
    source = page.locator("noscript img").first.get_attribute("src").partition(",")[2]
    assert base64.b64decode(source).rstrip().endswith(b"</svg>")
