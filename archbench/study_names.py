"""What a study file names, checked: cases, models and metrics of figures and claims, and the bounds that decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from archbench.building import find_spec
from archbench.choices import nearest
from archbench.errors import InputError, ModelError
from archbench.measures import BASELINE_RATIO, COUNTED, PER_EPOCH, TIMED, is_metric, is_share, metric_names
from archbench.plan import label
from archbench.reference import parse_reference
from archbench.schema import Budget
from archbench.study_check import StudyError, at
from archbench.study_schema import Place, settings_of
from archbench.tuning import TUNED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archbench.schema import Study
    from archbench.study_check import Key
    from archbench.study_schema import Claim, Published, StudyFile

    Run = tuple[str, int | None]  # a model and its budget


class Keys(NamedTuple):
    """The keys of a kind of claim: those that it needs, its bounds (one at least), and others that it may have."""

    needed: tuple[str, ...]
    bounds: tuple[str, ...] = ("above", "below")
    others: tuple[str, ...] = ()

    @property
    def all(self) -> set[str]:
        """Every key that it may have, beside text, kind and metric."""
        return {*self.needed, *self.bounds, *self.others}


KEYS = {
    "value": Keys(("of",), others=("diverged",)),
    "difference": Keys(("of", "against"), others=("diverged",)),
    "ratio": Keys(("of", "against"), others=("diverged",)),
    "crossover": Keys(("family", "rival"), others=("case",)),
    "smallest": Keys(("expected",), ("most_params", "least_accuracy"), ("case",)),
}  # of a claim, by its kind


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
    for index, figure in enumerate(study.published):
        _check_figure(("published", index), figure)
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
    with at((*place, key)):
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


def _check_figure(place: Key, figure: Published) -> None:
    if not figure.values:
        msg = "no figure is given"
        raise StudyError((*place, "values"), msg, "Give at least one, as in values = { test_accuracy = 0.98 }.")
    for name, value in figure.values.items():
        metric = name.removesuffix(BASELINE_RATIO)
        _check_metric((*place, "values", name), metric, figure.epoch)
        share = is_share(metric) and metric == name
        counted = metric in COUNTED and metric == name
        if not math.isfinite(value) or (share and not 0 <= value <= 1) or (counted and (value < 0 or value % 1)):
            msg = f"{name} = {value:g}"
            accepted = "a fraction from 0 to 1" if share else "a whole number from 0" if counted else "a finite number"
            raise StudyError((*place, "values", name), f"{msg} is not accepted", f"Give {accepted}.")


def _check_metric(place: Key, metric: str, epoch: int | None) -> None:
    if not is_metric(metric):
        msg = f"there is no metric {metric!r}"
        raise StudyError(place, msg, nearest(metric, metric_names()))
    if epoch is not None and not (PER_EPOCH.fullmatch(metric) and epoch >= 1):
        msg = f"{metric} of epoch {epoch} is not measured"
        raise StudyError(place, msg, "Epochs, from 1, have metrics of train and validation; leave it out elsewhere.")


def _check_claim(place: Key, claim: Claim) -> None:
    wanted = KEYS[claim.kind]
    for key in wanted.needed:
        if not getattr(claim, key):
            msg = f"a claim of the kind {claim.kind} needs {key}"
            raise StudyError((*place, key), msg, f"Give {' and '.join(wanted.needed)}.")
    for key in set().union(*(kind.all for kind in KEYS.values())) - wanted.all:
        if getattr(claim, key) not in (None, "", []):
            msg = f"a claim of the kind {claim.kind} has no use for {key}"
            raise StudyError((*place, key), msg, f"It takes {', '.join(sorted(wanted.all))}.")
    if all(getattr(claim, key) is None for key in wanted.bounds):
        msg = f"a claim of the kind {claim.kind} needs a bound"
        raise StudyError(place, msg, f"Give {' or '.join(wanted.bounds)}.")
    for one in (claim.of, claim.against):
        _check_metric((*place, "metric"), claim.metric, one.epoch if one else None)
    if claim.kind == "difference" and claim.metric in TIMED:
        msg = f"{claim.metric} is compared as a ratio"
        raise StudyError((*place, "kind"), msg, 'Write kind = "ratio".')
    if claim.against is not None and claim.of == claim.against:
        msg = "it is compared with itself"
        raise StudyError((*place, "against"), msg, "Name another place.")
    _check_bounds(place, claim)


def _check_bounds(place: Key, claim: Claim) -> None:
    share = is_share(claim.metric) and claim.kind in {"value", "difference"}
    least, most = (-1 if claim.kind == "difference" else 0, 1) if share else (-math.inf, math.inf)
    for key in ("above", "below", "least_accuracy", "most_params"):
        bound = getattr(claim, key)
        low, high = (0, 1) if key == "least_accuracy" else (0, math.inf) if key == "most_params" else (least, most)
        if bound is not None and not (math.isfinite(bound) and low <= bound <= high):
            msg = f"{key} = {bound:g} is not accepted"
            accepted = f"a fraction from {low} to {high}" if math.isfinite(high) else "a finite number"
            raise StudyError((*place, key), msg, f"Give {accepted}.")
    if claim.above is not None and claim.below is not None and claim.above >= claim.below:
        msg = f"nothing is above {claim.above:g} and below {claim.below:g}"
        raise StudyError((*place, "above"), msg, "Give above the smaller number.")
