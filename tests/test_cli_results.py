"""`archbench results` and `archbench resume` as users meet them, in this process."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from conftest import QUICK, small_study
from test_cli import CONCLUDED, TABLES, invoke

from archbench.exports import DIALECTS
from archbench.files import UNFINISHED
from archbench.manner import Manner
from archbench.pipeline import run
from archbench.plan import make_plan
from archbench.schema import Outcome
from archbench.shards import Shard
from archbench.store import FILE_NAME, Begun, Owner, Store

STUDY = small_study(["mlp@3k", "linear"], [], epochs=2, seeds=2)
BRIEFLY = ("--workers", "0", "--processes", "0", "--max-seconds", "0", "--quiet")
WRITTEN = {
    "archbench": TABLES, "timm": {"timm.csv"},
    "markdown": {"summary.md"}, "latex": {"summary.tex"}, "parquet": {"runs.parquet"},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return what a small study came to, in its folder."""
    return run(STUDY, tmp_path_factory.mktemp("finished") / "results" / "small", manner=Manner(0), protocol=QUICK)


@pytest.fixture
def whole(finished, tmp_path):
    """Return a copy of that folder."""
    shutil.copytree(finished.folder, tmp_path / "results" / "small")
    return Path("results") / "small"


def rest_of(finished, folder, keep):
    """Make a store of the same study in which only the first runs are done; the next failed."""
    with Store(finished.folder) as store:
        records, timings = list(store.records(record.cell.key for record in finished.records).values()), store.timings()
        asked = store.last_study()[0]
    with Store(folder, create=True) as store:
        for record in records[:keep]:
            store.add(record)
        store.add(dataclasses.replace(records[keep], status="failed", training=None, error="ValueError: why"))
        store.add_timings(timings)
        store.add_study(asked, [(record.cell, "") for record in records])
    return folder


@pytest.fixture
def partial(finished, tmp_path):
    return rest_of(finished, Path("partial"), 1)


@pytest.fixture
def asked(monkeypatch, capsys):
    """Return what runs the command line."""
    return lambda *words: invoke(monkeypatch, capsys, *words)


def spoil(folder, statement="UPDATE attempts SET error = 'x' WHERE id = 1"):
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        db.execute("DROP TRIGGER attempts_done")
        db.execute(statement)


def unreadable():
    """Return a folder beside the others, and before them, whose store is none."""
    folder = Path("results/a_bad")
    folder.mkdir()
    (folder / FILE_NAME).write_text("no database" * 100)
    return folder


def assert_named_twice(folder, err):
    """See that a folder is warned of on the way, and is the error in the end."""
    warning, error = (line for line in err.splitlines() if str(folder) in line)
    assert warning.startswith("warning: ")
    assert error.startswith("error: ")
    assert "file is not a database" in warning
    assert "file is not a database" in error


# --- list


def test_runs_are_listed_with_their_states(asked, partial):
    code, out, err = asked("results", "list", partial)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "partial: 1 done, 1 failed, 2 pending"
    assert [line.split()[1] for line in lines[2:]] == ["mlp", "mlp", "linear", "linear"]
    with Store(partial) as store:
        assert [line.split()[0] for line in lines[2:]] == [key[:8] for key, _ in store.last_study()[1]]


def test_a_list_is_json_where_it_is_asked_for(asked, partial):
    code, out, err = asked("results", "list", partial, "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [(row["model"], row["seed"], row["state"]) for row in rows] == [
        ("mlp", 0, "done"), ("mlp", 1, "failed"), ("linear", 0, "pending"), ("linear", 1, "pending")
    ]  # fmt: skip
    assert rows[1]["error"] == "ValueError: why"
    assert rows[2]["test_accuracy"] is None


