"""Names are data: whatever a model, a case or a class is called, nothing is run, drawn or written by it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from processes import TIMES
from rich.console import Console
from test_cli import invoke
from test_tables import BASE, record

import zoo
from archbench import api, data_words, diagram, figures, markup, words
from archbench.cli import show
from archbench.comparison import Comparison
from archbench.data import load_dataset, load_parts
from archbench.data.audit import audit
from archbench.errors import InputError, reason
from archbench.exports import DIALECTS, FORMULA, write_csv, write_dialect
from archbench.figures import batch_figure
from archbench.frame import epochs_frame, runs_frame
from archbench.schema import Progress, Study, View
from archbench.search_figure import search_figure
from archbench.study import make_study, results_folder
from archbench.study_file import folder_of
from archbench.tables import overhead
from zoo import registry

NAMES = [
    "=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-1", "<script>alert(1)</script>", "[/foo]", "[red]x", "../../x",
    "n" * 300, "🚀👩‍💻", "a\nb", "a\0b", "a\x1b[31mred", "\x9b31m", "a\rb", "\u202eevil", "$x_1$ and $\\frac{",
    "_hidden", "__", "a|b", "`rm -rf`", "*bold* _it_ **b**", "[x](javascript:alert(1))", "![i][r]", "~~x~~",
    "&lt;b&gt;", "a\\", "%s {0} %(x)s", "#1", "\\input{/etc/passwd}", "\\", "^_{}~%#&", "-- $(reboot)", "'", '"',
    ",", ";", "  spaced  ",
]  # fmt: skip
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def records_named(name):
    def case(one):
        return dataclasses.replace(one, cell=dataclasses.replace(one.cell, case=name, dataset=name, warnings=(name,)))

    made = [record(model, 1000, seed, 0.9 + seed / 100, BASE) for model in ("cnn", name) for seed in range(2)]
    return [case(one) for one in made] + [case(record(name, 2000, 0, 0, status="failed"))]


def cells_of(line):
    """Return the cells of a Markdown table's row as a renderer splits them."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rendered(text):
    """Return what a renderer makes of a text without markup."""
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, letter)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


@pytest.mark.parametrize("names", [NAMES[start::8] for start in range(8)])
def test_every_file_of_a_comparison_holds_names_as_text(names, tmp_path):
    home = tmp_path / "results" / "here"
    found = Comparison(Study(("cnn", *names)), tuple(one for name in names for one in records_named(name)), home)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = found.write_tables() + found.write_figures()
        files += [file for dialect in DIALECTS for file in write_dialect(dialect, found, home)]
    assert {file.parent for file in files} == {home}
    assert sorted(file.name for file in home.iterdir()) == sorted({file.name for file in files})
    assert list(tmp_path.iterdir()) == [tmp_path / "results"]
    for file in home.glob("*.csv"):
        with file.open(encoding="utf-8", newline="") as text:
            header, *rows = csv.reader(text)
        assert {len(row) for row in rows} == {len(header)}
        assert not [cell for row in rows for cell in row if cell.startswith(FORMULA) and not _is_number(cell)]
        if file.name == "runs.csv":
            wanted = [f"'{name}" if name.startswith(FORMULA) else name for name in names]
            assert [row[header.index("model")] for row in rows] == [
                model for name in wanted for model in ("cnn", "cnn", name, name, name)
            ]
            assert [row[header.index("case")] for row in rows[::5]] == wanted
    for file in (home / "overhead.md", home / "summary.md"):
        text = file.read_text(encoding="utf-8")
        assert not CONTROLS.search(text)
        table = [line for line in text.splitlines() if line.startswith("|")]
        assert {len(cells_of(line)) for line in table} == {len(cells_of(table[0]))}
        assert len(table) == 2 + 3 * len(names)
        assert [rendered(cells_of(line)[0]) for line in table[3::3]] == [markup.visible(name).strip() for name in names]
        assert "<" not in text
        assert not re.search(r"(?<!\\)(?:\\\\)*\]\(", text)
    # Letters are outlines: what they are stands in comments, and in the description.
    text = ET.parse(home / "scatter.svg", ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))).getroot()
    drawn = "".join([*text.itertext(), *(element.text for element in text.iter(ET.Comment))])
    assert not CONTROLS.search(drawn)
    assert all(markup.visible(name)[:10].strip() in drawn for name in names)
    tags = {element.tag.rpartition("}")[2] for element in text.iter() if element.tag is not ET.Comment}
    assert tags.isdisjoint({"script", "foreignObject", "a"})
    for file in home.glob("*.png"):
        with Image.open(file) as image:
            image.verify()


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


