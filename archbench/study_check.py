"""What a study file says, checked value by value, so that the one at fault can be named."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.building import find_spec
from archbench.errors import InputError, ModelError
from archbench.plan import find_spec_or_problem, label
from archbench.reference import parse_reference, refuse_budget
from archbench.schema import Budget
from archbench.search_space import parse_space
from archbench.settings import divided, make_recipe, make_view
from archbench.study import make_study
from archbench.study_schema import CaseTable, Place, Settings, settings_of
from archbench.tuning import TUNED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archbench.schema import Study
    from archbench.study_schema import Claim, Published, StudyFile

    Key = tuple[str | int, ...]
    Run = tuple[str, int | None]  # a model and its budget

TABLES = ("settings", "scales", "quick", "full", "tune", "pretrain")
NEEDS = {
    "value": ("of",),
    "difference": ("of", "against"),
    "ratio": ("of", "against"),
    "crossover": ("family", "rival"),
    "smallest": ("expected",),
}  # of a claim, by its kind
BOUNDS = {"crossover": (), "smallest": ("most_params", "least_accuracy")}


class StudyError(InputError):
    """A value that is not accepted.

    Attributes:
        place: keys and indices that lead to it.
    """

    def __init__(self, place: Key, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.place = place


@contextmanager
def _at(place: Key) -> Iterator[None]:
    """Within: what is not accepted is a fault of this place."""
    try:
        yield
    except InputError as error:
        raise StudyError(place, str(error), error.remedy) from error
    except msgspec.ValidationError as error:
        raise StudyError(place, str(error).partition(" - at")[0]) from error


def check_values(data: Mapping[str, Any]) -> None:
    """Check every value by itself: settings, models, budgets, seeds, data sets, factors, what is searched.

    Args:
        data: a study file as it was parsed, of the schema's types.

    Raises:
        StudyError: one is not accepted.
    """
    _check_table((), data, registered=not data.get("plugins"))


def _check_table(place: Key, table: Mapping[str, Any], *, registered: bool) -> None:
    for key, value in table.items():
        _check_value((*place, key), key, value, registered=registered)


def _check_value(place: Key, key: str, value: Any, *, registered: bool) -> None:
    """Check a value; models by name only where all are `registered`, as a plugin's are known once it is imported."""
    match key:
        case "cases":
            for index, case in enumerate(value):
                _check_table((*place, index), case, registered=registered)
        case "factors":
            for name, values in value.items():
                _check_factor((*place, name), name, values, registered=registered)
        case "models":
            for index, model in enumerate(value):
                with _at((*place, index)):
                    _check_model(model, registered=registered)
        case "search":
            for name, values in value.items():
                with _at((*place, name)):
                    parse_space({name: values})
        case _ if key in TABLES:
            _check_table(place, value, registered=registered)
        case _:
            with _at(place):
                _check_setting(key, value)


def _check_model(reference: str, *, registered: bool) -> None:
    model, budget = parse_reference(reference)
    if registered and find_spec_or_problem(model) is None:
        refuse_budget(model, budget)


def _check_setting(key: str, value: Any) -> None:
    if key in {"budgets", "seeds", "dataset"}:
        make_study(device="cpu", **{key: value})
    elif key in Settings.__struct_fields__:
        recipe, view = divided({key: value})
        make_recipe(**recipe)
        make_view(**view)


def _check_factor(place: Key, name: str, values: Sequence[Any], *, registered: bool) -> None:
    with _at(place):
        if name not in CaseTable.__struct_fields__:
            divided({name: values})
        if not values:
            make_study(device="cpu", factors={name: values})
    for index, value in enumerate(values):
        with _at((*place, index)):
            msgspec.convert({name: value}, CaseTable)
        _check_value((*place, index), name, value, registered=registered)