@pytest.mark.parametrize(
    ("states", "count"), [("pending", 2), ("done,failed", 2), ("running", 0), (" done , pending", 3)]
)
def test_only_some_states_are_listed(asked, partial, states, count):
    code, out, _ = asked("results", "list", partial, "--state", states, "--json")
    assert (code, len(json.loads(out))) == (0, count)
    code, out, _ = asked("results", "list", partial, "--state", states)
    assert code == 0
    assert len(out.splitlines()) == (count + 2 if count else 1)
    assert ("no run" in out) == (count == 0)


def test_a_long_list_is_cut_and_says_so(asked, partial):
    out = asked("results", "list", partial, "--limit", 1)[1]
    assert out.splitlines()[-1] == "and 3 more; --limit 0 shows all"
    assert "more" not in asked("results", "list", partial, "--limit", 0)[1]
    assert "more" not in asked("results", "list", partial, "--limit", 4)[1]


def test_every_folder_below_is_listed(asked, whole, partial):
    code, out, _ = asked("results", "list", ".", "--json")
    assert code == 0
    assert {row["folder"] for row in json.loads(out)} == {str(whole), str(partial)}
    assert len(json.loads(out)) == 8


def test_by_default_the_results_of_this_folder_are_listed(asked, whole):
    assert asked("results", "list")[1].startswith(f"{whole}: 4 done")


def test_one_that_cannot_be_read_does_not_hide_the_others(asked, whole):
    bad = unreadable()
    code, out, err = asked("results", "list", "results")
    assert code == 4
    assert f"{whole}: 4 done" in out
    assert_named_twice(bad, err)


def test_the_others_are_json_beside_one_that_cannot_be_read(asked, whole):
    bad = unreadable()
    code, out, err = asked("results", "list", "results", "--json")
    assert code == 4
    assert_named_twice(bad, err)
    assert len(json.loads(out)) == 4


# --- show


def test_a_run_is_shown_with_its_attempts_and_epochs(asked, finished, whole):
    record = finished.records[0]
    code, out, err = asked("results", "show", record.cell.key[:10], "results")
    assert (code, err) == (0, "")
    assert record.cell.key in out
    assert f"accuracy {record.training.test.top1:.4f}" in out
    assert record.training.weights_sha256 in out
    assert "Attempts" in out
    assert "Epochs" in out


def test_a_run_is_json_where_it_is_asked_for(asked, finished, whole):
    record = finished.records[0]
    code, out, _ = asked("results", "show", record.cell.key, "results", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["folder"] == str(whole)
    assert found["cell"]["model"] == "mlp"
    assert [epoch["epoch"] for epoch in found["record"]["training"]["epochs"]] == [1, 2]
    assert found["record"]["training"]["test"]["top1"] == record.training.test.top1
    assert [attempt["state"] for attempt in found["attempts"]] == ["done"]


def test_a_run_that_is_to_be_done_is_shown(asked, finished, partial):
    code, out, _ = asked("results", "show", finished.records[3].cell.key, partial)
    assert code == 0
    assert "pending" in out
    assert "Epochs" not in out


# --- what is not accepted


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("list", ".", "--state", "dun"), 2, ["'dun' is not accepted", "pending, running, done"]),
        (("list", "nowhere"), 4, ["there are no results in nowhere"]),
        (("list", ".", "--limit", "-1"), 2, ["--limit"]),
        (("show", "abc"), 2, ["'abc' is too short for a key", "at least 4"]),
        (("show", "zzzzzz", "."), 4, ["no run in . has a key that begins with 'zzzzzz'"]),
        (("show",), 2, ["Missing argument", "results show --help"]),
        (("export", ".", "--dialect", "keras"), 2, ["no dialect 'keras'", ", ".join(DIALECTS)]),
        (("verify", "nowhere"), 4, ["there are no results in nowhere"]),
        (("gc", "nowhere"), 4, ["there are no results in nowhere"]),
        (("verify", ".", "--salvage", "results/small"), 2, ["there are results in results/small already"]),
        (("merge", "results/small"), 2, ["nothing to merge with one folder alone", "Name two results folders"]),
        (("merge", "results/small", "results/small"), 2, ["results/small is named twice"]),
        (("merge", "results/small", "results"), 2, ["results/small lies inside of results"]),
        (("merge", "results/small", "elsewhere", "--out", "elsewhere"), 2, ["elsewhere cannot be merged into itself"]),
        (("merge", "results/small", "nowhere"), 4, ["there are no results in nowhere"]),
        (("merge",), 2, ["Missing argument", "results merge --help"]),
        (("vrify",), 2, ["No such command 'vrify'"]),
    ],
)
def test_what_is_not_accepted_is_one_line_with_its_exit_code(asked, whole, words, code, parts):
    got, _, err = asked("results", *words)
    assert got == code
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err


