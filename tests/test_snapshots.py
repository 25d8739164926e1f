"""A training that goes on from any of its states ends with the bits of one that nobody stopped."""

from __future__ import annotations

import dataclasses
import io
import random
import typing
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from archbench import snapshots
from archbench.budget import build_model, size_model
from archbench.optimizers import make_optimizer, make_schedule
from archbench.schema import Budget, Knobs, Recipe
from archbench.training import train
from zoo.frozen import frozen as frozen_net

RECIPE = Recipe(epochs=4, batch_size=16)
CHOICES = typing.get_type_hints(Recipe)
OPTIMIZERS, SCHEDULES = (typing.get_args(CHOICES[name]) for name in ("optimizer", "schedule"))


def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 2))


def dropping():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.4), nn.ReLU(), nn.Linear(16, 2))


def normed():
    """Return a net with running statistics and filters in channels-last order."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.3), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


class Drawing(nn.Module):
    """Draws from Python's and numpy's generators, as models of others may."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 2)

    def forward(self, x):
        noise = random.random() + np.random.rand() if self.training else 0.0  # noqa: NPY002 - as others do
        return self.layer(x.flatten(1) + noise)


def told(training):
    """Return what must not depend on any interruption."""
    epochs = [(epoch.epoch, epoch.train, epoch.validation) for epoch in training.epochs]
    return epochs, training.test, training.weights_sha256, training.diverged_epoch


