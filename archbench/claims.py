"""Claims -> verdicts: what a report says, held against what was measured, with the figures that decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archbench import stats
from archbench.measures import COUNTED, TIMED, is_share
from archbench.study_schema import Place
from archbench.units import compact, grouped, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.measures import Measures
    from archbench.schema import Record
    from archbench.stats.crossing import Curve
    from archbench.study_schema import Claim

Holds = Literal["holds", "does not hold", "not resolved"]


@dataclass(frozen=True)
class Finding:
    """A claim and what decides it."""

    text: str
    verdict: Holds
    figures: str


def findings(claims: Sequence[Claim], measures: Measures) -> list[Finding]:
    """Return the verdict on every claim."""
    return [_finding(claim, measures) for claim in claims]


def _finding(claim: Claim, measures: Measures) -> Finding:
    if claim.kind == "smallest":
        return _smallest(claim, measures)
    if claim.kind == "crossover":
        return _crossover(claim, measures)
    diverged = _diverged(claim, measures)
    if diverged is not None:
        return diverged
    estimate = _estimate(claim, measures)
    if estimate is None:
        return Finding(claim.text, "not resolved", _why_not(claim, measures))
    verdict = _decide(claim, estimate)
    lost = [words for place in (claim.of, claim.against) if place is not None and (words := measures.lost(place))]
    if lost and verdict != claim.diverged:  # what the others came to is not all there is
        verdict = "not resolved"
    return Finding(
        claim.text, verdict, "; ".join(filter(None, [_words(claim, estimate, measures), *lost, _bounds(claim)]))
    )


def _crossover(claim: Claim, measures: Measures) -> Finding:
    """Return whether, and where, the family falls behind its rival."""
    family, rival = (_curve(measures, names, claim) for names in (claim.family, claim.rival))
    if not _overlap(family, rival):
        return Finding(claim.text, "not resolved", _why_not(claim, measures))
    estimate = stats.crossover(family, rival)
    if estimate is not None:
        return Finding(
            claim.text, _decide(claim, estimate), "; ".join([_words(claim, estimate, measures), _bounds(claim)])
        )
    words = {True: "leads", False: "is behind", None: "equals its rival"}[stats.leads(family, rival)]
    verdict: Holds = "does not hold" if stats.surely_uncrossed(family, rival) else "not resolved"
    doubt = "" if verdict == "does not hold" else ", which so few runs leave in doubt"
    return Finding(claim.text, verdict, f"the family {words} at all measured sizes{doubt}")


def _decide(claim: Claim, estimate: stats.Estimate) -> Holds:
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return "not resolved"
    above, below = (
        -math.inf if claim.above is None else claim.above,
        math.inf if claim.below is None else claim.below,
    )
    if above < low and high < below:
        return "holds"
    return "does not hold" if high <= above or low >= below else "not resolved"


def _estimate(claim: Claim, measures: Measures) -> stats.Estimate | None:
    if claim.of is None or not measures.at(claim.of):
        return None
    if claim.kind == "value":
        return measures.estimate(claim.of, claim.metric)
    if claim.against is None or not measures.at(claim.against):
        return None
    compare = measures.ratio if claim.kind == "ratio" else measures.difference
    return compare(claim.of, claim.against, claim.metric)


def _why_not(claim: Claim, measures: Measures) -> str:
    """Return why a claim has no figure."""
    families = [Place(name, claim.case) for names in (claim.family, claim.rival) for name in names]
    reasons = [
        f"{' in '.join(filter(None, (place.model, place.case))) or 'the run'}: {reason}"
        for place in (claim.of, claim.against, *families)
        if place is not None and (reason := measures.why_not(place, claim.metric))
    ]
    side_by_side = "not timed side by side" if claim.metric in TIMED else "no seed or size in common"
    return "; ".join(dict.fromkeys(reasons)) or side_by_side


def _curve(measures: Measures, names: Sequence[str], claim: Claim) -> dict[float, list[float]]:
    """Return the metric's values by parameters, of the models that were measured."""
    curve: dict[float, list[float]] = {}
    for name in names:
        for run in _sizes(measures.at(Place(name, claim.case))):
            params, values = measures.samples(run, "params"), measures.samples(run, claim.metric)
            if params and values:
                curve[params[0]] = list(values.values())
    return curve


def _overlap(family: Curve, rival: Curve) -> bool:
    """Whether there are sizes between which both were measured."""
    return bool(family and rival) and max(min(family), min(rival)) < min(max(family), max(rival))


