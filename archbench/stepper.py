"""A network and a recipe -> the steps of its training, each taken in the way that its knobs say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archbench.data.batches import gatherer
from archbench.data.transforms import augment
from archbench.forward import arithmetic, autocast, compiled, order_of
from archbench.metrics import loss_of, tally
from archbench.optimizers import make_optimizer, make_schedule, penalty
from archbench.replay import Replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from archbench.schema import Device, Knobs, Recipe


class Stepper:
    """What takes a training's steps.

    Attributes:
        optimizer, scheduler: of the network.
    """

    def __init__(
        self,
        net: nn.Module,
        trained: nn.Module,
        prepare: Callable[[Tensor], Tensor],
        data: tuple[Tensor, Tensor],
        recipe: Recipe,
        k: int,
        steps_per_epoch: int,
        device: Device,
        knobs: Knobs,
    ) -> None:
        """Take a network on its device, and the way in which its steps are taken.

        Args:
            net: all of it.
            trained: the part that learns.
            prepare: what that sees of images.
            data: all images (N, ...) and their labels, on the device.
            recipe: how it learns.
            k: of top-k.
            steps_per_epoch: for the schedule.
            device: where all of this is.
            knobs: the way.
        """
        from archbench.quick import quicken

        self._net, self._trained, self._prepare, self._recipe, self._k = net, trained, prepare, recipe, k
        images, self._labels = data
        self._gathered = gatherer(images, order_of(net))
        self._device, self._knobs = device, knobs
        self.optimizer = make_optimizer(net, recipe)
        self.scheduler = make_schedule(self.optimizer, recipe, steps_per_epoch)
        quicken(net, device, knobs)
        self._full = compiled(trained, device) if knobs.compiled else trained
        self._replays = Replays(self._work, self.optimizer) if knobs.cuda_graph else None

    @property
    def knobs(self) -> Knobs:
        """The way in which steps are taken in fact."""
        refused = self._replays is not None and self._recipe.batch_size in self._replays.refused
        return replace(self._knobs, cuda_graph=False) if refused else self._knobs

    def step(self, chosen: Tensor) -> Tensor:
        """Take one step on the images at places (N,); return what it adds to the sums of the epoch."""
        sums = self._work(chosen) if self._replays is None else self._replays.take(chosen)
        self.scheduler.step()
        return sums

    def _work(self, chosen: Tensor) -> Tensor:
        """Do what a device has to do in a step."""
        recipe = self._recipe
        batch, target = self._prepare(augment(self._gathered(chosen), recipe.augment)), self._labels[chosen]
        forward = self._full if len(chosen) == recipe.batch_size else self._trained
        self.optimizer.zero_grad(set_to_none=True)
        with arithmetic(self._device, recipe.precision):
            with autocast(self._device, recipe.precision):
                logits = forward(batch)
                loss = loss_of(logits, target, recipe)
            (loss + penalty(self._net, recipe.l2)).backward()
        (self.optimizer.step if self._replays is None else self._replays.update)()
        # With label smoothing, or summed over positions, the loss that is trained on is another than what is reported.
        reported = not recipe.label_smoothing and (target.ndim == 1 or recipe.position_loss == "mean")
        return tally(logits.detach(), target, self._k, loss.detach() if reported else None)
