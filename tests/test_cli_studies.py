"""`run`, `reproduce`, `studies` and `tune` as users meet them."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from test_cli import CONCLUDED, FILES, invoke
from test_described import STUDY, TUNE
from typer.testing import CliRunner

from archbench import cli
from archbench.comparison import Comparison
from archbench.loading import done_keys
from archbench.study_file import shipped
from zoo import registry

PLUGIN = """
import zoo
from torch import nn

@zoo.register_model
def net_of_a_plugin(*, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""


@pytest.fixture
def _no_figures(monkeypatch):
    """Draw nothing where nothing is looked at, which takes longer than everything else here."""
    monkeypatch.setattr(Comparison, "write_figures", lambda *_: [])


@pytest.fixture
def study():
    Path("mine.toml").write_text(STUDY)
    return "mine.toml"


def rows_of(file):
    with Path(file).open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


# --- run


def test_a_file_is_run_and_held_against_what_was_published(monkeypatch, capsys, study):
    code, out, err = invoke(monkeypatch, capsys, "run", study, "--workers", 0)
    assert code == 0, err
    folder = Path("results/mine")
    written = FILES | {"published.csv", "published.md", "claims.csv"}
    assert {file.name for file in folder.iterdir()} - CONCLUDED == written | {"results.sqlite"}
    assert all(str(folder / name) in out for name in written)
    verdicts = {(row["model"], row["metric"]): row["verdict"] for row in rows_of(folder / "published.csv")}
    assert (verdicts["linear", "params"], verdicts["mlp", "params"]) == ("agrees", "differs")
    assert [row["verdict"] for row in rows_of(folder / "claims.csv")] == ["holds"]
    assert "# two nets on digits" in (folder / "published.md").read_text()
    assert "Published against measured" in out
    assert "holds: the linear model has fewer than a thousand parameters" in out
    assert "training" in err
    again = invoke(monkeypatch, capsys, "run", study, "--workers", 0)
    assert again[0] == 0
    assert "training" not in again[2]


def test_a_run_is_pure_json_and_takes_what_is_the_machines(monkeypatch, capsys, study):
    words = ("run", study, "--scale", "quick", "--seeds", "3,5", "--workers", 0, "--out", "here", "--json", "-q")
    code, out, err = invoke(monkeypatch, capsys, *words)
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert (result["name"], result["scale"], result["folder"]) == ("mine", "quick", "here")
    assert {row["seed"] for row in rows_of("here/runs.csv")} == {"3", "5"}
    assert [row["verdict"] for row in result["claims"]] == ["holds"]
    assert {row["metric"] for row in result["published"]} == {"params", "test_accuracy"}
    assert {Path(file).name for file in result["files"]} - CONCLUDED == FILES | {
        "published.csv",
        "published.md",
        "claims.csv",
    }


def test_a_dry_run_of_a_file_writes_nothing(monkeypatch, capsys, study):
    code, out, _ = invoke(monkeypatch, capsys, "run", study, "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, plan["to_run"], plan["done"]) == (0, 4, 0)
    assert not Path("results").exists()
    assert "2 of 2 runs to do in results/mine-quick" in invoke(
        monkeypatch, capsys, "run", study, "--scale", "quick", "--dry-run"
    )[1]  # fmt: skip


@pytest.mark.usefixtures("_no_figures")
def test_a_file_without_figures_is_a_comparison(monkeypatch, capsys):
    Path("plain.toml").write_text(
        'title = "plain"\nmodels = ["linear"]\nseeds = 1\n[settings]\nepochs = 1\nlimit = 20\n'
    )
    code, out, _ = invoke(monkeypatch, capsys, "run", "plain.toml", "--workers", 0, "--quiet")
    assert code == 0
    assert "Published against measured" not in out
    assert not Path("results/plain/published.md").exists()


@pytest.mark.usefixtures("_no_figures")
def test_a_search_of_a_file_writes_its_trials(monkeypatch, capsys):
    Path("search.toml").write_text(STUDY + TUNE)
    code, _, err = invoke(monkeypatch, capsys, "run", "search.toml", "--scale", "quick", "--workers", 0, "--quiet")
    assert code == 0, err
    assert [row["model"] for row in rows_of("results/search-quick/tuning.csv")] == ["mlp@3k"] * 2
    assert len(rows_of("results/search-quick/tune/runs.csv")) == 1


@pytest.mark.usefixtures("_no_figures")
def test_plugins_of_a_file_and_of_the_command_are_imported(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.syspath_prepend(tmp_path)
    Path("cli_plugin.py").write_text(PLUGIN)
    text = 'title = "own"\nmodels = ["net_of_a_plugin"]\nseeds = 1\n[settings]\nepochs = 1\nlimit = 20\n'
    Path("own.toml").write_text(text.replace("seeds", 'plugins = ["cli_plugin"]\nseeds'))
    code, out, err = invoke(monkeypatch, capsys, "run", "own.toml", "--workers", 0, "--quiet")
    assert code == 0, err
    assert "net_of_a_plugin" in out
    assert "cli_plugin" in sys.modules


@pytest.mark.usefixtures("_no_figures")
def test_a_run_that_fails_exits_with_3_and_says_so_in_the_figures(monkeypatch, capsys):
    Path("fails.toml").write_text(STUDY.replace('"linear"]', '"linear", "nowhere:net"]'))
    code, _, err = invoke(monkeypatch, capsys, "run", "fails.toml", "--workers", 0, "--quiet")
    assert code == 3
    assert "failed: nowhere:net seed 0" in err
    assert Path("results/fails/published.csv").is_file()


# --- reproduce and studies


def test_the_shipped_studies_are_listed(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, "studies")
    assert (code, err) == (0, "")
    assert all(name in out for name in shipped())
    rows = json.loads(invoke(monkeypatch, capsys, "studies", "--json")[1])
    assert [row["study"] for row in rows] == list(shipped())
    assert all(row["title"] and row["figures"] + row["claims"] > 0 for row in rows)
    schema = json.loads(invoke(monkeypatch, capsys, "studies", "--schema")[1])
    assert {"title", "models", "published", "claims"} <= set(schema["$defs"]["StudyFile"]["properties"])


@pytest.mark.usefixtures("_no_figures")
def test_a_shipped_study_is_run_by_its_name(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("archbench.study_file.shipped", lambda: {"tiny": tmp_path / "tiny.toml"})
    Path("tiny.toml").write_text(STUDY)
    code, out, err = invoke(monkeypatch, capsys, "reproduce", "tiny", "--workers", 0, "--quiet")
    assert code == 0, err
    assert "not comparable: the quick scale trains less than was published" in out
    assert len(done_keys(Path("results/tiny-quick"))) == 2
    assert "# two nets on digits" in Path("results/tiny-quick/published.md").read_text()


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["reproduce", "mnits"], 2, ["no study is named 'mnits'", "archbench run FILE"]),
        (["run", "gone.toml"], 2, ["gone.toml cannot be read", "Name a study file"]),
        (["run", "bad.toml"], 2, ["bad.toml is no TOML"]),
        (["run", "wrong.toml"], 2, ["wrong.toml, line 3", "epoch"]),
        (["run", "mine.toml", "--scale", "slow"], 2, ["no scale 'slow'", "quick, full"]),
        (["run", "mine.toml", "--dataset", "mnist"], 5, ["no data root", "--data-root DIR"]),
        (["run", "mine.toml", "--seeds", "x"], 2, ["names no seeds"]),
        (["run", "mine.toml", "--out", "/dev/null/x"], 6, ["cannot be written", "--out"]),
        (["tune", "mlp", "--search", "lr=2:1"], 2, ["'lr=2:1' is no range of numbers"]),
        (
            ["tune", "mlp", "--search", "speed=1,2"],
            2,
            ["speed cannot be searched for mlp", "Give one of optimizer, lr"],
        ),
        (["tune", "mlp", "--budgets", "3k,9k"], 2, ["a search takes one budget"]),
        (["tune", "mlp", "--preprocess", "original,normalize"], 2, ["no factors of its own"]),
        (["tune", "mlp", "--dataset", "mnist"], 5, ["no data root"]),
        (["tune", "mlp@3k", "--search", "lr=0.1", "--out", "/dev/null/x"], 6, ["cannot be written"]),
    ],
)
def test_what_goes_wrong_is_one_clear_line(monkeypatch, capsys, study, words, code, parts):
    Path("bad.toml").write_text("title = \n")
    Path("wrong.toml").write_text('title = "wrong"\n[settings]\nepoch = 1\n')
    got, out, err = invoke(monkeypatch, capsys, *words, "--quiet")
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    for part in parts:
        assert part in err
    assert not Path("results").exists()


def test_without_optuna_a_search_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = invoke(monkeypatch, capsys, "tune", "mlp")
    assert code == 2
    assert err.strip() == "error: Optuna is not installed. Install it: pip install 'archbench[tune]'."


# --- tune


def test_a_search_shows_what_won_and_runs_once(monkeypatch, capsys):
    words = ("tune", "mlp", "--dataset", "digits", "--trials", 2, "--epochs", 1, "--split", "60/20/20", "--seeds", 1)
    code, out, err = invoke(monkeypatch, capsys, *words, "--workers", 0)
    assert code == 0, err
    folder = Path("results/tune-digits")
    assert {file.name for file in folder.iterdir()} - CONCLUDED == FILES | {
        "tuning.csv", "tuning.png", "results.sqlite"
    }  # fmt: skip
    trials = rows_of(folder / "tuning.csv")
    assert [row["trial"] for row in trials] == ["1", "2"]
    assert {"lr", "weight_decay", "dropout", "params"} <= set(trials[0])
    assert "Best of 2 trials each, on the validation split" in out
    assert "trial 2" in err
    best = max(trials, key=lambda row: float(row["validation_accuracy"]))
    assert f"{100 * float(best['validation_accuracy']):.1f}" in out
    (won,) = rows_of(folder / "runs.csv")
    assert (won["case"], won["lr"]) == ("tuned", best["lr"])
    keys = done_keys(folder)
    again = invoke(monkeypatch, capsys, *words, "--workers", 0, "--json", "--quiet")
    result = json.loads(again[1])
    assert again[2] == ""
    assert [trial["lr"] for trial in result["trials"]] == [float(row["lr"]) for row in trials]
    assert [row["model"] for row in result["summary"]] == [won["model"]]
    assert {Path(file).name for file in result["files"]} - CONCLUDED == FILES | {"tuning.csv", "tuning.png"}
    assert done_keys(folder) == keys


@pytest.mark.usefixtures("_no_figures")
def test_what_is_searched_can_be_said(monkeypatch, capsys):
    words = (
        "tune", "mlp", "linear_svm", "--budgets", "3k", "--trials", 3, "--search", "lr=1e-3:1e-1", "--search",
        "batch_size=16,32", "--search-seed", 7, "--epochs", 1, "--seeds", 1, "--split", "60/20/20", "--workers", 0,
        "--json", "--quiet", "--name", "searched",
    )  # fmt: skip
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert code == 0, err
    result = json.loads(out)
    assert result["folder"] == "results/searched"
    assert [trial["model"] for trial in result["trials"]] == ["mlp@3000"] * 3 + ["linear_svm"] * 3
    assert all(1e-3 <= trial["lr"] <= 1e-1 and trial["batch_size"] in {16, 32} for trial in result["trials"])


# --- help


SHARED = ["--epochs", "--lr", "--augment", "--scaling", "--dataset", "--preprocess", "--split", "--limit", "--threads"]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("run", ["FILE", "--scale", "--dataset", "--data-root", "--seeds", "--workers", "--import", "--dry-run"]),
        ("reproduce", ["NAME", "--scale", "--dataset", "--download", "--seeds", "--json"]),
        ("studies", ["--json", "--schema"]),
        ("tune", ["MODEL", "--trials", "--search", "--search-seed", "--budgets", "--seeds", *SHARED]),
        ("compare", ["MODEL", "--budgets", "--seeds", "--dry-run", "--exclude", "--position-loss", *SHARED]),
        ("train", ["--budget", "--seed", "--momentum", "--l2", *SHARED]),
    ],
)
def test_help_shows_the_options(command, options):
    shown = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    for option in options:
        assert option in shown.output


