"""FER2013: faces with seven expressions, from its table or from a copy in image files."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from archbench.data import Parts, Request, register_dataset
from archbench.data.folder import read_copy
from archbench.errors import DataError, reason
from archbench.units import grouped

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # in the order of `emotion`
USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
TABLES = ("fer2013.csv", "icml_face_data.csv")
ROWS = {"train": 28_709, "validation": 3_589, "test": 3_589}  # of the whole table
SIDE = 48  # pixels
FIRST_LINE = 2  # of the table's rows, below the names of its columns
LAYOUT = (
    f"Put {' or '.join(TABLES)} into DIR/fer2013; or image files into DIR/fer2013/train/<class>, validation/<class> "
    f"(or PublicTest) and test/<class> (or PrivateTest), with the classes {', '.join(FER_CLASSES)}."
)


@register_dataset(
    "fer2013", summary="faces with 7 expressions: 28,709 + 3,589 + 3,589 images", input_shape=(1, SIDE, SIDE), classes=7
)
def load(request: Request) -> Parts:
    """Load FER2013; Public and Private Test are validation and test."""
    root = request.root_for(LAYOUT)
    table = next((f for folder in (root / "fer2013", root) for name in TABLES if (f := folder / name).is_file()), None)
    if table is not None:
        return _read_table(table)
    copy = read_copy(
        (root / "fer2013", root / "fer2013-jpeg", root),
        {part: (part, usage) for part, usage in USAGES.items()},
        FER_CLASSES,
        (1, SIDE, SIDE),
        "a copy of FER2013 in image files ({kinds}), not its table; validation is PublicTest, test PrivateTest",
        LAYOUT,
    )
    if copy is None:
        msg = f"neither {' nor '.join(TABLES)} nor a folder train with these classes is in {root / 'fer2013'}"
        raise DataError(msg, LAYOUT)
    return copy


def _read_table(file: Path) -> Parts:
    """Read a table with the columns emotion, Usage and pixels, which holds 48 x 48 numbers with spaces between."""
    import pandas as pd
    import torch

    try:
        table = _table(file)
        images = torch.from_numpy(_pixels(table["pixels"].fillna("")))
        emotions, usages = pd.to_numeric(table["emotion"], errors="coerce"), table["Usage"]
    except (KeyError, ValueError, OSError) as error:
        msg = f"{file} is not FER2013's table (emotion, Usage, pixels): {reason(error)}"
        raise DataError(msg, f"Mend or remove the row, or fetch the table again. {LAYOUT}") from error
    known = usages.isin(USAGES.values()) & emotions.isin(range(len(FER_CLASSES)))
    if not known.all():
        msg = f"{file}, line {known.idxmin()}: its Usage or emotion is unknown"
        raise DataError(msg, f"Usage is one of {', '.join(USAGES.values())}; emotion is 0 to 6.")
    rows = {part: torch.tensor((usages == usage).to_numpy()) for part, usage in USAGES.items()}
    counts = {part: int(mask.sum()) for part, mask in rows.items()}
    if empty := [USAGES[part] for part, count in counts.items() if not count]:
        msg = f"{file} has no row of the Usage {' and '.join(empty)}"
        raise DataError(msg, f"Fetch the table again. {LAYOUT}")
    labels = torch.tensor(emotions.astype(int).to_numpy()).long()
    short = [
        f"{grouped(counts[part])} of {grouped(count)} {part} rows"
        for part, count in ROWS.items()
        if counts[part] != count
    ]
    warnings = (f"{file.name} has {', '.join(short)} of FER2013",) if short else ()
    return Parts(
        {part: images[mask] for part, mask in rows.items()},
        {part: labels[mask] for part, mask in rows.items()},
        FER_CLASSES,
        "FER2013's table; validation is PublicTest, test PrivateTest",
        warnings,
    )


def _table(file: Path) -> pd.DataFrame:
    """Return the table as texts, by the line that each row is on; empty lines at the end are none.

    Raises:
        ValueError: it has no rows, or its rows and columns cannot be told.
    """
    import pandas as pd

    table = pd.read_csv(
        file, dtype=str, skipinitialspace=True, skip_blank_lines=False, encoding_errors="backslashreplace"
    )
    filled = table.notna().any(axis=1).to_numpy()
    if not filled.any():
        msg = "it has no rows"
        raise ValueError(msg)
    if not table.index.equals(pd.RangeIndex(len(table))):  # with more columns than names, the first names the rows
        msg = "its rows have more columns than its first line names"
        raise ValueError(msg)
    table.index += FIRST_LINE
    return table[: filled.nonzero()[0][-1] + 1]


def _pixels(texts: pd.Series[str]) -> NDArray[np.uint8]:
    """Return the images (N, 1, 48, 48) of as many texts.

    Raises:
        ValueError: one has another number of pixels, or holds something else.
    """
    import numpy as np

    if (texts != "").all():
        with contextlib.suppress(ValueError):
            pixels = np.loadtxt(texts, dtype=np.uint8, ndmin=2, comments=None)
            if pixels.shape == (len(texts), SIDE * SIDE):
                return pixels.reshape(-1, 1, SIDE, SIDE)
    for line, text in texts.items():  # slow, and only to say what is wrong
        levels = text.split()
        wrong = [level for level in levels if not re.fullmatch("[0-9]{1,3}", level) or int(level) > 255]
        if wrong or len(levels) != SIDE * SIDE:
            ill = f"the pixel {wrong[0][:20]!r}, not 0 to 255" if wrong else f"{grouped(len(levels))} pixels, not 2,304"
            msg = f"line {line} has {ill}"
            raise ValueError(msg)
    msg = "its pixels cannot be read"
    raise ValueError(msg)
