"""Study files: read and checked with errors that name line and key, and turned into studies."""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_left
from dataclasses import replace
from functools import reduce
from importlib import resources
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from archbench.choices import nearest
from archbench.errors import ArchbenchError, InputError
from archbench.files import file_name
from archbench.markup import encodable, visible
from archbench.study import MOST_BYTES, MOST_LETTERS, RESULTS, make_study
from archbench.study_check import StudyError, check_values
from archbench.study_names import check_named
from archbench.study_schema import PretrainTable, ScaleTable, StudyFile, TuneTable, given

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archbench.schema import Study
    from archbench.study_check import Key

SCALES = ("quick", "full")
NOT_OF_A_STUDY = ("about", "tune", "pretrain")  # of a scale
BY_NAME: dict[str | int, Any] = {"factors": list[Any], "values": float, "search": str | list[Any]}  # tables of these


def shipped() -> dict[str, Path]:
    """Return the studies that come with archbench: their files by name."""
    folder = Path(str(resources.files("archbench") / "studies"))
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def find_study(name: str) -> Path:
    """Return the file of a shipped study.

    Raises:
        InputError: there is none of that name.
    """
    known = shipped()
    if name not in known:
        msg = f"no study is named {name!r}"
        raise InputError(msg, f"There are {', '.join(known)}; `archbench run FILE` takes a file of yours.")
    return known[name]


def read_study(path: Path) -> StudyFile:
    """Return a study file, checked against the schema and against what its values may be.

    Raises:
        InputError: it cannot be read, is no TOML, or holds what is not accepted; line and key are named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a mark first
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text in UTF-8'}"
        raise InputError(msg, "Name a study file (TOML).") from error
    try:
        data = _toml(text)
        study = _converted(data)
        check_values(data)
        _check(study)
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is no TOML: {error}"
        raise InputError(msg, "Mend that line.") from error
    except StudyError as error:
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.place).lstrip(".")
        msg = f"{path}, line {line_of(text, error.place)}, {key or 'the file'}: {error}"
        raise InputError(msg, error.remedy) from error
    return study


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        msg = "its tables or lists lie too deep in one another"
        raise tomllib.TOMLDecodeError(msg) from error
    except ValueError as error:  # a number with thousands of digits, beside what TOML itself does not allow
        raise error if isinstance(error, tomllib.TOMLDecodeError) else tomllib.TOMLDecodeError(str(error)) from error


def _converted(data: dict[str, Any]) -> StudyFile:
    """Return the schema's study, or raise what does not fit it as a fault of its place."""
    try:
        return msgspec.convert(data, StudyFile)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        place: Key = ()
        for part in re.findall(r"\.{3}|[^.\[\]`]+", where):
            if part == "...":  # msgspec does not tell which of the keys
                place += (_misfit(reduce(getitem, place, data), BY_NAME[place[-1]]),)  # type: ignore[arg-type]
            else:
                place += (int(part) if part.isdigit() else part,)
        unknown = re.search(r"unknown field `(.+?)`", what)
        if unknown is None:
            raise StudyError(place, what, "`archbench studies --schema` prints what is accepted.") from error
        msg = f"there is no key {unknown[1]!r}"
        raise StudyError((*place, unknown[1]), msg, nearest(unknown[1], _keys_at(place))) from error


def _keys_at(place: Key) -> list[str]:
    """Return the keys that a table at a place may have."""
    kind: Any = StudyFile
    for part in place:
        if isinstance(part, str) and part in getattr(kind, "__struct_fields__", ()):
            kind = _table_of(get_type_hints(kind)[part])
    return list(getattr(kind, "__struct_fields__", ()))


