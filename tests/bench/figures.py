"""Figures of benchmarks: printed as tables, and kept in results/bench/<machine>.json, a section a benchmark.

A table is a list of rows, a row a value by column. A value that is a list is an estimate and the ends of its interval.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.stats import bootstrap
from tabulate import tabulate

from archbench.environment import capture
from archbench.files import write_bytes

FOLDER = Path(__file__).parents[2] / "results/bench"
SMOKE = "-smoke"  # what such files end in: they are looked at and not kept

Row = dict[str, Any]


def arguments(doc: str, **defaults: int) -> argparse.ArgumentParser:
    """Return a parser with `--smoke` and the whole numbers that a benchmark can be told."""
    first = doc.partition("\n\n")[0]
    parser = argparse.ArgumentParser(description=first, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="do little of everything, to see that it works")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=" ")
    return parser


def machine() -> str:
    """Return what this machine's files are called after: its processor, cores and card, as in `xeon-16core-h100`."""
    environment = capture()
    name = re.sub(r"\((r|tm)\)|\b(intel|amd|genuine|processor|cpu|core)\b", " ", environment.cpu.lower())
    card = re.search(r"[a-z]*\d+[a-z]*", (environment.gpu or "").lower())
    words = [(re.findall("[a-z0-9]+", name) or [platform.machine()])[0], f"{environment.cores}core"]
    return "-".join([*words, card[0]] if card else words)


def goal(what: str, measured: float | None, *, most: float | None = None, least: float | None = None) -> Row:
    """Return whether a figure is what it is meant to be; None where it was not measured."""
    asked = f"at most {shown(most)}" if most is not None else f"at least {shown(least)}"
    met = measured is not None and (most is None or measured <= most) and (least is None or measured >= least)
    verdict = "not measured" if measured is None else "met" if met else "missed"
    return {"what": what, "goal": asked, "measured": measured, "verdict": verdict}


def ratio(ours: list[float], theirs: list[float]) -> list[float]:
    """Return how many times as fast one is as the other, with the 95 % interval of a bootstrap over the rounds."""
    ratios = np.array(theirs) / np.array(ours)
    if len(ratios) < 2:
        return [float(ratios[0])] * 3
    interval = bootstrap((ratios,), np.median, method="percentile", rng=0).confidence_interval
    return [float(np.median(ratios)), float(interval.low), float(interval.high)]


def no_card() -> bool:
    """Whether there is no CUDA device, which is said."""
    missing = capture().gpu is None
    if missing:
        print("left out: there is no CUDA device that torch can use")
    return missing


def keep(
    section: str,
    tables: dict[str, list[Row]],
    goals: list[Row] = (),
    *,
    raw: Any = None,
    versions: dict[str, str] | None = None,
    smoke: bool = False,
    quiet: bool = False,
) -> None:
    """Print the figures of a benchmark, and keep them as its section.

    Args:
        section: its name.
        tables: rows by title.
        goals: of `goal`.
        raw: what the tables were made of.
        versions: of other libraries.
        smoke: whether little was done, so that the figures say nothing.
        quiet: whether it has printed them already.
    """
    if not quiet:
        for title, rows in {**tables, "goals": goals}.items():
            if rows:
                print(f"\n{title}\n{table(rows)}", flush=True)
    environment = {**msgspec.to_builtins(capture()), "dirty": _dirty()}
    del environment["machine"]  # its name on its network
    file = FOLDER / f"{machine()}{SMOKE * smoke}.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    kept[section] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "command": _command(), "environment": environment,
        "versions": versions or {}, "tables": tables, "goals": list(goals), "raw": raw,
    }  # fmt: skip
    write_bytes(file, (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())


def _command() -> str:
    """Return the command as one would give it in the repository."""
    script, *words = sys.argv
    with contextlib.suppress(ValueError):
        script = str(Path(script).resolve().relative_to(FOLDER.parents[1]))
    return shlex.join(["python", script, *(re.sub(r"(^|=)/.*/", r"\1", word) for word in words)])


def _dirty() -> bool | None:
    """Return whether anything but figures was changed since the commit."""
    words = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!docs"]
    done = subprocess.run(words, cwd=FOLDER.parents[1], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) if not done.returncode else None


def table(rows: list[Row], form: str = "simple") -> str:
    """Return rows as text: `simple` for a terminal, `pipe` for Markdown."""
    columns = dict.fromkeys(column for row in rows for column in row)
    words = [[shown(row.get(column)) for column in columns] for row in rows]
    plain = [isinstance(rows[0].get(column), str) for column in columns]
    return tabulate(
        words, list(columns), form, colalign=["left" if left else "right" for left in plain], disable_numparse=True
    )


def shown(value: Any) -> str:
    """Return a value in words: whole numbers in full, others to three figures, an estimate with its interval."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        middle, low, high = map(shown, value)
        return f"{middle} [{low}, {high}]"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
