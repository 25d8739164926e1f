"""SizedModels -> steps: what is timed of each model, as functions without arguments on resident batches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from archbench.budget import build_model
from archbench.building import find_spec
from archbench.data.batches import gatherer, ordered, preparer
from archbench.data.transforms import augment
from archbench.errors import ArchbenchError, reason
from archbench.forward import arithmetic, autocast, compiled, forward_pass, order_of, resident
from archbench.metrics import loss_of
from archbench.optimizers import make_optimizer, penalty
from archbench.replay import WARM_UP, aside, captured
from archbench.schema import USUAL, Engine, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from archbench.data import Dataset
    from archbench.schema import Device, Knobs, Recipe, SizedModel

    Step = Callable[[], None]
    Forward = Callable[[Tensor], Tensor]
    Shape = tuple[int, int, int]

MODES: tuple[Mode, ...] = ("train", "infer")
MOST_SENT_BYTES = 2**26  # of images, to each process that times
LEAST_SENT = 256  # images


class Subject(NamedTuple):
    """What a candidate is: a model (by its key) in a mode; `twin` is the second copy of the same model."""

    sized_key: str
    mode: Mode
    engine: Engine = "eager"
    twin: bool = False


@dataclass(frozen=True)
class Request:
    """What is timed side by side.

    Attributes:
        models: what is compared. twin: the key of the one that is there twice.
        datasets: by input shape: what batches are made of, and what a model that learns without gradients is taught.
        recipe: gives the optimizer, the batch size, the precision and what the data pipeline does.
        threads: intra-op threads of torch.
        pipeline: whether the making of batches is timed too, as a candidate of its own for each input shape.
        plugins: modules that register models.
        knobs: how a training takes its steps, where those are timed; else they are the model's own, as torch has them.
    """

    models: tuple[SizedModel, ...]
    twin: str | None
    datasets: Mapping[Shape, Dataset]
    recipe: Recipe
    device: Device
    threads: int
    modes: tuple[Mode, ...] = MODES
    engines: tuple[Engine, ...] = ("eager",)
    pipeline: bool = False
    plugins: tuple[str, ...] = ()
    knobs: Knobs | None = None


@dataclass
class Steps:
    """The candidates of a request, in their order: the subjects first, then the data pipelines by shape.

    Attributes:
        problems: what cannot be timed, and why.
        compile_s: the seconds to compile or capture a step.
    """

    subjects: dict[Subject, Step] = field(default_factory=dict)
    pipelines: dict[Shape, Step] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    compile_s: dict[Subject, float] = field(default_factory=dict)


def modes_of(sized: SizedModel, modes: Sequence[Mode] = MODES) -> tuple[Mode, ...]:
    """Return what a model is timed in: a training step is one of gradient descent."""
    try:
        by_gradient = find_spec(sized.model).by_gradient
    except ArchbenchError:
        by_gradient = True  # it is not known here: what builds it says so
    return tuple(mode for mode in modes if by_gradient or mode != "train")


def make_steps(request: Request) -> Steps:
    """Build every model of a request for each of its modes; whatever one raises, the others are timed."""
    steps = Steps()
    batches = {shape: batch_of(dataset, request) for shape, dataset in request.datasets.items()}
    if request.pipeline:
        steps.pipelines = {shape: _pipeline(dataset, request) for shape, dataset in request.datasets.items()}
    for subject, sized in subjects_of(request).items():
        try:
            _add(steps, subject, sized, batches[sized.input_shape], request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything
            steps.problems.append(problem_of(subject, sized, request, reason(error)))
    return steps


def subjects_of(request: Request) -> dict[Subject, SizedModel]:
    """Return what a request times, op by op first: a capture that fails may leave the card's generator in disorder."""
    return {
        Subject(sized.key, mode, engine, twin): sized
        for engine in request.engines
        for sized in request.models
        for mode in modes_of(sized, request.modes)
        for twin in ((False, True) if sized.key == request.twin and engine == "eager" else (False,))
    }


def problem_of(subject: Subject, sized: SizedModel, request: Request, why: str) -> str:
    """Return in a line what of a model cannot be timed."""
    how = "" if subject.engine == "eager" else f"{subject.engine}, "
    return f"{sized.model} cannot be timed ({subject.mode}, {how}{request.device}): {why}"


