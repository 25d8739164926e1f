"""A name that must be one of some: taken, or refused with those that it is near to."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 12  # names that are listed where none is near


def choose(name: str, known: Iterable[str], what: str) -> str:
    """Return the name, if it is known.

    Args:
        name: as it was given.
        known: those that are accepted.
        what: they are, in front of the name.

    Raises:
        InputError: it is not; those that it is near to are named, else all.
    """
    names = [str(one) for one in known]
    if name in names:
        return name
    msg = f"there is no {what} {name!r}"
    raise InputError(msg, nearest(name, names))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a remedy: the known names that are near to one, else the first of them all."""
    names = list(known)
    if near := difflib.get_close_matches(name, names, n=3, cutoff=0.5):
        return f"Did you mean {' or '.join(near)}?"
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"Give one of {', '.join(names[:MOST])}{more}."