@given(st.text(max_size=30) | st.sampled_from(NAMES))
def test_a_cell_of_markdown_renders_as_its_text(text):
    cell = markup.markdown(text)
    assert len(cells_of(f"| {cell} | b |")) == 2
    assert rendered(cell) == markup.visible(text)
    assert not CONTROLS.search(cell)
    assert "\n" not in cell
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", cell)  # without what a backslash makes a letter
    assert not re.search(r"[<>`*|~$\\]|\]\(|\]\[|(?<![^\W_])_|_(?![^\W_])", bare)
    assert not re.search(r"&(?!lt;|gt;|amp;)[#\w]", cell)  # where a backslash stands between, it is no entity


@given(st.text(max_size=30) | st.sampled_from(NAMES))
def test_a_cell_of_latex_has_no_command_of_its_own(text):
    cell = markup.latex(text)
    bare = re.sub(r"\\text(backslash|asciitilde|asciicircum|less|greater|bar)\{\}|\\[&%$#_{}]|\{\[\}|\{\]\}", "", cell)
    assert not re.search(r"[\\&%$#_{}~^<>|\[\]]", bare)
    assert "\n" not in cell


def test_a_row_of_latex_that_begins_with_a_bracket_is_no_argument():
    text = markup.latex_table(pd.DataFrame({"[0pt]a": ["[red]x", "&\\"]}))
    assert r"\toprule" in text
    assert not re.search(r"(\\\\|rule)\s*\[", text)


# The terminal.


def console(terminal):
    """Return a console of ours whose file is a text."""
    return show.PlainConsole(file=io.StringIO(), force_terminal=terminal, width=200, color_system=None)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", [*NAMES, ":smile:", "x\x07\x08y\x7f", "\x1b]0;title\x07", "\ud800"])
def test_nothing_but_text_reaches_the_terminal(name, terminal, monkeypatch):
    ours = console(terminal)
    monkeypatch.setattr(show, "out", ours)
    monkeypatch.setattr(show, "err", ours)
    ours.print(f"warning: {name}")
    table = pd.DataFrame({"model": pd.Series([name, "cnn"], dtype=object), markup.visible(name): ["1", "2"]})
    show.print_table(table, title=f"of {name}", footer=True)
    show.Display()(Progress("train", name, 1, 1, name, finished=True))
    text = ours.file.getvalue()
    assert not CONTROLS.search(re.sub("\x1b\\[[0-9;]*m|\x1b\\[2?[0-9]*[JKA]", "", text) if terminal else text)
    if not CONTROLS.search(name) and "\n" not in name and len(name) < 100:
        assert f"warning: {name}" in text
        assert text.count(name.strip()) >= 3


def test_progress_shows_names_as_text(monkeypatch):
    ours = console(terminal=True)
    monkeypatch.setattr(show, "err", ours)
    with show.Display() as display:
        for name in NAMES:
            display(Progress("train", name, 1, 2, f"epoch of {name}"))
            display(Progress("train", name, 2, 2, f"end of {name}", finished=True))
    text = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", ours.file.getvalue())
    assert not CONTROLS.search(text.replace("\r", ""))
    assert "[red]x" in text


def test_a_console_of_rich_alone_would_not_do():
    plain = Console(file=io.StringIO(), markup=False, highlight=False)
    plain.print("a\x1b[31m")
    assert CONTROLS.search(plain.file.getvalue())


def test_json_holds_any_name_and_no_control_character(monkeypatch):
    monkeypatch.setattr(show.out, "file", io.StringIO())
    show.print_json(show.json_rows(runs_frame([one for name in NAMES for one in records_named(name)])))
    text = show.out.file.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert {row["model"] for row in json.loads(text)} == {"cnn", *NAMES}


