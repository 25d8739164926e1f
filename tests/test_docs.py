"""What the documents say is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from test_cli import invoke

import archbench
import archbench.api
import zoo
from archbench import cost, data
from archbench.budget import size_model
from archbench.cost import measure_cost
from archbench.data import load_dataset
from archbench.schema import Budget
from zoo import registry

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


ZOO = (ROOT / "zoo/README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in blocks(README + ZOO, "bash") for line in block.splitlines() if line.startswith("archbench")
]


@pytest.fixture
def own_registries(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.setattr(data, "_SOURCES", dict(data.sources()))
    monkeypatch.setattr(cost, "_COUNTERS", dict(cost.counters()))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("mynets", None)


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 30


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_readme_works(own_registries, monkeypatch, capsys, tmp_path, filled, line):
    (tmp_path / "mynets.py").write_text(next(block for block in blocks(README, "python") if "register_model" in block))
    (tmp_path / "mystudy.toml").write_text(blocks(README, "toml")[0])
    (tmp_path / "results").symlink_to(filled.folder)
    words = shlex.split(line, comments=True)[1:]
    if words[0] == "compare" and "--dry-run" not in words:
        words.append("--dry-run")
    if words[0] in {"train", "run", "tune", "time"}:
        words += ["--quiet"]
    if words[0] in {"train", "tune"} and "--workers" not in words:
        words += ["--workers", "0"]  # what workers need to begin is needed once, by `run`
    if words[0] == "tune":
        words += ["--trials", "1", "--epochs", "1", "--seeds", "1"]
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    assert out


def test_the_tasks_of_the_slurm_script_are_the_whole_study(monkeypatch, capsys, tmp_path):
    """The script is run with its programs replaced by one that notes its words and leaves a file."""
    (script,) = blocks((ROOT / "docs/scale.md").read_text(encoding="utf-8"), "slurm")
    (tmp_path / "task.sh").write_text(script)
    (tmp_path / "mystudy.toml").write_text(blocks(README, "toml")[0])
    (tmp_path / "srun").write_text(
        '#!/bin/bash\nwhile [ $# -gt 1 ]; do echo "$1" >> words; shift; done\n'
        'mkdir -p "$1"; echo "$SLURM_ARRAY_TASK_ID" >> "$1/left"; exit 143\n'
    )
    (tmp_path / "srun").chmod(0o755)
    keys = []
    for task in range(1, 9):
        given = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_ARRAY_TASK_ID": f"{task}", "SLURM_ARRAY_TASK_COUNT": "8"}
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
        for times in (1, 2):
            (tmp_path / "words").unlink(missing_ok=True)
            done = subprocess.run(["bash", "task.sh"], env=path | given, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (143, "")
            assert (tmp_path / f"results/mystudy.{task}/left").read_text() == f"{task}\n" * times
        program, *words = (tmp_path / "words").read_text().splitlines()
        assert program == "archbench"
        assert words.pop() == "--out"
        code, out, _ = invoke(monkeypatch, capsys, *words, "--dry-run", "--json")
        assert code == 0
        keys += [cell["key"] for cell in json.loads(out)["cells"]]
    whole = json.loads(invoke(monkeypatch, capsys, "run", "mystudy.toml", "--dry-run", "--json")[1])["cells"]
    assert sorted(keys) == sorted(cell["key"] for cell in whole)


def test_the_python_of_the_readme_runs(capsys):
    code = "\n".join(block for block in blocks(README, "python") if "register_model" not in block)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert len(names["frame"]) == 8
    assert len(names["summary"]) == 4
    assert Path("results/digits/scatter.png").is_file()
    assert capsys.readouterr().out.startswith(str(names["sized"].params))
    plt.close("all")


def section(heading):
    (code,) = blocks(CONTRIBUTING.partition(f"## {heading}\n")[2].partition("\n## ")[0], "python")
    assert sum(bool(line.strip()) for line in code.splitlines()) < 10
    exec(compile(code, heading, "exec"), {"__name__": f"contributed_{heading.split()[-1]}"})


def test_adding_a_model(own_registries, monkeypatch):
    monkeypatch.setitem(sys.modules, "contributed_model", import_module("zoo.mlp"))
    section("Add a model")
    sized = size_model("perceptron", Budget(30_000), (1, 8, 8), 10)
    assert abs(sized.rel_error) < 0.01
    assert zoo.model_spec("perceptron").summary == "One hidden layer."


def test_adding_a_data_set(own_registries):
    section("Add a data set")
    loaded = load_dataset("noise")
    assert {split: len(labels) for split, labels in loaded.labels.items()} == {
        "train": 60,
        "validation": 20,
        "test": 20,
    }
    assert loaded.images["train"].dtype == torch.uint8


def test_adding_a_counter(own_registries):
    section("Add a counter")
    counted = measure_cost(size_model("mlp", Budget(5_000), (1, 8, 8), 10))
    figure = next(count for count in counted.counters if count.counter == "weights")
    assert figure.value == counted.macs  # a fully connected net multiplies each weight once


def test_public_names_are_there_and_documented():
    for module in (archbench, archbench.api, zoo):
        assert sorted(module.__all__) == list(module.__all__)
        for name in module.__all__:
            assert getattr(module, name).__doc__
    assert set(archbench.__all__) == set(archbench._HOMES) == set(dir(archbench))
    assert archbench.api.__all__ == [name for name, home in archbench._HOMES.items() if home == "archbench.api"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        archbench.nothing  # noqa: B018 - asking is the test


def test_every_model_and_option_is_in_the_zoos_readme():
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", ZOO, flags=re.DOTALL))
    said = set(re.findall(r"\w+", " ".join(inline)))
    for name in zoo.list_models():
        spec = zoo.model_spec(name)
        assert spec.published or name in said, name
        for option in spec.accepts if spec.scalable else ():
            assert option in said, (name, option)


def test_the_readmes_files_and_links_are_there():
    for link in re.findall(r"\]\(([^)#]+)\)", README + CONTRIBUTING):
        assert link.startswith("http") or (ROOT / link).is_file(), link


def test_the_readmes_table_is_the_reference_results():
    reference = (ROOT / "results/reference/epyc-2core/digits/overhead.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in reference.splitlines() if line.startswith("|"))
    assert table.count("mobilenet") == 3
    assert table in README


def test_the_readmes_published_figures_are_those_of_the_command():
    made = (ROOT / "results/published/cifar10-fc-vs-cnn/epyc-2core/quick/published.md").read_text(encoding="utf-8")
    rows = [line for line in made.partition("## Claims")[2].splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert all(row in README for row in rows)


def test_reference_results_give_their_tables_again(tmp_path):
    folder = ROOT / "results/reference/epyc-2core/digits"
    for file in archbench.load(folder).write_tables(tmp_path):
        if file.suffix == ".csv":
            pd.testing.assert_frame_equal(pd.read_csv(file), pd.read_csv(folder / file.name), rtol=1e-9)
        else:
            assert file.read_text(encoding="utf-8") == (folder / file.name).read_text(encoding="utf-8")


def test_the_statistics_are_documented_as_they_are():
    from archbench import stats
    from archbench.conclusions import COLUMNS, learning, pairs, verdicts
    from archbench.queries import NAMES
    from archbench.stats import crossing, fit, paired

    said = " ".join((ROOT / "docs/statistics.md").read_text(encoding="utf-8").split())
    assert all(f"`{name}.csv`" in said for name in COLUMNS)
    assert all(f"`{name}`" in said for name in NAMES)
    for words in (
        f"up to {paired.EXACT_MOST} seeds; beyond, {2**paired.EXACT_MOST:,} choices",
        f"{crossing.RESAMPLES:,} leads", f"c is searched between {fit.EXPONENTS[0]} and {fit.EXPONENTS[1]:g}",
        f"surely less than {verdicts.MATTERS} points are gained", f"resolve {100 * stats.POWER:.0f} % of the time",
        f"less than {verdicts.NARROW} times the lower",
        f"accuracy after the last epoch under {learning.LEARNT:.0%}".replace("%", " %"),
        f"ends at least {learning.RISE:.0%}".replace("%", " %"), f"at least {learning.FALL:.0%}".replace("%", " %"),
        f"at least {100 * learning.GAP:.0f} points over", f"τ stays at least {learning.SETTLED}",
        f"corrected p is under {stats.LEVEL:.0%}".replace("%", " %"),
    ):  # fmt: skip
        assert words in said, words
    assert (fit.LEAST_SIZES, fit.REACH, pairs.MOST, learning.LEAST_MODELS) == (4, 10, 12, 3)  # in words there


def test_the_readmes_answer_is_that_of_the_reference_results():
    made = (ROOT / "results/reference/epyc-2core/digits/conclusions.md").read_text(encoding="utf-8")
    answer = made.splitlines()[2]
    assert answer in " ".join(line.removeprefix("> ") for line in README.splitlines())


def test_the_readmes_defaults_are_the_recipes():
    from archbench.schema import Recipe

    recipe = Recipe()
    said = " ".join(README.split())
    assert f"Adam, learning rate {recipe.lr:g}, {recipe.schedule}, {recipe.epochs} epochs" in said
    assert f"batches of {recipe.batch_size}" in said


def test_the_commands_defaults_are_the_recipes():
    import inspect

    from archbench.cli import compare
    from archbench.schema import Recipe

    for command in (compare.compare, compare.train):
        defaults = {name: p.default for name, p in inspect.signature(command).parameters.items()}
        for name in ("epochs", "batch_size", "optimizer", "schedule", "weight_decay", "label_smoothing", "precision"):
            assert defaults[name] == getattr(Recipe(), name), (command.__name__, name)


def test_how_runs_are_run_is_said_in_the_same_words_everywhere():
    import inspect

    from archbench.cli.sharing import running
    from archbench.manner import make_manner

    def defaults(function):
        return {name: p.default for name, p in inspect.signature(function).parameters.items()}

    asked = {name: default for name, default in defaults(make_manner).items() if name != "part"}
    assert defaults(running) == asked
    for function in (archbench.compare, archbench.reproduce, archbench.tune):
        assert defaults(function).items() >= asked.items()
