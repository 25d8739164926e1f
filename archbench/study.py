"""What users write -> Study: names, texts and numbers checked and resolved, for the command line and Python alike."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archbench.data import canonical_dataset
from archbench.environment import resolve_devices, resolve_precision, usable_cores
from archbench.errors import InputError
from archbench.files import file_name
from archbench.markup import encodable, visible
from archbench.reference import canonical, heads_on, parse_reference, with_options
from archbench.schema import Case, Study
from archbench.settings import divided, make_recipe, make_view, whole
from archbench.units import grouped, parse_count, parse_counts, parse_seeds

RESULTS = Path("results")
MOST_LETTERS, MOST_BYTES = 100, 240  # of a folder's name; file systems take 255 bytes
OF_A_CASE = ("name", "models", "budgets", "dataset")  # what a case may set beside the settings of recipe and view


def make_study(
    models: Sequence[str] = (),
    budgets: Sequence[str | int] | str = (),
    *,
    trunk: str | Sequence[str] = (),
    heads: str | Sequence[str] = (),
    scale: str | None = None,
    weights: str | Path | None = None,
    freeze: str | int | None = None,
    head: str | Sequence[int] | None = None,
    seeds: int | str | Sequence[int] = 3,
    dataset: str = "digits",
    data_root: str | Path | None = None,
    download: bool = False,
    device: str = "auto",
    threads: int = 1,
    baseline: str | None = None,
    plugins: Sequence[str] = (),
    factors: Mapping[str, Sequence[Any]] | None = None,
    cases: Sequence[Mapping[str, Any]] = (),
    keep_weights: bool = False,
    **settings: Any,
) -> Study:
    """Return a study from what a user gave.

    Args:
        models: names of the zoo, `torchvision:NAME`, `timm:NAME` or `module:attribute`; options and a budget of its own
            may follow, as in `cnn[activation=sigmoid]@200k`.
        trunk: models that each of the `heads` is put on, beside `models`.
        heads: of `zoo.heads.HEADS`, as `"dense2,gap"` or a list.
        scale: `width`, `depth` or `compound`, for the models that have a depth.
        weights: `imagenet` or a file, for the models that take trained weights.
        freeze: `none`, `backbone` or a number of parts, for the same.
        head: a head's name or the units of its dense layers, for the models that take one.
        budgets: parameters, as `"30k,200k"`, `["30k", "200k"]` or `[30_000, 200_000]`.
        seeds: how many, or which (`"0,7,42"`, `[0, 7, 42]`).
        dataset: a data set's name.
        data_root: the folder of data sets.
        download: whether missing data may be downloaded.
        device: `auto`, `cpu`, `cuda`, or `cpu,cuda` to time on both and train on CUDA.
        threads: torch's intra-op threads, in timing and in each training process.
        baseline: the model that overheads are relative to.
        plugins: modules that register models.
        factors: a grid: settings, or `dataset`, with the values that each of them takes in turn.
        cases: a list: what each case sets; `name`, `models`, `budgets` and `dataset` are its own beside the settings.
        keep_weights: whether the weights of every run are written into the results folder.
        settings: all that `archbench.settings.make_recipe` and `make_view` take: `epochs`, `lr`, `preprocess`, ...

    Raises:
        InputError: a value that is not accepted.
    """
    alternatives = str(settings.get("preprocess", "")).split(",") if isinstance(settings.get("preprocess"), str) else []
    if len(alternatives) > 1:
        settings, factors = settings | {"preprocess": ""}, {"preprocess": alternatives, **(factors or {})}
    devices = resolve_devices(device)
    if "precision" in settings:
        settings = settings | {"precision": resolve_precision(str(settings["precision"]), devices)}
    variant = {
        "scale": scale,
        "weights": None if weights is None else str(weights),
        "freeze": freeze,
        "head": tuple(head) if head is not None and not isinstance(head, str) else head,
    }
    named = [*models, *heads_on((trunk,) if isinstance(trunk, str) else tuple(trunk), heads)]
    own = {"models": named, "budgets": budgets, "dataset": dataset, **settings}
    base = _case("", own, variant if named else {})
    made = [
        _case(case.get("name", ""), {**own, **case, **combination}, variant, combination)
        for case in cases or [{}]
        for combination in _grid(factors or {})
    ]
    for name, count in Counter(case.name for case in made).items():
        if count > 1:
            msg = f"two cases are named {name!r}"
            raise InputError(msg, "Give each case a name of its own.")
    given = [model for case in [own, *cases] for model in case.get("models", ())]
    references = with_options(given, variant)
    return Study(
        models=tuple(dict.fromkeys(references)) if cases else base.models,
        budgets=base.budgets,
        seeds=parse_seeds(",".join(map(str, seeds)) + ",")
        if isinstance(seeds, Sequence) and not isinstance(seeds, str)
        else parse_seeds(str(seeds)),
        dataset=base.dataset,
        data_root=None if data_root is None else str(data_root),
        download=download,
        view=base.view,
        recipe=base.recipe,
        device=devices[-1],
        timing_devices=devices,
        threads=whole("threads", threads, 1, max(usable_cores(), 1)),
        baseline=None if baseline is None else _baseline(baseline, given, references),
        plugins=tuple(plugins),
        keep_weights=keep_weights,
        cases=tuple(made) if made != [base] else (),
    )


def _case(
    name: str, settings: Mapping[str, Any], variant: Mapping[str, Any], combination: Mapping[str, Any] | None = None
) -> Case:
    """Return a case from all of its settings; the values of a grid's factors are added to its name."""
    rest = {key: value for key, value in settings.items() if key not in OF_A_CASE}
    recipe, view = divided(rest)
    if visible(name) != name:
        msg = f"the name of a case holds what cannot be printed: {name!r}"
        raise InputError(msg, "Name it in letters, digits and signs.")
    words = [name, *(_words(factor, value) for factor, value in (combination or {}).items())]
    return Case(
        name=", ".join(word for word in words if word),
        models=with_options(settings["models"], variant),
        budgets=_budgets(settings["budgets"]),
        dataset=_dataset(settings["dataset"]),
        view=make_view(**view),
        recipe=make_recipe(**recipe),
    )


