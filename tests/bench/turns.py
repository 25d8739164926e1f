"""Processes that take turns: each holds its own model, waits for its turn, does it, and tells what it took.

`Turns` is the side of such a process, `Rival` that of the benchmark which it works for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

LAST_SECONDS = 10  # that a process has to end


class Lost(Exception):  # noqa: N818 - the others go on without it
    """A process ended before its time."""


class Turns:
    """The side of a process that takes turns."""

    def __init__(self, *, one_core: bool = True) -> None:
        """Keep standard output for what is told; what a library prints goes to standard error.

        On a CPU it is held to one core, so that one thread is what it has.
        """
        if one_core and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._begun = 0.0

    def ready(self, **facts: object) -> None:
        """Tell that all is set up, and what is worth knowing."""
        print(json.dumps(facts), file=self._out)

    def wait(self) -> None:
        """Wait for the next turn; the process ends where there is none."""
        if not sys.stdin.readline():
            os._exit(0)
        self._begun = time.perf_counter()

    def done(self, seconds: float | None = None) -> None:
        """Tell what the turn took: all the time since it began, or so many seconds of it."""
        print(json.dumps(time.perf_counter() - self._begun if seconds is None else seconds), file=self._out)


class Rival:
    """A process that takes turns, seen from the benchmark."""

    def __init__(self, words: list[str], variables: dict[str, str]) -> None:
        """Start it, with these environment variables; `facts` is what it says when it is ready."""
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            words, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, bufsize=1
        )
        try:
            self.facts = self._answer()
        except Lost:
            self.close()
            raise

    def turn(self) -> float:
        """Let it have a turn; return its seconds."""
        try:
            print("go", file=self._process.stdin)
        except BrokenPipeError:
            raise self._lost() from None
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise self._lost()
        return json.loads(line)

    def _lost(self) -> Lost:
        self._process.wait(LAST_SECONDS)
        self._log.seek(0)
        return Lost(self._log.read().strip().rpartition("\n")[2] or f"exit status {self._process.returncode}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._log):
            try:
                file.close()
            except BrokenPipeError:
                continue


def orders(names: list[str], rounds: int) -> list[list[str]]:
    """Return the order of each round: everybody comes first, second, ... equally often."""
    return [names[place % len(names) :] + names[: place % len(names)] for place in range(rounds)]
