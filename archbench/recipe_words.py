"""A study's recipe, setting by setting, with whose choice each is: the source's, archbench's, or the scale's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.schema import fields
from archbench.study_schema import settings_of
from archbench.units import shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from archbench.schema import Case, Study
    from archbench.study_schema import StudyFile

PUBLISHED = "as published"
OWN = "set by the study"  # where it repeats nobody's
ASSUMED = "assumed: not published"
DEFAULT = "archbench default"


def recipe_words(file: StudyFile, study: Study, full: Study) -> pd.DataFrame:
    """Return one row a setting: `setting`, its `value` (with the cases that differ), and its `basis`.

    A setting is `as published` where the file sets it, `assumed` where the file says that its source does not, the
    scale's own where its values are not those of the full scale, and archbench's default where nobody sets it; the
    settings that are left at their default share the last row.

    Args:
        file: the study's file.
        study: what was run of it.
        full: the same at the full scale.
    """
    import pandas as pd

    set_by_file = settings_of(file)
    wholly = {case.name: _settings(case) for case in full.settings}
    unstated = {case.name: set(case.assumed) for case in file.cases if case.name and case.assumed}
    rows, left = [], {}
    for name in _settings(study.settings[0]):
        values = {case.name: _settings(case)[name] for case in study.settings}
        if any(case in wholly and wholly[case][name] != value for case, value in values.items()):
            basis = f"{study.scale} scale"
        elif name not in set_by_file:
            left[name] = values
            continue
        else:
            basis = ASSUMED if name in file.assumed else PUBLISHED if file.source else OWN
        ours = [case for case in values if name in unstated.get(case, ())]
        rows.append({"setting": name, "value": _by_case(name, values, ours), "basis": basis})
    rest = ", ".join(f"{name} {_by_case(name, values)}" for name, values in left.items())
    return pd.DataFrame([*rows, {"setting": "all else", "value": rest, "basis": DEFAULT}])


def _settings(case: Case) -> dict[str, Any]:
    """Return a case's recipe and view under the names that users write."""
    settings = {**fields(case.recipe), **fields(case.view)}
    settings["input"] = settings.pop("input_shape")
    del settings["seed"]  # runs differ by it
    return settings


def _by_case(name: str, values: dict[str, Any], assumed: Sequence[str] = ()) -> str:
    """Return the value that most cases have, then the others with the cases that have them, and which are assumed."""
    cases: dict[str, list[str]] = {}
    for case, value in values.items():
        cases.setdefault(_shown(name, value) + (" (assumed)" if case in assumed else ""), []).append(case)
    first, *others = sorted(cases, key=lambda text: -len(cases[text]))
    return "; ".join([first, *(f"{text} in {', '.join(cases[text])}" for text in others)])


def _shown(name: str, value: Any) -> str:
    if value is None or value == ():
        return {"split": "of the source", "preprocess": "original"}.get(name, "none")
    if name == "input":
        return shape(value)
    if isinstance(value, tuple):
        return ("/" if name == "split" else "+").join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