def test_a_key_of_several_runs_is_told_with_where_they_are(asked, finished, whole, partial):
    key = finished.records[0].cell.key
    code, out, err = asked("results", "show", key, ".")
    assert (code, out) == (2, "")
    assert f"2 runs have a key that begins with '{key}'" in err
    assert str(whole) in err
    assert str(partial) in err
    assert asked("results", "show", key, partial)[0] == 0


# --- export


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_written(asked, whole, tmp_path, dialect):
    code, out, err = asked("results", "export", "results", "--dialect", dialect, "--out", "written")
    assert (code, err) == (0, "")
    files = set(Path("written/small").iterdir())
    assert {Path(line) for line in out.splitlines()} == files
    assert {file.name for file in files} - CONCLUDED == WRITTEN[dialect]


def test_a_dialect_says_what_was_measured(asked, finished, whole):
    for dialect in DIALECTS:
        asked("results", "export", whole, "--dialect", dialect)
    accuracies = {}
    for record in finished.records:
        accuracies.setdefault(record.cell.model, []).append(record.training.test.top1)
    means = {model: sum(values) / 2 for model, values in accuracies.items()}
    with (whole / "timm.csv").open() as file:
        timm = {row["model"].partition("@")[0]: float(row["top1"]) for row in csv.DictReader(file)}
    assert timm == pytest.approx({model: 100 * mean for model, mean in means.items()})
    exact = pd.read_parquet(whole / "runs.parquet")
    assert exact["test_accuracy"].tolist() == [record.training.test.top1 for record in finished.records]
    for name, between in (("summary.md", "|"), ("summary.tex", "&")):
        rows = [[cell.strip() for cell in line.split(between)] for line in (whole / name).read_text().splitlines()]
        shown = {row[row.index(model)]: row for row in rows for model in means if model in row}
        for model, mean in means.items():  # as many digits as the interval leaves
            near = next(cell for cell in shown[model] if "\u00b1" in cell)
            assert float(near.partition(" ")[0]) == pytest.approx(100 * mean, abs=0.51)
    with (whole / "runs.csv").open() as file:
        assert [row["key"] for row in csv.DictReader(file)] == [record.cell.key for record in finished.records]


