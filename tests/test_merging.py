"""Results folders in one: their files, what is refused, and that a killed merge does no harm."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import QUICK, small_study
from test_schema import DONE, cell_of

from archbench.errors import InputError, Interrupted, OutputError, StoreError
from archbench.execute import CHECKPOINTS_FOLDER, LOGS_FOLDER, WEIGHTS_FOLDER, Job, weights_file
from archbench.loading import load
from archbench.manner import Manner
from archbench.merging import Given, merge
from archbench.pipeline import run
from archbench.shards import Shard
from archbench.store import FILE_NAME, Owner, Store
from archbench.upkeep import salvage

STUDY = small_study(["linear", "mlp"], ["3k"], epochs=4, limit=80, keep_weights=True)


def quick(study, folder, number=1, of=1, **settings):
    return run(study, folder, manner=Manner(0, part=Shard(number, of)), protocol=QUICK, **settings)


def filled(folder, *records):
    with Store(folder, create=True) as store:
        for record in records:
            store.add(record)
    return folder


def with_seed(seed, **changes):
    return dataclasses.replace(DONE, cell=cell_of(seed), **changes)


def put(folder, name, content=b"something"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def files(folder):
    """Return every file of a folder but its store, with what is in it."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*") if file.is_file() and file.name != FILE_NAME
    }  # fmt: skip


