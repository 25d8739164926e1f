"""One model, one recipe, one seed -> Training."""

from __future__ import annotations

import hashlib
import math
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from archbench.data import SPLITS
from archbench.data.transforms import augment, preparer
from archbench.schema import Epoch, Metrics, Training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import torch
    from torch import Tensor, nn

    from archbench.data import Dataset
    from archbench.schema import Device, Precision, Recipe, Split

EVALUATION_BATCH = 256
MOST_CACHED = 4 * 2**30  # bytes of features that are kept
SGD_MOMENTUM = 0.9


def train(
    build: Callable[[], nn.Module],
    dataset: Dataset,
    recipe: Recipe,
    device: Device = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Training:
    """Train a freshly built network and test it once, after the last epoch.

    The same arguments on the same processor with the same number of threads give the same bits: the weights and the
    order of every epoch come from the recipe's seed alone, and each epoch is seeded anew. A loss that is not finite
    ends the run at its epoch. A model that learns by `fit` has that one epoch. Where a frozen backbone sees the same
    images each time, it sees them once, and the epochs are trained on its features.

    Args:
        build: makes the network; called once, after seeding.
        dataset: uint8 images and labels; they are made resident on the device.
        recipe: how.
        device: where.
        on_epoch: is told of each epoch as it ends.
    """
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    _seed(recipe.seed, 0)
    start = time.perf_counter()
    net = resident(build(), device, dataset.input_shape)
    images = {split: tensor.to(device) for split, tensor in dataset.images.items()}
    labels = {split: tensor.to(device) for split, tensor in dataset.labels.items()}
    prepare = preparer(dataset, device)
    k = top_k(len(dataset.classes))
    if getattr(net, "learns_by_fit", False):
        return _fit(net, prepare, images, labels, recipe, k, on_epoch)
    features = None if recipe.augment else _features(net, prepare, images, recipe.precision)
    trained: nn.Module = net
    if features is not None:
        # Some nets flatten what their head gives.
        trained, images, prepare = nn.Sequential(net.head, nn.Flatten()), features, lambda kept: kept  # type: ignore[arg-type]
    optimizer = make_optimizer(net, recipe)
    batches = _batch_bounds(len(labels["train"]), recipe.batch_size)
    scheduler = _schedule(optimizer, recipe, len(batches))
    epochs: list[Epoch] = []
    diverged_epoch = None
    for number in range(1, recipe.epochs + 1):
        epoch_start = time.perf_counter()
        _seed(recipe.seed, number)
        net.train()
        order = torch.randperm(len(labels["train"])).to(device)
        sums = torch.zeros(3, device=device, dtype=torch.float64)  # loss, top-1 and top-k: read once an epoch
        for first, last in batches:
            chosen = order[first:last]
            batch, target = prepare(augment(images["train"][chosen], recipe.augment)), labels["train"][chosen]
            optimizer.zero_grad(set_to_none=True)
            with autocast(device, recipe.precision):
                logits = trained(batch)
                loss = cross_entropy(logits, target, label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            scheduler.step()
            # With label smoothing the loss that is trained on is another than the one that is reported.
            sums += _sums(logits.detach(), target, k, None if recipe.label_smoothing else loss.detach())
        train_metrics = _metrics(sums, len(order))
        train_seconds = time.perf_counter() - epoch_start
        validation = evaluate(trained, prepare, images["validation"], labels["validation"], recipe.precision, k)
        epochs.append(
            Epoch(number, train_metrics, validation, train_seconds, time.perf_counter() - epoch_start - train_seconds)
        )
        on_epoch(epochs[-1])
        if train_metrics.loss is None or validation.loss is None:
            diverged_epoch = number
            break
    test = None
    if diverged_epoch is None:
        test = evaluate(trained, prepare, images["test"], labels["test"], recipe.precision, k)
        diverged_epoch = recipe.epochs if test.loss is None else None
    return Training(
        tuple(epochs), k, test, time.perf_counter() - start, diverged_epoch, _weights_sha256(net),
        cached_features=features is not None,
    )  # fmt: skip


def _fit(
    net: nn.Module,
    prepare: Callable[[Tensor], Tensor],
    images: Mapping[Split, Tensor],
    labels: Mapping[Split, Tensor],
    recipe: Recipe,
    k: int,
    on_epoch: Callable[[Epoch], None],
) -> Training:
    """Fit a model that learns in one call; its loss is the cross-entropy of its scores, whatever it minimised."""
    _seed(recipe.seed, 1)
    start = time.perf_counter()
    net.fit(prepare(images["train"]), labels["train"])  # type: ignore[operator]
    fitted = time.perf_counter()
    train, validation, test = (
        evaluate(net, prepare, images[split], labels[split], recipe.precision, k) for split in SPLITS
    )
    epoch = Epoch(1, train, validation, fitted - start, time.perf_counter() - fitted)
    on_epoch(epoch)
    diverged = 1 if None in {train.loss, validation.loss, test.loss} else None
    return Training((epoch,), k, test, time.perf_counter() - start, diverged, _weights_sha256(net))


def _features(
    net: nn.Module, prepare: Callable[[Tensor], Tensor], images: Mapping[Split, Tensor], precision: Precision
) -> dict[Split, Tensor] | None:
    """Return what a frozen backbone makes of every image, or None where that is not all that its head sees."""
    import torch

    from zoo.frozen import Frozen
    from zoo.grammar import OptionError

    if not isinstance(net, Frozen) or not net.whole:
        return None
    net.eval()
    device = images["train"].device.type
    with torch.no_grad(), autocast(device, precision):
        few = prepare(images["train"][:2])
        try:
            probe = net.features(few)
        except OptionError:  # its head is no one module
            return None
        wanted = sum(len(tensor) for tensor in images.values()) * probe[0].numel() * probe.element_size()
        if wanted > MOST_CACHED or not torch.equal(net.head(probe).flatten(1), net(few)):
            return None
        return {
            split: torch.cat([net.features(prepare(batch)) for batch in tensor.split(EVALUATION_BATCH)])
            for split, tensor in images.items()
        }


def evaluate(
    net: nn.Module, prepare: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, precision: Precision, k: int
) -> Metrics:
    """Return mean cross-entropy, top-1 and top-k accuracy in eval mode.

    Args:
        net: the network, on the device of the images.
        prepare: uint8 (N, C, H, W) -> normalised float.
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        precision: of the forward pass.
        k: of top-k.
    """
    import torch

    net.eval()
    sums = torch.zeros(3, device=labels.device, dtype=torch.float64)
    with torch.inference_mode(), autocast(labels.device.type, precision):
        for batch, target in zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
            sums += _sums(net(prepare(batch)), target, k)
    return _metrics(sums, len(labels))


def top_k(classes: int) -> int:
    """Return the k of top-k: 5 from 100 classes up, 3 below, and always fewer than there are classes."""
    return max(1, min(5 if classes >= 100 else 3, classes - 1))  # ImageNet's custom, and MNIST's


def resident(net: nn.Module, device: str, input_shape: tuple[int, int, int]) -> nn.Module:
    """Return the network on the device, its filters in channels-last order where it takes that.

    The order is faster and changes no result but by rounding; a net that views its maps as flat memory cannot have it.
    """
    import torch

    net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(2, *input_shape, device=device))
    except RuntimeError:
        net = net.to(memory_format=torch.contiguous_format)
    return net.train()


def make_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over the parameters that take a gradient; SGD has momentum 0.9."""
    from torch import optim

    params = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if recipe.optimizer == "sgd":
        return optim.SGD(params, recipe.lr, momentum=SGD_MOMENTUM, weight_decay=recipe.weight_decay, fused=True)
    kind = optim.AdamW if recipe.optimizer == "adamw" else optim.Adam
    return kind(params, recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def autocast(device: str, precision: Precision) -> AbstractContextManager[Any]:
    """Return the context that a forward pass of this precision runs in."""
    import torch

    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Within: torch computes with so many intra-op threads; afterwards with as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seed(seed: int, epoch: int) -> None:
    """Seed torch from (seed, epoch), so that an epoch's randomness depends on nothing that came before it."""
    import torch

    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))