def _sizes(records: Sequence[Record]) -> list[Place]:
    """Return the places of records, one a model and budget."""
    sizes = dict.fromkeys((record.cell.model, record.cell.case, record.cell.budget) for record in records)
    return [Place(model, case, None if budget is None else budget.target) for model, case, budget in sizes]


def _diverged(claim: Claim, measures: Measures) -> Finding | None:
    """Return what runs of which none came to an end say of a claim that tells what diverged ones are to say."""
    for place in (claim.of, claim.against) if claim.diverged else ():
        records = [] if place is None else measures.at(place)
        if records and all(record.status == "diverged" for record in records):
            words = f"{len(records)} of {number(len(records), 'run')} diverged"
            return Finding(claim.text, "holds" if claim.diverged == "holds" else "does not hold", words)
    return None


def _smallest(claim: Claim, measures: Measures) -> Finding:
    """Return whether the expected model is the one with fewest parameters that is small and accurate enough."""
    limit, least = claim.most_params or math.inf, claim.least_accuracy or 0.0
    places = _sizes([record for record in measures.records if record.cell.case == claim.case])
    expected = _sizes(measures.at(Place(claim.expected, claim.case)))
    if not expected:
        return Finding(claim.text, "not resolved", f"{claim.expected}: not run at this scale")
    sized = [(size.value, place) for place in places if (size := measures.estimate(place, "params")) is not None]
    doubtful: list[str] = []
    among = f"of {number(len(places), 'model')} that were compared"
    for params, place in sorted(sized, key=lambda row: row[0]):
        score = measures.estimate(place, claim.metric)
        name = place.model if place.budget is None else f"{place.model}@{compact(place.budget)}"
        words = f"{name} with {grouped(round(params))} parameters"
        if params > limit:
            continue
        if score is None:
            doubtful.append(f"in doubt: {words}, which {measures.why_not(place, claim.metric) or 'has no figure'}")
            continue
        low, high = (score.value if bound is None else bound for bound in (score.low, score.high))
        words += f" and {100 * score.value:.1f} %"
        if high < least:
            continue
        if low < least or (lost := measures.lost(place)):
            doubtful.append(f"in doubt: {words}" + (f", {lost}" if low >= least else ""))
            continue
        verdict: Holds = "holds" if place in expected else "does not hold"
        return Finding(
            claim.text,
            "not resolved" if doubtful else verdict,
            "; ".join([f"the smallest {among} is {words}", *doubtful]),
        )
    figures = "; ".join([f"none {among} surely has {_wanted(claim)}", *doubtful])
    return Finding(claim.text, "not resolved" if doubtful or not sized else "does not hold", figures)


def _wanted(claim: Claim) -> str:
    most, least = claim.most_params, claim.least_accuracy
    return " and ".join([
        *([] if most is None else [f"at most {compact(round(most))} parameters"]),
        *([] if least is None else [f"at least {100 * least:g} %"]),
    ])  # fmt: skip


def _bounds(claim: Claim) -> str:
    parts = [("above", claim.above), ("below", claim.below)]
    words = " and ".join(f"{word} {_number(claim, value)}" for word, value in parts if value is not None)
    return f"claimed {words}" if words else ""


def _words(claim: Claim, estimate: stats.Estimate, measures: Measures) -> str:
    what = {"value": "", "difference": "difference ", "ratio": "ratio ", "crossover": "crossing at "}[claim.kind]
    interval = ""
    if estimate.low is not None and estimate.high is not None and estimate.low != estimate.high:
        interval = f" [{_number(claim, estimate.low)}, {_number(claim, estimate.high)}]"
    name = "" if claim.kind == "crossover" else f"{claim.metric} "
    if estimate.low is None:
        interval = " without an interval" + (": one run" if estimate.n == 1 else "")
    elif estimate.n == 1 and is_share(claim.metric):
        places = [place for place in (claim.of, claim.against) if place is not None]
        images = dict.fromkeys(grouped(measures.images(place, claim.metric)) for place in places)
        interval += f" (one run, {' and '.join(images)} images: how runs differ is not in it)"
    return f"{name}{what}{_number(claim, estimate.value)}{interval}"


def _number(claim: Claim, value: float) -> str:
    if claim.kind == "crossover" or (claim.metric in COUNTED and claim.kind != "ratio"):
        return f"{value:,.0f}"
    if claim.kind == "ratio":
        return f"{value:.4g}x"
    if is_share(claim.metric):
        return f"{100 * value:+.2f} points" if claim.kind == "difference" else f"{100 * value:.2f} %"
    return f"{value:.4g}"