def tables(folder):
    """Return every row of a store."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def bits(folder):
    """Return of every run what must not depend on where it was run."""
    return [
        (r.cell.key, r.status, r.training.weights_sha256, r.training.test,
         [(epoch.epoch, epoch.train, epoch.validation) for epoch in r.training.epochs])
        for r in load(folder).records
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the undivided study's folder."""
    return quick(STUDY, tmp_path_factory.mktemp("whole") / "whole").folder


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Return the folders of two shards; the second was stopped after two epochs of its second run."""
    root = tmp_path_factory.mktemp("halves")
    quick(STUDY, root / "a", 1, 2)

    def stop(step):
        if "epoch 2/4" in step.detail and "1 of 2 runs done" in step.detail:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="1 of 2 runs are finished"):
        quick(STUDY, root / "b", 2, 2, report=stop)
    return root / "a", root / "b"


# --- files


def test_what_the_folders_gave_is_told(halves, tmp_path):
    one, two = halves
    for new in (True, False):
        merged = merge(halves, tmp_path / "c")
        assert merged.folder == tmp_path / "c"
        assert merged.given == (
            Given(one, 2, 2, 2 * new, 4, 4 * new, 0), Given(two, 2, 2, 2 * new, 0, 0, 0)
        )  # fmt: skip
        assert merged.apart == ()


def test_weights_are_copied_and_checkpoints_of_what_is_not_over(halves, tmp_path):
    merge(halves, tmp_path / "c")
    found = files(tmp_path / "c")
    expected = {}
    for folder in halves:
        expected |= {
            name: content for name, content in files(folder).items()
            if name.startswith((f"{WEIGHTS_FOLDER}/", f"{CHECKPOINTS_FOLDER}/")) and name.endswith(".pt")
        }  # fmt: skip
    assert found == expected
    assert [name.partition("/")[0] for name in sorted(found)] == [CHECKPOINTS_FOLDER] * 2 + [WEIGHTS_FOLDER] * 3


@pytest.mark.parametrize("order", [1, -1])
def test_a_run_that_was_stopped_goes_on_in_the_merged_folder_to_the_same_bits(halves, whole, tmp_path, order):
    merge(halves[::order], tmp_path / "c")
    told = []
    quick(STUDY, tmp_path / "c", report=told.append)
    assert [step.detail for step in told if "goes on behind" in step.detail] == ["goes on behind epoch 2 of 4"]
    assert bits(tmp_path / "c") == bits(whole)


def test_of_two_folders_with_a_run_in_them_the_state_is_copied_that_the_whole_goes_on_from(halves, whole, tmp_path):
    """A copy of the second folder went one epoch further: the same epochs have other files in the two."""
    _, two = halves
    shutil.copytree(two, tmp_path / "further")

    def stop(step):
        if "epoch 3/4" in step.detail:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        quick(STUDY, tmp_path / "further", 2, 2, report=stop)
    for number, folders in enumerate(((two, tmp_path / "further"), (tmp_path / "further", two))):
        merge(folders, tmp_path / str(number))
        told = []
        quick(STUDY, tmp_path / str(number), 2, 2, report=told.append)
        assert [step.detail for step in told if "goes on behind" in step.detail] == ["goes on behind epoch 3 of 4"]
        assert set(map(str, bits(tmp_path / str(number)))) <= set(map(str, bits(whole)))


def test_a_damaged_checkpoint_is_not_copied(halves, tmp_path):
    shutil.copytree(halves[1], tmp_path / "b")
    damaged = max((tmp_path / "b").glob(f"{CHECKPOINTS_FOLDER}/*/*"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    merge([halves[0], tmp_path / "b"], tmp_path / "c")
    assert len(list((tmp_path / "c").glob(f"{CHECKPOINTS_FOLDER}/*/*"))) == 1
    merge(halves, tmp_path / "c")  # where it is sound
    assert len(list((tmp_path / "c").glob(f"{CHECKPOINTS_FOLDER}/*/*"))) == 2


def test_merging_again_writes_no_file(halves, tmp_path):
    merge(halves, tmp_path / "c")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "c").rglob("*.pt")}
    rows = tables(tmp_path / "c")
    merge(halves[::-1], tmp_path / "c")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "c").rglob("*.pt")} == before
    assert tables(tmp_path / "c") == rows
    assert not (tmp_path / "c" / ".running").exists()


def test_the_sources_stay_as_they_are(halves, tmp_path):
    before = [(files(folder), (folder / FILE_NAME).read_bytes()) for folder in halves]
    merge(halves, tmp_path / "c")
    assert [(files(folder), (folder / FILE_NAME).read_bytes()) for folder in halves] == before


def test_weights_are_those_of_the_run_that_is_kept(tmp_path):
    name = str(weights_file(tmp_path, cell_of(0)).relative_to(tmp_path))
    failed = filled(tmp_path / "a", with_seed(0, status="failed", training=None, error="x"))
    one, two = filled(tmp_path / "b", with_seed(0)), filled(tmp_path / "c", with_seed(0, finished_at="later"))
    for folder, content in ((failed, b"of nothing"), (two, b"of the second")):
        put(folder, f"{WEIGHTS_FOLDER}/{name}", content)
    merge([failed, one, two], tmp_path / "none of the first")
    assert files(tmp_path / "none of the first") == {f"{WEIGHTS_FOLDER}/{name}": b"of the second"}
    put(one, f"{WEIGHTS_FOLDER}/{name}", b"of the first")
    put(tmp_path / "both", f"{WEIGHTS_FOLDER}/{name}", b"cut sho")  # whatever was there before
    merge([failed, one, two], tmp_path / "both")
    assert files(tmp_path / "both") == {f"{WEIGHTS_FOLDER}/{name}": b"of the first"}


def test_logs_are_joined_and_each_stands_once(tmp_path):
    one, two = (filled(tmp_path / name, with_seed(0, status="failed", training=None, error=name)) for name in "ab")
    name = str(Job("train", cell_of(0)).log(LOGS_FOLDER))
    put(one, name, b"of a\n")
    put(two, name, b"of b\n")
    put(two, f"{LOGS_FOLDER}/other.log", b"of nobody")
    for _ in range(2):
        merge([one, two], tmp_path / "c")
        assert files(tmp_path / "c") == {name: b"of a\nof b\n"}
    merge([two, tmp_path / "c"], tmp_path / "d")
    assert files(tmp_path / "d") == {name: b"of a\nof b\n"}
    put(one, name, b"of a\nmore of a\n")
    merge([one, filled(tmp_path / "e")], tmp_path / "f")
    assert files(tmp_path / "f") == {name: b"of a\nmore of a\n"}


# --- what is refused


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "results"
    one, two = filled(root / "a", with_seed(0)), filled(root / "b", with_seed(1))
    filled(root / "a" / "tune", with_seed(2))
    (root / "link").symlink_to(one)
    return root, one, two


@pytest.mark.parametrize(
    ("names", "target", "error", "message"),
    [
        ([], "c", InputError, "nothing to merge with one folder alone"),
        (["a"], "c", InputError, "nothing to merge with one folder alone"),
        (["a", "a"], "c", InputError, "a is named twice"),
        (["a", "b", "../results/a"], "c", InputError, "a is named twice"),
        (["a", "link"], "c", InputError, "a is named twice"),
        (["a", "b"], "b", InputError, "b cannot be merged into itself"),
        (["a", "b"], "link", InputError, "a cannot be merged into itself"),
        (["a", "a/tune"], "c", InputError, "a/tune lies inside of "),
        (["a", "b"], "b/c", InputError, "b/c lies inside of "),
        (["a", "b"], ".", InputError, "b lies inside of |a lies inside of "),
        (["a", "nowhere"], "c", StoreError, "there are no results in .*nowhere"),
        (["a", "b/results.sqlite"], "c", StoreError, "there are no results in "),
        (["a", "b"], "file", OutputError, "file cannot be written"),
    ],
)
def test_what_cannot_be_merged_is_refused_with_a_remedy(folders, names, target, error, message):
    root, *_ = folders
    put(root, "file")
    before = files(root)
    with pytest.raises(error, match=message) as caught:
        merge([root / name for name in names], root / target)
    assert caught.value.remedy
    assert files(root) == before
    assert not (root / "c").exists()


@pytest.mark.parametrize("busy", ["a", "b", "c"])
def test_a_folder_that_an_archbench_is_at_work_in_waits(folders, busy):
    root, one, two = folders
    (root / "c").mkdir()
    with Owner(root / busy), pytest.raises(StoreError, match=f"an archbench is at work in .*{busy}"):
        merge([one, two], root / "c")
    assert not (root / "c" / FILE_NAME).exists()
    merge([one, two], root / "c")


def test_contradictions_write_nothing(folders):
    root, one, two = folders
    other = dataclasses.replace(DONE.training, weights_sha256="e" * 64)
    filled(two, with_seed(0, training=other))
    with pytest.raises(StoreError, match="nothing is written"):
        merge([one, two], root / "c")
    assert not (root / "c").exists()


def test_a_damaged_folder_is_merged_once_it_is_salvaged(folders):
    root, one, two = folders
    filled(two, with_seed(5))
    with closing(sqlite3.connect(two / FILE_NAME)) as db, db:
        db.execute("DROP TRIGGER attempts_done")
        db.execute("UPDATE attempts SET error = 'x' WHERE id = 1")
    with pytest.raises(StoreError, match="attempts 1: its content does not fit its hash"):
        merge([one, two], root / "c")
    salvage(two, root / "saved")
    assert [given.runs for given in merge([one, root / "saved"], root / "c").given] == [1, 1]


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a file that cannot be read by anybody")
def test_a_file_that_cannot_be_read_is_named(folders):
    root, one, two = folders
    file = weights_file(one / WEIGHTS_FOLDER, cell_of(0))
    file.parent.mkdir()
    file.symlink_to("/proc/self/mem")
    with pytest.raises(StoreError, match=f"{file.name} cannot be read"):
        merge([one, two], root / "c")
    file.unlink()
    merge([one, two], root / "c")


@pytest.mark.parametrize("statement", [None, "PRAGMA user_version = 0"])
def test_a_store_that_a_dead_process_had_no_time_to_make_is_none(folders, statement):
    root, one, two = folders
    (root / "c").mkdir()
    with closing(sqlite3.connect(root / "c" / FILE_NAME)) as db:
        db.execute(statement or "CREATE TABLE x (y)")
        db.execute("VACUUM")
        if statement is None:  # of another program
            with pytest.raises(StoreError, match="is no results store"):
                merge([one, two], root / "c")
            return
    assert (root / "c" / FILE_NAME).stat().st_size
    assert len(merge([one, two], root / "c").given) == 2


# --- kill -9

AT_EACH_CALL = """
import json, os, signal, sys
from pathlib import Path
from archbench import files, merging
from archbench.store import merge

