"""Frames -> files for other programs: CSV that no spreadsheet takes for formulas, and the dialects of other tools."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from archbench.conclusion_words import conclusions_markdown
from archbench.errors import InputError
from archbench.files import write_bytes, write_file
from archbench.markup import latex_table, markdown_table
from archbench.plan import label
from archbench.schema import Budget
from archbench.tables import DEVICES, MODES
from archbench.words import summary_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from archbench.conclusions import Conclusions

DIALECTS = ("archbench", "timm", "markdown", "latex", "parquet")
ROWS = 8192  # written at a time: what is held of a large frame as text
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")  # a spreadsheet runs the text of a cell that begins so
MISSING = -1  # the code that pandas gives it, and so the last of the cells
QUOTED = frozenset(',"\r\n')
DISTINCT = {"string", "boolean", "integer", "empty"}  # kinds of objects of which no two are equal and look different


class Compared(Protocol):
    """What is exported: the parts of `archbench.comparison.Comparison` that this needs."""

    def frame(self) -> pd.DataFrame:
        """Return one row a run."""

    def summary(self) -> pd.DataFrame:
        """Return one row a model, case and budget."""

    def write_tables(self, folder: str | Path | None = None) -> list[Path]:
        """Write archbench's own tables."""


def write_dialect(dialect: str, compared: Compared, folder: Path) -> list[Path]:
    """Write a comparison as another tool reads it, its rows in the order of the study; return the files.

    Args:
        dialect: `archbench`, what every comparison writes; `timm`, timm.csv (see `timm_table`); `markdown` and `latex`,
            the summary as people read it in summary.md or summary.tex, which needs the package booktabs; `parquet`,
            runs.parquet with one row a run and exact types.
        compared: what.
        folder: where; it is made where it is missing.

    Raises:
        InputError: there is no such dialect, or pyarrow is not installed.
        OutputError: a file cannot be written.
    """
    match dialect:
        case "archbench":
            return compared.write_tables(folder)
        case "timm":
            return [write_csv(timm_table(compared.frame(), compared.summary()), folder / "timm.csv")]
        case "markdown":
            return [_write_text(markdown_table(summary_words(compared.summary())), folder / "summary.md")]
        case "latex":
            return [_write_text(latex_table(summary_words(compared.summary())), folder / "summary.tex")]
        case "parquet":
            return [_write_parquet(compared.frame(), folder / "runs.parquet")]
    check_dialect(dialect)
    raise AssertionError  # it knows no other