@pytest.mark.parametrize(
    "words",
    [["tune"], ["run"], ["tune", "mlp", "--trials", "0"], ["tune", "mlp", "--baseline", "mlp"], ["studies", "x"]],
)
def test_wrong_usage_exits_with_2(monkeypatch, capsys, words):
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "--help` shows what there is" in err


@pytest.mark.usefixtures("_no_figures")
def test_every_shared_option_reaches_the_run(monkeypatch, capsys):
    words = (
        "compare", "linear", "--epochs", 1, "--seeds", "4,", "--batch-size", 16, "--lr", 0.02, "--optimizer", "sgd",
        "--momentum", 0.5, "--schedule", "exponential", "--lr-decay", 0.5, "--weight-decay", 0.1, "--l2", 0.01,
        "--label-smoothing", 0.1, "--augment", "flip+shift", "--scaling", "unit", "--split", "60/20/20",
        "--split-seed", 9, "--limit", 30, "--workers", 0, "--json", "--quiet",
    )  # fmt: skip
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    wanted = {
        "epochs": 1, "seed": 4, "batch_size": 16, "lr": 0.02, "optimizer": "sgd", "momentum": 0.5, "lr_decay": 0.5,
        "schedule": "exponential", "weight_decay": 0.1, "l2": 0.01, "label_smoothing": 0.1, "augment": "flip+shift",
        "scaling": "unit", "split": "60/20/20", "split_seed": 9, "limit": 30, "train_images": 30, "test_images": 20,
    }  # fmt: skip
    assert {name: run[name] for name in wanted} == wanted
