"""SizedModels -> Timings: training and inference steps of all compared models, side by side, on resident batches."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from archbench.budget import build_model
from archbench.building import find_spec
from archbench.environment import device_name
from archbench.errors import reason
from archbench.metrics import loss_of
from archbench.optimizers import make_optimizer, penalty
from archbench.schema import Timing
from archbench.timing.clock import clock_for
from archbench.timing.protocol import Protocol, interleave
from archbench.training import autocast, resident, torch_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from archbench.schema import Device, Environment, Mode, Recipe, SizedModel
    from archbench.timing.clock import Clock

__all__ = ["MODES", "Protocol", "modes_of", "time_models"]

MODES: tuple[Mode, ...] = ("train", "infer")


def modes_of(sized: SizedModel) -> tuple[Mode, ...]:
    """Return what a model is timed in: a training step is one of gradient descent."""
    return MODES if find_spec(sized.model).by_gradient else ("infer",)


def time_models(
    models: Sequence[SizedModel],
    batches: Mapping[tuple[int, int, int], Tensor],
    recipe: Recipe,
    device: Device,
    threads: int,
    environment: Environment,
    *,
    protocol: Protocol | None = None,
    clock: Clock | None = None,
    fit: Callable[[SizedModel, nn.Module], None] | None = None,
    on_round: Callable[[int, int], None] = lambda done, total: None,
    on_problem: Callable[[str], None] = lambda problem: None,
) -> list[Timing]:
    """Time the training step and the inference step of every model, interleaved.

    A training step is zero grad, forward, loss, backward and optimizer step; an inference step is a forward pass in
    inference mode and eval mode.

    Args:
        models: what is compared.
        batches: a normalised batch (N, C, H, W) for each input shape; it is made resident on the device.
        recipe: gives the optimizer, the batch size and the precision.
        device: where.
        threads: intra-op threads of torch on the CPU.
        environment: names the device.
        protocol: how long and how often.
        clock: by default the device's.
        fit: teaches a model that learns without gradients, where its speed depends on that; it has no training step.
        on_round: is told (rounds done, rounds planned).
        on_problem: is told of each model that fails; it is left out.

    Returns:
        One timing a model and mode, all of one session.
    """
    protocol = protocol or Protocol()
    steps: dict[tuple[str, Mode], Callable[[], None]] = {}
    with torch_threads(threads):
        for sized in models:
            for mode in modes_of(sized):
                try:
                    step = _step(sized, mode, batches[sized.input_shape], recipe, device, fit)
                    step()
                except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a model raises, the others are timed
                    on_problem(f"{sized.model} cannot be timed ({mode}, {device}): {reason(error)}")
                else:
                    steps[sized.key, mode] = step
        samples = interleave(steps, clock or clock_for(device), protocol, on_round)
    session = uuid.uuid4().hex
    return [
        Timing(
            sized_key=key, device=device, device_name=device_name(environment, device), precision=recipe.precision,
            mode=mode, batch_size=recipe.batch_size, threads=threads, samples_us=measured.values_us,
            steps_per_sample=measured.steps, session=session, optimizer=recipe.optimizer,
            torch=environment.torch,
        )
        for (key, mode), measured in samples.items()
    ]  # fmt: skip


def _step(
    sized: SizedModel,
    mode: Mode,
    images: Tensor,
    recipe: Recipe,
    device: Device,
    fit: Callable[[SizedModel, nn.Module], None] | None = None,
) -> Callable[[], None]:
    import torch

    torch.manual_seed(0)
    net = resident(build_model(sized), device, sized.input_shape).train(mode == "train")
    if fit is not None and getattr(net, "learns_by_fit", False) and not getattr(net, "timed_unfitted", False):
        fit(sized, net.cpu())
        net = net.to(device)
    batch = images.to(device)
    if mode == "infer":

        def infer() -> None:
            with torch.inference_mode(), autocast(device, recipe.precision):
                net(batch)

        return infer

    with torch.no_grad():
        *places, outputs = net(batch[:2]).shape[1:]
    labels = (torch.arange(len(batch), device=device) % outputs).view(-1, *[1] * len(places)).expand(-1, *places)
    optimizer = make_optimizer(net, recipe)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, recipe.precision):
            loss = loss_of(net(batch), labels, recipe)
        (loss + penalty(net, recipe.l2)).backward()
        optimizer.step()

    return train
