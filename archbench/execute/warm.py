"""The parent's end of the warm process: begun, told what for, ended."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from archbench.environment import module_path, worker_variables
from archbench.execute.jobs import remove_if_empty

if TYPE_CHECKING:
    from archbench.execute.jobs import Setup

# The module path is this process's, whatever folder the other is started in.
NURSERY = (
    "import runpy, sys; sys.path[:0] = sys.argv[2:]; runpy.run_module('archbench.execute.nursery', run_name='__main__')"
)
LOG = "processes.log"  # of the warm process


class Warm:
    """A process that imports what jobs need as soon as it is begun, be it before it is known what they are."""

    def __init__(self) -> None:
        """Begin it."""
        self._log: Path | None = None
        self._early = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, "-P", "-c", NURSERY, str(theirs.fileno()), *module_path()],
                stdin=subprocess.DEVNULL, stdout=self._early, stderr=self._early,
                pass_fds=(theirs.fileno(),), env=worker_variables(),
                process_group=0,  # Ctrl-C in a terminal reaches the parent only
            )  # fmt: skip

    def prepare(self, setup: Setup) -> None:
        """Tell what is common to all jobs; from now on it prints into the folder of logs.

        Raises:
            OSError: this cannot be written.
        """
        self._log = Path(setup.logs) / LOG
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log, contextlib.suppress(OSError):  # it died at once: the first job finds it so
            socket.send_fds(self.control, [msgspec.json.encode(setup)], [log.fileno()])

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def close(self) -> None:
        """End it, and all that came from it; what it printed before it was prepared comes into the log, too."""
        if self._early.closed:
            return
        self.control.close()
        self._process.kill()
        self._process.wait()
        with self._early as early:
            early.seek(0)
            words = early.read()
        if self._log is not None and words:
            with contextlib.suppress(OSError), self._log.open("ab") as log:
                log.write(words)
        elif self._log is not None:
            remove_if_empty(self._log)
