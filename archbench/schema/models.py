"""The nouns of a model: what it may cost, what it is at its size, what it does cost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from archbench.schema.keys import digest


@dataclass(frozen=True)
class Budget:
    """What a model may cost: `target` of a `quantity`, met when the relative error is at most `tolerance`."""

    target: int
    quantity: Literal["params"] = "params"
    tolerance: float = 0.01


@dataclass(frozen=True)
class SizedModel:
    """A model with every integer fixed: its options, its input and output, its exact number of parameters."""

    model: str
    family: str
    options: dict[str, Any]
    width: float | None
    input_shape: tuple[int, int, int]
    classes: int
    params: int
    source_sha256: str
    budget: Budget | None = None

    @property
    def rel_error(self) -> float | None:
        """How far `params` lies from the target, as a signed fraction of it."""
        return None if self.budget is None else self.params / self.budget.target - 1

    @property
    def within_budget(self) -> bool:
        """Whether the budget is met within its tolerance; true where there is none."""
        return self.rel_error is None or self.budget is None or abs(self.rel_error) <= self.budget.tolerance

    @cached_property
    def key(self) -> str:
        """Hash of all that makes the network what it is; the budget it was sized for is not part of it."""
        return digest(replace(self, budget=None, width=None))


@dataclass(frozen=True)
class Count:
    """One counter's own figure, by its own convention.

    Attributes:
        unit: `macs`, or `flops` where a multiply-accumulate counts as two.
        value: the count for one example in eval mode; None where the counter failed.
        uncounted: operations that it met and does not know.
        seconds: the time it took.
        error: why it failed.
        parts: what the value consists of, by what was counted: `products`, `batch norm`, `bias`, ...
        missed: multiply-accumulates that it does not see, by operation.
        coverage: the share of the executed operations that it knows.
    """

    counter: str
    version: str
    unit: Literal["macs", "flops"]
    value: int | None
    uncounted: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    parts: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    coverage: float | None = None


@dataclass(frozen=True)
class Cost:
    """What one model costs, for one example in eval mode.

    Attributes:
        params: all parameters.
        trainable_params: those that take a gradient.
        buffers: floating-point values in buffers.
        macs: multiply-accumulates of convolutions, matrix products and attention: see `archbench.cost.trace`.
        activations: output values of convolutions and linear layers.
        counters: every counter's own figure.
        statistics: running means and variances of batch norms, which are buffers.
        train_macs: those of a forward and a backward pass: the gradients of weights that are trained and of inputs that
            something trained stands before.
        size_bytes: of all parameters and buffers.
    """

    params: int
    trainable_params: int
    buffers: int
    macs: int | None
    activations: int
    counters: tuple[Count, ...] = ()
    statistics: int = 0
    train_macs: int | None = None
    size_bytes: int | None = None

    @property
    def params_keras(self) -> int:
        """The parameters as Keras counts them: with the running statistics of batch norms."""
        return self.params + self.statistics
