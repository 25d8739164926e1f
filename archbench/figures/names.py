"""What stands for a run in a figure: the name of its line, short enough to be drawn, and no markup in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.markup import visible
from archbench.reference import shown
from archbench.units import compact

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.text import Text

LONGEST_LABEL = 30  # letters; longer names have dots in their middle


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with what tells its lines apart as `series`: the model, the case, or both."""
    if "series" in frame:  # named as a part of the whole
        return frame
    if not frame["case"].any():
        series = frame["model"]
    elif len(set(frame["model"])) == 1:
        series = frame["case"]
    else:
        series = frame["model"] + ", " + frame["case"]
    return frame.assign(series=series.map(in_legend))


def in_legend(name: str) -> str:
    """Return a name that a legend shows: one that begins with _ would be left out."""
    return f" {name}" if name.startswith("_") else name


def fitting(name: str) -> str:
    """Return a name that fits into a figure, cut in its middle: a case stands at its end."""
    name = visible(shown(name))
    half = LONGEST_LABEL // 2
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - half - 1]}…{name[-half:]}"


def value_words(column: str, value: Any) -> str:
    """Return the value of a column as a heading or a legend shows it."""
    import pandas as pd

    if pd.isna(value):
        return "own size" if column == "budget" else f"no {column}"
    if column in {"budget", "params"}:
        return f"{compact(int(value))} parameters"
    return fitting(f"{value:g}" if isinstance(value, float) else str(value)) or f"no {column}"


def values_of(frame: pd.DataFrame, column: str) -> list[Any]:
    """Return the distinct values of a column: numbers ascending, words as they come, missing last."""
    import pandas as pd

    values = frame[column].drop_duplicates()
    known = values.dropna()
    ordered = known.sort_values() if pd.api.types.is_numeric_dtype(known) else known
    return [*ordered, *([None] if len(known) < len(values) else [])]


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict(orient="records")]


def rows_where(frame: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    """Return the rows in which a column has a value, missing included."""
    import pandas as pd

    return frame[frame[column].isna()] if pd.isna(value) else frame[frame[column] == value]


def plain(texts: Iterable[Text]) -> None:
    """Draw texts as they are: a `$` in a name begins no formula."""
    for text in texts:
        text.set_parse_math(False)
