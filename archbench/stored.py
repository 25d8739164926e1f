"""Runs as they are stored: listed with their states, shown one by one, gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from archbench.environment import resolve_devices
from archbench.errors import InputError, StoreError
from archbench.loading import stored_folders
from archbench.manner import to_do
from archbench.plan import label
from archbench.schema import State, Study
from archbench.shards import AskedFor
from archbench.store import Store
from archbench.units import compact, number, options, seconds, shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from archbench.manner import Manner
    from archbench.schema import Attempt, Cell, Record, Training

STATES: tuple[State, ...] = get_args(State)
LEAST_KEY = 4  # characters


def parse_states(text: str | None) -> set[State]:
    """Return the states that are asked for, all by default.

    Raises:
        InputError: there is no such state.
    """
    wanted = {word.strip() for word in (text or ",".join(STATES)).split(",")}
    if not wanted <= set(STATES):
        msg = f"{text!r} is not accepted"
        raise InputError(msg, f"Give some of {', '.join(STATES)}, separated by commas.")
    return {state for state in STATES if state in wanted}


def listed(folder: Path) -> list[dict[str, Any]]:
    """Return a row a run of a folder, those of the last study first and in its order: what it is, what became of it."""
    with Store(folder) as store, store.snapshot():
        last = store.last_study()
        cases = dict(last[1]) if last else {}
        tried: dict[str, list[Attempt]] = {}
        for attempt in store.attempts():
            tried.setdefault(attempt.key, []).append(attempt)
        runs = store.runs()
        keys = list(dict.fromkeys([*cases, *tried]))
        missing = store.cells(key for key in keys if key not in runs)
    rows = []
    for key in keys:
        run = runs.get(key)
        cell, seed = (run.setting, run.seed) if run else (missing.get(key), None)
        if cell is not None:
            training = run.trained() if run else None
            about = {"folder": str(folder), "case": cases.get(key, ""), "key": key}
            seed = cell.recipe.seed if seed is None else seed
            rows.append(_row(cell, seed, tried.get(key, []), training) | about)
    return rows


def _row(cell: Cell, seed: int, attempts: list[Attempt], training: Training | None) -> dict[str, Any]:
    attempt = _decisive(attempts) if attempts else None
    test = training.test if training else None
    return {
        "model": cell.model, "budget": cell.budget.target if cell.budget else None, "seed": seed,
        "state": attempt.state if attempt else "pending", "attempts": len(attempts),
        "epochs": attempt.epochs if attempt else 0, "of_epochs": cell.recipe.epochs,
        "test_accuracy": test.top1 if test else None, "seconds": attempt.seconds if attempt else None,
        "ended_at": attempt.ended_at if attempt else None, "error": attempt.error if attempt else None,
    }  # fmt: skip


def _decisive(attempts: Sequence[Attempt]) -> Attempt:
    """Return the attempt that says how a run stands: one that is done or under way, or the last."""
    return next((one for one in attempts if one.state in {"done", "running"}), attempts[-1])


def run_words(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows of `listed` as people read them."""
    import pandas as pd

    words = [
        {
            "run": row["key"][:8], "model": row["model"], "budget": compact(row["budget"]) if row["budget"] else "",
            "case": row["case"], "seed": str(row["seed"]), "state": row["state"], "tried": str(row["attempts"]),
            "epochs": f"{row['epochs']}/{row['of_epochs']}",
            "test, %": "" if row["test_accuracy"] is None else f"{100 * row['test_accuracy']:.2f}",
            "took": "" if row["seconds"] is None else seconds(row["seconds"]),
        }
        for row in rows
    ]  # fmt: skip
    frame = pd.DataFrame(words)
    return frame.drop(columns=[name for name in ("case", "budget") if not frame[name].any()])