def test_an_error_of_a_model_is_told_as_text(monkeypatch, capsys):
    text = reason(ValueError("bad \udcff\x1b[31m"))
    text.encode()
    show.err.print(text)
    assert "\x1b" not in capsys.readouterr().err


# Figures that a comparison does not draw.


@pytest.mark.parametrize("name", NAMES)
def test_other_figures_draw_names_as_text(name, tmp_path):
    trials = pd.DataFrame({
        "model": [name, "b"], "trial": [0, 0], "validation_accuracy": [0.5, 0.6], "best_so_far": [0.5, 0.6],
        "warnings": [name, None],
    })  # fmt: skip
    times = pd.DataFrame([
        {"mode": "train", "device": "cpu", "threads": 1, "model": model, "engine": "eager", "batch_size": size,
         "us_per_sample": 1.0, "step_us": 1.0 * size, "step_us_low": 0.9 * size, "step_us_high": 1.1 * size}
        for model in (name, "b") for size in (1, 8)
    ])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for drawn in (search_figure(trials), batch_figure(times, name)):
            figures.save(drawn, tmp_path / "a.svg")
            text = "".join(ET.parse(tmp_path / "a.svg").getroot().itertext())
            assert not CONTROLS.search(text)
            legends = [*drawn.legends, *(ax.get_legend() for ax in drawn.axes if ax.get_legend())]
            shown = [entry.get_text().strip() for legend in legends for entry in legend.get_texts()]
            assert shown == [figures.fitting(name).strip(), "b"]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend_of_curves():
    figure = figures.curves_figure(epochs_frame([record(name, 1000, 0, 0.9) for name in ("_a", "__", "b")]))
    shown = {text.get_text().strip() for text in figure.legends[0].get_texts()}
    assert {"_a", "__", "b"} <= shown
    ax = figures.curves(epochs_frame([record("$x$", 1000, 0, 0.9)]), "loss", Figure().add_subplot())
    assert not any(text.get_parse_math() for text in ax.get_legend().get_texts())


# The zoo, studies, places.


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_registered_under_any_name_that_can_be_written(name, own_registry):
    def build(*, num_classes, in_chans, input_size, width=8):
        raise NotImplementedError

    printable = not re.search("[\x00-\x1f\x7f-\x9f]", name)
    if printable and "[" not in name and name == name.strip():
        zoo.register_model(name)(build)
        assert zoo.model_spec(name).name == name
    else:
        with pytest.raises(ValueError, match="no model can be named"):
            zoo.register_model(name)(build)
        assert name not in zoo.list_models()
    with pytest.raises(ValueError, match="no model can be named"):
        zoo.register_model("a\udcff")(build)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_model_is_named_in_one_line(name, monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, "show", "--", name)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert not CONTROLS.search(err)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("name", [*NAMES, "\udcff"])
def test_a_case_is_named_in_what_can_be_printed(name):
    if CONTROLS.search(name) or "\n" in name:
        with pytest.raises(InputError, match="cannot be printed"):
            make_study(["mlp"], cases=[{"name": name}, {"name": "b"}])
    else:
        study = make_study(["mlp"], cases=[{"name": name}, {"name": "b"}])
        assert study.cases[0].name == name


@pytest.mark.parametrize("name", [*NAMES, "\udcff", "..", ".", "", "𐍈" * 100, "𐍈" * 99])
def test_no_name_of_a_run_a_study_or_a_data_set_leads_out_of_the_results(name):
    results = Path.cwd() / "results"
    places = [folder_of(Study((), name=name, scale=scale)) for scale in ("full", "quick")]
    places += [results_folder(f"folder:{kept}") for kept in [name.replace("\0", "")] if kept]
    try:
        places.append(results_folder("digits", name))
    except InputError as error:
        assert "\n" not in str(error)
    for place in places:
        assert (Path.cwd() / place).resolve().parent == results
        place.mkdir(parents=True, exist_ok=True)
    assert list(Path.cwd().iterdir()) == [results]


def test_a_data_set_in_bytes_that_are_no_text_is_refused():
    with pytest.raises(InputError, match="bytes that are no text"):
        make_study(["mlp"], dataset="folder:\udcff")


