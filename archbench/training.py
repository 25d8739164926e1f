"""One model, one recipe, one seed -> Training."""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench import snapshots
from archbench.data import SPLITS
from archbench.data.batches import preparer
from archbench.features import features_of
from archbench.forward import forward_pass, order_of, resident
from archbench.metrics import metrics_of, tally, top_k
from archbench.schema import USUAL, Epoch, Knobs, Training
from archbench.stepper import Stepper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor, nn

    from archbench.data import Dataset
    from archbench.schema import Device, Metrics, Precision, Recipe, Split
    from archbench.snapshots import State

EVALUATION_BATCH = 256
# A card does more small images at a time, and large ones might not fit.
MOST_ON_CUDA, VALUES_ON_CUDA = 1024, 2**22


def train(
    build: Callable[[], nn.Module],
    dataset: Dataset,
    recipe: Recipe,
    device: Device = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    *,
    tested: bool = True,
    knobs: Knobs = USUAL,
    on_trained: Callable[[nn.Module], None] = lambda net: None,
    on_step: Callable[[], None] = lambda: None,
    keep: Callable[[State], None] | None = None,
    resume: tuple[State, tuple[Epoch, ...]] | None = None,
) -> Training:
    """Train a freshly built network and test it once, after the last epoch.

    The same arguments on the same processor with the same number of threads give the same bits: the weights and the
    order of every epoch come from the recipe's seed alone, and each epoch is seeded anew. So a training that goes on
    from a kept state ends with the bits of one that was never stopped, as long as the network keeps nothing that
    matters outside its `state_dict`. All models see the images in the same order with the same seed, which is why
    differences between them are paired by seed. A loss that is not finite ends the run at its epoch. What learns by
    `fit` has that one epoch. Where a frozen backbone sees the same images each time, it sees them once, and the
    epochs are trained on its features.

    Args:
        build: makes the network; called once, after seeding.
        dataset: uint8 images and labels; they are made resident on the device.
        recipe: how.
        device: where.
        on_epoch: is told of each epoch as it ends.
        tested: whether the test split is looked at in the end.
        knobs: how its steps are taken; a training that goes on takes them as before.
        on_trained: is given the network after its last epoch, unless it diverged.
        on_step: is called after each step and each batch that is evaluated; what it raises ends the training.
        keep: is given the state after each epoch, and writes it before it returns; what learns by `fit` has none.
        resume: such a state, and the epochs up to it.
    """
    import torch
    from torch import nn

    _seed(recipe.seed, 0, device)
    start = time.perf_counter()
    knobs = snapshots.knobs_of(resume[0]) if resume is not None else knobs
    net = resident(build(), device, dataset.input_shape, knobs.memory_format)
    images = {split: tensor.to(device) for split, tensor in dataset.images.items()}
    labels = {split: tensor.to(device) for split, tensor in dataset.labels.items()}
    prepare = preparer(dataset, device, recipe.scaling, order_of(net))
    k = top_k(len(dataset.classes))
    if getattr(net, "learns_by_fit", False):
        fitted = _fit(net, prepare, images, labels, recipe, k, on_epoch, on_step, tested=tested)
        on_trained(net)
        return fitted
    features = None if recipe.augment else features_of(net, prepare, images, recipe.precision, on_step)
    trained: nn.Module = net
    if features is not None:
        # Some nets flatten what their head gives.
        trained, images, prepare = nn.Sequential(net.head, nn.Flatten()), features, lambda kept: kept  # type: ignore[arg-type]
    batches = _batch_bounds(len(labels["train"]), recipe.batch_size)
    if features is not None:  # steps on features are too short to pay for compiling
        knobs = replace(knobs, compiled=False)
    stepper = Stepper(net, trained, prepare, (images["train"], labels["train"]), recipe, k, len(batches), device, knobs)
    state = (net, stepper.optimizer, stepper.scheduler)
    earlier = () if resume is None else resume[1]
    first = 1 if resume is None else snapshots.put_back(resume[0], *state) + 1
    epochs = list(earlier)
    diverged_epoch = None
    for number in range(first, recipe.epochs + 1):
        epoch_start = time.perf_counter()
        _seed(recipe.seed, number, device)
        net.train()
        sums = _zeros(dataset.positions, device)  # read once an epoch
        order = torch.randperm(len(labels["train"])).to(device)  # once an epoch
        for begin, end in batches:
            sums += stepper.step(order[begin:end])
            on_step()
        train_metrics = metrics_of(sums, len(order))
        train_seconds = time.perf_counter() - epoch_start
        validation = evaluate(
            trained, prepare, images["validation"], labels["validation"], recipe.precision, k, on_step
        )
        epochs.append(
            Epoch(number, train_metrics, validation, train_seconds, time.perf_counter() - epoch_start - train_seconds)
        )
        diverged_epoch = number if None in {train_metrics.loss, validation.loss} else None
        if keep is not None and diverged_epoch is None:
            keep(snapshots.take(number, *state, stepper.knobs))
        on_epoch(epochs[-1])
        if diverged_epoch:
            break
    test = None
    if tested and not diverged_epoch:
        test = evaluate(trained, prepare, images["test"], labels["test"], recipe.precision, k, on_step)
        diverged_epoch = recipe.epochs if test.loss is None else None
    if diverged_epoch is None:
        on_trained(net)
    return Training(
        tuple(epochs), k, test, _seconds(earlier) + time.perf_counter() - start, diverged_epoch, _weights_sha256(net),
        cached_features=features is not None, train_seconds=sum(epoch.train_seconds for epoch in epochs),
        knobs=stepper.knobs,
    )  # fmt: skip


