"""Page -> one HTML file that needs nothing else: words escaped, data as JSON, scripts known by their hash."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.figures.style import palette
from archbench.inline import data_uri
from archbench.markup import visible

if TYPE_CHECKING:
    from jinja2 import Environment

    from archbench.reporting.view import Page

STYLES = ("page.css", "tables.css", "chart.css", "print.css")
SCRIPTS = (
    "dom.js", "theme.js", "copy.js", "tables.js", "scales.js", "curves.js", "detail.js", "tip.js", "beside.js",
    "chart.js", "start.js",
)  # fmt: skip
POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# JSON stands in a script element, which "</script" and "<!--" would end or change, and old parsers know no U+2028.
HARMLESS = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def html_of(page: Page) -> str:
    """Return the report as HTML: the same page gives the same text."""
    style, script = _asset(STYLES) + _colors(), _asset(SCRIPTS)
    return _templates().get_template("page.html.j2").render(
        page=page,
        policy=POLICY.format(script=_hash(script), style=_hash(style)),
        style=style,
        script=script,
        data=json_of(page.chart),
    )  # fmt: skip


def json_of(value: Any) -> str:
    """Return JSON that may stand inside a script element."""
    return msgspec.json.encode(_legible(value)).decode().translate(HARMLESS)


def _legible(value: Any) -> Any:
    """Return plain values in which no text holds what cannot be printed."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): _legible(item) for key, item in value.items()}
    return [_legible(item) for item in value] if isinstance(value, list | tuple) else value


@cache
def _asset(names: tuple[str, ...]) -> str:
    """Return files of ours as one text; a script among them is a module, so that they share their names alone."""
    folder = files("archbench.reporting") / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8").strip() for name in names) + "\n"


@cache
def _colors() -> str:
    """Return the classes of the figure's colours."""
    return "".join(f".c{place} {{ --c: {color}; }}\n" for place, color in enumerate(palette()))


def _hash(text: str) -> str:
    """Return what a policy calls the content of an element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("archbench.reporting", "assets"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )  # fmt: skip
    made.filters["data_uri"] = data_uri
    return made
