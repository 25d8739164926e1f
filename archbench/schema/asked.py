"""The nouns of what is asked for: data and how it is seen, a recipe, the cases of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "tf32", "bf16"]


@dataclass(frozen=True)
class View:
    """How a data set is seen, done in this order: classes, excluded, split, limited, pre-processed, shown.

    Attributes:
        only: names of the classes that stay; all where there are none.
        exclude: of `archbench.data.exclusions.EXCLUSIONS`.
        split: images asked for in (train, validation, test); None for the source's own splits.
        split_seed: of the stratified splits.
        limit: most images of each split, stratified; None for all.
        preprocess: steps of `archbench.data.preprocess`, in their order.
        input_shape: (C, H, W) that batches are brought to on their way into a network; None for the images' own.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    split: tuple[int, int, int] | None = None
    split_seed: int = 0
    limit: int | None = None
    preprocess: tuple[str, ...] = ()
    input_shape: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: the same for all that are compared.

    Attributes:
        momentum: of SGD.
        schedule: `exponential` multiplies the learning rate by `lr_decay` after each epoch.
        weight_decay: as the optimizer defines it.
        l2: factor of the sum of squared weights (biases and norms left out) that is added to the loss.
        augment: of `archbench.data.transforms.AUGMENTATIONS`, with their amounts.
        scaling: what pixels become: mean 0 and deviation 1 a channel, 0 to 1, or 0 to 1 less the mean image.
        position_loss: how the cross-entropies of several positions become one loss.
    """

    optimizer: Literal["adam", "adamw", "sgd", "adadelta", "rmsprop"] = "adam"
    lr: float = 3e-3
    schedule: Literal["constant", "cosine", "step", "exponential"] = "cosine"
    batch_size: int = 64
    epochs: int = 15
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()
    precision: Precision = "fp32"
    seed: int = 0
    momentum: float = 0.9
    lr_decay: float = 0.95
    l2: float = 0.0
    scaling: Literal["standard", "unit", "centered"] = "standard"
    position_loss: Literal["mean", "sum"] = "mean"


@dataclass(frozen=True)
class Case:
    """One setting of a study's factors, complete in itself: which models, on which data, trained how.

    Attributes:
        name: what tells it from the study's other cases, as in `lr=0.25`; empty where it is the only one.
    """

    name: str
    models: tuple[str, ...]
    budgets: tuple[int, ...]
    dataset: str
    view: View
    recipe: Recipe


@dataclass(frozen=True)
class Study:
    """What a user asks for: models x budgets x cases x seeds.

    Attributes:
        models: names of the zoo or `module:attribute`, in the one spelling that `archbench.reference` gives them; one
            with a budget of its own ends in it, as in `cnn@73k`.
        budgets: parameters; a fixed model has its one size beside them, and all models have theirs where none is given.
        seeds: one training run each.
        view: how the data set is seen.
        device: where to train. timing_devices: where to time.
        baseline: the model that overheads are relative to; the first by default.
        cases: settings of the study's factors; where there are none, its own models, data and recipe are the one case.
        keep_weights: whether the weights of every run are written into the results folder.
        name: of a study that a file describes. scale: which of its scales.
    """

    models: tuple[str, ...]
    budgets: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    dataset: str = "digits"
    data_root: str | None = None
    download: bool = False
    view: View = field(default_factory=View)
    recipe: Recipe = field(default_factory=Recipe)
    device: Device = "cpu"
    timing_devices: tuple[Device, ...] = ("cpu",)
    threads: int = 1
    baseline: str | None = None
    plugins: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    keep_weights: bool = False
    name: str = ""
    scale: str = ""

    @property
    def settings(self) -> tuple[Case, ...]:
        """The cases, or the study's own as the only one."""
        return self.cases or (Case("", self.models, self.budgets, self.dataset, self.view, self.recipe),)
