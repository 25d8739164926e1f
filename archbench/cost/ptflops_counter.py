"""ptflops' default backend: hooks on modules and patched functions, one a multiply-accumulate, and much beside them.

It adds biases, norms, activations, pooling and elementwise operations, counts a function once more where a module that
it has counted calls it (`nn.ReLU` calls `relu`), passes over the modules inside a module that it knows, and does not
see products that are neither: `a @ b`, `scaled_dot_product_attention`.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest import mock

from archbench.cost import PRODUCTS, Counted, register_counter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from archbench.cost.trace import Operation

TWICE = "counted twice"
PARTS = {  # by a part of the name of a module or function
    "batchnorm": "batch norm", "norm": "norm", "pool": "pooling", "upsample": "resampling",
    "interpolate": "resampling", "conv": PRODUCTS, "linear": PRODUCTS, "mm": PRODUCTS, "matmul": PRODUCTS,
    "add": "elementwise", "mul": "elementwise", "rnn": "recurrent", "gru": "recurrent", "lstm": "recurrent",
}  # fmt: skip

GATES = {"RNN": (1, 1), "GRU": (3, 7), "LSTM": (4, 10)}  # gates, and elementwise operations a hidden unit and step


@register_counter("ptflops", unit="macs", package="ptflops")
def count(net: nn.Module, example: Tensor) -> Counted:
    """Return the figure of `ptflops.get_model_complexity_info`, taken apart as it is made.

    Raises:
        RuntimeError: ptflops gave up (what it printed is the message), or its parts are not its total.
    """
    from ptflops import pytorch_ops

    known = {name for name, module in net.named_modules() if type(module) in pytorch_ops.MODULES_MAPPING}
    notes = _Notes()
    with contextlib.ExitStack() as stack:
        for name in known:
            stack.callback(net.get_submodule(name).register_forward_pre_hook(notes.enter).remove)
        for mapping in (pytorch_ops.FUNCTIONAL_MAPPING, pytorch_ops.TENSOR_OPS_MAPPING):
            noting = {call: notes.on_function(call, flops) for call, flops in mapping.items()}
            stack.enter_context(mock.patch.dict(mapping, noting))
        hooks = {kind: notes.on_module(hook) for kind, hook in pytorch_ops.MODULES_MAPPING.items()}
        total = complexity(net, example, "pytorch", hooks)
    if total != sum(notes.parts.values()):
        msg = f"ptflops counted {total}, and its parts are {sum(notes.parts.values())}"
        raise RuntimeError(msg)

    def knows(operation: Operation) -> bool:
        outer = [name for name in operation.modules if name in known]
        return outer[0] == operation.modules[-1] if outer else operation.function in notes.called

    return Counted({part: figure for part, figure in notes.parts.items() if figure}, knows)


class _Notes:
    """What ptflops counts while it counts: its hooks and handlers are called, and what they add is noted by part.

    Attributes:
        parts: figures by part.
        called: the patched functions that were called outside of the modules that it knows.
    """

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.called: set[str] = set()
        self._depth = 0  # in modules that it knows

    def enter(self, *_: Any) -> None:
        self._depth += 1

    def on_module(self, hook: Callable[..., None]) -> Callable[..., None]:
        def note(module: Any, inputs: Any, output: Any) -> None:
            before = module.__flops__
            hook(module, inputs, output)
            self._depth -= 1
            if self._depth == 0:  # what stands inside of a known module is passed over in its total
                self.parts.update(_of_module(module, inputs, output, int(module.__flops__ - before)))

        return note

    def on_function(self, call: Any, flops: Callable[..., Any]) -> Callable[..., Any]:
        from torch.overrides import resolve_name

        name = resolve_name(call) or str(call.__name__)

        def note(*args: Any, **kwargs: Any) -> Any:
            found = flops(*args, **kwargs)
            added = int(args[0].numel()) if name.endswith("addmm") and kwargs.get("beta", 1) != 0 else 0
            if self._depth:
                self.parts.update({TWICE: int(found)})
            else:
                self.parts.update({_part(call.__name__): int(found) - added, "bias": added})
                self.called.add(name)
            return found

        return note


def complexity(net: nn.Module, example: Tensor, backend: str, handles: Mapping[Any, Any]) -> int:
    """Return ptflops' total with the handles in place of its own.

    Raises:
        RuntimeError: ptflops gave up; what it printed is the message.
    """
    from ptflops import get_model_complexity_info

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        macs, _ = get_model_complexity_info(
            net, tuple(example.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend,
            custom_modules_hooks=dict(handles), ost=printed,
        )  # fmt: skip
    if macs is None:
        raise RuntimeError(printed.getvalue().strip() or "ptflops gave no figure")
    return int(macs)


def _part(name: str) -> str:
    return next((part for key, part in PARTS.items() if key in name.lower()), "activations")


def _of_module(module: Any, inputs: Any, output: Any, figure: int) -> dict[str, int]:
    """Return what ptflops counts of a module, in parts."""
    kind = type(module).__name__
    if kind in {"MultiheadAttention", "Attention"}:
        return _of_attention(module, inputs, figure)
    part = _part(kind)
    if part == "recurrent":
        return _of_recurrent(module, inputs, figure)
    bias = output.numel() if part == PRODUCTS and getattr(module, "bias", None) is not None else 0
    return {part: figure - bias, "bias": bias}


def _of_recurrent(module: Any, inputs: Any, figure: int) -> dict[str, int]:
    """Return the parts of a recurrent layer: gates and biases at each step, and the products that are left."""
    kind = type(module).__name__.removesuffix("Cell")
    layers = getattr(module, "num_layers", 1) * (2 if getattr(module, "bidirectional", False) else 1)
    steps = inputs[0].numel() // inputs[0].shape[-1] * layers
    biases = 2 * GATES[kind][0] * module.hidden_size if module.bias else 0
    parts = {"elementwise": steps * GATES[kind][1] * module.hidden_size, "bias": steps * biases}
    return {PRODUCTS: figure - sum(parts.values()), **parts}


def _of_attention(module: Any, inputs: Any, figure: int) -> dict[str, int]:
    """Return the parts of attention: queries scaled, scores softened, and for torch's own the biases of projections."""
    first = inputs[0]
    if type(module).__name__ == "Attention":  # timm's, whose projections are passed over
        batch, tokens, _ = first.shape
        scaled, softened, bias = tokens * module.head_dim * module.num_heads, module.num_heads * tokens**2, 0
    else:
        axis = 1 if module.batch_first else 0
        batch, queries, keys = first.shape[1 - axis], first.shape[axis], inputs[1].shape[axis]
        values = inputs[2].shape[axis]
        scaled, softened = queries * module.embed_dim, module.num_heads * queries * keys
        bias = queries * inputs[2].shape[2]
        bias += (queries + keys + values) * module.embed_dim if module.in_proj_bias is not None else 0
    parts = {"elementwise": batch * scaled, "activations": batch * softened, "bias": batch * bias}
    return {PRODUCTS: figure - sum(parts.values()), **parts}
