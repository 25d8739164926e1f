"""What every model must do, in one call that third parties can make as well: `check_model(model_spec("mine"))`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from zoo.registry import create_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from zoo.spec import ModelSpec

NUDGE = 1e-3  # standard deviation of what parameters are moved by before gradients are compared
TOLERANCE = 1e-4  # of logits that another memory order may round otherwise


def check_model(spec: ModelSpec, input_shape: tuple[int, int, int] | None = None, classes: int | None = None) -> None:
    """Hold a model to the contract of the zoo.

    It gives finite logits for every class, on batches of 1 and 7, in float32 and bfloat16, the same in channels-last
    order; builds the same under a seed and answers the same in eval mode; every trainable parameter takes a gradient,
    and the gradient is the numeric one in double precision; its counts grow with its width and its depth; its state
    survives a round trip; it survives `torch.compile` and `torch.export`. One that learns by `fit` is fitted first, and
    need not have gradients or be compiled.

    Args:
        spec: the model.
        input_shape: (C, H, W); by default the model's own, else (3, 16, 16).
        classes: number of outputs; by default the model's own, else 5.

    Raises:
        AssertionError: what does not hold, by name.
    """
    shape = input_shape or spec.input_shape or (3, 16, 16)
    classes = classes or spec.classes or 5
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(7, *shape, generator=generator)
    net = _build(spec, shape, classes)
    _outputs(net, images, classes)
    _repeats(spec, net, images, classes)
    _formats(net, images)
    if spec.by_gradient:
        _gradients(net, images)
        _compilers(net, images)
    if spec.scalable and spec.knobs(1.0):
        widths = [(spec.width or 16.0) * factor for factor in (0.5, 1.0, 2.0)]
        sizes = [_params(_build(spec, shape, classes, width=width)) for width in widths]
        _hold(sizes[0] < sizes[1] < sizes[2], f"its parameters do not grow with its width: {sizes}")
    if spec.depth is not None:
        sizes = [_params(_build(spec, shape, classes, **spec.layers(multiple))) for multiple in (1.0, 2.0)]
        _hold(sizes[0] < sizes[1], f"its parameters do not grow with its depth: {sizes}")


def _hold(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _build(spec: ModelSpec, shape: tuple[int, int, int], classes: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    net = create_model(spec.name, num_classes=classes, in_chans=shape[0], input_size=(shape[1], shape[2]), **options)
    if not spec.by_gradient:
        labels = torch.arange(4 * classes) % classes
        net.fit(torch.randn(len(labels), *shape), labels)  # type: ignore[operator]
    return net.eval()


def _params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _answer(net: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with torch.no_grad():
        return net(images)


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.float(), b.float(), atol=TOLERANCE * (1 + float(a.abs().max())))


def _outputs(net: nn.Module, images: Tensor, classes: int) -> None:
    logits = _answer(net, images)
    _hold(logits.shape[0] == len(images) and logits.shape[-1] == classes, f"its logits are {tuple(logits.shape)}")
    _hold(torch.isfinite(logits).all(), "its logits are not finite")
    one = _answer(net, images[:1])
    _hold(one.shape == (1, *logits.shape[1:]), f"a batch of one gives {tuple(one.shape)}")
    _hold(_close(one, logits[:1]), "an image's logits depend on the rest of its batch in eval mode")
    half = _answer(copy.deepcopy(net).bfloat16(), images.bfloat16())
    _hold(half.dtype == torch.bfloat16 and torch.isfinite(half).all(), "it does not work in bfloat16")


def _repeats(spec: ModelSpec, net: nn.Module, images: Tensor, classes: int) -> None:
    logits = _answer(net, images)
    _hold(torch.equal(logits, _answer(net, images)), "it answers differently the second time in eval mode")
    shape = (images.shape[1], images.shape[2], images.shape[3])
    again = _build(spec, shape, classes)
    _hold(torch.equal(logits, _answer(again, images)), "a seed does not fix its build")
    torch.manual_seed(1)
    for parameter in again.parameters():
        torch.nn.init.normal_(parameter)
    used = copy.deepcopy(net).train()  # its running statistics move
    _answer(used, images)
    again.load_state_dict(used.state_dict())
    same = torch.equal(_answer(used.eval(), images), _answer(again.eval(), images))
    _hold(same, "its state does not survive a round trip")


def _gradients(net: nn.Module, images: Tensor) -> None:
    trained = copy.deepcopy(net).train()
    trained(images).float().square().sum().backward()
    without = [name for name, p in trained.named_parameters() if p.requires_grad and p.grad is None]
    _hold(not without, f"no gradient reaches {', '.join(without)}")
    # Against the difference quotient, along one random direction of all parameters at once.
    double = copy.deepcopy(net).double()
    parameters = [p for p in double.parameters() if p.requires_grad]
    generator = torch.Generator().manual_seed(1)
    directions = [
        torch.randn(p.shape, generator=generator, dtype=torch.float64) * p.detach().abs().mean() for p in parameters
    ]
    with torch.no_grad():  # off the corner that biases of 0 stand on, where an activation may have no derivative
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.add_(torch.randn(direction.shape, generator=generator, dtype=torch.float64), alpha=NUDGE)
    weights = torch.randn(double(images[:2].double()).shape, generator=generator, dtype=torch.float64)

    def loss() -> Tensor:
        total: Tensor = (double(images[:2].double()) * weights).sum()
        return total

    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    analytic = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    step = 1e-7
    values = []
    with torch.no_grad():
        for sign in (1, -1):
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=sign * step)
            values.append(float(loss()))
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.sub_(direction, alpha=sign * step)
    numeric = (values[0] - values[1]) / (2 * step)
    _hold(
        abs(analytic - numeric) <= 1e-4 * max(abs(analytic), abs(numeric), 1e-6),
        f"its gradient {analytic:g} is not the numeric one {numeric:g}",
    )


def _formats(net: nn.Module, images: Tensor) -> None:
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    answer = _answer(last, images.contiguous(memory_format=torch.channels_last))
    _hold(_close(_answer(net, images), answer), "channels-last order gives another result")


def _compilers(net: nn.Module, images: Tensor) -> None:
    logits = _answer(net, images)
    compiled = torch.compile(copy.deepcopy(net), backend="eager", fullgraph=True)
    _hold(_close(logits, _answer(compiled, images)), "torch.compile changes its result")
    torch.compiler.reset()
    exported = torch.export.export(copy.deepcopy(net), (images,)).module()
    _hold(_close(logits, _answer(exported, images)), "torch.export changes its result")
