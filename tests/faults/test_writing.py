"""A file is the old one or the new one, complete, wherever its writing stops."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest

from archbench import files
from archbench.errors import OutputError
from archbench.files import file_name, write_bytes, write_file

MOMENTS = int(os.environ.get("ARCHBENCH_FAULTS", "3"))
OLD, NEW = b"old" * 1000, b"new" * 1000
CALLS = ("open", "write", "close", "chmod", "fsync", "replace")


def written(path, content):
    """Write as a figure is written: by a library, into a file that it opens itself."""
    write_file(path, lambda temporary: temporary.write_bytes(content))


WRITERS = (write_bytes, written)


def stopping(patch, at, stop):
    """Let the `at`-th system call of a writer end in `stop`; return how many there were, in a list."""
    made = []

    def called(name, real, *args, **more):
        made.append(name)
        if len(made) == at:
            stop()
        return real(*args, **more)

    for name in CALLS:
        patch.setattr(os, name, partial(called, name, getattr(os, name)))
    return made


def calls_of(write, path):
    with pytest.MonkeyPatch.context() as patch:
        made = stopping(patch, 0, None)
        write(path, NEW)
    return made


@pytest.mark.parametrize("write", WRITERS)
def test_everything_is_on_disk_before_the_name_is_given_and_the_name_before_it_returns(write, tmp_path):
    made = calls_of(write, tmp_path / "a")
    place = made.index("replace")
    assert "fsync" in made[:place]
    assert "fsync" in made[place:]
    assert "write" not in made[place:]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def _write_and_die(write, path, at):
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        write(path, NEW)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the child only writes, and dies
@pytest.mark.parametrize("write", WRITERS)
def test_killed_at_any_step_the_file_is_the_old_or_the_new_one(write, tmp_path):
    context = multiprocessing.get_context("fork")
    path = tmp_path / "a.bin"
    steps = len(calls_of(write, path))
    found = []
    for at in range(1, steps + 1):
        path.write_bytes(OLD)
        child = context.Process(target=_write_and_die, args=(write, path, at))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert path.read_bytes() in (OLD, NEW)
        found.append(path.read_bytes())
        assert all(left.name.startswith(".") for left in tmp_path.iterdir() if left != path)
    assert (found[0], found[-1]) == (OLD, NEW)
    write(path, NEW)  # what the dead left behind is in nobody's way
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("write", WRITERS)
def test_refused_at_any_step_it_is_told_and_the_old_one_stays(write, number, tmp_path):
    path = tmp_path / "a.bin"
    made = calls_of(write, path)

    def refuse():
        raise OSError(number, os.strerror(number))

    for at in range(1, len(made) + 1):
        path.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as patch:
            stopping(patch, at, refuse)
            with pytest.raises(OutputError) as caught:
                write(path, NEW)
        assert str(path) in str(caught.value)
        assert os.strerror(number) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.remedy
        assert path.read_bytes() == (OLD if at <= made.index("replace") + 1 else NEW)
        assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_takes_a_part_of_a_write_gets_the_rest(monkeypatch, tmp_path):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    write_bytes(tmp_path / "a", NEW)
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == NEW
    write_bytes(tmp_path / "a", b"")
    assert (tmp_path / "a").read_bytes() == b""


def test_a_file_system_that_cannot_sync_is_no_error(monkeypatch, tmp_path):
    def fsync(handle):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_what_the_writer_raises_is_its_own_and_leaves_nothing(tmp_path):
    def write(path):
        path.write_bytes(NEW)
        raise ZeroDivisionError

    (tmp_path / "a").write_bytes(OLD)
    with pytest.raises(ZeroDivisionError):
        write_file(tmp_path / "a", write)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [OLD]


def test_a_place_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    for path in (tmp_path / "file" / "a", tmp_path / ("n" * 256), Path("/proc/nowhere/a")):
        with pytest.raises(OutputError, match="cannot be written") as caught:
            write_bytes(path, NEW)
        assert str(path) in str(caught.value)


NAMES = [
    "n" * 300, "𐍈" * 300, "=1+1", "<script>alert(1)</script>", "[/foo]", "../../x", "..", ".", "", "/", "🚀", "🎉",
    "a\nb", "a\0b", "a\udcffb", "con: x", "-rf", ".hidden", "a b", "a/b", "a\\b", "$(reboot)", "cnn[a=1]@3k, lr=0.1",
]  # fmt: skip


def test_every_text_has_a_file_name_of_its_own_that_can_be_written(tmp_path):
    names = [file_name(text) for text in NAMES]
    assert len(set(names)) == len(NAMES)
    for name in names:
        assert len(name.encode()) <= files.LONGEST_NAME
        path = tmp_path / "out" / f"{name}.svg"
        write_bytes(path, NEW)
        assert path.resolve().parent == tmp_path / "out"
    assert len(list((tmp_path / "out").iterdir())) == len(NAMES)
    assert file_name("cnn[a=1]@3k, lr=0.1") == "cnn_a=1_@3k_lr=0.1"


@pytest.mark.parametrize("name", ["n" * 251, "é" * 120 + ".longsuffix", "a." + "s" * 253])
def test_a_name_as_long_as_can_be_is_written(name, tmp_path):
    write_bytes(tmp_path / name, NEW)
    assert [file.name for file in tmp_path.iterdir()] == [name]


REWRITES = """
import sys
from pathlib import Path
from matplotlib.figure import Figure
from archbench.figures import save
from archbench.files import write_file

path = Path(sys.argv[1])
figures = []
for points in (3, 300):
    figure = Figure()
    figure.add_subplot().plot(range(points))
    figure.suptitle(f"{points} points, complete")
    figures.append(figure)
while True:
    for figure in figures:
        write_file(path, lambda temporary: save(figure, temporary))
        print("written", flush=True)
"""


def test_killed_at_any_moment_a_figure_is_complete(tmp_path):
    path = tmp_path / "scatter.svg"
    moments = random.Random(0)
    for _ in range(MOMENTS):
        with subprocess.Popen(
            [sys.executable, "-c", REWRITES, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            for _ in range(2):
                assert child.stdout.readline() == "written\n", child.stderr.read()
            time.sleep(moments.uniform(0, 0.3))
            child.kill()
        root = ET.parse(path).getroot()
        assert root.tag.endswith("svg")
        assert "points, complete" in path.read_text(encoding="utf-8")
