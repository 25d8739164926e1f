"""FER2013: faces with seven expressions, from its table or from a copy in image files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.data import Parts, Request, register_dataset
from archbench.data.folder import read_copy
from archbench.errors import DataError, reason
from archbench.units import grouped

if TYPE_CHECKING:
    from pathlib import Path

FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # in the order of `emotion`
USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
TABLES = ("fer2013.csv", "icml_face_data.csv")
ROWS = {"train": 28_709, "validation": 3_589, "test": 3_589}  # of the whole table
SIDE = 48  # pixels
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
    import numpy as np
    import pandas as pd
    import torch

    try:
        table = pd.read_csv(file, skipinitialspace=True)
        if table.empty:
            msg = "it has no rows"
            raise ValueError(msg)
        pixels = np.loadtxt(table["pixels"].astype(str), dtype=np.uint8, ndmin=2, comments=None)
        images = torch.from_numpy(pixels).reshape(len(table), 1, SIDE, SIDE)
        emotions, usages = table["emotion"], table["Usage"]
    except (KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        msg = f"{file} is not FER2013's table (emotion, Usage, pixels): {reason(error)}"
        raise DataError(msg, LAYOUT) from error
    if not emotions.isin(range(len(FER_CLASSES))).all() or not usages.isin(USAGES.values()).all():
        msg = f"{file} has a row whose Usage or emotion is unknown"
        raise DataError(msg, f"Usage is one of {', '.join(USAGES.values())}; emotion is 0 to 6.")
    labels = torch.tensor(emotions.to_numpy(copy=True)).long()
    short = [
        f"{grouped(int((usages == USAGES[part]).sum()))} of {grouped(count)} {part} rows"
        for part, count in ROWS.items()
        if (usages == USAGES[part]).sum() != count
    ]
    warnings = (f"{file.name} has {', '.join(short)} of FER2013",) if short else ()
    rows = {part: torch.tensor((usages == usage).to_numpy()) for part, usage in USAGES.items()}
    return Parts(
        {part: images[mask] for part, mask in rows.items()},
        {part: labels[mask] for part, mask in rows.items()},
        FER_CLASSES,
        "FER2013's table; validation is PublicTest, test PrivateTest",
        warnings,
    )
