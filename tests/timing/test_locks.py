from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from archbench.timing.locks import FOLDER_VARIABLE, timing_on, training_on


@pytest.fixture(autouse=True)
def _locks(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


WAITERS = []


def released():
    """Wait until whoever waited in this test had its turn."""
    while WAITERS:
        WAITERS.pop().join()


def blocked(lock):
    """Return whether taking a lock has to wait; a thread takes it, as locks are of each opening of the file."""
    waited, taken = threading.Event(), threading.Event()

    def take():
        with lock("cpu", lambda why: waited.set()):
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    WAITERS.append(thread)
    while not (waited.is_set() or taken.is_set()):
        thread.join(0.01)
    return waited.is_set()


def test_trainings_share_a_device_and_timing_has_it_alone():
    with training_on("cpu"):
        assert not blocked(training_on)
        assert blocked(timing_on)
    released()
    with timing_on("cpu"):
        assert blocked(timing_on)
        assert blocked(training_on)
    released()
    assert not blocked(timing_on)


def test_devices_have_locks_of_their_own():
    with timing_on("cuda"):
        assert not blocked(timing_on)


def test_no_training_begins_while_timing_waits():
    waiting, held, timed, trained = threading.Event(), threading.Event(), threading.Event(), []

    def time_it():
        with timing_on("cpu", lambda why: waiting.set()):
            timed.set()

    def train_it():
        with training_on("cpu", lambda why: held.set()):
            trained.append(timed.is_set())

    with training_on("cpu"):
        timer = threading.Thread(target=time_it)
        timer.start()
        assert waiting.wait(10)
        trainer = threading.Thread(target=train_it)
        trainer.start()
        assert held.wait(10)
        assert trained == []
    timer.join()
    trainer.join()
    assert trained == [True]


def test_a_lock_ends_with_its_process_however_it_ends():
    code = (
        "import sys; from archbench.timing.locks import timing_on\n"
        "with timing_on('cpu'): print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:  # fmt: skip
        assert other.stdout.readline() == b"1\n"
        assert blocked(timing_on)
        other.kill()
    with timing_on("cpu"):
        pass


def test_a_folder_that_cannot_be_used_is_done_without(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "missing"))
    said = []
    with timing_on("cpu", said.append), training_on("cpu"):
        pass
    assert len(said) == 1
    assert "missing can be locked" in said[0]
    assert FOLDER_VARIABLE in said[0]


def test_a_file_system_without_locks_is_done_without(monkeypatch):
    def flock(file, how):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    said = []
    with training_on("cpu", said.append):
        pass
    assert len(said) == 1


def test_the_file_is_there_for_all_users(tmp_path):
    before = os.umask(0o077)
    try:
        with timing_on("cpu"):
            pass
    finally:
        os.umask(before)
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o644"}


def test_what_is_raised_inside_gives_the_lock_back():
    with pytest.raises(RuntimeError), timing_on("cpu"):
        raise RuntimeError
    assert not blocked(timing_on)