def test_exported_runs_are_json_where_it_is_asked_for(asked, finished, whole):
    before = set(whole.iterdir())
    code, out, _ = asked("results", "export", "results", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [(row["folder"], row["key"]) for row in rows] == [(str(whole), r.cell.key) for r in finished.records]
    assert set(whole.iterdir()) == before


# --- verify


def test_a_sound_store_is_sound(asked, whole):
    assert asked("results", "verify", whole) == (0, f"{whole}: sound (4 runs, 4 attempts, 4 timings)\n", "")


def test_a_verdict_is_json_where_it_is_asked_for(asked, whole):
    sound = {"folder": str(whole), "runs": 4, "attempts": 4, "timings": 4, "damage": []}
    code, out, _ = asked("results", "verify", "--json")
    assert (code, json.loads(out)) == (0, [sound])
    spoil(whole)
    code, out, _ = asked("results", "verify", "--json")
    damage = ["attempts 1: its content does not fit its hash"]
    assert (code, json.loads(out)) == (4, [{**sound, "runs": 3, "attempts": 3, "damage": damage}])


def test_damage_is_named_and_fails_the_command(asked, whole):
    spoil(whole)
    code, out, err = asked("results", "verify", whole)
    assert (code, err) == (4, "")
    assert "damaged; what can be read: 3 runs, 3 attempts, 4 timings" in out
    assert "  attempts 1: its content does not fit its hash" in out.splitlines()


def test_one_that_cannot_be_opened_does_not_hide_the_others(asked, whole):
    unreadable()
    code, out, _ = asked("results", "verify")
    assert code == 4
    assert f"{whole}: sound" in out
    assert "file is not a database" in out


def test_what_can_be_read_is_salvaged(asked, whole):
    spoil(whole)
    before = (whole / FILE_NAME).read_bytes()
    code, _, err = asked("results", "verify", whole, "--salvage", "saved")
    assert code == 4  # the old one is as it was
    assert err == "3 runs and 4 timings are copied to saved\n"
    assert (whole / FILE_NAME).read_bytes() == before
    assert asked("results", "verify", "saved")[0] == 0
    assert len(json.loads(asked("results", "export", "saved", "--json")[1])) == 3


def test_one_store_is_salvaged_at_a_time(asked, whole, partial):
    code, _, err = asked("results", "verify", ".", "--salvage", "saved")
    assert code == 2
    assert ". holds several stores" in err
    assert not Path("saved").exists()


# --- merge


def test_folders_are_merged_and_what_they_gave_is_told(asked, whole, partial):
    code, out, err = asked("results", "merge", whole, partial)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{whole}: 4 runs, 4 of 4 attempts new, 4 of 4 timings new",
        "partial: 2 runs, 1 of 2 attempts new, 0 of 4 timings new; 1 run done before with the same result",
        "results/merged: 4 done",
    ]
    code, out, err = asked("results", "merge", partial, whole, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["folder"], found["states"], found["apart"]) == ("results/merged", {"done": 4}, [])
    assert [(given["folder"], given["runs"], given["new_attempts"]) for given in found["given"]] == [
        ("partial", 2, 0), (str(whole), 4, 0)
    ]  # fmt: skip


def test_a_merged_folder_is_a_results_folder_as_any(asked, finished, whole, partial, trained):
    asked("results", "merge", partial, whole, "--out", "both")
    record = finished.records[1]
    assert [row["state"] for row in json.loads(asked("results", "list", "both", "--json")[1])] == ["done"] * 4
    states = json.loads(asked("results", "show", record.cell.key, "both", "--json")[1])["attempts"]
    assert sorted(attempt["state"] for attempt in states) == ["done", "failed"]
    assert json.loads(asked("results", "verify", "both", "--json")[1])[0]["damage"] == []
    runs, exported = (json.loads(asked("results", "export", folder, "--json")[1]) for folder in (whole, "both"))
    assert [{**row, "folder": ""} for row in exported] == [{**row, "folder": ""} for row in runs]
    assert asked("plot", "both")[0] == 0
    assert asked("resume", "both") == (0, "both: nothing is left to do\n", "")
    assert trained == []


