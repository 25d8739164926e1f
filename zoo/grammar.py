"""Names with options: `cnn[activation=leaky_relu(0.3),dropout=0.2]`, read and written.

    name[option=value,...]    value := number | true | false | word | word(number, ...) | a-b-c | (value, ...) | "text"

The brackets hold what Python would take as keyword arguments, so Python's own parser reads them. `a-b-c`, as lists of
channels are shown, is a tuple of whole numbers; a word needs no quotes.
"""

from __future__ import annotations

import ast
import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORM = "name[option=value,...], such as 'cnn[activation=sigmoid,dropout=0.2]'"
LONGEST = 1_000  # characters: a bound on typing errors
_WORDS = {"true": True, "false": False}


class OptionError(ValueError):
    """An option that is malformed, unknown to the model, or of a value that it does not take; it says what it takes."""


def split_options(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of `name[option=value,...]`.

    >>> split_options("cnn[channels=8-16-32, activation=leaky_relu(0.3)]")
    ('cnn', {'channels': (8, 16, 32), 'activation': 'leaky_relu(0.3)'})

    Raises:
        OptionError: the brackets do not hold options.
    """
    name, bracket, rest = text.strip().partition("[")
    name = name.strip()
    if not bracket:
        return name, {}
    if len(text) > LONGEST:
        msg = f"{text[:40]!r}... has more than {LONGEST} characters"
        raise OptionError(msg)
    inside = rest.rstrip()
    if not name or not inside.endswith("]"):
        msg = f"{text!r} does not end in ']'" if name else f"{text!r} has no name before its options"
        msg = f"{msg}; write {FORM}"
        raise OptionError(msg)
    inside = inside[:-1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the parser warns of what is a mistake here, such as 3if
            call = ast.parse(f"_({inside})", mode="eval").body
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "_":
            msg = "a bracket closes what it did not open"
            raise OptionError(msg)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            stray = ast.unparse((call.args or [k.value for k in call.keywords if k.arg is None])[0])
            msg = f"{stray!r} is no option=value"
            raise OptionError(msg)
        names = [str(keyword.arg) for keyword in call.keywords]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"{twice[0]} is given twice"
            raise OptionError(msg)
        return name, {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}
    except OptionError as error:
        reason = str(error)
    except (SyntaxError, Warning, ValueError, MemoryError, RecursionError) as error:
        reason = (getattr(error, "msg", "") or str(error)).partition(". ")[0]
    msg = f"the options [{inside}] of {name} cannot be read: {reason}; write {FORM}, other text in quotes"
    raise OptionError(msg)


def join_options(name: str, options: Mapping[str, Any]) -> str:
    """Return the text that `split_options` reads back, its options in alphabetical order: one name for one model."""
    if not options:
        return name
    return f"{name}[{','.join(f'{key}={written(value)}' for key, value in sorted(options.items()))}]"


def written(value: Any) -> str:
    """Return an option's value as users write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        whole = all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in value)
        if whole and len(value) > 1:
            return "-".join(map(str, value))
        return f"({', '.join(map(written, value))}{',' * (len(value) == 1)})"
    if isinstance(value, str) and not _is_bare(value):
        return repr(value)
    return str(value)


def _is_bare(text: str) -> bool:
    """Whether text without quotes is read back as the same text."""
    try:
        return bool(_value(ast.parse(text, mode="eval").body) == text)
    except (OptionError, SyntaxError, Warning, ValueError, MemoryError, RecursionError):
        return False


def _value(node: ast.expr) -> Any:  # noqa: PLR0911 - one a form
    match node:
        case ast.Constant(value=None):
            return "none"
        case ast.Constant(value=bool() | int() | str() as plain):
            return plain
        case ast.Constant(value=float() as number) if math.isfinite(number):
            return number
        case ast.Name(id=word):
            return _WORDS.get(word.lower(), word)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_value(item) for item in items)
        case ast.BinOp(op=ast.Sub()):
            return _numbers(node)
        case ast.Call(func=ast.Name(), args=args, keywords=[]) if all(_is_number(_value(arg)) for arg in args):
            return ast.unparse(node)
    msg = f"{ast.unparse(node)!r} is no value"
    raise OptionError(msg)


def _numbers(node: ast.expr) -> tuple[int, ...]:
    """Return (a, b, c) for the node of a-b-c."""
    match node:
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=int() as last)):
            return (*_numbers(left), last)
        case ast.Constant(value=int() as first):
            return (first,)
    msg = f"{ast.unparse(node)!r} is no list of whole numbers such as 8-16-32"
    raise OptionError(msg)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
