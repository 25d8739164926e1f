"""What a study file may hold: what is compared, what was published of it, and the claims to check.

These classes are the schema: the same that checks a file writes the JSON schema that editors read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_type_hints

from msgspec import UNSET, Meta, Struct, UnsetType, field

from archbench.schema import Recipe


def _accepted(setting: str) -> dict[str, Any]:
    """Return what editors offer for a setting of a recipe; the file's own check tells of other values."""
    return {"enum": [value for value in get_args(get_type_hints(Recipe)[setting]) if isinstance(value, str)]}


Whole = Annotated[int, Meta(extra_json_schema={"minimum": 1})]
Positive = Annotated[float, Meta(extra_json_schema={"exclusiveMinimum": 0})]
NotNegative = Annotated[float, Meta(extra_json_schema={"minimum": 0})]
Optimizer = Annotated[str, Meta(extra_json_schema=_accepted("optimizer"))]
Schedule = Annotated[str, Meta(extra_json_schema=_accepted("schedule"))]
Precision = Annotated[str, Meta(extra_json_schema=_accepted("precision"))]
Scaling = Annotated[str, Meta(extra_json_schema=_accepted("scaling"))]
PositionLoss = Annotated[str, Meta(extra_json_schema=_accepted("position_loss"))]


class Settings(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of recipe and view, as `archbench.settings` explains them."""

    epochs: Whole | UnsetType = UNSET
    batch_size: Whole | UnsetType = UNSET
    lr: Positive | UnsetType = UNSET
    optimizer: Optimizer | UnsetType = UNSET
    momentum: NotNegative | UnsetType = UNSET
    schedule: Schedule | UnsetType = UNSET
    lr_decay: Positive | UnsetType = UNSET
    weight_decay: NotNegative | UnsetType = UNSET
    l2: NotNegative | UnsetType = UNSET
    label_smoothing: NotNegative | UnsetType = UNSET
    augment: str | list[str] | UnsetType = UNSET
    precision: Precision | UnsetType = UNSET
    scaling: Scaling | UnsetType = UNSET
    position_loss: PositionLoss | UnsetType = UNSET
    exclude: str | list[str] | UnsetType = UNSET
    split: str | list[int] | UnsetType = UNSET
    split_seed: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    preprocess: str | list[str] | UnsetType = UNSET
    input: str | UnsetType = UNSET
    only: str | list[str] | UnsetType = UNSET


class CaseTable(Settings, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of `[[cases]]`: what it sets in place of the study's own.

    Attributes:
        assumed: those of its settings whose values the source does not state.
    """

    assumed: list[str] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    models: list[str] | UnsetType = UNSET
    budgets: list[str | int] | UnsetType = UNSET
    dataset: str | UnsetType = UNSET


class TuneTable(Settings, forbid_unknown_fields=True, omit_defaults=True):
    """A search with the same number of trials for every model, on the validation split alone; then a run of what won.

    Attributes:
        trials: of each model.
        models: those that are tuned; each stands in the case `tuned` with its own best settings.
        search: settings, options of the models, or `params`, each with a range `"1e-4:1e-1"` or a list of values.
    """

    trials: int | UnsetType = UNSET
    models: list[str] | UnsetType = UNSET
    search: dict[str, str | list[Any]] | UnsetType = UNSET


class PretrainTable(Settings, forbid_unknown_fields=True, omit_defaults=True):
    """What is trained first where ImageNet weights are not at hand; models take it by `weights=pretrained`.

    Attributes:
        model: whose weights they are, `torchvision:NAME` or `timm:NAME`.
        dataset: what it is trained on.
    """

    model: str | UnsetType = UNSET
    dataset: str | UnsetType = UNSET


class ScaleTable(Settings, forbid_unknown_fields=True, omit_defaults=True):
    """What one scale sets in place of the study's own; `about` says what it is, and what it takes."""

    about: str = ""
    models: list[str] | UnsetType = UNSET
    budgets: list[str | int] | UnsetType = UNSET
    dataset: str | UnsetType = UNSET
    seeds: int | list[int] | UnsetType = UNSET
    factors: dict[str, list[Any]] | UnsetType = UNSET
    cases: list[CaseTable] | UnsetType = UNSET
    tune: TuneTable | UnsetType = UNSET
    pretrain: PretrainTable | UnsetType = UNSET


class Scales(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The scales of a study: `full` is as published, `quick` takes minutes."""

    quick: ScaleTable | None = None
    full: ScaleTable | None = None


class Published(Struct, forbid_unknown_fields=True):
    """Published figures of one model in one case.

    Attributes:
        model: as in the study; may be left out where the case has one. case: likewise. budget: likewise.
        values: by metric, in fractions, seconds and microseconds: `test_accuracy`, `params`, `train_us_ratio`, ...
        epoch: the epoch that metrics of train and validation are of; the last by default.
        source: where they stand.
        not_comparable: why a measured figure cannot be held against these.
    """

    values: dict[str, float]
    source: str
    model: str = ""
    case: str = ""
    budget: int | None = None
    epoch: int | None = None
    not_comparable: str = ""


class Place(Struct, forbid_unknown_fields=True):
    """Which runs of the study are meant; the model may be left out where the case has one."""

    model: str = ""
    case: str = ""
    budget: int | None = None
    epoch: int | None = None


class Claim(Struct, forbid_unknown_fields=True):
    """A sentence that a report says, and what decides it.

    `holds` where the whole interval lies inside the bounds, `does not hold` where it lies outside, else `not resolved`.

    Attributes:
        text: the sentence.
        kind: `value` of one place; `difference` (`of` minus `against`, paired by seed); `ratio` (`of` to `against`);
            `crossover`, the parameters at which the accuracy of the models in `family` falls behind that of `rival`;
            `smallest`, the model with fewest parameters that has at most `most_params` and at least `least_accuracy`.
        metric: a column of runs.csv, or `train_us` and `infer_us` for times that were taken side by side.
        above: the lower bound, in the metric's own unit. below: the upper bound.
        diverged: what a run whose loss was not finite says of the claim.
        case: of `crossover` and `smallest`.
        expected: of `smallest`, the model that is claimed to be it.
    """

    text: str
    kind: Literal["value", "difference", "ratio", "crossover", "smallest"]
    metric: str = "test_accuracy"
    of: Place | None = None
    against: Place | None = None
    above: float | None = None
    below: float | None = None
    diverged: Literal["", "holds", "does not hold"] = ""
    case: str = ""
    family: list[str] = []
    rival: list[str] = []
    most_params: float | None = None
    least_accuracy: float | None = None
    expected: str = ""


class StudyFile(Struct, forbid_unknown_fields=True):
    """A study file.

    Attributes:
        title: one line. source: who published what it repeats. about: what else a reader should know.
        models, budgets, baseline, seeds, dataset: as for `archbench compare`.
        plugins: modules that register models.
        settings: of recipe and view. assumed: those whose values the source does not state, so that they are ours.
        factors: a grid of settings. cases: a list of them.
        scales: what each sets in place of the above.
        tune: a search after the comparison.
        pretrain: a training before it.
        keep_weights: whether the weights of every run are kept, and those of first layers drawn.
        published: figures to hold the measured ones against. claims: sentences to check.
    """

    title: str
    models: list[str] = []
    source: str = ""
    about: str = ""
    budgets: list[str | int] = []
    baseline: str | None = None
    seeds: int | list[int] = 3
    dataset: str = "digits"
    plugins: list[str] = []
    settings: Settings = field(default_factory=Settings)
    assumed: list[str] = []
    factors: dict[str, list[Any]] = {}
    cases: list[CaseTable] = []
    scales: Scales = field(default_factory=Scales)
    tune: TuneTable | None = None
    pretrain: PretrainTable | None = None
    keep_weights: bool = False
    published: list[Published] = []
    claims: list[Claim] = []


def settings_of(file: StudyFile) -> set[str]:
    """Return the names of the settings that a file sets, for all of its cases or for some, its scales left out."""
    tables = (file.settings, *file.cases)
    return set(file.factors) | {name for table in tables for name in given(table)} & {*Settings.__struct_fields__}


def given(table: Any) -> dict[str, Any]:
    """Return the fields of a table that the file sets."""
    values = {name: getattr(table, name) for name in table.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}
