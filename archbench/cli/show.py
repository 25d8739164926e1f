"""Printing: tables for people, JSON for programs, progress on standard error."""

from __future__ import annotations

import contextlib
import functools
import re
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Self

from rich.console import Console
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from archbench.errors import Interrupted, Terminated
from archbench.markup import visible
from archbench.units import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd
    from rich.console import ConsoleOptions, RenderableType

    from archbench.schema import Progress as Step

P = ParamSpec("P")


class PlainConsole(Console):
    """A console on which text is text: no markup, no emoji codes, and no control characters but rich's own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **settings})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is written, the one place that all of it passes."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, layout=True))


out = PlainConsole(soft_wrap=True)
err = PlainConsole(stderr=True, soft_wrap=True)

LINE_SECONDS = 10  # where there is no terminal, an epoch gets a line at most so often
STAGES = {"size": "sizing", "count": "counting", "time": "timing", "train": "training"}


def results_only(command: Callable[P, None]) -> Callable[P, None]:
    """Keep standard output for a command's results: what a model or library prints goes to standard error.

    Raises:
        Interrupted: on Ctrl-C.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        out.file = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            try:
                command(*args, **kwargs)
            except KeyboardInterrupt as stop:
                msg = "stopped: what was finished before is kept"
                kind = Terminated if signal.SIGTERM in stop.args else Interrupted
                raise kind(msg, "The same command goes on from there.") from None

    return run


def print_json(value: Any) -> None:
    """Write pure JSON, with missing values as null, to standard output."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()  # paths
    # JSON escapes the controls up to 31 by itself; of the others a terminal knows some, too.
    out.file.write(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows with plain values, missing ones None."""
    from archbench.exports import plain_rows

    return plain_rows(frame)


def print_table(words: pd.DataFrame | Sequence[Mapping[str, str]], title: str = "", *, footer: bool = False) -> None:
    """Write words as a table: a frame, or rows of the same columns; with `footer` the last row stands under a line."""
    if isinstance(words, Sequence):  # without pandas, which takes a while to import
        headings, cells = list(words[0]) if words else [], [list(row.values()) for row in words]
    else:
        headings, cells = list(words.columns), [list(row) for row in words.itertuples(index=False)]
    columns = [[visible(str(cell)) for cell in column] for column in zip(headings, *cells, strict=True)]
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading, *column in columns:
        numbers = all(value[:1] in "0123456789+-" for value in column if value)
        table.add_column(Text(heading), justify="right" if numbers else "left", overflow="fold")
    rows = [[Text(cell) for cell in row] for row in zip(*(column[1:] for column in columns), strict=True)]
    for index, row in enumerate(rows):
        if footer and index == len(rows) - 1:
            table.add_section()
        table.add_row(*row, style="bold" if footer and index == len(rows) - 1 else None)
    console = out if out.is_terminal else PlainConsole(file=out.file, width=max(80, table_width(columns)))
    console.print(table)


def table_width(columns: Sequence[Sequence[str]]) -> int:
    """Return the letters that columns take, so that what goes to a file or a pipe is not folded."""
    return sum(max(map(len, column)) + 2 for column in columns)


class Display:
    """Progress on standard error: live bars in a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._quiet = quiet
        self._live = Progress(
            TextColumn("{task.fields[stage]:>9}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12),
            TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
            TextColumn("left"),
            # What is worked on takes the rest of the line and gives way first.
            TextColumn("{task.fields[what]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            console=err,
            disable=quiet or not err.is_terminal,
            expand=True,
        )
        self._tasks: dict[str, Any] = {}
        self._started: dict[str, float] = {}
        self._last_line = self._last_step = time.monotonic()

    def __enter__(self) -> Self:
        if not self._live.disable:  # older versions of rich write an empty line even so
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._live.disable:
            self._live.stop()

    def _show_run(self, step: Step, what: str) -> None:
        """Show a run that is under way beside others as a bar of its own, for as long as it is."""
        if step.label not in self._tasks:
            self._tasks[step.label] = self._live.add_task("", total=1, stage="", what=what)
        self._live.update(self._tasks[step.label], completed=step.part, what=what)
        if step.finished:
            self._live.remove_task(self._tasks.pop(step.label))

    def __call__(self, step: Step) -> None:
        """Show one step."""
        if step.note:
            err.print(step.detail)
            return
        if self._quiet:
            if step.detail and (
                step.stage == "size" or (step.stage == "time" and not step.done)
            ):  # quiet is about progress, not about doubt
                err.print(f"warning: {step.detail}")
            return
        stage = STAGES[step.stage]
        now = time.monotonic()
        started = self._started.setdefault(step.stage, self._last_step)  # a stage begins where the one before ended
        self._last_step = now
        if err.is_terminal:
            if step.stage not in self._tasks:
                self._tasks[step.stage] = self._live.add_task("", total=step.total, stage=stage, what="")
            what = f"{step.label} {step.detail if not step.finished else ''}"
            if step.part is not None:
                self._show_run(step, what)
                what = ""
            self._live.update(self._tasks[step.stage], completed=step.done, total=step.total, what=what)
            if step.detail and (step.finished or step.done == 0):
                self._live.console.print(f"{stage:>9} {step.label}: {step.detail}")
            return
        worth_a_line = (
            step.detail or step.stage in {"time", "train"} if step.finished else step.detail and not step.done
        )
        if worth_a_line or (step.detail and now - self._last_line > LINE_SECONDS):
            self._last_line = now
            share = f"{step.done / step.total:4.0%}" if step.total else ""
            spent = now - started
            left = spent * (step.total / step.done - 1) if step.done else 0.0
            rest = (
                f", {seconds(left)} left"
                if step.stage == "train" and step.done > 0.05 * step.total and left > 0
                else ""
            )
            err.print(f"{stage} {share} {step.label}{': ' if step.detail else ''}{step.detail}{rest}")
