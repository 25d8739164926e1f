"""How runs are run, whatever comes of them: how many at a time, which again, how patiently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.schema import Cell, Record, Status

RETRIED: frozenset[Status] = frozenset({"failed", "oom"})  # by default: it may have been the machine's fault
RETRIABLE: frozenset[Status] = RETRIED | {"diverged"}
TIMEOUT_S = 1800.0  # without a step

Executor = Literal["local", "ray"]


class Part(Protocol):
    """Chooses which of a study's cells are run here."""

    def __call__(self, cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], bool]:
        """Return these cells, in the study's order, and whether steps are timed here."""


def everything(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], bool]:
    """Choose all cells."""
    return tuple(cells), True


@dataclass(frozen=True)
class Manner:
    """How runs are run; their results do not depend on it, but for rounding where it is tuned.

    Attributes:
        workers: processes at a time; by default as many as the cores allow, 0 for none but this one.
        retry: what became of runs that are tried again.
        tune: whether the quickest way to take a model's steps is looked for; else all go the usual way.
        timeout_s: without a step, after which a run is ended; 0 for never.
        part: which of the cells are run; all by default.
        executor: where: on this machine, or on the nodes of a Ray cluster.
        ray_address: of the cluster; None to start Ray on this machine.
    """

    workers: int | None = None
    retry: frozenset[Status] = RETRIED
    timeout_s: float = TIMEOUT_S
    tune: bool = True
    part: Part = everything
    executor: Executor = "local"
    ray_address: str | None = None


def make_manner(
    workers: int | None = None,
    retry: str = "failed,oom",
    timeout: float = TIMEOUT_S,
    tune: str = "auto",
    executor: str = "local",
    ray_address: str | None = None,
    part: Part = everything,
) -> Manner:
    """Return how runs are run, as it is said in words: by options of the command line, or from Python.

    Raises:
        InputError: a word that is not accepted.
    """
    return Manner(
        workers, parse_retry(retry), timeout, parse_tune(tune), part, parse_executor(executor, ray_address), ray_address
    )


def to_do(record: Record, manner: Manner) -> bool:
    """Whether a run that was tried is to be tried again."""
    return record.status == "interrupted" or record.status in manner.retry


def parse_tune(text: str) -> bool:
    """Return whether the quickest way is looked for.

    Raises:
        InputError: neither `auto` nor `off`.
    """
    if text not in {"auto", "off"}:
        msg = f"tune: {text!r} is not accepted"
        raise InputError(msg, "Give auto or off.")
    return text == "auto"


def parse_executor(text: str, address: str | None) -> Executor:
    """Return where runs are done.

    Args:
        text: of the option.
        address: of a cluster, if one is named.

    Raises:
        InputError: neither `local` nor `ray`, or an address without Ray.
    """
    named: Executor | None = next((one for one in get_args(Executor) if one == text), None)
    if named is None:
        msg = f"executor: {text!r} is not accepted"
        raise InputError(msg, f"Give {' or '.join(get_args(Executor))}.")
    if address is not None and named != "ray":
        msg = f"--ray-address {address} is given without --executor ray"
        raise InputError(msg, "Give both, or none.")
    return named


def parse_retry(text: str) -> frozenset[Status]:
    """Return the outcomes that runs are tried again of.

    Raises:
        InputError: something else.
    """
    wanted = {word.strip().lower() for word in text.split(",")} - {""}
    if wanted == {"none"}:
        return frozenset()
    if not wanted or not wanted <= RETRIABLE:
        msg = f"retry: {text!r} is not accepted"
        raise InputError(msg, f"Give some of {', '.join(sorted(RETRIABLE))}, separated by commas, or none.")
    return frozenset(status for status in RETRIABLE if status in wanted)