def _batch_bounds(samples: int, batch_size: int) -> list[tuple[int, int]]:
    """Return (first, last) of each batch; a lone last sample joins the batch before, as batch norm needs two."""
    starts = list(range(0, samples, batch_size))
    if len(starts) > 1 and samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], samples], strict=True))


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int) -> Any:
    """Return the learning-rate schedule, stepped once a batch: cosine to 0, or tenths at 1/2 and 3/4 of the way."""
    from torch.optim import lr_scheduler

    steps = max(1, recipe.epochs * steps_per_epoch)
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, steps)
    if recipe.schedule == "step":
        return lr_scheduler.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4])
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _sums(logits: Tensor, target: Tensor, k: int, mean_loss: Tensor | None = None) -> Tensor:
    """Return (summed loss, hits at 1, hits at k) of a batch."""
    import torch
    from torch.nn.functional import cross_entropy

    logits = logits.float()
    loss = cross_entropy(logits, target, reduction="sum") if mean_loss is None else mean_loss * len(target)
    hits = logits.topk(k, dim=1).indices == target[:, None]
    return torch.stack([loss.double(), hits[:, 0].sum().double(), hits.sum().double()])


def _metrics(sums: Tensor, samples: int) -> Metrics:
    loss, top1, topk = (sums / samples).tolist()
    finite = math.isfinite(loss)
    return Metrics(loss if finite else None, top1, topk)


def _weights_sha256(net: nn.Module) -> str:
    state = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()