def _dataset(text: str) -> str:
    if encodable(text) != text:
        msg = f"the data set {text!r} is named in bytes that are no text"
        raise InputError(msg, "Rename the folder, or name it by a link.")
    return canonical_dataset(text)


def _grid(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the factors' values; one empty combination where there are no factors."""
    for name, values in factors.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            msg = f"the factor {name} has no list of values"
            raise InputError(msg, f"Give it the values that it takes, as in {name} = [...].")
    return [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]


def _words(factor: str, value: Any) -> str:
    """Return how a factor's value stands in the name of a case: words alone, numbers with what they are."""
    text = "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if isinstance(value, str) else f"{factor}={text}"


def _budgets(budgets: Sequence[str | int] | str) -> tuple[int, ...]:
    targets = parse_counts(budgets) if isinstance(budgets, str) else tuple(parse_count(str(b)) for b in budgets)
    for target in targets:
        if targets.count(target) > 1:
            msg = f"the budget {grouped(target)} is given twice"
            raise InputError(msg, "Name each budget once.")
    return targets


def _baseline(text: str, named: Sequence[str], references: Sequence[str]) -> str:
    """Return the compared model that a baseline names, as it was written or as its options made it."""
    models = {canonical(given): parse_reference(full)[0] for given, full in zip(named, references, strict=True)}
    model, target = parse_reference(text)
    if target is not None and canonical(text) not in {*models, *references}:
        msg = f"the baseline {text!r} is not among the compared models"
        raise InputError(msg, f"Name one of {', '.join(sorted(models.values()))}.")
    return models.get(canonical(text), models.get(model, model))


def results_folder(dataset: str, name: str | None = None, out: str | Path | None = None) -> Path:
    """Return where a run's files go: `out`, else results/<name>, else results/<data set>.

    Raises:
        InputError: a name that would leave the folder `results`.
    """
    if out is not None:
        return Path(out)
    if name is None:
        base, _, argument = dataset.partition(":")
        name = f"{base}-{Path(argument).resolve().name}" if argument else base
        name = re.sub(r"[^\w.-]+", "_", name)
        name = file_name(name) if len(name) > MOST_LETTERS or len(name.encode()) > MOST_BYTES else name
    if not re.fullmatch(rf"[\w][\w .+=@-]{{0,{MOST_LETTERS - 1}}}", name) or len(name.encode()) > MOST_BYTES:
        msg = f"{name[:40]!r} is no name for a run"
        raise InputError(msg, "Use letters, digits, spaces and . _ - + = @, 100 at most; --out names any folder.")
    return RESULTS / name
