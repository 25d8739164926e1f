"""The other frameworks: a virtual environment of the benchmarks' own, made where it is asked for.

It sees the packages of the main one, so that torch is there once.
"""

from __future__ import annotations

import hashlib
import site
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-bench"
WANTED = Path(__file__).with_name("requirements.txt")
SECONDS = 900  # for the installation


class Unavailable(Exception):  # noqa: N818 - what needs it is left out
    """The environment cannot be made."""


def interpreter() -> str:
    """Return the Python that has the other frameworks.

    Raises:
        Unavailable: why it cannot be had.
    """
    python, mark = FOLDER / "bin/python", FOLDER / ".ready"
    made_of = hashlib.sha256(WANTED.read_bytes() + sys.version.encode()).hexdigest()
    if not (mark.is_file() and mark.read_text() == made_of):
        print(f"making {FOLDER.name} with {', '.join(WANTED.read_text().split())}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
        (own,) = FOLDER.glob("lib/*/site-packages")
        main = next(folder for folder in site.getsitepackages() if Path(folder).name == "site-packages")
        (own / "archbench-main.pth").write_text(f"import site; site.addsitedir({main!r})\n")
        _run(
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--constraint", str(ROOT / "constraints.txt"), "--requirement", str(WANTED),
        )  # fmt: skip
        mark.write_text(made_of)
    return str(python)


def pinned() -> dict[str, str]:
    """Return the versions of what was asked for."""
    return dict(line.split("==") for line in WANTED.read_text().split())


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise Unavailable(lines[-1] if lines else f"{words[0]} ended with {done.returncode}")
