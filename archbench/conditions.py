"""A small language of conditions: `params < 1M and accuracy > 80 %`, read by hand and never evaluated as code.

    condition  = all { "or" all }
    all        = each { "and" each }
    each       = "not" each | "(" condition ")" | comparison
    comparison = name ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) value
    value      = number [ unit ] | word | quoted text

A condition is true, false or not to be told (None) of a row, by Kleene's logic: what is missing is not to be told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NoReturn

from archbench.choices import nearest
from archbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Range = tuple[float, float]
    Look = Callable[[str], "Range | str | None"]

Kind = Literal["count", "share", "us", "bytes", "number", "text"]
UNITS: Mapping[Kind, Mapping[str, float]] = {
    "count": {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9},
    "share": {"%": 0.01},
    "us": {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6},
    "bytes": {
        "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
    },
    "number": {"k": 1e3, "M": 1e6},
    "text": {},
}  # fmt: skip
FORMS = "Write conditions as 'params < 1M and accuracy > 80 %': comparisons joined by and, or, not and parentheses."
DEEPEST = 50  # parentheses and nots within each other; nobody writes more, and Python's own stack ends at a thousand
LONGEST = 2000  # letters

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number> (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3}(?![\w]))? )
        | (?P<sign> <=|>=|==|!=|<|>|=|\(|\)|%|- )
        | (?P<quoted> "[^"]*" | '[^']*' )
        | (?P<word> [^\W\d][\w.:@/\-]*(?:\[[^\]]*\])?[\w.@]* )
    )""",
    re.VERBOSE,
)
_SIGNS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True)
class Comparison:
    """A name held against a value, in the unit of its column."""

    name: str
    sign: str
    value: float | str

    def of(self, look: Look) -> bool | None:
        """Return whether it holds of a row; of a range of values None where it holds for some of them."""
        found = look(self.name)
        if found is None:
            return None
        if isinstance(found, str) or isinstance(self.value, str):
            same = found == self.value
            return same if self.sign == "==" else not same
        low, high = found
        return _compared(low, high, self.sign, self.value)


@dataclass(frozen=True)
class Not:
    """What does not hold."""

    part: Condition

    def of(self, look: Look) -> bool | None:
        """Return the reverse; what cannot be told stays so."""
        found = self.part.of(look)
        return None if found is None else not found


@dataclass(frozen=True)
class Joined:
    """Conditions of which all hold, or any.

    Attributes:
        decides: what one of them decides alone: False for all of them, True for any.
    """

    parts: tuple[Condition, ...]
    decides: bool

    def of(self, look: Look) -> bool | None:
        """Return whether it holds; None where what cannot be told would decide."""
        found = {part.of(look) for part in self.parts}
        if self.decides in found:
            return self.decides
        return None if None in found else not self.decides


Condition = Comparison | Not | Joined


def parse_condition(text: str, kinds: Mapping[str, Kind]) -> Condition:
    """Return the condition that a text states.

    Args:
        text: such as `params < 1M and accuracy > 0.80`, or `model == cnn or not (step_us > 2ms)`.
        kinds: the names that may be asked for, and what each is: a unit must fit it.

    Raises:
        InputError: it names what is wrong and where, and what is accepted.
    """
    if len(text) > LONGEST:
        msg = f"a condition of {len(text):,} letters is not accepted"
        raise InputError(msg, f"Give at most {LONGEST:,}. {FORMS}")
    parser = _Parser(text, kinds)
    condition = parser.any_of(0)
    parser.end()
    return condition


def check_name(name: str, kinds: Mapping[str, Kind]) -> Kind:
    """Return what a name is.

    Raises:
        InputError: there is none such; the remedy has the nearest, or all.
    """
    if name in kinds:
        return kinds[name]
    msg = f"there is no {name!r} to ask for"
    raise InputError(msg, nearest(name.lower(), kinds))