def _add(steps: Steps, subject: Subject, sized: SizedModel, batch: Tensor, request: Request) -> None:
    import torch

    from archbench.quick import quicken

    torch.manual_seed(0)
    knobs = request.knobs or USUAL
    net = resident(build_model(sized), request.device, sized.input_shape, knobs.memory_format)
    if request.knobs:
        quicken(net, request.device, knobs)
    net.train(subject.mode == "train")
    if getattr(net, "learns_by_fit", False) and not getattr(net, "timed_unfitted", False):
        dataset = request.datasets[sized.input_shape]
        images = preparer(dataset, scaling=request.recipe.scaling)(dataset.images["train"])
        net.cpu().fit(images, dataset.labels["train"])  # type: ignore[operator]
        net = net.to(request.device)
    batch = ordered(batch, order_of(net))
    start = time.perf_counter()
    forward = compiled(net, request.device) if subject.engine == "compiled" else net
    step = _infer(forward, batch, request) if subject.mode == "infer" else _train(net, forward, batch, request, subject)
    if subject.engine == "graph":
        for _ in range(WARM_UP):
            aside(step)
        step = captured(step)
    step()
    if request.device == "cuda":
        torch.cuda.synchronize()
    if subject.engine != "eager":
        steps.compile_s[subject] = time.perf_counter() - start
    steps.subjects[subject] = step


def _infer(forward: Forward, batch: Tensor, request: Request) -> Step:
    import torch

    def infer() -> None:
        with torch.inference_mode(), forward_pass(request.device, request.recipe.precision):
            forward(batch)

    return infer


def _train(net: nn.Module, forward: Forward, batch: Tensor, request: Request, subject: Subject) -> Step:
    import torch

    recipe = request.recipe
    with torch.no_grad():
        labels = labels_for(net(batch[:2]), len(batch))
    optimizer = make_optimizer(net, recipe)
    if subject.engine == "graph":
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with arithmetic(request.device, recipe.precision):
            with autocast(request.device, recipe.precision):
                loss = loss_of(forward(batch), labels, recipe)
            (loss + penalty(net, recipe.l2)).backward()
        optimizer.step()

    return train


def some_of(dataset: Dataset, models: Sequence[SizedModel]) -> Dataset:
    """Return so many training images as every timing process may hold, all of them where a model is taught them."""
    if not all(find_spec(sized.model).by_gradient for sized in models):
        return dataset
    images = dataset.images["train"]
    some = slice(min(len(images), max(LEAST_SENT, MOST_SENT_BYTES // max(1, images[0].nbytes))))
    return replace(
        dataset, images={"train": images[some].clone()}, labels={"train": dataset.labels["train"][some].clone()}
    )


def labels_for(outputs: Tensor, samples: int | None = None) -> Tensor:
    """Return labels (N,), or (N, P), that fit outputs (n, C), or (n, P, C): each class in turn.

    Args:
        outputs: of some samples.
        samples: N; by default n.
    """
    import torch

    *places, classes = outputs.shape[1:]
    labels = torch.arange(samples or len(outputs), device=outputs.device) % classes
    return labels.view(-1, *[1] * len(places)).expand(-1, *places)


def batch_of(dataset: Dataset, request: Request) -> Tensor:
    """Return a resident batch as a network sees it (N, C, H, W), images repeated where there are fewer."""
    size = request.recipe.batch_size
    images = dataset.images["train"][:size]
    images = images.repeat(-(-size // len(images)), 1, 1, 1)[:size]
    return preparer(dataset, scaling=request.recipe.scaling)(images).to(request.device)


def _pipeline(dataset: Dataset, request: Request) -> Step:
    """Return what training does to have its next batch: gather, augment, normalise, bring to shape."""
    import torch

    recipe = request.recipe
    images = dataset.images["train"].to(request.device)
    gathered = gatherer(images)
    prepare = preparer(dataset, request.device, recipe.scaling)
    chosen = torch.randint(len(images), (recipe.batch_size,)).to(request.device)

    def make() -> None:
        prepare(augment(gathered(chosen), recipe.augment))

    return make