def check_named(study: StudyFile, scales: Sequence[Study]) -> None:
    """Check that the baseline, the published figures and the claims name what is compared, and say what decides.

    Args:
        study: the file.
        scales: its studies, one a scale.

    Raises:
        StudyError: one names a case, a model or a budget that is not compared, or several where one is meant; a claim
            lacks what decides it; a setting is assumed that is not set.
    """
    runs = [{case.name: _runs(case.models, case.budgets) for case in made.settings} for made in scales]
    for made, compared in zip(scales, runs, strict=True):
        models = dict.fromkeys(model for case in compared.values() for model, _ in case)
        if made.baseline is not None and models and made.baseline not in models:
            msg = f"the baseline {made.baseline!r} is not among the compared models"
            raise StudyError(("baseline",), msg, f"Name one of {', '.join(models)}.")
    searches = [table.tune for table in (study, study.scales.quick, study.scales.full) if table and table.tune]
    tuned = _runs(searches[0].models or [model for made in scales for model in made.models], ()) if searches else []
    if searches and any(TUNED in compared for compared in runs):
        msg = f"a case is named {TUNED!r}, as is what the search finds"
        raise StudyError(("tune",), msg, "Give the case another name.")
    for place, key, named in _places(study):
        # What budgets a plugin's model has is known once it is imported, and those of a search once it ends.
        one = key == "model" and not study.plugins and named.case != TUNED
        _check_place(place, key, named, [*runs, {TUNED: tuned}] if tuned else runs, one=one)
    for index, claim in enumerate(study.claims):
        _check_claim(("claims", index), claim)
    known = settings_of(study)
    for index, name in enumerate(study.assumed):
        if name not in known:
            msg = f"{name} is assumed, and the study does not set it"
            raise StudyError(("assumed", index), msg, "Set it in [settings] or in a case, or leave it out here.")


def _runs(models: Sequence[str], budgets: Sequence[int]) -> list[Run]:
    """Return every model of a case with every budget that it is to meet."""
    runs: list[Run] = []
    for reference in models:
        model, own = parse_reference(reference)
        targets: Sequence[int | None] = [own] if own is not None else budgets if _scalable(model) else []
        runs += [(model, target) for target in targets or [None]]
    return runs


def _scalable(model: str) -> bool:
    try:
        return find_spec(model).scalable
    except (InputError, ModelError):  # it cannot be had, which is told in its own place
        return True


def _places(study: StudyFile) -> Iterator[tuple[Key, str | int, Published | Place]]:
    """Yield whatever names runs: where it stands, under which key it names the model, and what it names."""
    yield from ((("published", index), "model", figure) for index, figure in enumerate(study.published))
    for index, claim in enumerate(study.claims):
        here = ("claims", index)
        yield from (((*here, key), "model", place) for key in ("of", "against") if (place := getattr(claim, key)))
        for key in ("family", "rival"):
            yield from (((*here, key), i, Place(name, claim.case)) for i, name in enumerate(getattr(claim, key)))
        if claim.expected:
            yield here, "expected", Place(claim.expected, claim.case)


def _check_place(
    place: Key, key: str | int, named: Published | Place, runs: Sequence[Mapping[str, Sequence[Run]]], *, one: bool
) -> None:
    cases = dict.fromkeys(case for compared in runs for case in compared)
    if named.case not in cases:
        msg = f"no case is named {named.case!r}" if named.case else "it names no case"
        names = ", ".join(case for case in cases if case)
        raise StudyError((*place, "case"), msg, f"Cases are {names}." if names else "There are none: leave it out.")
    with _at((*place, key)):
        model, own = parse_reference(named.model) if named.model else ("", None)
    budget = named.budget if own is None else own
    there = [compared.get(named.case, ()) for compared in runs]
    found = [[run for run in case if model in {"", run[0]} and budget in {None, run[1]}] for case in there]
    if not any(found):
        known = dict.fromkeys(_label(*run) for case in there for run in case)
        msg = f"{_label(model, budget)} is not compared"
        raise StudyError((*place, key), msg, f"There are {', '.join(known)}.")
    most = max(found, key=len)
    if one and len(most) > 1:
        msg = f"one run is meant, and there are {', '.join(_label(*run) for run in most)}"
        raise StudyError((*place, key), msg, "Name the model and, where it has several, the budget.")


def _label(model: str, budget: int | None) -> str:
    return label(model, None if budget is None else Budget(budget))


def _check_claim(place: Key, claim: Claim) -> None:
    for key in NEEDS[claim.kind]:
        if not getattr(claim, key):
            msg = f"a claim of the kind {claim.kind} needs {key}"
            raise StudyError((*place, key), msg, f"Give {' and '.join(NEEDS[claim.kind])}.")
    bounds = BOUNDS.get(claim.kind, ("above", "below"))
    if bounds and all(getattr(claim, key) is None for key in bounds):
        msg = f"a claim of the kind {claim.kind} needs a bound"
        raise StudyError(place, msg, f"Give {' or '.join(bounds)}.")