class _Parser:
    """Reads tokens from left to right, each rule of the grammar a method."""

    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        self._text, self._kinds, self._at = text, kinds, 0
        self._kind, self._word = self._read()

    def any_of(self, depth: int) -> Condition:
        parts = [self._all_of(depth)]
        while self._taken("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), decides=True)

    def _all_of(self, depth: int) -> Condition:
        parts = [self._each(depth)]
        while self._taken("and"):
            parts.append(self._each(depth))
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), decides=False)

    def _each(self, depth: int) -> Condition:
        if depth > DEEPEST:
            self._refuse(f"more than {DEEPEST} parentheses and nots within each other")
        if self._taken("not"):
            return Not(self._each(depth + 1))
        if self._taken("("):
            inner = self.any_of(depth + 1)
            if not self._taken(")"):
                self._refuse("a ) is missing")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        if self._kind != "word":
            self._refuse("a name is missing")
        name = self._next()
        kind = check_name(name, self._kinds)
        if self._word not in _SIGNS:
            self._refuse(f"one of {' '.join(_SIGNS)} is missing behind {name}")
        sign = self._next()
        value = self._text_value(name, sign) if kind == "text" else self._number(name, kind)
        return Comparison(name, sign, value)

    def _text_value(self, name: str, sign: str) -> str:
        if sign not in {"==", "!="}:
            self._refuse(f"{name} is text and takes == or !=")
        if self._kind not in {"word", "quoted", "number"}:
            self._refuse(f"a text to hold {name} against is missing")
        quoted = self._kind == "quoted"
        word = self._next()
        return word[1:-1] if quoted else word

    def _number(self, name: str, kind: Kind) -> float:
        minus = self._taken("-")
        if self._kind != "number":
            self._refuse(f"a number to hold {name} against is missing")
        exact = Decimal(self._next())  # 95 % is 0.95, and not 95 times the float that is nearest to 0.01
        if (self._kind == "word" and self._word not in {"and", "or", "not"}) or self._word == "%":
            unit = self._word
            if unit not in UNITS[kind]:
                accepted = f"{', '.join(UNITS[kind])} or none" if UNITS[kind] else "none"
                self._refuse(f"{unit!r} is no unit of {name}, which takes {accepted}")
            exact *= Decimal(repr(UNITS[kind][self._next()]))
        value = float(exact)
        if kind == "share" and value > 1:
            self._refuse(f"{name} is a share: write 80 % or 0.8, so {value:g} is never reached")
        return -value if minus else value

    def end(self) -> None:
        if self._kind != "end":
            self._refuse("and, or, or the end is expected")

    def _taken(self, word: str) -> bool:
        if self._word != word or self._kind == "quoted":
            return False
        self._next()
        return True

    def _next(self) -> str:
        word = self._word
        self._kind, self._word = self._read()
        return word

    def _read(self) -> tuple[str, str]:
        """Return the kind of the next token, and the token."""
        self._start = self._at
        rest = self._text[self._at :]
        if not rest.strip():
            return "end", ""
        match = _TOKEN.match(rest)
        if match is None or match.lastgroup is None:
            self._word = ""
            self._refuse(f"{rest.strip()[:1]!r} is not accepted")
        self._at += match.end()
        return match.lastgroup, match[match.lastgroup]

    def _refuse(self, why: str) -> NoReturn:
        seen = self._text[self._start :].strip()
        at = f"at {seen[:20]!r}" if seen else "at its end"
        msg = f"the condition {self._text[:60]!r} is not accepted {at}: {why}"
        raise InputError(msg, FORMS)


def _compared(low: float, high: float, sign: str, value: float) -> bool | None:
    match sign:
        case "<":
            sure, never = high < value, low >= value
        case "<=":
            sure, never = high <= value, low > value
        case ">":
            sure, never = low > value, high <= value
        case ">=":
            sure, never = low >= value, high < value
        case "==":
            sure, never = low == value == high, not low <= value <= high
        case _:
            sure, never = not low <= value <= high, low == value == high
    return True if sure else False if never else None
