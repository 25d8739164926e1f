"""Recipe -> optimizer and schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from archbench.schema import Recipe

DEFAULT_LR = {"adam": 3e-3, "adamw": 3e-3, "sgd": 0.05, "adadelta": 1.0, "rmsprop": 1e-3}
ADADELTA_RHO = 0.95  # Zeiler 2012


def make_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over the parameters that take a gradient."""
    from torch import optim

    params = [parameter for parameter in net.parameters() if parameter.requires_grad]
    decay = recipe.weight_decay
    match recipe.optimizer:
        case "sgd":
            return optim.SGD(params, recipe.lr, momentum=recipe.momentum, weight_decay=decay, fused=True)
        case "adadelta":
            return optim.Adadelta(params, recipe.lr, rho=ADADELTA_RHO, weight_decay=decay)
        case "rmsprop":
            return optim.RMSprop(params, recipe.lr, weight_decay=decay)
        case "adamw":
            return optim.AdamW(params, recipe.lr, weight_decay=decay, fused=True)
        case _:
            return optim.Adam(params, recipe.lr, weight_decay=decay, fused=True)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int) -> Any:
    """Return the learning-rate schedule, stepped once a batch.

    `cosine` falls to 0, `step` to tenths at 1/2 and 3/4 of the way, `exponential` by `lr_decay` after each epoch.
    """
    from torch.optim import lr_scheduler

    steps = max(1, recipe.epochs * steps_per_epoch)
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, steps)
    if recipe.schedule == "step":
        milestones = [max(1, steps // 2), max(1, steps * 3 // 4)]  # 0 would be before the first step
        return lr_scheduler.MultiStepLR(optimizer, milestones)
    if recipe.schedule == "exponential":
        return lr_scheduler.StepLR(optimizer, steps_per_epoch, recipe.lr_decay)
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)


def penalty(net: nn.Module, l2: float) -> Tensor | float:
    """Return `l2` times the sum of squared weights: of matrices and kernels, not of biases and norms."""
    return l2 * sum(p.square().sum() for p in net.parameters() if p.requires_grad and p.ndim > 1) if l2 else 0.0