def _seconds(epochs: Iterable[Epoch]) -> float:
    return sum(epoch.train_seconds + epoch.validation_seconds for epoch in epochs)


def _fit(
    net: nn.Module,
    prepare: Callable[[Tensor], Tensor],
    images: Mapping[Split, Tensor],
    labels: Mapping[Split, Tensor],
    recipe: Recipe,
    k: int,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[], None],
    *,
    tested: bool,
) -> Training:
    """Fit a model that learns in one call; its loss is the cross-entropy of its scores, whatever it minimised."""
    _seed(recipe.seed, 1, labels["train"].device.type)
    start = time.perf_counter()
    net.fit(prepare(images["train"]), labels["train"])  # type: ignore[operator]
    fitted = time.perf_counter()
    found = {
        split: evaluate(net, prepare, images[split], labels[split], recipe.precision, k, on_step)
        for split in SPLITS
        if tested or split != "test"
    }
    epoch = Epoch(1, found["train"], found["validation"], fitted - start, time.perf_counter() - fitted)
    on_epoch(epoch)
    diverged = 1 if None in {metrics.loss for metrics in found.values()} else None
    return Training(
        (epoch,), k, found.get("test"), time.perf_counter() - start, diverged, _weights_sha256(net),
        train_seconds=epoch.train_seconds,
    )  # fmt: skip


def evaluate(
    net: nn.Module,
    prepare: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    precision: Precision,
    k: int,
    on_step: Callable[[], None] = lambda: None,
) -> Metrics:
    """Return mean cross-entropy, top-1 and top-k accuracy in eval mode.

    Args:
        net: the network, on the device of the images.
        prepare: uint8 (N, C, H, W) -> normalised float.
        images: uint8 (N, C, H, W).
        labels: int64 (N,) or (N, P).
        precision: of the forward pass.
        k: of top-k.
        on_step: is called after each batch.
    """
    import torch

    net.eval()
    device = labels.device.type
    sums = _zeros(1 if labels.ndim == 1 else labels.shape[1], device)
    size = evaluation_batch(device, images[0].numel())
    with torch.inference_mode(), forward_pass(device, precision):
        for batch, target in zip(images.split(size), labels.split(size), strict=True):
            sums += tally(net(prepare(batch)), target, k)
            on_step()
    return metrics_of(sums, len(labels))


def evaluation_batch(device: str, values: int) -> int:
    """Return how many images of so many values each are evaluated at a time."""
    fitting = min(MOST_ON_CUDA, VALUES_ON_CUDA // values) if device == "cuda" else 0
    return max(EVALUATION_BATCH, fitting)


def _seed(seed: int, epoch: int, device: str) -> None:
    """Seed all generators from (seed, epoch), so that an epoch's randomness depends on nothing that came before it."""
    import torch

    number = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    # As torch.manual_seed does, which notes down the stack for each kind of device that was not used yet.
    torch.default_generator.manual_seed(number)
    if device == "cuda":
        torch.cuda.manual_seed_all(number)
    random.seed(number)  # models of others may draw from these two
    np.random.seed(number)  # noqa: NPY002 - likewise


def _batch_bounds(samples: int, batch_size: int) -> list[tuple[int, int]]:
    """Return (first, last) of each batch; a lone last sample joins the batch before, as batch norm needs two."""
    starts = list(range(0, samples, batch_size))
    if len(starts) > 1 and samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], samples], strict=True))


def _zeros(positions: int, device: Any) -> Tensor:
    """Return the empty sums that tallies of so many positions are added to."""
    import torch

    return torch.zeros(3 + positions, device=device, dtype=torch.float64)


def _weights_sha256(net: nn.Module) -> str:
    state = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()
