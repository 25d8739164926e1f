"""A model, layer by layer: what `archbench show` prints, by the closed form of each layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from archbench.budget import build_model
from archbench.errors import ModelError, reason
from archbench.schema import fields
from archbench.units import shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from torch import Tensor, nn

    from archbench.schema import SizedModel


STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Layer:
    """One layer of a network as it ran on one example.

    Attributes:
        output_shape: without the batch dimension; empty where the output is no single tensor.
        params: its own; of a layer that runs twice they are counted at its first call.
        statistics: running means and variances, which Keras counts among the parameters.
        macs: multiply-accumulates; None where the layer's kind has no closed form here (it counts none of them).
        activations: output values, of convolutions and linear layers only.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    trainable_params: int
    statistics: int
    macs: int | None
    activations: int


def layer_table(sized: SizedModel) -> list[Layer]:
    """Return every layer that has parameters or no children, in the order they ran, for one example in eval mode.

    Raises:
        ModelError: the model cannot be built or does not run on its own input shape.
    """
    import torch

    import zoo

    try:
        with zoo.skeletons():
            return run_layers(build_model(sized), torch.empty(1, *sized.input_shape))
    except (Exception, SystemExit):  # noqa: BLE001 - a net that the meta device refuses runs for real, and speaks for itself there
        net = build_model(sized)
    try:
        with torch.no_grad():
            return run_layers(net, torch.zeros(1, *sized.input_shape))
    except (Exception, SystemExit) as error:
        msg = f"{sized.model} does not run on {shape(sized.input_shape)}: {reason(error)}"
        raise ModelError(msg, "Give the input it was made for with --input.") from error


def layers_frame(tables: Mapping[str, Sequence[Layer]]) -> pd.DataFrame:
    """Return one row a model and layer: the fields of `Layer`, and its shares of the model's parameters and MACs."""
    import pandas as pd

    rows = []
    for model, layers in tables.items():
        totals = totals_of(layers)
        rows += [
            {
                "model": model, **fields(layer), "output_shape": shape(layer.output_shape),
                "params_share": layer.params / totals.params if totals.params else None,
                "macs_share": layer.macs / totals.macs if layer.macs is not None and totals.macs else None,
            }
            for layer in layers
        ]  # fmt: skip
    return pd.DataFrame(rows).astype({"macs": "Int64"})


@dataclass(frozen=True)
class Totals:
    """The sums over a layer table.

    Attributes:
        params_keras: parameters with the running statistics of batch norms, as Keras counts.
        macs: of the layers that have a closed form; None where nothing is counted and something cannot be.
    """

    params: int
    trainable_params: int
    params_keras: int
    macs: int | None
    activations: int


def totals_of(layers: Sequence[Layer]) -> Totals:
    """Return the sums over a layer table."""
    params, macs = sum(layer.params for layer in layers), sum(layer.macs or 0 for layer in layers)
    return Totals(
        params=params,
        trainable_params=sum(layer.trainable_params for layer in layers),
        params_keras=params + sum(layer.statistics for layer in layers),
        macs=None if not macs and any(layer.macs is None for layer in layers) else macs,
        activations=sum(layer.activations for layer in layers),
    )


def run_layers(net: nn.Module, example: Tensor) -> list[Layer]:
    """Run a network once in eval mode and return what its layers were seen to do."""
    layers: list[Layer] = []
    seen: set[int] = set()

    def note(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(id(p) for p in own)
        params, trainable = (sum(p.numel() for p in some) for some in (own, [p for p in own if p.requires_grad]))
        kept = [b for key, b in module.named_buffers(recurse=False) if key in STATISTICS and id(b) not in seen]
        seen.update(id(b) for b in kept)
        statistics = sum(b.numel() for b in kept)
        macs, counted = _macs(module, inputs, output)
        output_shape = tuple(output.shape[1:]) if hasattr(output, "shape") else ()
        kind = type(module).__name__
        activations = output.numel() if counted else 0
        layers.append(Layer(name or kind, kind, output_shape, params, trainable, statistics, macs, activations))

    watched = [
        (name, module)
        for name, module in net.named_modules()
        if next(module.children(), None) is None or next(module.parameters(recurse=False), None) is not None
    ]
    hooks = [module.register_forward_hook(partial(note, name)) for name, module in watched]
    try:
        net.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
    return layers + _uncalled(net, seen)


def _uncalled(net: nn.Module, seen: set[int]) -> list[Layer]:
    """Return a row for every module whose parameters another one uses without calling it, as attention may do."""
    rows = []
    for name, module in net.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        kept = [b for key, b in module.named_buffers(recurse=False) if key in STATISTICS and id(b) not in seen]
        seen.update(id(tensor) for tensor in [*own, *kept])
        params, trainable = (sum(p.numel() for p in some) for some in (own, [p for p in own if p.requires_grad]))
        statistics = sum(b.numel() for b in kept)
        if params or statistics:
            kind = type(module).__name__
            rows.append(Layer(name or kind, kind, (), params, trainable, statistics, None, 0))
    return rows


def _macs(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> tuple[int | None, bool]:
    """Return a layer's multiply-accumulates for its batch of one, and whether it is a convolution or linear layer.

    A convolution does kernel x in_channels / groups for each output value, a transposed one kernel x out_channels /
    groups for each input value, a linear layer in_features for each output value. A module that multiplies by itself
    says so by a method `macs(*inputs)`.
    """
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    if isinstance(module, _ConvTransposeNd):
        return inputs[0].numel() * math.prod(module.kernel_size) * module.out_channels // module.groups, True
    if isinstance(module, _ConvNd):
        return output.numel() * math.prod(module.kernel_size) * module.in_channels // module.groups, True
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features, True
    if (products := _own_products(module, inputs)) is not None:
        return products, False
    plain = next(module.children(), None) is None and not getattr(module, "learns_by_fit", False)
    return (0 if plain else None), False  # what learns by fit computes outside of torch


def _own_products(module: nn.Module, inputs: Sequence[Tensor]) -> int | None:
    """Return the products of attention, of a recurrent layer, or of a module that tells its own; None of others."""
    from torch import nn

    if isinstance(module, nn.MultiheadAttention):
        return _of_attention(module, *inputs[:3])
    if isinstance(module, nn.RNNBase):
        weights = sum(p.numel() for name, p in module.named_parameters() if name.startswith("weight"))
        return inputs[0].numel() // inputs[0].shape[-1] * weights
    return int(module.macs(*inputs)) if hasattr(module, "macs") else None  # type: ignore[operator]


def _of_attention(module: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> int:
    """Return the products of attention: three projections in, scores, their mixture, one projection out."""
    width, axis = module.embed_dim, 1 if module.batch_first and query.ndim == 3 else 0
    batch = query.shape[1 - axis] if query.ndim == 3 else 1
    queries, keys = query.shape[axis], key.shape[axis]
    projected = width * (queries * width + keys * key.shape[-1] + keys * value.shape[-1] + queries * width)
    return int(batch * (projected + 2 * queries * keys * width))
