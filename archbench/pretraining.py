"""Weights for `weights=pretrained`: ImageNet's where they are on this machine, else those of a training made first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archbench.budget import build_model, size_model
from archbench.data import canonical_dataset, load_dataset
from archbench.environment import usable_cores
from archbench.errors import ArchbenchError, InputError, Interrupted, ModelError, reason
from archbench.execute import write_weights
from archbench.forward import torch_threads
from archbench.plan import silent
from archbench.reference import parse_reference
from archbench.schema import Progress, digest
from archbench.settings import divided, make_recipe, make_view
from archbench.store import Store
from archbench.study_schema import given
from archbench.training import train

if TYPE_CHECKING:
    from pathlib import Path

    from archbench.plan import Report
    from archbench.schema import Study
    from archbench.study_schema import PretrainTable

WORD = "pretrained"


def with_pretrained(
    study: Study, table: PretrainTable | None, folder: Path, report: Report = silent, *, dry: bool = False
) -> Study:
    """Return the study with every `weights=pretrained` replaced by weights that there are.

    ImageNet's are taken where they are on this machine, or where the study may download them, or where there is no
    table; else the table's model is trained on its data once, and its weights are kept in the results folder.

    Args:
        study: whose models may ask for `weights=pretrained`.
        table: what is trained where there are no ImageNet weights.
        folder: the results folder.
        report: is told of the training's epochs.
        dry: train nothing; weights that are yet to be trained are left out.

    Raises:
        InputError: the table names no model of torchvision or timm, or its data is unknown.
        DataError: its data is missing.
        ModelError: it cannot be trained.
        OutputError: the folder cannot be written.
        Interrupted: on Ctrl-C; nothing of the training is kept.
    """
    from zoo.grammar import OptionError
    from zoo.weights import IMAGENET, locate

    if not _asks(study):
        return study
    if table is None:
        return _with(study, IMAGENET)
    asked = given(table)
    model = str(asked.pop("model", ""))
    library, _, name = model.partition(":")
    if library not in {"torchvision", "timm"} or not name:
        msg = f"{model or 'nothing'} cannot be pretrained for weights=pretrained"
        raise InputError(msg, "Name the backbone, as in model = 'torchvision:resnet50'.")
    try:
        locate(library, name, IMAGENET, download=study.download)
        weights: str | None = IMAGENET
    except OptionError:
        file = _trained(model, asked, study, folder, report, dry=dry)
        weights = None if file is None else str(file)
    return _with(study, weights)


def _asks(study: Study) -> bool:
    from zoo.grammar import split_options

    references = (*study.models, *(model for case in study.cases for model in case.models))
    return any(split_options(parse_reference(text)[0])[1].get("weights") == WORD for text in references)


def _with(study: Study, weights: str | None) -> Study:
    return replace(
        study,
        models=_named(study.models, weights),
        cases=tuple(replace(case, models=_named(case.models, weights)) for case in study.cases),
        baseline=study.baseline and _named((study.baseline,), weights)[0],
    )


def _named(references: tuple[str, ...], weights: str | None) -> tuple[str, ...]:
    from zoo.grammar import join_options, split_options

    named = []
    for reference in references:
        model, budget = parse_reference(reference)
        base, options = split_options(model)
        if options.get("weights") == WORD:
            options = {key: value for key, value in options.items() if key != "weights"}
            options |= {} if weights is None else {"weights": weights}
        named.append(join_options(base, options) + ("" if budget is None else f"@{budget}"))
    return tuple(named)


def _trained(
    model: str, asked: dict[str, Any], study: Study, folder: Path, report: Report, *, dry: bool
) -> Path | None:
    """Return the file of the weights that the table's model has after its training, made once; None for none yet."""
    name = canonical_dataset(str(asked.pop("dataset", study.dataset)))
    recipe, view = divided(asked)
    made, seen = make_recipe(**recipe), make_view(**view)
    dataset = load_dataset(name, study.data_root, download=study.download, view=seen)
    sized = size_model(model, None, dataset.input_shape, len(dataset.classes))
    file = folder / f"{WORD}-{digest([sized.key, dataset.sha256, made])[:16]}.pt"
    if file.is_file() or dry:
        return file if file.is_file() else None
    with Store(folder, create=True):
        pass  # a folder that cannot be written is told before anything is trained

    what = f"{model}, to transfer from"

    def on_epoch(epoch: Any) -> None:
        accuracy = epoch.validation.top1 or 0.0
        detail = f"epoch {epoch.epoch}/{made.epochs}, validation accuracy {accuracy:.3f}"
        report(Progress("train", what, epoch.epoch, made.epochs, detail, finished=epoch.epoch == made.epochs))

    report(Progress("train", what, 0, made.epochs, f"pretraining on {dataset.source}"))
    try:
        with torch_threads(usable_cores()):  # nothing else runs beside it
            train(
                lambda: build_model(sized), dataset, made, study.device, on_epoch, tested=False,
                on_trained=lambda net: write_weights(net, file),
            )  # fmt: skip
    except ArchbenchError:
        raise
    except KeyboardInterrupt:
        msg = f"stopped: the pretraining of {model} is not finished"
        raise Interrupted(msg, "The same command begins it again.") from None
    except Exception as error:
        msg = f"the pretraining of {model} failed: {reason(error)}"
        raise ModelError(msg, "Try a larger input.") from error
    if not file.is_file():
        msg = f"the pretraining of {model} diverged"
        raise ModelError(msg, "Give its table a smaller lr.")
    return file
