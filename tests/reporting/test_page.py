"""What a report says, read back from its HTML and its Markdown."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest
from made import EVIL, KINDS, compared, comparison, data_of, html, page
from test_tables import ENVIRONMENT, RECORDS, record

import archbench
from archbench.reporting import html_of, markdown_of, page_of, write_report
from archbench.reporting.page import question_of
from archbench.schema import Study
from archbench.words import overhead_words, summary_words

VOID = {"meta", "img", "br", "input", "hr", "link"}


class Reader(HTMLParser):
    """Reads a page as a browser without scripts would: elements, attributes, tables by their captions."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.tables, self.elements = [], [], {}, {}
        self._open, self._table = [], None
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._table, self._caption = [], ""
        if tag == "tr":
            self._table.append([])
        if tag in {"td", "th"}:
            self._table[-1].append("")
        self.elements.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._table

    def handle_data(self, text):
        if not self._open:
            return
        inside = self._open[-1]
        self.elements[inside][-1] += text
        if inside in {"td", "th"}:
            self._table[-1][-1] += text
        if inside == "caption":
            self._caption += text


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_made_of_every_kind_of_comparison(kind):
    read = Reader(html(kind))
    assert read.elements["h1"] == [page(kind).question]
    assert page(kind).answer
    assert len(read.elements["h2"]) == len(set(read.elements["h2"]))
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = {value[1:] for tag, name, value in read.attributes if (tag, name) == ("a", "href")}
    assert links - {"main"} <= set(ids) | {"main"}
    assert markdown_of(page(kind)).startswith("# ")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_and_nothing_runs_but_what_the_policy_names(kind):
    read = Reader(html(kind))
    for tag, name, value in read.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag
        if name in {"src", "href"}:
            assert value.startswith(("data:image/svg+xml;base64,", "#")), value[:60]
    policy = next(v for t, n, v in read.attributes if (t, n) == ("meta", "content") and "default-src" in v)
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; ")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        text = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html(kind), re.DOTALL)[-1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert read.tags.count("script") == 2  # the data, and ours


def test_names_that_are_markup_are_text():
    read = Reader(html("evil"))
    assert read.tags.count("img") == Reader(html("usual")).tags.count("img")
    assert any(EVIL in cell for row in read.tables["A row a model and budget"] for cell in row)
    assert any(EVIL in name for name in data_of(html("evil"))["series"])
    said = markdown_of(page("evil"))
    words, command, _ = re.split(r"^(?:`{3,}sh|`{3,})$", said, flags=re.MULTILINE)
    assert "<img" not in words
    assert "</script" not in words
    assert command.startswith("\narchbench compare ")


def test_tables_have_the_words_of_the_library():
    read, one = Reader(html("usual")), compared()["usual"]
    for caption, words in (
        ("A row a model and budget", summary_words(one.summary())),
        ("Overhead against cnn", overhead_words(one.overhead())),
    ):
        head, *rows = read.tables[caption]
        kept = [name for name in words.columns if (words[name].fillna("") != "").any()]
        assert head == kept
        assert rows == words[kept].fillna("").astype(str).to_numpy().tolist()


def test_failures_stand_with_their_reasons_and_counters_with_what_explains_them():
    read = Reader(html("usual"))
    head, *rows = read.tables["A row a run that is not done"]
    assert [dict(zip(head, row, strict=True)) for row in rows] == [
        {"model": "net@5k", "seed": "0", "state": "failed", "reason": "it broke"}
    ]
    counters = read.tables["Figures of other counters, a row a network and counter"]
    assert all(row[-2:] == ["+7 batch norm", "0"] for row in counters[1:])
    assert "Every run is done." in html("no timings")


def test_the_environment_is_told_without_the_name_of_the_machine():
    named = dataclasses.replace(ENVIRONMENT, machine="secret-host")
    records = [dataclasses.replace(one, environment=named) for one in RECORDS]
    page_ = page_of(comparison(records, compared()["usual"].folder))
    assert "secret-host" not in html_of(page_)
    assert "secret-host" not in markdown_of(page_)
    elsewhere = [dataclasses.replace(one, environment=dataclasses.replace(named, machine="b")) for one in records[:3]]
    several = html_of(page_of(comparison([*elsewhere, *records[3:]], compared()["usual"].folder)))
    assert "on 2 machines" in several


def test_the_same_results_give_the_same_bytes(filled, tmp_path):
    first = {file.name: file.read_bytes() for file in write_report(filled, tmp_path / "a")}
    again = archbench.report(filled.folder, out=tmp_path / "b")
    assert {file.name: file.read_bytes() for file in again} == first
    assert set(first) == {
        "report.html", "report.md", "scatter.svg", "scatter.csv", "curves.svg", "curves.csv",
    }  # fmt: skip


def test_the_figures_that_markdown_shows_lie_beside_it(filled, tmp_path):
    write_report(filled, tmp_path)
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (tmp_path / "report.md").read_text())
    assert len(shown) == 2
    assert all((tmp_path / name).is_file() for name in shown)