def _table_of(hint: Any) -> Any:
    """Return the kind of table that a hint such as `list[CaseTable] | UnsetType` holds."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next((found for inner in get_args(hint) if (found := _table_of(inner)) is not None), None)


def _misfit(table: Mapping[str, Any], kind: Any) -> str:
    """Return the first key whose value is not of a kind."""
    for key, value in table.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return key
    raise AssertionError(table)


def _check(study: StudyFile) -> None:
    """Check a study as a whole, at each of its scales."""
    made = []
    for scale in SCALES:
        written = getattr(study.scales, scale) is not None
        if written or scale == "full":
            try:
                made.append(study_of(study, scale, device="cpu"))
            except ArchbenchError as error:
                raise StudyError(("scales", scale) if written else (), str(error), error.remedy) from error
    check_named(study, made)


def tables_of(study: StudyFile, scale: str) -> tuple[TuneTable | None, PretrainTable | None]:
    """Return the search and the pretraining of a study at a scale, which may set parts of either."""
    table = given(getattr(study.scales, scale) or ScaleTable())
    tune, pretrain = study.tune, study.pretrain
    if tune is not None and "tune" in table:
        tune = msgspec.structs.replace(tune, **given(table["tune"]))
    if pretrain is not None and "pretrain" in table:
        pretrain = msgspec.structs.replace(pretrain, **given(table["pretrain"]))
    return tune or table.get("tune"), pretrain or table.get("pretrain")


def study_of(study: StudyFile, scale: str = "full", *, name: str = "", **place: Any) -> Study:
    """Return a study file's study at one scale.

    Args:
        study: the file.
        scale: `quick` or `full`.
        name: of the study.
        place: what the file leaves to the machine: `data_root`, `download`, `device`, `threads`; also `dataset`, for
            the same data from another place.

    Raises:
        InputError: the file has no such scale, or holds what is not accepted.
    """
    table: ScaleTable | None = getattr(study.scales, scale, None)
    if scale not in SCALES or (table is None and scale != "full"):
        msg = f"the study has no scale {scale!r}"
        raise InputError(msg, f"It has {', '.join(s for s in SCALES if getattr(study.scales, s) or s == 'full')}.")
    own = {
        "models": study.models, "budgets": study.budgets, "seeds": study.seeds, "dataset": study.dataset,
        "factors": study.factors, "cases": study.cases, **given(study.settings),
    }  # fmt: skip
    own |= {key: value for key, value in given(table or ScaleTable()).items() if key not in NOT_OF_A_STUDY}
    own |= {key: value for key, value in place.items() if value is not None}
    own["cases"] = [{key: value for key, value in given(case).items() if key != "assumed"} for case in own["cases"]]
    made = make_study(baseline=study.baseline, plugins=study.plugins, keep_weights=study.keep_weights, **own)
    return replace(made, name=encodable(name), scale=scale)


def folder_of(study: Study) -> Path:
    """Return where the results of a study file go by default."""
    name = study.name
    short = len(name) <= MOST_LETTERS and len(visible(name).encode()) <= MOST_BYTES
    if not (short and name == visible(name) and re.fullmatch(r"[^./][^/]*", name)):
        name = file_name(name)
    return RESULTS / (name if study.scale == "full" else f"{name}-{study.scale}")


def json_schema() -> str:
    """Return the JSON schema of study files, for editors."""
    return json.dumps(msgspec.json.schema(StudyFile), indent=2) + "\n"


def line_of(text: str, place: Key) -> int:
    """Return the line (from 1) of a TOML text that a key stands on, or that of the nearest table around it.

    The text is cut after each line; what stands at the place begins after the last cut that does not hold it.

    Args:
        text: TOML.
        place: keys and indices, as in `("cases", 1, "lr")`.
    """
    lines = text.split("\n")
    data = tomllib.loads(text)
    while not _holds(data, place):
        place = place[:-1]

    def held(cut: int) -> bool:
        """Whether the first so many lines, or the fewest from there on that are TOML, hold the place."""
        return next(_holds(part, place) for end in range(cut, len(lines) + 1) for part in _parsed(lines[:end]))

    return 1 + bisect_left(range(1, len(lines)), True, key=held)


def _parsed(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what lines of TOML come to, arrays that are left open being closed, or nothing."""
    for closing in ("", "]", "]]"):
        try:
            yield tomllib.loads("\n".join([*lines, closing]))
        except tomllib.TOMLDecodeError:
            continue


def _holds(data: Any, place: Key) -> bool:
    for part in place:
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if not inside:
            return False
        data = data[part]
    return True