def check_dialect(dialect: str) -> None:
    """Refuse what is no dialect.

    Raises:
        InputError: it names those that there are.
    """
    if dialect not in DIALECTS:
        msg = f"there is no dialect {dialect!r}"
        raise InputError(msg, f"Give one of {', '.join(DIALECTS)}.")


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    r"""Write a frame as CSV: UTF-8, a line a row, floats in the shortest form that is read back as the same number.

    Text that a spreadsheet would run as a formula gets an apostrophe in front; numbers are as they are, and what is
    missing is empty. All else is quoted as the module csv does it.

    Raises:
        OutputError: the file cannot be written.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(_lines(frame))

    return write_file(path, write)


def write_conclusions(conclusions: Conclusions, folder: Path) -> list[Path]:
    """Write conclusions.md and a CSV a table; without rows it has no file, or its header in the place of one of before.

    Raises:
        OutputError: a file cannot be written.
    """
    files = [write_bytes(folder / "conclusions.md", conclusions_markdown(conclusions).encode())]
    for name, table in conclusions.tables():
        path = folder / f"{name}.csv"
        if len(table) or _is_ours(path, table):
            files.append(write_csv(table, path))
    return files


def _is_ours(path: Path, table: pd.DataFrame) -> bool:
    """Whether a file holds a table of these columns: what somebody else put under its name stays as it is."""
    header = next(_lines(table)).encode()
    try:
        with path.open("rb") as file:
            return file.readline(len(header) + 1) == header
    except OSError:
        return False


def _lines(frame: pd.DataFrame) -> Iterator[str]:
    """Yield the header and the rows; a row of one empty cell is quoted, as an empty line is none."""
    yield ",".join(_cell(str(name)) for name in frame.columns) + "\n"
    for start in range(0, len(frame), ROWS):
        part = frame.iloc[start : start + ROWS]
        columns = [_cells(part.iloc[:, place]) for place in range(part.shape[1])]
        yield from [(",".join(row) or '""') + "\n" for row in zip(*columns, strict=True)]


def _cells(column: pd.Series[Any]) -> list[str]:
    """Return the cells of a column; equal ones, which are most, are made once."""
    import numpy as np
    import pandas as pd

    if column.dtype == float:  # by their bits, as 0.0 and -0.0 are equal
        values = column.to_numpy()
        codes, bits = pd.factorize(values.view(np.int64))
        codes[np.isnan(values)] = MISSING
        cells = [*map(repr, bits.view(np.float64).tolist())]
    elif column.dtype == object and pd.api.types.infer_dtype(column) not in DISTINCT:
        return [_cell(value) for value in column]
    else:
        codes, distinct = pd.factorize(column)
        cells = [_cell(value) for value in distinct]
    spread: list[str] = np.array([*cells, ""], dtype=object)[codes].tolist()
    return spread


def _cell(value: Any) -> str:
    if isinstance(value, str):
        text = f"'{value}" if value.startswith(FORMULA) else value
        return text if QUOTED.isdisjoint(text) else '"' + text.replace('"', '""') + '"'
    import pandas as pd

    if isinstance(value, float):  # of numpy, too
        return "" if value != value else repr(float(value))  # noqa: PLR0124 - it is not a number
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    return str(value) if pd.api.types.is_number(value) or pd.api.types.is_bool(value) else _cell(str(value))


def timm_table(frame: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison in the columns and units of timm's benchmark.py (`--bench both`) and its results files.

    `model` is the model with its budget and case; `infer_` and `train_` have `samples_per_sec`, `step_time` (ms a
    step), `batch_size` and `img_size` (pixels of a side), `infer_gmacs` are 1e9 multiply-accumulates and `infer_macts`
    1e6 activations of one image, `param_count` is in millions, and `top1`, `top1_err`, `top5`, `top5_err` are percent
    on the test split, means over the seeds; top 5 only where k is 5. Nothing is rounded, as timm's two decimals of a
    million would make small models the same. Where some were timed on two devices, each has a row, and `device` says
    whose it is.

    Args:
        frame: one row a run (`archbench.frame.runs_frame`).
        summary: of the same (`archbench.tables.summary`).
    """
    import pandas as pd

    devices: list[str] = [device for device in DEVICES if any(f"{mode}_step_us_{device}" in frame for mode in MODES)]
    firsts = plain_rows(frame.drop_duplicates(["model", "case", "budget"]))
    rows = []
    for mean, first in zip(plain_rows(summary), firsts, strict=True):
        budget = None if first["budget"] is None else Budget(first["budget"])
        name = {"model": label(first["model"], budget, first["case"])}
        timed = [device for device in devices if any(first.get(f"{mode}_step_us_{device}") for mode in MODES)]
        for device in timed or [""]:
            place = {"device": device} if len(devices) > 1 else {}
            rows.append({**name, **place, **_times(first, device), **_scores(mean)})
    return pd.DataFrame(rows).astype({name: "Int64" for name in (rows or [{}])[0] if name.endswith("_size")})


def _times(run: dict[str, Any], device: str) -> dict[str, float | None]:
    """Return the columns of benchmark.py for a run's own timings."""
    times: dict[str, float | None] = {}
    for mode in ("infer", "train"):
        step, sample = run.get(f"{mode}_step_us_{device}"), run.get(f"{mode}_us_per_sample_{device}")
        times |= {
            f"{mode}_samples_per_sec": sample and 1e6 / sample,
            f"{mode}_step_time": step and step / 1e3,
            f"{mode}_batch_size": step and sample and round(step / sample),
            f"{mode}_img_size": run.get("input") and int(run["input"].rpartition("x")[2]),
        }
        if mode == "infer":
            macs, activations = run.get("macs"), run.get("activations")
            times |= {"infer_gmacs": macs and macs / 1e9, "infer_macts": activations and activations / 1e6}
    params = run.get("params")
    return times | {"param_count": None if params is None else params / 1e6}


def _scores(mean: dict[str, Any]) -> dict[str, float | None]:
    """Return the columns of timm's results files."""
    shares = {"top1": mean["test_accuracy"], "top5": mean.get("test_topk") if mean.get("k") == 5 else None}
    scores: dict[str, float | None] = {}
    for name, share in shares.items():
        scores |= {name: share and 100 * share, f"{name}_err": None if share is None else 100 - 100 * share}
    return scores


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows with plain values, missing ones None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return [{str(name): v.item() if hasattr(v, "item") else v for name, v in row.items()} for row in rows]


def _write_text(text: str, path: Path) -> Path:
    return write_bytes(path, f"{text}\n".encode())


def _write_parquet(frame: pd.DataFrame, path: Path) -> Path:
    if find_spec("pyarrow") is None:
        msg = "parquet needs the package pyarrow"
        raise InputError(msg, "pip install 'archbench[parquet]' brings it.")
    return write_file(path, lambda temporary: frame.to_parquet(temporary, engine="pyarrow", index=False))