def test_what_contradicts_itself_is_named_and_nothing_is_written(asked, finished, whole):
    record = finished.records[0]
    with Store(Path("other"), create=True) as store:
        store.add(dataclasses.replace(record, training=dataclasses.replace(record.training, weights_sha256="e" * 64)))
    code, out, err = asked("results", "merge", whole, "other")
    assert (code, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert f"mlp@3k seed 0 ({record.cell.key[:8]}) has other weights in other than in {whole}" in err
    assert not Path("results/merged").exists()


def test_what_another_kind_of_machine_made_is_kept_and_stands_in_no_table_beside_it(asked, finished, whole):
    cells = [dataclasses.replace(record.cell, device_name="another CPU") for record in finished.records[:2]]
    with Store(Path("other"), create=True) as store:
        for cell, record in zip(cells, finished.records, strict=False):
            store.add(dataclasses.replace(record, cell=cell))
        store.add_study(finished.study, [(cell, "") for cell in cells])
    code, out, err = asked("results", "merge", whole, "other")
    assert code == 0
    assert out.splitlines()[-1] == "results/merged: 6 done"
    name = finished.records[0].cell.device_name
    assert err == (
        f"warning: 2 runs of other with another processor (another CPU, not {name}) are kept, and stand in no table "
        "beside the others\n"
    )
    runs = json.loads(asked("results", "export", "results/merged", "--json")[1])
    assert {row["device_name"] for row in runs} == {name}
    assert len(runs) == 4


def test_runs_that_were_done_twice_to_the_same_end_are_counted(asked, finished, whole):
    record = finished.records[0]
    with Store(Path("other"), create=True) as store:
        store.add(dataclasses.replace(record, finished_at="2026-01-01T00:00:00+00:00"))
    out = asked("results", "merge", whole, "other")[1]
    assert out.splitlines()[1] == (
        "other: 1 run, 0 of 1 attempt new, 0 of 0 timings new; 1 run done before with the same result"
    )


# --- gc


@pytest.fixture
def untidy(finished, whole):
    """Return the folder with what an older run of it left."""
    left = [
        whole / "checkpoints" / finished.records[0].cell.key[:16] / "epoch-000002.pt",
        whole / f"{UNFINISHED}runs-abc.csv", whole / "logs" / "empty.log",
    ]  # fmt: skip
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"" if file.suffix == ".log" else b"x" * 500)
    return whole, left