@dataclass(frozen=True)
class Run:
    """One run: the last record of it, if it has one, and every attempt."""

    folder: str
    cell: Cell
    record: Record | None
    attempts: tuple[Attempt, ...]

    def facts(self) -> dict[str, str]:
        """Return what was asked for and what came of it, as people read it."""
        cell, sized, record = self.cell, self.cell.sized, self.record
        recipe = cell.recipe
        facts = {
            "run": cell.key, "in": self.folder, "model": label(cell.model, cell.budget),
            "parameters": f"{sized.params:,}" if sized else "", "options": options(sized.options) if sized else "",
            "input": shape(sized.input_shape) if sized else "", "data": f"{cell.dataset} ({cell.data_sha256[:16]})",
            "recipe": f"{recipe.optimizer}, lr {recipe.lr:g}, {recipe.schedule}, {recipe.epochs} epochs of batches of "
            f"{recipe.batch_size}, {recipe.precision}, seed {recipe.seed}",
            "on": f"{cell.device_name}, {number(cell.threads, 'thread')}, torch {cell.torch}",
            "state": _decisive(self.attempts).state if self.attempts else "pending",
        }  # fmt: skip
        if record is not None and record.training is not None:
            test = record.training.test
            if test is not None and test.top1 is not None and test.loss is not None:
                facts["test"] = f"accuracy {test.top1:.4f}, loss {test.loss:.4f}"
            facts["weights"] = record.training.weights_sha256 or ""
        if record is not None and record.error:
            facts["error"] = record.error
        return {name: value for name, value in facts.items() if value}

    def epochs(self) -> pd.DataFrame:
        """Return one row an epoch and split."""
        from archbench.frame import epochs_frame

        return epochs_frame([self.record] if self.record else [])


def find_run(root: Path, key: str) -> Run:
    """Return the run whose key begins so.

    Raises:
        InputError: too little of a key, or several runs have it.
        StoreError: there is none.
    """
    if len(key) < LEAST_KEY:
        msg = f"{key!r} is too short for a key"
        raise InputError(msg, f"Give at least {LEAST_KEY} characters of it; `archbench results list` shows them.")
    found: dict[str, Run] = {}
    unreadable: list[StoreError] = []
    for folder in stored_folders(root):
        try:
            with Store(folder) as store, store.snapshot():
                keys = store.keys(key)
                records, cells = store.records(keys), store.cells(keys)
                attempts = store.attempts(keys)
        except StoreError as error:
            unreadable.append(error)
            continue
        for one in keys:
            if one in cells:
                tried = tuple(attempt for attempt in attempts if attempt.key == one)
                found[f"{folder} {one}"] = Run(str(folder), cells[one], records.get(one), tried)
    if not found and unreadable:
        raise unreadable[0]
    if not found:
        msg = f"no run in {root} has a key that begins with {key!r}"
        raise StoreError(msg, "`archbench results list` shows them.")
    if len(found) > 1:
        msg = f"{len(found)} runs have a key that begins with {key!r}"
        raise InputError(msg, "Give more of it, or the folder of one: " + "; ".join(list(found)[:3]) + ".")
    return next(iter(found.values()))


def attempt_words(attempts: tuple[Attempt, ...]) -> pd.DataFrame:
    """Return attempts as people read them."""
    import pandas as pd

    rows = [
        {
            "": str(place), "state": attempt.state, "began": attempt.started_at, "ended": attempt.ended_at or "",
            "took": "" if attempt.seconds is None else seconds(attempt.seconds), "epochs": str(attempt.epochs),
            "host": attempt.host, "pid": str(attempt.pid or ""),
            "exit": str(attempt.exit_code) if attempt.exit_code is not None else
            f"signal {attempt.signal}" if attempt.signal is not None else "",
            "error": attempt.error or "",
        }
        for place, attempt in enumerate(attempts, start=1)
    ]  # fmt: skip
    columns = ["", "state", "began", "ended", "took", "epochs", "host", "pid", "exit", "error"]
    return pd.DataFrame(rows, columns=columns)


def resumable(folder: Path, manner: Manner) -> Study | None:
    """Return the last study of a folder, where its data lies apart; None where nothing of it is left to do.

    Raises:
        InputError: it needs a device that is not here.
        StoreError: no study is stored.
    """
    with Store(folder) as store:
        last = store.last_study()
        if last is None:
            msg = f"{folder} does not say what was asked for"
            raise StoreError(msg, "Give the command that wrote it again.")
        study, cells = last
        records = store.records((key for key, _ in cells), curves=False)
    if all(key in records and not to_do(records[key], manner) for key, _ in cells):
        return None
    resolve_devices(",".join(dict.fromkeys([*study.timing_devices, study.device])))
    return study


def asked_for(folder: Path) -> AskedFor:
    """Return which cells of its last study a folder was asked for: of a shard its own alone."""
    with Store(folder) as store, store.snapshot():
        _, cells = store.last_study() or (None, [])
        known = store.cells(key for key, _ in cells)
    places = frozenset(known[key].in_case(case).place for key, case in cells if key in known)
    return AskedFor(frozenset(key for key, _ in cells), places)
