from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import timing_of
from test_schema import DONE, ENVIRONMENT, TRAINING, cell_of

from archbench.errors import InputError, OutputError, StoreError
from archbench.execute.checkpoints import folder_of
from archbench.files import UNFINISHED, write_file
from archbench.schema import Study
from archbench.store import FILE_NAME, Begun, Owner, Store
from archbench.upkeep import Health, garbage, health, remove, salvage


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a done, a diverged and a failed run that was tried twice, and one that is to be done."""
    folder = tmp_path / "results"
    with Store(folder, create=True) as store:
        for seed, status in ((0, "done"), (1, "diverged"), (2, "failed"), (2, "failed")):
            store.add(dataclasses.replace(DONE, cell=cell_of(seed), status=status))
        store.add_timings([timing_of([1.0, 2.0])])
        store.add_study(Study(("cnn",)), [(cell_of(seed), "case") for seed in range(4)])
    return folder


def spoil(folder, statement):
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        db.execute("DROP TRIGGER attempts_done")
        db.execute(statement)


def put(folder, *names, content="something"):
    """Put files into a folder; return them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return [folder / name for name in names]


def files(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


# --- health


def test_what_a_sound_store_holds_is_counted(folder):
    assert health(folder) == Health(folder, 3, 4, 1, ())


def test_what_is_damaged_is_named_and_the_rest_counted(folder):
    spoil(folder, "UPDATE attempts SET error = 'x' WHERE id = 1")
    assert health(folder) == Health(folder, 2, 3, 1, ("attempts 1: its content does not fit its hash",))


@pytest.mark.parametrize(
    ("content", "why"), [("no database at all " * 50, FILE_NAME), ("", "there are no results in ")]
)
def test_what_cannot_be_opened_is_damage_and_no_error(tmp_path, content, why):
    put(tmp_path, FILE_NAME, content=content)
    found = health(tmp_path)
    assert (found.runs, found.attempts, found.timings, len(found.damage)) == (0, 0, 0, 1)
    assert why in found.damage[0]
    assert str(tmp_path) in found.damage[0]


# --- what can be saved


def test_all_that_can_be_read_is_saved_and_the_old_store_stays_as_it_is(folder, tmp_path):
    with Store(folder) as store:
        records, timings, asked = store.records(), store.timings(), store.last_study()
    spoil(folder, "UPDATE attempts SET error = 'x' WHERE id = 1")
    before = (folder / FILE_NAME).read_bytes()
    saved = salvage(folder, tmp_path / "saved")
    assert saved == Health(tmp_path / "saved", 2, 2, 1, ())
    assert (folder / FILE_NAME).read_bytes() == before
    del records[cell_of(0).key]
    with Store(tmp_path / "saved") as store:
        assert store.records() == records
        assert store.timings() == timings
        assert store.last_study() == asked
        assert store.records()[cell_of(1).key].training.epochs == TRAINING.epochs


def test_a_run_that_is_not_known_any_more_is_left_out_of_what_was_asked_for(folder, tmp_path):
    spoil(folder, "UPDATE specs SET seed = 77 WHERE id = 2")
    salvage(folder, tmp_path / "saved")
    with Store(tmp_path / "saved") as store:
        assert store.last_study()[1] == [(cell_of(seed).key, "case") for seed in (0, 2, 3)]


def test_results_are_not_saved_over_others(folder, tmp_path):
    with pytest.raises(InputError, match="there are results in"):
        salvage(folder, folder)
    with Store(tmp_path / "other", create=True):
        pass
    with pytest.raises(InputError, match="already"):
        salvage(folder, tmp_path / "other")


def test_what_cannot_be_saved_leaves_no_new_store(folder, tmp_path):
    with pytest.raises(StoreError):
        salvage(tmp_path / "nowhere", tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    put(tmp_path, "file")
    with pytest.raises(OutputError, match="cannot be written"):
        salvage(folder, tmp_path / "file" / "saved")


# --- what nobody needs any more


def checkpoint(seed, name="epoch-000001.pt"):
    return str(folder_of(Path("checkpoints"), cell_of(seed).key) / name)


def test_only_what_nobody_needs_is_garbage_and_why_is_said(folder):
    put(folder, checkpoint(0), checkpoint(1, "epoch-000015.pt"), checkpoint(2), checkpoint(3))
    put(folder, f"{UNFINISHED}scatter-x1y2.svg", f"weights/{UNFINISHED}abc-x.pt", ".running/dead.lock")
    put(folder, checkpoint(2, f"{UNFINISHED}epoch-000002-x.pt"), "logs/full.log", f"logs/{UNFINISHED}a-b.log")
    put(folder, "weights/abc.pt", "runs.csv", "notes.txt", ".hidden", ".a-b.csv", f"{checkpoint(2)}.other")
    put(folder, "logs/empty.log", content="")
    assert {str(one.file.relative_to(folder)): one.reason for one in garbage(folder)} == {
        checkpoint(0): "checkpoint of a run that is over",
        checkpoint(1, "epoch-000015.pt"): "checkpoint of a run that is over",
        f"{UNFINISHED}scatter-x1y2.svg": "was being written when its process died",
        f"weights/{UNFINISHED}abc-x.pt": "was being written when its process died",
        checkpoint(2, f"{UNFINISHED}epoch-000002-x.pt"): "was being written when its process died",
        ".running/dead.lock": "lock of a process that is dead",
        "logs/empty.log": "empty log",
    }


def test_garbage_has_its_size(folder):
    put(folder, f"{UNFINISHED}a-b.csv", content="x" * 1234)
    (one,) = garbage(folder)
    assert one.size_bytes == 1234


def test_a_sound_folder_has_no_garbage(folder):
    assert garbage(folder) == []


def test_what_is_removed_is_gone_with_the_folders_that_it_leaves_empty(folder):
    put(folder, checkpoint(0), ".running/dead.lock", f"{UNFINISHED}a-b.csv")
    put(folder, "logs/empty.log", content="")
    kept = files(folder) - {str(one.file.relative_to(folder)) for one in garbage(folder)}
    assert remove(garbage(folder)) == 3 * len("something")
    assert files(folder) == kept == {FILE_NAME}
    assert [entry.name for entry in folder.iterdir()] == [FILE_NAME]
    assert garbage(folder) == []


def test_folders_with_something_in_them_stay(folder):
    put(folder, checkpoint(0), checkpoint(2), "logs/full.log")
    put(folder, "logs/empty.log", content="")
    remove(garbage(folder))
    assert files(folder) == {FILE_NAME, checkpoint(2), "logs/full.log"}


def test_a_folder_that_is_not_ours_stays_though_it_is_empty(folder):
    (folder / "notes").mkdir()
    put(folder, f"weights/{UNFINISHED}abc-x.pt", f"{UNFINISHED}a-b.csv")
    remove(garbage(folder))
    assert (folder / "notes").is_dir()
    assert (folder / "weights").is_dir()
    assert files(folder) == {FILE_NAME}


def test_what_went_by_itself_is_no_error(folder):
    put(folder, f"{UNFINISHED}a-b.csv")
    found = garbage(folder)
    found[0].file.unlink()
    assert remove(found) == len("something")


def test_while_a_sweep_is_at_work_nothing_is_garbage(folder):
    put(folder, checkpoint(0), f"{UNFINISHED}a-b.csv")
    with Store(folder, create=True) as store, Owner(folder) as owner:
        store.begin(Begun(cell_of(3), ENVIRONMENT), owner.token)
        assert garbage(folder) == []
    assert len(garbage(folder)) == 2


def test_while_any_lock_is_held_nothing_is_garbage(folder):
    put(folder, checkpoint(0), f"{UNFINISHED}a-b.csv", ".running/dead.lock")
    with Owner(folder):  # it measures or times, and no run has begun
        assert garbage(folder) == []
    assert len(garbage(folder)) == 3


@pytest.mark.parametrize(
    ("states", "over"),
    [
        (("failed", "done"), True), (("interrupted", "diverged"), True), (("failed",), False),
        (("diverged", "failed"), False), (("diverged", "oom"), False), (("diverged", "interrupted"), False),
    ],
)  # fmt: skip
def test_whether_a_run_is_over_is_told_by_its_last_attempt(folder, states, over):
    with Store(folder, create=True) as store:
        for status in states:
            store.add(dataclasses.replace(DONE, cell=cell_of(9), status=status))
    (file,) = put(folder, checkpoint(9))
    assert [one.file for one in garbage(folder)] == [file] * over


def test_what_a_dead_sweep_left_is_garbage(folder):
    with Store(folder, create=True) as store, Owner(folder) as owner:
        store.begin(Begun(cell_of(3), ENVIRONMENT), owner.token)
        lock = owner._path.read_bytes()
    put(folder, f".running/{owner.token}.lock", checkpoint(3))
    assert lock == b""
    assert [one.file.name for one in garbage(folder)] == [f"{owner.token}.lock"]  # its checkpoint is gone on from


@pytest.mark.parametrize(
    "name",
    [
        ".pre-commit-config.yaml", "notes/.my-notes.md", ".git/.x-y", f"notes/{UNFINISHED}x", "weights/.a-b.pt",
        "my.archbench-notes", ".archbench.toml",
    ],
)  # fmt: skip
def test_hidden_files_of_the_user_are_no_garbage(folder, name):
    put(folder, name)
    assert garbage(folder) == []


def test_what_another_sweep_below_is_writing_is_no_garbage(folder):
    below = folder / "below"
    with Store(below, create=True) as store, Owner(below) as owner:
        store.begin(Begun(cell_of(3), ENVIRONMENT), owner.token)
        put(below, checkpoint(3, f"{UNFINISHED}epoch-000001-x1y2.pt"), f"{UNFINISHED}a-b.csv")
        assert garbage(folder) == []


@pytest.mark.parametrize("name", ["results.v1.sqlite", "runs.csv", "weights/abc.pt", checkpoint(3), "." + "x" * 90])
def test_what_is_being_written_is_called_so_that_it_is_found_where_its_writer_dies(folder, name):
    def write(temporary):
        assert [one.file for one in garbage(folder)] == [temporary]

    write_file(folder / name, write)
    assert garbage(folder) == []