def test_what_would_be_removed_is_shown_and_stays(asked, untidy):
    folder, left = untidy
    code, out, err = asked("results", "gc", folder, "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "3 files, 1.0 kB, could be removed"
    assert {line.partition(": ")[0] for line in out.splitlines()[:-1]} == set(map(str, left))
    assert all(file.exists() for file in left)


def test_what_nobody_needs_is_removed_and_the_results_stay(asked, untidy, finished):
    folder, left = untidy
    code, out, _ = asked("results", "gc", folder)
    assert code == 0
    assert out.splitlines()[-1] == "3 files, 1.0 kB, removed"
    assert not any(file.exists() for file in left)
    assert {entry.name for entry in folder.iterdir()} == {entry.name for entry in finished.folder.iterdir()}
    assert asked("results", "gc", folder)[1] == "0 files, 0 bytes, removed\n"
    assert asked("results", "verify", folder)[0] == 0


def test_what_is_removed_is_json_where_it_is_asked_for(asked, untidy):
    folder, left = untidy
    for dry in (("--dry-run",), ()):
        code, out, _ = asked("results", "gc", folder, "--json", *dry)
        assert code == 0
        assert {row["file"]: row["size_bytes"] for row in json.loads(out)} == {
            str(file): 0 if file.suffix == ".log" else 500 for file in left
        }
        assert all(file.exists() == bool(dry) for file in left)


def test_one_that_cannot_be_read_keeps_none_of_the_others_untidy(asked, untidy):
    bad, (_, left) = unreadable(), untidy
    code, out, err = asked("results", "gc", "results")
    assert code == 4
    assert_named_twice(bad, err)
    assert not any(file.exists() for file in left)
    assert "3 files, 1.0 kB, removed" in out


# --- resume


def test_a_folder_with_nothing_left_is_left_alone(asked, whole, trained):
    before = {file: file.stat().st_mtime_ns for file in whole.rglob("*")}
    code, out, err = asked("resume", whole)
    assert (code, out, err) == (0, f"{whole}: nothing is left to do\n", "")
    assert json.loads(asked("resume", whole, "--json")[1]) == {"folder": str(whole), "to_run": 0}
    assert {file: file.stat().st_mtime_ns for file in whole.rglob("*")} == before
    assert trained == []


def test_what_is_left_is_run_and_comes_to_what_it_would_have(asked, finished, partial, trained):
    code, out, err = asked("resume", partial, *BRIEFLY)
    assert code == 0, err
    assert "partial: going on" in err
    assert f"Written:\n  {partial / 'runs.csv'}" in out
    assert {(cell.model, cell.recipe.seed) for cell in trained} == {("mlp", 1), ("linear", 0), ("linear", 1)}
    with Store(partial) as store:
        records = store.records()
        assert store.verify() == []
    assert {key: record.training.weights_sha256 for key, record in records.items()} == {
        record.cell.key: record.training.weights_sha256 for record in finished.records
    }
    assert [row["state"] for row in json.loads(asked("results", "list", partial, "--json")[1])] == ["done"] * 4


def test_several_folders_are_gone_on_with(asked, whole, finished, trained):
    rest_of(finished, Path("results/rest"), 2)
    code, out, err = asked("resume", "results", *BRIEFLY)
    assert code == 0, err
    assert err == "results/rest: going on\n"
    assert f"{whole}: nothing is left to do" in out
    assert {(cell.model, cell.recipe.seed) for cell in trained} == {("linear", 0), ("linear", 1)}


def test_one_that_cannot_be_read_does_not_keep_the_others_from_going_on(asked, whole, finished, trained):
    bad = unreadable()
    rest_of(finished, Path("results/rest"), 3)
    code, out, err = asked("resume", "results", *BRIEFLY)
    assert code == 4
    assert_named_twice(bad, err)
    assert "results/rest: going on" in err.splitlines()
    assert f"{whole}: nothing is left to do" in out
    assert len(trained) == 1


def test_data_are_where_this_machine_has_them(asked, finished, monkeypatch, tmp_path):
    folder = rest_of(finished, Path("moved"), 3)
    with Store(folder, create=True) as store:
        study, cells = store.last_study()
        known = store.cells(key for key, _ in cells)
        elsewhere = dataclasses.replace(study, data_root="/of/another", download=True)
        store.add_study(elsewhere, [(known[key], case) for key, case in cells])
    asked_for = []
    with monkeypatch.context() as patch:
        patch.setattr("archbench.cli.resume.finish", lambda study, *_, **__: asked_for.append(study))
        assert asked("resume", folder, *BRIEFLY)[0] == 0
        assert asked("resume", folder, *BRIEFLY, "--data-root", tmp_path, "--download")[0] == 0
    assert [(study.data_root and str(study.data_root), study.download) for study in asked_for] == [
        (None, False), (str(tmp_path), True)
    ]  # fmt: skip
    code, _, err = asked("resume", folder, *BRIEFLY, "--data-root", tmp_path)
    assert code == 0, err
    with Store(folder) as store:
        assert store.last_study()[0].data_root is None  # nothing that a result carries


def test_a_shard_goes_on_with_that_shard_alone(asked, finished, trained):
    folder = Path("results/small.2-of-2")
    run(STUDY, folder, manner=Manner(0, part=Shard(2, 2)), protocol=QUICK)
    with Store(folder) as store:
        (record, other), asked_for = store.records().values(), store.last_study()
    shutil.rmtree(folder)
    with Store(folder, create=True) as store:
        store.add(record)
        store.add_study(asked_for[0], [(record.cell, ""), (other.cell, "")])
    assert len(trained) == 2
    code, _, err = asked("resume", "results", *BRIEFLY)
    assert (code, err.splitlines()) == (
        0, [f"{folder}: going on", "what the folder was asked for: 2 of 4 runs; the first shard times the steps"]
    )  # fmt: skip
    assert trained[2:] == [other.cell]
    with Store(folder) as store:
        assert store.last_study() == asked_for
        assert store.timings() == []


def test_what_failed_is_not_run_again_where_that_is_not_wanted(asked, finished, trained):
    folder = rest_of(finished, Path("failed"), 3)
    code, out, _ = asked("resume", folder, *BRIEFLY, "--retry", "none")
    assert (code, out) == (0, "failed: nothing is left to do\n")
    assert trained == []
    assert asked("resume", folder, *BRIEFLY)[0] == 0
    assert len(trained) == 1


def test_a_run_that_was_stopped_is_gone_on_with(asked, partial, trained):
    plan = make_plan(STUDY)
    with Store(partial, create=True) as store, Owner(partial) as owner:
        for cell in plan.cells[1:]:
            attempt = store.begin(Begun(cell, plan.environment), owner.token)
            store.finish(attempt, Outcome("interrupted", error="stopped"), 1.0)
    assert asked("resume", partial, *BRIEFLY, "--retry", "none")[0] == 0
    assert len(trained) == 3


def test_a_run_that_fails_again_fails_the_command(asked, partial, monkeypatch):
    from archbench.execute import work

    def fail(*_, **__):
        raise RuntimeError("again")

    monkeypatch.setattr(work, "train", fail)
    code, _, err = asked("resume", partial, *BRIEFLY)
    assert code == 3
    assert err.count("RuntimeError: again") == 3
    assert err.count("; see ") == 3


@pytest.mark.parametrize(
    ("words", "code", "part", "begin"),
    [
        (("resume", "nowhere"), 4, "there are no results in nowhere", ["error"]),
        (("resume", "results", "--retry", "done"), 2, "retry: 'done' is not accepted", ["error"]),
        (("resume", "empty"), 4, "empty does not say what was asked for", ["warning", "error"]),
        (("resume", "results", "--workers", "-1"), 2, "--workers", ["error"]),
        (("resume", ".", "--json"), 2, ". holds several comparisons", ["error"]),
    ],
)
def test_what_cannot_be_gone_on_with_is_told(asked, whole, words, code, part, begin):
    with Store(Path("empty"), create=True):
        pass
    got, out, err = asked(*words)
    assert (got, out) == (code, "")
    assert all(part in line for line in err.splitlines())
    assert [line.partition(": ")[0] for line in err.splitlines()] == begin


def test_what_went_on_is_json_where_it_is_asked_for(asked, finished):
    folder = rest_of(finished, Path("one"), 3)
    code, out, err = asked("resume", folder, *BRIEFLY, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["folder"] == str(folder)
    assert [row["status"] for row in found["runs"]] == ["done"] * 4
    assert all(os.path.exists(file) for file in found["files"])  # noqa: PTH110 - as it is printed


# The best under conditions.


@pytest.fixture
def results(filled):
    Path("results").symlink_to(filled.folder)


def test_the_best_is_named_with_what_is_in_doubt(asked, results):
    code, out, err = asked("best", "--where", "params < 10k and accuracy > 1 %", "--minimize", "macs")
    assert (code, err) == (0, "")
    first, header, *rows = out.splitlines()
    assert first.startswith("results: ")
    assert "(2 of 4 models meet it in the mean)" in first
    assert header.split()[:2] == ["model", "params"]
    assert len(rows) == 2
    assert all(len(row) <= 80 for row in (header, *rows))
    code, out, _ = asked("best", "--where", "params > 1M")
    assert (code, out) == (0, "results: None of 4 models meets it.\n")


def test_the_best_in_json_are_rows_of_points(asked, results):
    rows = json.loads(asked("best", "--where", "params < 10k", "--minimize", "params", "--json")[1])
    assert [row["place"] for row in rows] == [1, 2]
    assert {row["folder"] for row in rows} == {"results"}
    assert all(row["params"] < 10_000 and row["sure"] for row in rows)
    assert json.loads(asked("best", "--where", "params > 1M", "--json")[1]) == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--where", "parms < 3"), "Did you mean params"), (("--where", "accuracy > 80"), "80 % or 0.8"),
        (("--minimize", "model"), "is text"), (("--minimize", "params", "--maximize", "accuracy"), "both"),
    ],
)  # fmt: skip
def test_a_condition_that_is_not_accepted_is_an_input_error(asked, results, words, wanted):
    code, out, err = asked("best", *words)
    assert (code, out) == (2, "")
    assert wanted in err
