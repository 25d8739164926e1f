"""Study -> the command that runs it again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from archbench.optimizers import DEFAULT_LR
from archbench.schema import Recipe, View
from archbench.units import compact, shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archbench.schema import Study

DATA_ROOT = "DIR"  # where the data lay is nobody's business, and elsewhere on another machine
OF_A_RECIPE = (
    "epochs", "batch_size", "optimizer", "lr", "momentum", "schedule", "lr_decay", "weight_decay", "l2",
    "label_smoothing", "augment", "precision", "scaling", "position_loss",
)  # fmt: skip
FACTOR = "preprocess"  # the one that a command line can have several values of


def command_of(study: Study, *, shipped: bool = False) -> str | None:
    """Return the command line that asks for a study; None where it came from a file or from Python.

    What stands at its default is left out, and a folder of data is `DIR`.

    Args:
        study: what was asked for.
        shipped: whether its name is that of a study that comes with archbench.
    """
    if study.name:
        words = ["reproduce", study.name] if shipped else ["run", f"{study.name}.toml"]
        words += ["--scale", study.scale] if study.scale else []
        words += ["--seeds", _seeds(study.seeds)]
        return _line([*words, *_machine(study)])
    if not _can_be_asked(study) or not study.models:
        return None
    first = study.settings[0]
    words = ["compare", *study.models]
    words += ["--budgets", ",".join(map(compact, study.budgets))] if study.budgets else []
    words += ["--baseline", study.baseline] if study.baseline else []
    words += [word for plugin in study.plugins for word in ("--import", plugin)]
    words += ["--seeds", _seeds(study.seeds)] if study.seeds != (0, 1, 2) else []
    words += ["--dataset", study.dataset] if study.dataset != "digits" else []
    return _line([*words, *_recipe(first.recipe), *_view([case.view for case in study.settings]), *_machine(study)])


def _line(words: Sequence[str]) -> str:
    return "archbench " + shlex.join(words)


def _can_be_asked(study: Study) -> bool:
    """Whether a study's cases differ by their pre-processing alone, in the way that `--preprocess A,B` makes them."""
    from dataclasses import replace

    cases = study.settings
    alike = {
        (case.models, case.budgets, case.dataset, case.recipe, replace(case.view, preprocess=())) for case in cases
    }
    return len(alike) == 1 and not study.keep_weights and (not study.cases or len(cases) > 1)


def _seeds(seeds: Sequence[int]) -> str:
    if tuple(seeds) == tuple(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _recipe(recipe: Recipe) -> list[str]:
    words: list[str] = []
    for name in OF_A_RECIPE:
        value = getattr(recipe, name)
        usual = DEFAULT_LR[recipe.optimizer] if name == "lr" else getattr(Recipe(), name)
        if value != usual:
            text = (
                "+".join(value) if isinstance(value, tuple) else repr(value) if isinstance(value, float) else str(value)
            )
            words += [f"--{name.replace('_', '-')}", text]
    return words


def _view(views: Sequence[View]) -> list[str]:
    view = views[0]
    chains = ["+".join(one.preprocess) or "original" for one in views]
    words = ["--preprocess", ",".join(chains)] if chains != ["original"] else []
    words += ["--input", shape(view.input_shape)] if view.input_shape else []
    words += ["--split", "/".join(map(str, view.split))] if view.split else []
    words += ["--split-seed", str(view.split_seed)] if view.split_seed else []
    words += ["--limit", str(view.limit)] if view.limit else []
    words += ["--only", ",".join(view.only)] if view.only else []
    return words + (["--exclude", "+".join(view.exclude)] if view.exclude else [])


def _machine(study: Study) -> list[str]:
    words = ["--device", ",".join(dict.fromkeys([*study.timing_devices, study.device]))]
    words += ["--threads", str(study.threads)] if study.threads != 1 else []
    words += ["--data-root", DATA_ROOT] if study.data_root else []
    return words + (["--download"] if study.download else [])
