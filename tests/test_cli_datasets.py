"""`archbench datasets`: listed, shown, checked and prepared; what goes wrong is one clear line and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import invoke
from typer.testing import CliRunner

from archbench import cli
from archbench.comparison import Comparison
from archbench.data import load_dataset, sources
from archbench.settings import make_view


@pytest.fixture
def leaky(tmp_path):
    """A file of 40 + 20 images in which two of test are in train, one of them with another label; one is constant."""
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    images[40:42], images[5] = images[:2], 7
    labels = np.arange(60) % 4
    labels[40], labels[41] = labels[0], labels[1] + 1
    np.savez(
        tmp_path / "leaky.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:],
        classes=np.array(["ant", "bee", "cat", "dog"]),
    )  # fmt: skip
    return "npz:leaky.npz"


def test_all_are_listed_with_what_is_missing(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, "datasets")
    assert (code, err) == (0, "")
    for source in sources().values():
        assert source.form in out
    assert "1,079 / 359 / 359" in out
    assert "4,000 / 1,000 / 3,000" in out
    assert "mnist is not there: no data root is given for mnist" in out
    assert invoke(monkeypatch, capsys, "datasets", "list")[1] == out


def test_the_list_is_pure_json(monkeypatch, capsys, tmp_path):
    code, out, err = invoke(monkeypatch, capsys, "datasets", "--json")
    rows = {row["dataset"]: row for row in json.loads(out)}
    assert (code, err) == (0, "")
    assert rows["digits"]["images"] == {"train": 1079, "validation": 359, "test": 359}
    assert rows["captcha"]["images"] == {"train": 4000, "validation": 1000, "test": 3000}
    assert rows["folder:PATH"]["images"] is None
    assert "--data-root DIR" in rows["mnist"]["remedy"]
    assert invoke(monkeypatch, capsys, "datasets", "list", "--json")[1] == out
    elsewhere = invoke(monkeypatch, capsys, "datasets", "list", "--json", "--data-root", tmp_path)[1]
    (mnist,) = [row for row in json.loads(elsewhere) if row["dataset"] == "mnist"]
    assert "no data root" not in mnist["problem"]
    assert "MNIST/raw" in mnist["remedy"]


def test_a_list_can_be_read_after_another_command(monkeypatch, capsys):
    # What one command wrote to is not what the next writes to.
    assert "cnn" in invoke(monkeypatch, capsys, "list", "cnn")[1]
    with Path("list.txt").open("w", encoding="utf-8") as other:
        monkeypatch.setattr("sys.stdout", other)
        invoke(monkeypatch, capsys, "datasets")
    assert "digits" in Path("list.txt").read_text(encoding="utf-8")


# --- show


def test_images_are_drawn_into_a_file_of_the_data_sets_name(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, "datasets", "show", "digits", "-n", 4)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Written: digits.png"
    with Image.open("digits.png") as image:
        assert image.format == "PNG"


def test_what_is_done_to_the_images_is_drawn_below(monkeypatch, capsys, leaky):
    words = (
        "datasets",
        "show",
        leaky,
        "--preprocess",
        "normalize,resize:4",
        "-n",
        2,
        "--of",
        "test",
        "--only",
        "bee,cat",
    )
    assert invoke(monkeypatch, capsys, *words, "--out", "a/b.svg")[0] == 0
    text = Path("a/b.svg").read_text()
    assert "leaky.npz, test; original above normalize above resize:4x4" in text
    assert "\nbee\n" in text  # among the words of the description
    assert "\nant\n" not in text
    assert invoke(monkeypatch, capsys, *words)[1].splitlines()[-1] == "Written: leaky.npz.png"
    assert invoke(monkeypatch, capsys, *words, "--out", "a/c.svg")[0] == 0
    assert Path("a/c.svg").read_bytes() == Path("a/b.svg").read_bytes()
    invoke(monkeypatch, capsys, *words, "--out", "a/d.svg", "--seed", 1)
    assert Path("a/d.svg").read_bytes() != Path("a/b.svg").read_bytes()


def test_a_folder_without_a_name_gives_its_own(monkeypatch, capsys, tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for index in range(10):
            levels = np.full((6, 6), 20 * index, np.uint8)
            Image.fromarray(levels).save(tmp_path / "mine" / name / f"{name}{index}.png")
    monkeypatch.chdir(tmp_path / "mine")
    code, out, err = invoke(monkeypatch, capsys, "datasets", "show", "folder:.", "-n", 2)
    assert code == 0, err
    assert out.splitlines()[-1] == "Written: mine.png"


# --- check


def test_a_check_finds_what_is_wrong(monkeypatch, capsys, leaky):
    code, out, err = invoke(monkeypatch, capsys, "datasets", "check", leaky)
    assert (code, err) == (0, "")
    assert "2 of 20 test images also occur in train: test 0 = train 0, test 1 = train 1" in out
    assert "1 (near-)constant image, such as train 5" in out
    assert "1 group of them with conflicting labels, such as train 1, test 1" in out
    assert "ant 10, bee 10" in out
    assert "--exclude duplicates" in out
    assert "nothing was found" in invoke(monkeypatch, capsys, "datasets", "check", "digits", "--near", 0)[1]


def test_what_is_excluded_is_found_no_more(monkeypatch, capsys, leaky):
    words = ("datasets", "check", leaky, "--exclude", "duplicates+constant", "--near", 0)
    code, out, _ = invoke(monkeypatch, capsys, *words)
    assert code == 0
    assert "excluded (duplicates+constant): 3 of 40 in train, 1 of 20 in test" in out
    assert "nothing was found" in out


def test_a_check_is_pure_json(monkeypatch, capsys, leaky):
    found = json.loads(invoke(monkeypatch, capsys, "datasets", "check", leaky, "--json")[1])
    assert found["dataset"] == leaky
    assert found["classes"] == ["ant", "bee", "cat", "dog"]
    assert [split["images"] for split in found["splits"]] == [40, 20]
    (leak,) = [leak for leak in found["leaks"] if leak["images"]]
    assert (leak["split"], leak["other"], leak["images"], leak["examples"]) == ("test", "train", 2, [[0, 0], [1, 1]])
    assert found["duplicates"]["conflicting"] == 1
    assert found["near"]["near"] == 3.0
    excluded = json.loads(
        invoke(monkeypatch, capsys, "datasets", "check", leaky, "--json", "--exclude", "leaks", "--near", 0)[1]
    )
    assert excluded["near"] is None
    assert not any(leak["images"] for leak in excluded["leaks"])


def test_the_number_of_classes_can_be_made_sure_of(monkeypatch, capsys, leaky):
    assert invoke(monkeypatch, capsys, "datasets", "check", leaky, "--classes", 4)[0] == 0
    code, out, err = invoke(monkeypatch, capsys, "datasets", "check", leaky, "--classes", 7)
    assert (code, out) == (5, "")
    assert "has 4 classes, not 7: ant, bee, cat, dog" in err


# --- prepare


def test_every_chain_of_steps_is_prepared(monkeypatch, capsys):
    words = ("datasets", "prepare", "digits", "--preprocess", "original,normalize+resize:4", "--split", "60/20/20")
    rows = json.loads(invoke(monkeypatch, capsys, *words, "--split-seed", 3, "--json")[1])
    for row, steps in zip(rows, ("original", "normalize+resize:4"), strict=True):
        dataset = load_dataset("digits", view=make_view(split="60/20/20", split_seed=3, preprocess=steps))
        assert row["sha256"] == dataset.sha256
        assert (row["train"], row["validation"], row["test"]) == (60, 20, 20)
        assert row["input"] == "x".join(map(str, dataset.input_shape))
    out = invoke(monkeypatch, capsys, *words, "--split-seed", 3)[1]
    assert rows[0]["sha256"][:12] in out
    assert "What is generated or pre-processed is kept in" in out


def test_leaks_are_warned_of_and_captchas_are_drawn_once(monkeypatch, capsys, leaky, tmp_path):
    assert "warning: 2 of 20 test images also occur in train" in invoke(
        monkeypatch, capsys, "datasets", "prepare", leaky
    )[1]  # fmt: skip
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "cache"))
    words = ("datasets", "prepare", "captcha[seed=5]", "--split", "6/3/2", "--json")
    (row,) = json.loads(invoke(monkeypatch, capsys, *words)[1])
    assert (row["positions"], row["classes"], row["train"]) == (4, 19, 6)
    files = sorted((tmp_path / "cache" / "captcha").iterdir())
    assert len(files) == 3
    written = [file.stat().st_mtime_ns for file in files]
    assert json.loads(invoke(monkeypatch, capsys, *words)[1]) == [row]
    assert [file.stat().st_mtime_ns for file in files] == written
    monkeypatch.setenv("ARCHBENCH_CACHE", "/dev/null/cache")
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert (code, out) == (6, "")  # nothing could be kept, which is what was asked for
    assert "the cache /dev/null/cache cannot be written" in err


# --- what goes wrong


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["show", "mnist"], 5, ["no data root is given", "--data-root DIR"]),
        (["check", "mnist", "--data-root", "/nowhere"], 5, ["/nowhere is no folder"]),
        (["prepare", "npz:gone.npz"], 5, ["gone.npz is no file"]),
        (["show", "digit"], 2, ["unknown data set 'digit'", "Did you mean digits"]),
        (["show", "digits", "--of", "tests"], 2, ["no split 'tests'", "train, validation, test"]),
        (["show", "digits", "--out", "a.txt"], 2, ["a.txt is no picture's name", ".png, .svg or .pdf"]),
        (["show", "digits", "--preprocess", "grey"], 2, ["unknown pre-processing step 'grey'", "Did you mean gray"]),
        (["show", "digits", "--only", "eleven"], 2, ["no class 'eleven'"]),
        (["show", "digits", "--out", "/dev/null/a.png"], 6, ["/dev/null/a.png cannot be written"]),
        (["check", "digits", "--exclude", "dupes"], 2, ["'dupes' is no exclusion", "duplicates"]),
        (["check", "digits", "--near", "inf"], 2, ["no distance"]),
        (["check", "captcha[speed=1]"], 2, ["no option 'speed'"]),
        (["prepare", "digits", "--split", "1/2"], 2, ["'1/2' is no split", "48000/6000/10000"]),
        (["prepare", "digits", "--split", "5000/1/1"], 5, ["has 1,797 images"]),
        (["prepare", "captcha", "--only", "A", "--split", "2/1/1"], 2, ["several labels"]),
        (["--json", "list"], 2, ["stand before its name", "Write archbench datasets list"]),
    ],
)
def test_what_goes_wrong_is_one_clear_line(monkeypatch, capsys, words, code, parts):
    got, out, err = invoke(monkeypatch, capsys, "datasets", *words)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    for part in parts:
        assert part in err


@pytest.mark.parametrize(
    "words", [["show"], ["show", "digits", "-n", "0"], ["draw"], ["check", "digits", "--classes", "x"]]
)
def test_wrong_usage_exits_with_2(monkeypatch, capsys, words):
    code, out, err = invoke(monkeypatch, capsys, "datasets", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "--help` shows what there is" in err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([], ["list", "show", "check", "prepare", "--data-root", "--json"]),
        (["list"], ["--data-root", "--json"]),
        (
            ["show"],
            ["--preprocess", "--only", "--split", "--limit", "--exclude", "--images", "--of", "--seed", "--out"],
        ),
        (["check"], ["--classes", "--near", "--exclude", "--download", "--json"]),
        (["prepare"], ["--preprocess", "--split-seed", "--limit", "--download", "--json"]),
    ],
)
def test_help_shows_the_options(command, options):
    shown = CliRunner().invoke(cli.app, ["datasets", *command, "--help"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    for option in options:
        assert option in shown.output


# --- what a comparison makes of it


def test_a_comparison_warns_of_leakage_and_takes_the_options_of_data(monkeypatch, capsys, leaky):
    monkeypatch.setattr(Comparison, "write_figures", lambda *_: [])
    common = ("compare", "linear", "-d", leaky, "--epochs", 1, "--seeds", 1, "--workers", 0, "--quiet", "--out", "out")
    code, out, err = invoke(monkeypatch, capsys, *common)
    assert (code, err) == (0, "")
    assert "\nwarning: 2 of 20 test images also occur in train\n" in out
    words = (*common, "--exclude", "leaks", "--limit", 12, "--only", "ant,bee", "--preprocess", "normalize", "--json")
    code, out, _ = invoke(monkeypatch, capsys, *words)
    (run,) = json.loads(out)["runs"]
    assert run["warnings"] is None
    assert (run["exclude"], run["limit"], run["only"], run["preprocess"]) == ("leaks", 12, "ant, bee", "normalize")
    assert (run["classes"], run["train_images"]) == (2, 12)


def test_several_pre_processings_are_compared(monkeypatch, capsys):
    monkeypatch.setattr(Comparison, "write_figures", lambda *_: [])
    words = (
        "compare", "linear", "--split", "60/20/20", "--preprocess", "original,resize:4", "--epochs", 1, "--seeds", 1,
        "--workers", 0, "--quiet",
    )  # fmt: skip
    code, out, err = invoke(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines() if line.startswith("linear")]
    assert [line[1] for line in lines] == ["original", "resize:4", "resize:4"]  # and once relative to the first
    assert "Relative to linear" in out
    code, _, err = invoke(monkeypatch, capsys, "train", "linear", "--preprocess", "original,resize:4")
    assert code == 2
    assert "Join steps by +" in err


def test_the_splits_that_are_used_are_checked_too(monkeypatch, capsys, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "twice.npz", images=np.concatenate([images, images]), labels=np.arange(80) % 2)
    _, out, _ = invoke(monkeypatch, capsys, "datasets", "check", "npz:twice.npz")
    assert "40 groups of identical images, 80 images in all: 40 inside a split, 0 across splits" in out
    assert "warning: " in out
    assert "test images also occur in train" in out
    report = json.loads(invoke(monkeypatch, capsys, "datasets", "check", "npz:twice.npz", "--limit", "9", "--json")[1])
    assert report["used"]["images"] == [9, 9, 9]
    _, out, _ = invoke(monkeypatch, capsys, "datasets", "check", "npz:twice.npz", "--exclude", "leaks")
    assert "test images also occur in train" not in out


def test_images_of_several_sizes_are_told_and_brought_to_one(monkeypatch, capsys, tmp_path):
    for name, side in (("ant", (8, 8)), ("bee", (8, 16))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.full((*side, 3), 20 * index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{index}.png")
    code, _, err = invoke(monkeypatch, capsys, "datasets", "check", "folder:set")
    assert code == 5
    assert "2 sizes (height x width): 10 of 8x8 (such as 0.png), 10 of 8x16" in err
    assert "--preprocess letterbox:S or resize:S" in err
    words = ("datasets", "prepare", "folder:set", "--preprocess", "gray+letterbox:12,resize:4", "--json")
    boxed, resized = json.loads(invoke(monkeypatch, capsys, *words)[1])
    assert (boxed["input"], resized["input"]) == ("1x12x12", "3x4x4")
    assert invoke(monkeypatch, capsys, "datasets", "check", "folder:set", "--preprocess", "resize:4")[0] == 0


def test_what_is_shown_is_told_as_json_with_its_warnings(monkeypatch, capsys, leaky):
    shown = json.loads(invoke(monkeypatch, capsys, "datasets", "show", leaky, "-o", "a.PNG", "--json")[1])
    assert shown["warnings"] == ["2 of 20 test images also occur in train"]
    assert Path(shown["file"]).is_file()


def test_ctrl_c_says_so(monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("archbench.data.load_dataset", stopped)
    code, out, err = invoke(monkeypatch, capsys, "datasets", "prepare", "digits")
    assert (code, out) == (130, "")
    assert err.splitlines() == [
        "stopped: what was finished before is kept. The same command goes on from there.",
        "archbench datasets prepare digits",
    ]  # fmt: skip
