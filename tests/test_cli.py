"""The command line as users meet it: exit codes, one clear line, pure JSON, files where they are said to be."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archbench import cli
from archbench.cli.options import state
from archbench.conclusions import COLUMNS
from archbench.errors import InputError

TABLES = {"runs.csv", "summary.csv", "overhead.csv", "overhead.md", "conclusions.md", "points.csv"}
FILES = TABLES | {"scatter.png", "scatter.svg", "scatter.csv", "curves.png", "curves.csv"}
CONCLUDED = {f"{name}.csv" for name in COLUMNS} - TABLES  # written where they have rows

BRIEFLY = ("--processes", "1", "--max-seconds", "0")  # real processes are timed for a turn each


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the folder and the output of one small comparison that a real process made."""
    folder = tmp_path_factory.mktemp("cli") / "small"
    done = archbench(
        "compare", "mlp", "mobilenet", "--budgets", "3k", "--epochs", "1", "--seeds", "2", "--out", folder,
        *BRIEFLY, cwd=folder.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done


def archbench(*words, cwd=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "archbench", *map(str, words)], capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def invoke(monkeypatch, capsys, *words):
    """Run the command line in this process; return exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["archbench", *map(str, words)])
    monkeypatch.setattr(state, "debug", False)
    code = 0
    try:
        cli.main()
    except SystemExit as left:
        code = left.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_compare_writes_its_files_and_says_so(small):
    folder, done = small
    written = {file.name for file in folder.iterdir()}
    assert written - CONCLUDED == FILES | {"results.sqlite"}
    assert {"pairs.csv", "pareto.csv", "verdicts.csv"} <= written
    for name in FILES:
        assert (folder / name).stat().st_size > 100
        assert str(folder / name) in done.stdout
    with (folder / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["seed"], row["status"]) for row in rows] == [
        ("mlp", "0", "done"), ("mlp", "1", "done"), ("mobilenet", "0", "done"), ("mobilenet", "1", "done")
    ]  # fmt: skip
    assert all(abs(float(row["rel_error"])) <= 0.01 for row in rows)
    assert "Relative to mlp" in done.stdout
    assert "training 100%" in done.stderr


def test_the_same_command_again_trains_nothing(small):
    folder, _ = small
    again = archbench(
        "compare", "mlp", "mobilenet", "--budgets", "3k", "--epochs", "1", "--seeds", "2", "--out", folder
    )
    assert again.returncode == 0
    assert again.stderr == ""
    assert "Written:" in again.stdout


def test_json_is_pure(small, monkeypatch, capsys):
    folder, _ = small
    words = ("compare", "mlp", "mobilenet", "--budgets", "3k", "--epochs", 1, "--seeds", 2, "--out", folder, "--json")
    code, out, _ = invoke(monkeypatch, capsys, *words)
    result = json.loads(out)
    assert code == 0
    assert {row["model"] for row in result["runs"]} == {"mlp", "mobilenet"}
    assert {Path(file).name for file in result["files"]} - CONCLUDED == FILES
    assert set(result["conclusions"]) == set(COLUMNS)
    assert "mlp" in result["answer"][0]
    assert [row["n"] for row in result["summary"]] == [2, 2]
    assert result["overhead"][1]["train_ratio_cpu"] > 0


def test_plot_and_export_make_the_files_again(small, monkeypatch, capsys, tmp_path):
    folder, _ = small
    figures = (folder / "scatter.svg").read_bytes()
    tables = (folder / "runs.csv").read_bytes()
    (folder / "scatter.svg").unlink()
    (folder / "runs.csv").unlink()
    assert invoke(monkeypatch, capsys, "plot", folder.parent)[0] == 0
    assert invoke(monkeypatch, capsys, "export", folder)[0] == 0
    assert (folder / "scatter.svg").read_bytes() == figures
    assert (folder / "runs.csv").read_bytes() == tables
    code, _, _ = invoke(monkeypatch, capsys, "plot", folder.parent, "--out", tmp_path / "elsewhere")
    assert code == 0
    assert (tmp_path / "elsewhere" / "small" / "curves.png").is_file()
    rows = json.loads(invoke(monkeypatch, capsys, "export", folder, "--json")[1])
    assert len(rows) == 4
    assert rows[0]["folder"] == str(folder)


def test_a_folder_that_cannot_be_drawn_does_not_stop_the_others(small, monkeypatch, capsys, tmp_path):
    folder, _ = small
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "good").symlink_to(folder)
    (tmp_path / "results" / "a_bad").mkdir()
    (tmp_path / "results" / "a_bad" / "results.sqlite").write_text("no database" * 100)
    from archbench.schema import Study
    from archbench.store import Store

    with Store(tmp_path / "results" / "empty", create=True) as store:
        store.add_study(Study(("mlp",)), [])
    code, out, err = invoke(monkeypatch, capsys, "plot", "results/empty")
    assert (code, out) == (0, "")
    assert "no run of results/empty is finished" in err
    code, out, err = invoke(monkeypatch, capsys, "plot", "results", "--out", "drawn")
    assert code == 4
    assert "a_bad" in err


def test_a_budget_that_is_missed_is_said_even_when_quiet(monkeypatch, capsys):
    words = ("compare", "mlp", "--budgets", "10", "--epochs", 1, "--seeds", 1, "--workers", 0, "--quiet")
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert code == 0
    assert "warning: mlp cannot be sized to 10 here" in err
    assert "10 missed by +" in out


def test_dry_run_resolves_and_writes_nothing(small, monkeypatch, capsys, tmp_path):
    code, out, _ = invoke(
        monkeypatch, capsys, "compare", "cnn", "mobilenet", "mlp", "--budgets", "30k,100k", "--dry-run", "--json"
    )
    plan = json.loads(out)
    assert (code, plan["to_run"], plan["done"], len(plan["cells"])) == (0, 18, 0, 18)
    assert all(abs(cell["rel_error"]) <= 0.01 for cell in plan["cells"])
    assert all(cell["options"] for cell in plan["cells"])
    assert list(tmp_path.iterdir()) == []
    folder, _ = small
    words = ("compare", "mlp", "--budgets", "3k", "--epochs", 1, "--seeds", 3, "--dry-run", "--out", folder)
    out = invoke(monkeypatch, capsys, *words)[1]
    assert f"1 of 3 runs to do in {folder}" in out


def test_train_shows_its_epochs(monkeypatch, capsys):
    words = ("train", "mlp", "--budget", "3k", "--epochs", 2, "--seed", 4, "--quiet")
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["1", "2"]
    assert Path("results/train-digits/runs.csv").is_file()
    row = json.loads(invoke(monkeypatch, capsys, *words, "--json")[1])
    assert (row["seed"], row["epochs_done"], len(row["curve"])) == (4, 2, 4)


def test_list_show_cost_and_datasets(monkeypatch, capsys):
    code, out, _ = invoke(monkeypatch, capsys, "list", "res*")
    assert code == 0
    assert "resnet18_mod" in out
    assert "mlp" not in out
    rows = json.loads(invoke(monkeypatch, capsys, "list", "--json")[1])
    assert {"cnn", "mobilenet", "resnet18", "resnet18_mod", "mlp"} <= {row["model"] for row in rows}
    out = invoke(monkeypatch, capsys, "show", "cnn", "--budget", "200k", "--input", "1x48x48", "--classes", 7)[1]
    lines = out.splitlines()
    total = next(line for line in lines if line.startswith("total"))
    params = [
        int(line.split()[3].replace(",", "")) for line in lines[2:] if len(line.split()) >= 5 and "x" in line.split()[2]
    ]
    assert int(total.split()[1].replace(",", "")) >= sum(params) > 0
    assert abs(int(total.split()[1].replace(",", "")) / 200_000 - 1) < 0.01
    assert "off by" in out
    code, out, _ = invoke(monkeypatch, capsys, "cost", "resnet18", "--input", "3x224x224", "--classes", 1000, "--json")
    counted = json.loads(out)
    assert (counted["params"], counted["macs"]) == (11_689_512, 1_814_073_344)
    shown = json.loads(invoke(monkeypatch, capsys, "show", "mlp", "--budget", "5k", "--input", "1x8x8", "--json")[1])
    assert shown["totals"]["params"] == shown["model"]["params"] == sum(layer["params"] for layer in shown["layers"])
    both = json.loads(invoke(monkeypatch, capsys, "cost", "mlp", "cnn", "--input", "1x8x8", "--json")[1])
    assert [row["model"] for row in both] == ["mlp", "cnn"]
    rows = {row["dataset"]: row for row in json.loads(invoke(monkeypatch, capsys, "datasets", "--json")[1])}
    assert rows["digits"]["images"] == {"train": 1079, "validation": 359, "test": 359}
    assert "data root" in rows["mnist"]["problem"]
    assert "train-images" in invoke(monkeypatch, capsys, "datasets", "--data-root", ".")[1]


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["compare", "cnn", "--budgets", "30q"], 2, ["'30q' is not a budget", "30000, 30k, 1.6M or 2e5"]),
        (["compare", "cnn", "--budgets", ""], 2, ["'' is not a budget"]),
        (["compare", "cnn", "--budgets", "30k,30000"], 2, ["given twice"]),
        (["compare", "cmn", "--budgets", "30k"], 2, ["unknown model 'cmn'", "Did you mean cnn"]),
        (["compare", "cnn", "--dataset", "digit"], 2, ["unknown data set", "Did you mean digits"]),
        (["compare", "cnn", "--dataset", "mnist"], 5, ["no data root", "--data-root DIR"]),
        (["compare", "cnn", "--dataset", "mnist", "--data-root", "/nowhere"], 5, ["/nowhere is no folder", "/raw"]),
        (["compare", "mlp", "--budgets", "3k", "--out", "/dev/null/x"], 6, ["cannot be written", "--out"]),
        (["compare", "cnn", "--epochs", "0"], 2, ["epochs: 0", "from 1"]),
        (["compare", "cnn", "--seeds", "x"], 2, ["names no seeds"]),
        (["compare", "cnn", "--lr", "nan"], 2, ["learning rate: nan"]),
        (["compare", "cnn", "--optimizer", "lion"], 2, ["'lion' is no optimizer", "adam, adamw, sgd"]),
        (["compare", "cnn", "--device", "tpu"], 2, ["'tpu' is not a device"]),
        (["compare", "cnn", "--threads", "999"], 2, ["threads: 999"]),
        (["compare", "cnn", "--name", "../x"], 2, ["is no name for a run"]),
        (["compare", "cnn", "--augment", "spin"], 2, ["is no augmentation"]),
        (["compare", "cnn", "--baseline", "mlp"], 2, ["baseline 'mlp' is not among"]),
        (["compare", "cnn", "cnn"], 2, ["named twice"]),
        (["show", "cnn", "--input", "5"], 2, ["is not an input shape", "1x28x28"]),
        (["list", "nothing*"], 2, ["no model matches"]),
        (["plot", "--from", "nowhere"], 4, ["there are no results in nowhere"]),
        (["plot", "scater"], 2, ["no kind of figure or folder 'scater'", "Did you mean scatter?"]),
        (["plot", "nowhere/at/all"], 4, ["there are no results in nowhere"]),
        (["plot", "curves", "--x", "lr"], 2, ["curves takes no --x", "scatter or heatmap"]),
        (["plot", "--style", "papier"], 2, ["no style 'papier'", "paper"]),
        (["plot", "--format", "gif"], 2, ["no format of figures 'gif'", "png, svg, pdf"]),
        (["cost", "gone:net"], 3, ["importing gone failed"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_with_its_exit_code(monkeypatch, capsys, words, code, parts):
    got, out, err = invoke(monkeypatch, capsys, *words)
    assert got == code
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    for part in parts:
        assert part in err


@pytest.mark.parametrize("words", [["show"], ["compare", "cnn", "--nope"], ["nope"], ["show", "cnn", "--classes", "x"]])
def test_wrong_usage_exits_with_2(monkeypatch, capsys, words):
    code, _, err = invoke(monkeypatch, capsys, *words)
    assert code == 2
    assert err.count("\n") == 1
    assert "--help` shows what there is" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(monkeypatch, capsys):
    with pytest.raises(InputError):
        invoke(monkeypatch, capsys, "show", "cmn", "--debug")


def test_a_fault_of_ours_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr("archbench.catalog.models", lambda *_: 1 / 0)
    code, _, err = invoke(monkeypatch, capsys, "list")
    assert code == 1
    assert "ZeroDivisionError: division by zero" in err
    assert "--debug" in err


def test_a_broken_import_is_named_and_does_not_stop_the_rest(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, "list", "cnn", "--import", "no_such_module")
    assert code == 0
    assert "cnn" in out
    assert "warning: importing no_such_module failed" in err


def test_what_a_model_prints_stays_out_of_json(monkeypatch, capsys, tmp_path):
    (tmp_path / "talker.py").write_text(
        "from torch import nn\n"
        "def net(num_classes):\n"
        "    print('hello from the model')\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    code, out, err = invoke(monkeypatch, capsys, "cost", "talker:net", "--input", "1x8x8", "--json")
    assert code == 0
    assert json.loads(out)["params"] == 650
    assert "hello from the model" in err


def test_a_run_that_fails_exits_with_3_and_keeps_the_others(monkeypatch, capsys):
    words = ("compare", "mlp", "nowhere:net", "--budgets", "3k", "--epochs", 1, "--seeds", 1, "--quiet", "--workers", 0)
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert code == 3
    assert "failed: nowhere:net@3k seed 0: importing nowhere failed" in err
    assert "1 failed" in out
    assert Path("results/digits/scatter.png").is_file()


def test_where_runs_are_done_is_an_option(monkeypatch, capsys):
    words = ("compare", "mlp", "--budgets", "3k")
    assert invoke(monkeypatch, capsys, *words, "--ray-address", "auto") == (
        2, "", "error: --ray-address auto is given without --executor ray. Give both, or none.\n"
    )  # fmt: skip
    pytest.importorskip("ray", reason="needs Ray: pip install 'archbench[ray]'")
    code, out, err = invoke(monkeypatch, capsys, *words, "--executor", "ray", "--ray-address", "127.0.0.1:1")
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no cluster at 127.0.0.1:1: Connection refused. Give the address")
    assert err.count("\n") == 1


def test_help_names_every_command_and_needs_no_heavy_library():
    runner = CliRunner()
    out = runner.invoke(cli.app, ["--help"]).output
    for command in ("compare", "train", "list", "show", "cost", "plot", "export", "datasets"):
        assert command in out
        assert runner.invoke(cli.app, [command, "--help"]).exit_code == 0
    code = (
        "import sys\nfrom archbench.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'pandas', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"


def test_version_is_the_packages():
    from importlib.metadata import version

    assert CliRunner().invoke(cli.app, ["--version"]).output == f"archbench {version('archbench')}\n"


def test_a_closed_pipe_is_quiet(tmp_path):
    command = f"{sys.executable} -m archbench list --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Traceback" not in done.stderr


def test_heads_are_compared_on_a_trunk(monkeypatch, capsys, tmp_path):
    code, out, err = invoke(
        monkeypatch, capsys, "compare", "--trunk", "cnn_mnist", "--heads", "dense2,gap", "--budgets", "5k",
        "--dry-run", "--json",
    )  # fmt: skip
    assert code == 0, err
    cells = json.loads(out)["cells"]
    assert {cell["model"] for cell in cells} == {"cnn_mnist[head=dense2]", "cnn_mnist[head=gap]"}
    assert all(abs(cell["rel_error"]) <= 0.01 for cell in cells)


def test_models_have_budgets_and_options_of_their_own(monkeypatch, capsys):
    code, out, _ = invoke(
        monkeypatch, capsys, "compare", "mlp[activation=sigmoid]@5k", "mlp@3k", "mobilenet", "--budgets", "4k,9k",
        "--seeds", "1", "--dry-run", "--json",
    )  # fmt: skip
    assert code == 0
    wanted = [(cell["model"], cell["budget"]) for cell in json.loads(out)["cells"]]
    assert wanted == [("mlp[activation=sigmoid]", 5000), ("mlp", 3000), ("mobilenet", 4000), ("mobilenet", 9000)]


def test_images_are_brought_to_another_shape(monkeypatch, capsys):
    code, out, _ = invoke(
        monkeypatch, capsys, "compare", "torchvision:squeezenet1_1", "--input", "3x64x64", "--dry-run", "--json"
    )
    assert code == 0
    plan = json.loads(out)
    assert plan["input"] == [3, 64, 64]
    assert plan["cells"][0]["params"] == 727_626  # torchvision's 1,235,496 with 10 classes instead of 1,000


def test_a_comparison_of_everything_that_learns(monkeypatch, capsys, tmp_path):
    folder = tmp_path / "all"
    code, out, err = invoke(
        monkeypatch, capsys, "compare", "mlp@3k", "linear_svm", "knn", "linear", "--epochs", "1", "--seeds", "2",
        "--workers", "0", "--out", folder, "--json", "--quiet",
    )  # fmt: skip
    assert code == 0, err
    rows = {row["model"]: row for row in json.loads(out)["summary"]}
    assert rows["linear_svm"]["params"] == rows["linear"]["params"] == 650
    assert rows["knn"]["params"] == 0
    assert rows["knn"]["test_accuracy"] > 0.9
    assert rows["linear_svm"]["test_accuracy"] > 0.9
    assert rows["knn"]["train_step_us_cpu"] is None
    assert rows["knn"]["infer_step_us_cpu"] > 0
    assert rows["knn"]["macs"] is None


def test_frozen_features_are_kept_and_that_is_recorded(monkeypatch, capsys, tmp_path):
    code, out, err = invoke(
        monkeypatch, capsys, "compare", "torchvision:resnet18", "--freeze", "backbone", "--head", "16", "--input",
        "3x32x32", "--limit", "100", "--epochs", "2", "--seeds", "1", "--workers", "0", "--out", tmp_path / "frozen",
        "--json", "-q",
    )  # fmt: skip
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["model"] == "torchvision:resnet18[freeze=backbone,head=(16,)]"
    assert run["cached_features"] is True
    assert run["trainable_params"] == 512 * 16 + 16 + 16 * 10 + 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare"], "no model is named"),
        (["compare", "cnn", "--heads", "gap"], "heads are compared on a trunk"),
        (["compare", "--trunk", "mlp", "--heads", "gap"], "mlp takes no head"),
        (["compare", "--trunk", "cnn", "--heads", "gapp", "--dry-run"], "'gapp' is no head; there are dense2"),
        (["compare", "cnn[dropout=2]", "--dry-run"], "give a rate from 0 to below 1"),
        (["compare", "cnn[colour=2]", "--dry-run"], "cnn takes no option 'colour'"),
        (["compare", "cnn[dropout=", "--dry-run"], "does not end in ']'"),
        (["compare", "cnn", "cnn@30k", "--budgets", "30k", "--dry-run"], "a model is named twice"),
        (["compare", "mnist_dense2@30k", "--dry-run"], "mnist_dense2 has one size: it cannot be sized to 30k"),
        (["compare", "mlp", "--scale", "depth", "--dry-run"], "mlp has no depth to scale by"),
        (["compare", "cnn", "--weights", "imagenet", "--dry-run"], "no model here takes weights=imagenet"),
        (["compare", "cnn", "--input", "4x8x8", "--dry-run"], "cannot be shown with 4"),
        (["compare", "torchvision:resnet19"], "unknown model 'torchvision:resnet19'. Did you mean torchvision:resnet1"),
        (["show", "cnn@30k", "--budget", "20k"], "cnn@30k has a budget of its own beside --budget"),
        (["show", "cnn", "--graph", "-o", "net.gif"], "cannot be written as net.gif"),
        (["show", "torchvision:resnet18", "--freeze", "9"], "give none, backbone, or how many of its 6 parts"),
        (["show", "torchvision:resnet18[weights='gone.pt']"], "there is no file gone.pt"),
    ],
)
def test_mistakes_in_models_are_told_in_one_line(monkeypatch, capsys, words, message):
    code, _, err = invoke(monkeypatch, capsys, *words)
    assert code in {2, 5}, err
    assert message in err
    assert "Traceback" not in err


def test_weights_of_another_model_are_told_before_anything_runs(monkeypatch, capsys, tmp_path):
    import torch

    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    code, _, err = invoke(
        monkeypatch, capsys, "compare", "torchvision:resnet18", "mlp@3k", "--weights", tmp_path / "w.pt",
        "--out", tmp_path / "o",
    )  # fmt: skip
    assert code == 2
    assert "does not hold the weights of torchvision:resnet18" in err
    assert not (tmp_path / "o").exists()


def test_show_has_shares_and_both_countings(monkeypatch, capsys):
    code, out, _ = invoke(monkeypatch, capsys, "show", "fer_mobilenet")
    assert code == 0
    assert "46.1%" in out  # the dense layer's 32,832 of 71,271
    assert "Keras total 73,095: with 1,824 running statistics" in out
    assert "trained" not in out
    _, out, _ = invoke(monkeypatch, capsys, "show", "cifar_resnet50_transfer", "--freeze", "backbone")
    assert "trained" in out
    assert "2,788,490" in out


def test_models_are_shown_side_by_side_on_one_input(monkeypatch, capsys):
    code, out, _ = invoke(monkeypatch, capsys, "show", "mobilenet@73k", "fer_cnn")
    assert code == 0
    assert "On 1x48x48, 7 classes" in out
    assert "1,332,807" in out
    assert "(18.2" in out  # times the parameters of the first
    code, out, _ = invoke(monkeypatch, capsys, "show", "mobilenet@73k", "fer_cnn", "--json")
    assert [row["model"]["model"] for row in json.loads(out)] == ["mobilenet", "fer_cnn"]


def test_a_graph_is_written_for_each_model(monkeypatch, capsys, tmp_path):
    code, out, _ = invoke(monkeypatch, capsys, "show", "mlp", "linear", "--graph")
    assert code == 0
    for name in ("mlp.svg", "linear.svg"):
        assert f"Written: {name}" in out
        assert (tmp_path / name).read_text().lstrip().startswith("<?xml")


def test_cost_tells_trainable_and_frozen_apart(monkeypatch, capsys):
    for words, trainable in (((), 26_323_082), (("--freeze", "backbone"), 2_788_490)):
        code, out, _ = invoke(monkeypatch, capsys, "cost", "cifar_resnet50_transfer", "--json", *words)
        assert code == 0
        row = json.loads(out)
        assert (row["params_keras"], row["trainable_params"]) == (26_376_202, trainable)
        assert (row["buffers"], row["frozen_params"]) == (53_120, 26_323_082 - trainable)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tune", "mlp", "--trials", "0"], "Invalid value for '--trials'"),
        (["compare", "mlp", "--budgts", "3k"], "No such option: --budgts"),
        (["tune"], "Missing argument 'MODEL"),
        (["datasets", "nope"], "No such command 'nope'"),
    ],
)
def test_what_the_parser_refuses_is_one_line_with_a_remedy(monkeypatch, capsys, words, said):
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err
    assert f"{words[0]} --help` shows what there is" in err or "datasets --help`" in err


def test_without_words_the_help_is_the_answer(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys)
    assert code == 2
    assert "compare" in out + err


@pytest.mark.parametrize(
    ("words", "begun"), [(("compare",), [True]), (("train",), [True]), (("compare", "--dry-run"), [])]
)
def test_a_process_warms_up_while_the_study_is_made_and_ends_where_there_is_none(
    monkeypatch, capsys, tmp_path, words, begun
):
    events = []

    class Noted:
        def __init__(self):
            events.append(True)

        def close(self):
            events.append(False)

    def unmade(*_, **__):
        assert events == begun
        raise InputError("no such study", "Ask for another.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("archbench.pipeline.Warm", Noted)
    monkeypatch.setattr("archbench.study.make_study", unmade)
    code, _, err = invoke(monkeypatch, capsys, *words, "linear")
    assert (code, "no such study" in err) == (2, True)
    assert events == begun + [False] * len(begun)
