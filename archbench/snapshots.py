"""All that a training's next epoch depends on, as tensors and numbers: taken after an epoch, put back before one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from archbench.schema import USUAL, Knobs

if TYPE_CHECKING:
    from torch import nn, optim

    State = dict[str, Any]


def take(epoch: int, net: nn.Module, optimizer: optim.Optimizer, scheduler: Any, knobs: Knobs = USUAL) -> State:
    """Return the state after an epoch; tensors are those that training goes on with, so write it before that."""
    return {
        "epoch": epoch,
        "knobs": asdict(knobs),
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "generators": _generators(),
    }


def put_back(state: State, net: nn.Module, optimizer: optim.Optimizer, scheduler: Any) -> int:
    """Bring a freshly built network and what trains it to a state; return its epoch.

    Raises:
        RuntimeError, ValueError, KeyError: the state is of another network.
    """
    import torch

    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["generators"]["cpu"])
    if "cuda" in state["generators"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["generators"]["cuda"])
    return int(state["epoch"])


def knobs_of(state: State) -> Knobs:
    """Return the way in which the steps before a state were taken, as those behind it must be for the same bits."""
    return Knobs(**state.get("knobs", {}))


def _generators() -> dict[str, Any]:
    import torch

    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states
