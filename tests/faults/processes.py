"""Real sweeps in processes of their own, to be disturbed: started, watched, killed, held against undisturbed ones."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from archbench.schema import fields
from archbench.store import Store
from archbench.store.database import is_made

TIMES = int(os.environ.get("ARCHBENCH_FAULTS", "2"))  # how often what happens by chance is tried
MARK = "ARCHBENCH_TEST_MARK"  # in the environment of a sweep and all that it starts
BRIEFLY = ("--processes", "1", "--max-seconds", "0")

linux = pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="needs /proc to see what is left running")

SWEEP = """
import json, sys
from pathlib import Path
from archbench import pipeline
from archbench.errors import ArchbenchError
from archbench.study import make_study
from archbench.manner import Manner

folder, workers, settings = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
try:
    pipeline.train_trials(
        make_study(**settings), folder, manner=Manner(workers),
        report=lambda step: step.stage == "train" and print(step.label, step.detail, flush=True),
    )
except ArchbenchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""
"""Trains a study without timing it."""


class Running:
    """A process of archbench, and all that it started."""

    def __init__(self, *words: object, code: str | None = None, cwd: Path | None = None, **variables: str) -> None:
        self.mark = uuid.uuid4().hex
        start = ["-c", code] if code is not None else ["-m", "archbench"]
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        try:
            self.process = subprocess.Popen(
                [sys.executable, *start, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                start_new_session=True, cwd=cwd, env={**os.environ, MARK: self.mark, **variables},
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)

    def __del__(self) -> None:
        """Leave nothing running, and no pipe open, where a test that fails forgets it."""
        if self.process.poll() is None:
            self.process.kill()
        if not self.process.stdout.closed:
            self.process.communicate()

    def left(self) -> list[int]:
        """Return the processes that are left of it, itself included."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                zombie = b"State:\tZ" in (entry / "status").read_bytes()
            except OSError:
                continue
            if f"{MARK}={self.mark}".encode() in environment.split(b"\0") and not zombie:
                found.append(int(entry.name))
        return found

    def children(self) -> list[int]:
        """Return the processes that are at a job: they were forked from one that is not this."""
        left = set(self.left()) - {self.process.pid}
        return [pid for pid in left if parent_of(pid) in left]

    def wait_for(self, words: str, *, stream: str = "stdout") -> None:
        """Read its lines up to one with these words."""
        for line in getattr(self.process, stream):
            if words in line:
                return
        pytest.fail(f"{words!r} was never said: exit {self.process.wait()}: {self.process.stderr.read()}")

    def wait_for_epochs(self, folder: Path, least: int = 1, within: float = 120) -> None:
        """Return once so many epochs are committed."""
        limit = time.monotonic() + within
        while time.monotonic() < limit and self.process.poll() is None:
            if (folder / "results.sqlite").is_file():
                db = sqlite3.connect(folder / "results.sqlite")
                try:
                    if db.execute("SELECT count(*) FROM epochs").fetchone()[0] >= least:
                        return
                except sqlite3.OperationalError:
                    pass  # its tables are being made
                finally:
                    db.close()
            time.sleep(0.05)
        pytest.fail(f"no epoch was committed: exit {self.process.poll()}")

    def kill(self) -> None:
        """End it as the system would, and see that nothing of it is left."""
        self.process.kill()
        self.process.communicate()
        self.all_end()

    def all_end(self, within: float = 30) -> None:
        """See that all its processes end."""
        limit = time.monotonic() + within
        while left := self.left():
            if time.monotonic() > limit:
                pytest.fail(f"{left} are left of it")
            time.sleep(0.05)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, standard output, standard error."""
        out, err = self.process.communicate(timeout=240)
        return self.process.returncode, out, err


def with_path(folder: Path) -> str:
    """Return where processes look for modules, with a folder before all others."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def parent_of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(next(line for line in status.splitlines() if line.startswith("PPid")).split()[1])


def results(folder: Path) -> dict[str, object]:
    """Return by key what must not depend on any disturbance: status, weights, metrics of every epoch."""
    with Store(folder) as store:
        return {
            key: (record.status, record.training and record.training.weights_sha256,
                  record.training and [(e.epoch, e.train, e.validation) for e in record.training.epochs])
            for key, record in store.records().items()
        }  # fmt: skip


def attempts(folder: Path) -> dict[str, list[str]]:
    """Return by key the states of all attempts, in their order."""
    with Store(folder) as store:
        assert store.verify() == []
        found: dict[str, list[str]] = {}
        for attempt in store.attempts():
            found.setdefault(attempt.key, []).append(attempt.state)
            assert attempt.seconds is None or attempt.seconds >= 0
        return found


def done_rows(folder: Path) -> dict[int, object]:
    """Return every row of a done attempt, to see that it never changes."""
    if not is_made(folder):
        return {}
    with Store(folder) as store:
        return {attempt.id: fields(attempt) for attempt in store.attempts() if attempt.state == "done"}
