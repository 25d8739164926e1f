"""`archbench report` as users meet it."""

from __future__ import annotations

import json
import shutil
import webbrowser
from pathlib import Path

import pytest
from test_cli import invoke

FILES = ("report.html", "report.md", "scatter.svg", "curves.svg", "scatter.csv", "curves.csv")


@pytest.fixture
def asked(filled, tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        (tmp_path / "results" / name).mkdir(parents=True)
        shutil.copy(filled.folder / "results.sqlite", tmp_path / "results" / name)
    return lambda *words: invoke(monkeypatch, capsys, "report", *words)


@pytest.fixture
def opened(monkeypatch):
    found = []
    monkeypatch.setattr(webbrowser, "open", lambda address: found.append(address) or len(found) < 2)
    return found


def test_every_folder_gets_its_page_and_the_paths_are_said(asked, opened):
    code, out, err = asked("--open=false")
    assert (code, err) == (0, "")
    assert out.split() == [f"results/{name}/{file}" for name in "ab" for file in FILES]
    assert all(Path(file).is_file() for file in out.split())
    assert opened == []


def test_json_names_the_files(asked):
    code, out, _ = asked("results/a", "--json")
    assert (code, json.loads(out)) == (0, {"files": [f"results/a/{file}" for file in FILES]})


def test_one_page_is_opened_where_that_is_asked_for(asked, opened, tmp_path):
    assert asked("results/a", "--open")[0] == 0
    assert opened == [(tmp_path / "results/a/report.html").as_uri()]
    _, _, err = asked("results/b", "--open=true")
    assert err == "warning: no browser could be opened\n"
    code, _, err = asked("results", "--open")
    assert code == 2
    assert "holds several comparisons" in err


def test_files_go_where_they_are_asked_to(asked, tmp_path):
    code, out, _ = asked("results", "--out", "site")
    assert code == 0
    assert "site/a/report.html" in out
    assert (tmp_path / "site/b/report.md").is_file()


def test_no_results_are_one_clear_line(asked):
    code, _, err = asked("nowhere")
    assert code == 4
    assert err == (
        "error: there are no results in nowhere. Run `archbench compare` first, or name the folder that it wrote.\n"
    )