def test_diagrams_are_written_beside_us(monkeypatch, tmp_path):
    sized = api.size("mlp", input="1x8x8")
    for name in NAMES:
        path = diagram.write_diagram(sized, name)
        assert path.resolve().parent == tmp_path
        assert not CONTROLS.search("".join(ET.parse(path).getroot().itertext()))
    assert len(list(tmp_path.iterdir())) == len(set(NAMES))


# Classes and folders.

CLASSES = [
    "=1+1", "<script>", "[red]x", "[foo]", "n" * 200, "🚀", "a\nb", "a\x1b[31m", "$x_1$", "_x", "caf\udce9", "-1", "a,b"
]  # fmt: skip


@pytest.fixture
def odd_folder(tmp_path):
    root = tmp_path / "=2 [red] $x_"
    for index, name in enumerate(CLASSES):
        for part in ("train", "test"):
            (root / part / name).mkdir(parents=True)
            for shade in range(3):
                image = Image.new("L", (8, 8), 10 * index + shade + 100 * (part == "test"))
                image.putpixel((index % 8, shade), 255)
                image.save(root / part / name / f"{shade}.png")
    return root


def test_classes_of_a_folder_are_text_everywhere(odd_folder, monkeypatch, capsys, tmp_path):
    name = f"folder:{odd_folder}"
    dataset = load_dataset(name, view=View())
    "".join(dataset.classes).encode()
    assert len(dataset.classes) == len(CLASSES)
    parts = load_parts(name, view=View())
    found = audit(parts.images, parts.labels, parts.classes)
    write_csv(data_words.splits_words(found), tmp_path / "a.csv")
    for command in (["show", name, "--out", "sheet.svg"], ["check", name]):
        code, out, err = invoke(monkeypatch, capsys, "datasets", *command)
        assert (code, err) == (0, "")
        assert not CONTROLS.search(out)
        code, out, err = invoke(monkeypatch, capsys, "datasets", *command, "--json")
        assert code == 0
        json.loads(out)
    assert not CONTROLS.search("".join(ET.parse("sheet.svg").getroot().itertext()))
    assert {path.name for path in tmp_path.iterdir()} == {odd_folder.name, "a.csv", "sheet.svg"}


def test_the_overhead_of_odd_names_is_words_alone():
    for name in NAMES:
        table = words.overhead_words(overhead(records_named(name)))
        assert table["model"].tolist() == ["cnn", name, name]


# Streams that are closed.


def piped(command, *, env=None):
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "PY": sys.executable, **(env or {})},
    )  # fmt: skip


QUICKLY = "--processes 0 --max-seconds 0"
COMPARE = f'"$PY" -m archbench compare mlp linear --budgets 3k --epochs 2 --seeds 1 {QUICKLY} --out {{}}'


# The short form has both streams broken, and one closed while the other is full.
SINKS = ["2>&1 | head -1", ">&- 2> /dev/full", "| head -1", ">&- 2>&-", "2> /dev/full > /dev/null"]


@pytest.mark.parametrize("to", SINKS[: 2 if TIMES < 10 else None])
def test_the_work_goes_on_to_its_end_when_nobody_reads(to, tmp_path):
    done = piped(f"{COMPARE.format(tmp_path / 'r')} {to}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert pd.read_csv(tmp_path / "r" / "runs.csv")["status"].tolist() == ["done", "done"]
    assert (tmp_path / "r" / "curves.png").is_file()


def test_the_exit_code_is_that_of_the_work(tmp_path):
    (tmp_path / "mynets.py").write_text("def broken(*, num_classes):\n    raise ValueError('no such layer')\n")
    command = COMPARE.format(tmp_path / "r").replace("linear", "mynets:broken --workers 0")
    assert piped(f"cd {tmp_path}; {command} 2>&1 | true").returncode == 3


def test_a_full_disk_under_standard_output_is_told():
    done = piped('"$PY" -m archbench list mlp > /dev/full')
    assert done.returncode == 6
    assert done.stderr == "error: standard output cannot be written: No space left on device. Free some space.\n"


def test_letters_that_the_terminal_lacks_stop_nothing():
    done = piped('"$PY" -m archbench show mlp --input 1x8x8', env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
