"""`time`, `doctor` and the options of timing as users meet them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from conftest import InstantClock
from test_cli import invoke

from archbench import api, timing
from archbench.schema import Peaks
from archbench.store import Store
from archbench.timing import launch
from zoo import registry

ASKED = ("time", "mlp", "mobilenet", "--budget", "5k", "--input", "1x8x8", "--device", "cpu")


def test_a_table_of_ratios_with_what_is_in_doubt(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, *ASKED, "--classes", 7)
    assert code == 0, err
    assert out.count("mlp@5k") == 2
    assert "1.00x [1.00, 1.00]  tie" in out
    assert "A against A" in out
    assert "peak 100 GFLOP/s" in out


def test_json_rows_are_numbers(monkeypatch, capsys):
    _, out, _ = invoke(monkeypatch, capsys, *ASKED, "--json", "--batch-size", "2,4", "--mode", "train")
    answer = json.loads(out)
    assert [(row["model"], row["batch_size"]) for row in answer["rows"]] == [
        ("mlp@5k", 2), ("mobilenet@5k", 2), ("mlp@5k", 4), ("mobilenet@5k", 4),
    ]  # fmt: skip
    assert {row["step_us"] for row in answer["rows"]} == {1e6}
    assert {row["mode"] for row in answer["rows"]} == {"train"}
    assert {row["unstable"] for row in answer["rows"]} == {
        "few processes show little of how much they differ (1): --processes 5"
    }


@pytest.mark.parametrize("suffix", ["csv", "json", "png", "svg"])
def test_a_file_of_every_kind_is_written(suffix, monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, *ASKED, "-b", "2,4", "--out", f"times.{suffix}")
    assert code == 0, err
    assert f"Written: times.{suffix}" in out
    file = Path(f"times.{suffix}")
    if suffix == "csv":
        with file.open() as lines:
            rows = list(csv.DictReader(lines))
        assert len(rows) == 8
        assert {row["is_baseline"] for row in rows} == {"True", "False"}
    elif suffix == "json":
        kept = json.loads(file.read_text())
        assert len(kept["timings"]) == 8
        assert all(len(one["samples_us"]) == 6 for one in kept["timings"])
        assert kept["environment"]["cpu"]
    else:
        assert file.stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "times.txt"), "times.txt: a file of timings ends in .csv, .json, .png, .svg"),
        (("-b", "1,,2"), "batch size: '1,,2' is not accepted"),
        (("--threads", "0"), "threads: '0' is not accepted"),
        (("--threads", "9999"), "threads: 9999 is not accepted"),
        (("--mode", "fast"), "'fast' is no mode of timing. Give train or infer."),
        (("--engine", "graph"), "there is no CUDA device in this comparison"),
        (("--budget", "5x"), "'5x' is not a budget"),
    ],
)
def test_what_is_not_accepted_is_said_before_anything_is_timed(words, said, monkeypatch, capsys):
    monkeypatch.setattr(timing, "measure", None)
    code, _, err = invoke(monkeypatch, capsys, *ASKED, *words)
    assert code == 2
    assert said in err
    code, _, err = invoke(monkeypatch, capsys, "time")
    assert code == 2
    assert "no model is named" in err


def test_a_self_test_says_what_this_machine_can_resolve(monkeypatch, capsys):
    code, out, err = invoke(monkeypatch, capsys, "time", "--self-test", "--device", "cpu")
    assert code == 0, err
    assert "cnn@30k against itself" in out
    assert len(re.findall(r"1\.0000x \[1\.0000, 1\.0000\] +yes +0\.00 %", out)) == 2
    code, _, err = invoke(monkeypatch, capsys, "time", "cnn", "mlp", "--self-test")
    assert code == 2
    assert "Name one model" in err


class Unfair(InstantClock):
    """The second of two copies is always slower."""

    def __init__(self):
        self.works = []

    def elapsed(self, work):
        taken = super().elapsed(work)
        step = work.__closure__[0].cell_contents
        if step not in self.works:
            self.works.append(step)
        return taken._replace(us=taken.us * (1 + 0.1 * (self.works.index(step) % 2)))


def test_a_self_test_that_misses_is_done_once_more_and_then_fails(monkeypatch, capsys):
    monkeypatch.setattr(timing, "Fresh", lambda: launch.Here(Unfair()))
    code, out, err = invoke(monkeypatch, capsys, "time", "--self-test", "--device", "cpu")
    assert code == 1
    assert err.count("timed once more") == 1
    assert re.search(r"train (1\.1000|0\.9091)x", err)
    assert "do not trust small ratios" in err
    assert "10.00 %" in out


def test_what_fails_is_named_and_nothing_at_all_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    Path("broken.py").write_text(
        "import zoo\nfrom torch import nn\n"
        "class Net(nn.Linear):\n    def forward(self, x):\n"
        "        if len(x) > 2:\n            raise ValueError('too many')\n"
        "        return super().forward(x.flatten(1))\n"
        "@zoo.register_model\ndef too_many(*, num_classes):\n    return Net(64, num_classes)\n"
    )
    monkeypatch.syspath_prepend(Path.cwd())
    common = ("--import", "broken", "--input", "1x8x8", "--device", "cpu")
    code, out, err = invoke(monkeypatch, capsys, "time", "mlp", "too_many", *common)
    assert code == 0
    assert "too_many cannot be timed (train, cpu): ValueError: too many" in err
    assert "mlp" in out
    code, _, err = invoke(monkeypatch, capsys, "time", "too_many", *common)
    assert code == 3
    assert "none of the models could be timed" in err


def test_a_place_that_cannot_be_written_is_told_before_anything_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(timing, "measure", None)
    Path("file").write_text("")
    code, _, err = invoke(monkeypatch, capsys, *ASKED, "--out", "file/times.csv")
    assert code == 6
    assert "file cannot be written" in err


def test_what_was_finished_is_shown_when_it_is_stopped(monkeypatch, capsys):
    original = api.timing.time_sweep

    def stopped(timed, sweep, *rest, on_session, **more):
        def once(one):
            on_session(one)
            raise KeyboardInterrupt

        original(timed, sweep, *rest, on_session=once, **more)

    monkeypatch.setattr(api.timing, "time_sweep", stopped)
    code, out, err = invoke(monkeypatch, capsys, *ASKED, "-b", "2,4")
    assert code == 130
    assert "the sessions that were finished are shown" in err
    assert "mobilenet@5k" in out


def test_the_doctor_measures_every_format_and_keeps_it(monkeypatch, capsys):
    asked = []

    def peaks_of(device, precision, threads, environment, *, refresh, on_wait):
        asked.append((device, precision, threads, refresh))
        return Peaks(1e11 * threads, 2e10)

    monkeypatch.setattr(api.timing, "peaks_of", peaks_of)
    monkeypatch.setattr(api.timing, "resolve_devices", lambda text: ("cpu",))
    code, out, _ = invoke(monkeypatch, capsys, "doctor", "--refresh")
    assert code == 0
    assert "100.0" in out
    assert "20.0" in out
    assert {(device, precision) for device, precision, *_ in asked} == {("cpu", "fp32"), ("cpu", "bf16")}
    assert all(refresh for *_, refresh in asked)
    _, out, _ = invoke(monkeypatch, capsys, "doctor", "--json")
    assert json.loads(out)["peaks"][0] == {
        "device": "cpu", "precision": "fp32", "threads": 1, "gflops": 100.0, "copy_gbytes_per_s": 20.0,
    }  # fmt: skip


def test_a_comparison_is_timed_again_only_when_it_is_asked_to(monkeypatch, capsys):
    words = ("compare", "mlp", "--budgets", "3k", "--epochs", 1, "--seeds", 1, "--workers", 0, "--device", "cpu", "-q")
    sessions = []
    for more in ((), (), ("--retime", "--max-seconds", 1)):
        code, _, err = invoke(monkeypatch, capsys, *words, *more)
        assert code == 0, err
        with Store(Path("results/digits")) as store:
            sessions.append(len({one.session for one in store.timings()}))
    assert sessions == [1, 1, 2]


def test_a_comparison_says_its_limit_and_how_wide_its_intervals_are(monkeypatch, capsys):
    words = ("compare", "mlp", "cnn", "--budgets", "3k", "--epochs", 1, "--seeds", 1, "--workers", 0, "--device", "cpu")
    _, out, err = invoke(monkeypatch, capsys, *words, "--max-seconds", 7)
    assert "A against A" in out
    assert "of at most 7 s" in err or "2 models on cpu" in err