def copied(state):
    """Return a state as a file holds it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def states_of(build, data, recipe):
    """Train undisturbed; return what came of it, and each state with the epochs up to it."""
    states, epochs = [], []
    whole = train(build, data, recipe, on_epoch=epochs.append, keep=lambda state: states.append(copied(state)))
    assert [state["epoch"] for state in states] == list(range(1, recipe.epochs + 1))
    return told(whole), [(state, tuple(epochs[: state["epoch"]])) for state in states]


def check(build, data, recipe):
    whole, states = states_of(build, data, recipe)
    for state in states:
        torch.manual_seed(1234)  # as another process would have it
        gone_on = []
        resumed = train(build, data, recipe, on_epoch=gone_on.append, resume=state)
        assert told(resumed) == whole
        assert [epoch.epoch for epoch in gone_on] == list(range(state[0]["epoch"] + 1, recipe.epochs + 1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_of_every_optimizer_and_schedule(stripes, optimizer, schedule):
    check(plain, stripes, dataclasses.replace(RECIPE, optimizer=optimizer, schedule=schedule, lr=0.01))


@pytest.mark.parametrize("build", [dropping, normed, Drawing])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_of_nets_that_draw_and_of_nets_with_running_statistics(stripes, build, optimizer):
    check(build, stripes, dataclasses.replace(RECIPE, optimizer=optimizer))


@pytest.mark.parametrize(
    "change",
    [
        {"augment": ("flip", "shift")}, {"weight_decay": 0.01, "optimizer": "adamw"}, {"l2": 1e-3},
        {"label_smoothing": 0.1}, {"precision": "bf16"}, {"scaling": "centered"}, {"batch_size": 47},
        {"optimizer": "sgd", "momentum": 0.0}, {"seed": 5}, {"schedule": "exponential", "lr_decay": 0.5},
    ],
)  # fmt: skip
def test_of_every_choice_of_a_recipe(stripes, change):
    check(normed, stripes, dataclasses.replace(RECIPE, **change))


@pytest.mark.parametrize(("name", "shape"), [("mobilenet", (1, 8, 8)), ("vit", (1, 8, 8)), ("cnn", (1, 8, 8))])
def test_of_models_of_the_zoo(stripes, name, shape):
    sized = size_model(name, Budget(5000), shape, 2)
    check(lambda: build_model(sized), stripes, dataclasses.replace(RECIPE, epochs=2))


def frozen():
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    head = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * 36, 2))
    return frozen_net(nn.Sequential(OrderedDict(backbone=backbone, head=head)), "head", "backbone")


def test_of_a_head_on_features_that_are_kept(stripes):
    assert train(frozen, stripes, dataclasses.replace(RECIPE, epochs=1)).cached_features
    check(frozen, stripes, RECIPE)


def test_interrupted_after_every_epoch_it_is_still_the_same(stripes):
    """Each attempt does one epoch and stops at the first step of the next."""
    whole, _ = states_of(normed, stripes, RECIPE)

    class Stop(BaseException):
        pass

    resume, attempts = None, 0
    while True:
        attempts += 1
        kept, epochs = [], []

        def on_step(kept=kept):
            if kept:
                raise Stop

        try:
            ended = train(
                normed, stripes, RECIPE, on_epoch=epochs.append, on_step=on_step, resume=resume,
                keep=lambda state, kept=kept: kept.append(copied(state)),
            )  # fmt: skip
        except Stop:
            resume = (kept[0], ((*resume[1], *epochs) if resume else tuple(epochs)))
        else:
            break
    assert attempts == RECIPE.epochs + 1  # the last only tests
    assert told(ended) == whole


def test_a_training_that_diverges_later_diverges_at_the_same_epoch(stripes):
    class Failing(nn.Module):
        """Breaks in the third epoch, which its state knows."""

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 2)
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

        def forward(self, x):
            self.steps += self.training
            logits = self.layer(x.flatten(1))
            return logits * float("nan") if self.steps > 7 else logits  # 3 steps an epoch

    states, epochs = [], []
    whole = train(Failing, stripes, RECIPE, on_epoch=epochs.append, keep=lambda state: states.append(copied(state)))
    assert whole.diverged_epoch == 3
    assert [state["epoch"] for state in states] == [1, 2]  # what diverged is no state to go on from
    resumed = train(Failing, stripes, RECIPE, resume=(states[1], tuple(epochs[:2])))
    assert [epoch.epoch for epoch in resumed.epochs] == [1, 2, 3]
    assert (resumed.diverged_epoch, resumed.weights_sha256) == (3, whole.weights_sha256)


def test_the_seconds_of_earlier_epochs_are_counted(stripes):
    _, states = states_of(plain, stripes, RECIPE)
    state, epochs = states[-1]
    long = tuple(dataclasses.replace(epoch, train_seconds=100.0, validation_seconds=10.0) for epoch in epochs)
    resumed = train(plain, stripes, RECIPE, resume=(state, long))
    assert resumed.train_seconds == 400.0
    assert resumed.seconds >= 440.0


def parts(epochs=3):
    torch.manual_seed(0)
    net = normed()
    recipe = dataclasses.replace(RECIPE, optimizer="adam", epochs=epochs)
    optimizer = make_optimizer(net, recipe)
    return net, optimizer, make_schedule(optimizer, recipe, 3)


def step(net, optimizer, scheduler):
    optimizer.zero_grad()
    net(torch.rand(4, 1, 8, 8)).square().sum().backward()
    optimizer.step()
    scheduler.step()


def test_a_state_brings_back_weights_moments_rate_and_generator():
    net, optimizer, scheduler = parts()
    step(net, optimizer, scheduler)
    state = copied(snapshots.take(1, net, optimizer, scheduler))
    drawn = torch.rand(5)
    step(net, optimizer, scheduler)
    again = parts()
    assert snapshots.put_back(state, *again) == 1
    assert torch.equal(torch.rand(5), drawn)
    step(*again)
    for one, other in zip(net.state_dict().values(), again[0].state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert again[1].param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] < 3e-3


def test_a_state_of_another_net_is_refused():
    net, optimizer, scheduler = parts()
    state = copied(snapshots.take(1, net, optimizer, scheduler))
    other = plain()
    with pytest.raises(RuntimeError, match="loading state_dict"):
        snapshots.put_back(state, other, make_optimizer(other, RECIPE), scheduler)


def frozen_below():
    net = normed()
    backbone, head = net[:-1], net[-1]
    return frozen_net(nn.Sequential(OrderedDict(backbone=backbone, head=head)), "head", "backbone")


@pytest.mark.parametrize("build", [normed, frozen_below])
def test_a_state_tells_how_steps_were_taken_and_they_go_on_so(stripes, build):
    way = Knobs("contiguous")
    states = []
    whole = train(build, stripes, RECIPE, knobs=way, keep=lambda state: states.append(copied(state)))
    resumed = train(build, stripes, RECIPE, resume=(states[0], whole.epochs[:1]))
    assert (whole.knobs, resumed.knobs) == (way, way)
    assert resumed.weights_sha256 == whole.weights_sha256