def test_a_family_of_fixed_sizes_looks_as_the_first_of_its_models_in_the_figures():
    sizes = (("plain", 500), ("deep20", 1000), ("deep32", 3000))
    records = [record(name, None, seed, 0.9, params=params) for name, params in sizes for seed in range(2)]
    for place, one in enumerate(records):
        sized = dataclasses.replace(one.cell.sized, family=one.cell.model.rstrip("0123456789"))
        records[place] = dataclasses.replace(one, cell=dataclasses.replace(one.cell, sized=sized))
    chart = page_of(comparison(records, compared()["usual"].folder)).chart
    assert dict(zip(chart["series"], chart["looks"], strict=True)) == {"plain": 0, "deep": 1}


def test_what_a_figure_says_of_its_data_is_true(filled, tmp_path):
    """The words for those who do not see it are one paragraph, and the file that they name is there."""
    write_report(filled, tmp_path)
    for picture in tmp_path.glob("*.svg"):
        (named,) = re.findall(r"The data is in (\S+)\.</desc>", picture.read_text())
        assert (tmp_path / named).read_text().count("\n") > 1
    alts = [value for tag, name, value in Reader((tmp_path / "report.html").read_text()).attributes if name == "alt"]
    assert len(alts) == 2
    assert not any("The data is in" in alt for alt in alts)


def test_alternative_texts_have_no_line_breaks_and_none_that_is_spelled_out():
    warned = ("too few images", "twins")
    records = [dataclasses.replace(one, cell=dataclasses.replace(one.cell, warnings=warned)) for one in RECORDS]
    page_ = page_of(comparison(records, compared()["usual"].folder))
    assert all("\n" not in still.alt for still in page_.stills)
    assert "warning: too few images. warning: twins. cnn at" in page_.stills[0].alt
    for text in (html_of(page_), markdown_of(page_)):
        assert not re.search(r'alt="[^"]*\\n|!\[[^]]*\\n', text)


def test_where_nothing_was_run_nothing_was_measured_on():
    assert "Measured on" in html("usual")
    assert "Measured on" not in html("nothing")


def test_a_row_of_the_summary_is_of_the_model_that_it_opens():
    """Whichever way the runs are mixed, as those of several sessions are."""
    records = [*RECORDS[::-2], *RECORDS[::-1][1::2]]
    page_ = page_of(comparison(records, compared()["usual"].folder))
    (table,) = next(one for one in page_.sections if one.id == "summary").tables
    for row, group in zip(table.rows, table.groups, strict=True):
        cell = records[page_.chart["groups"][group]["runs"][0]].cell
        assert row[:2] == (cell.model, "" if cell.budget is None else f"{cell.budget.target // 1000}k")


@pytest.mark.parametrize("kind", KINDS)
def test_no_note_is_said_twice(kind):
    notes = [note for section in page(kind).sections for note in section.notes]
    assert len(notes) == len(set(notes))
    assert any(note.startswith("Unstable") for note in notes) == (kind == "in doubt")


def test_a_report_of_several_folders_lies_beside_each_store(filled, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "results.sqlite").write_bytes((filled.folder / "results.sqlite").read_bytes())
    files = archbench.report(tmp_path / "all")
    assert [file.parent.name for file in files if file.name == "report.html"] == ["a", "b"]
    with pytest.raises(archbench.ArchbenchError, match="holds several comparisons"):
        archbench.report(tmp_path / "all", out=tmp_path / "one")


def test_the_question_names_what_is_compared():
    frame = compared()["usual"].frame()
    assert question_of(Study(("cnn",), (1000,)), frame).startswith(
        "Which is more accurate at the same number of parameters, cnn, net or fixed, and what"
    )
    assert question_of(Study(("cnn",)), frame[frame["model"] == "cnn"]) == "How accurate is cnn, and what does it cost?"


def test_a_shipped_study_has_its_title_and_its_claims():
    study = Study(("mnist_conv",), seeds=(0, 1, 2), name="mnist-heads", scale="quick")
    records = [record("mnist_conv", None, seed, 0.97, params=1000) for seed in range(3)]
    page_ = page_of(dataclasses.replace(comparison(records, compared()["usual"].folder), study=study))
    assert page_.question.startswith("MNIST: six heads")
    assert next(one for one in page_.sections if one.id == "published").tables
    (command,) = next(one for one in page_.sections if one.id == "command").code
    assert command.startswith("archbench reproduce mnist-heads --scale quick")


def test_long_tables_say_what_they_leave_out():
    records = [record(f"net{place}", 1000, 0, 0.9, [100.0 + place] * 24) for place in range(110)]
    page_ = page_of(comparison(records, compared()["usual"].folder))
    timings = next(one for one in page_.sections if one.id == "timings")
    assert len(timings.tables[0].rows) == 200
    assert timings.notes[-1] == "And 20 rows more."
    assert "And 10 rows more in report.html." in markdown_of(page_)