root, folders = Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]]
last = 0
while True:
    last += 1
    child = os.fork()
    if child == 0:
        count = 0
        def counted(original):
            def call(*words, **settings):
                global count
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*words, **settings)
            return call
        merge.insert = counted(merge.insert)
        for name in ("replace", "fsync"):
            setattr(os, name, counted(getattr(os, name)))
        merging.merge(folders, root / str(last))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code)
    if code == 0:
        break
"""


def test_a_merge_that_is_killed_anywhere_and_begun_again_is_an_undisturbed_one(halves, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", AT_EACH_CALL, str(tmp_path), *map(str, halves)],
        capture_output=True,
        text=True,
        check=True,
    )
    *killed, last = map(int, done.stdout.split())
    assert (set(killed), last) == ({-signal.SIGKILL}, 0)
    assert len(killed) > 30
    undisturbed = tmp_path / str(len(killed) + 1)
    rows, content = tables(undisturbed), files(undisturbed)
    for number in range(1, len(killed) + 1):
        target = tmp_path / str(number)
        if (target / FILE_NAME).exists():
            with Store(target) as store:
                assert store.attempts() == []  # all rows, or none
        merge(halves, target)
        assert tables(target) == rows
        assert {name: found for name, found in files(target).items() if "/." not in f"/{name}"} == content
