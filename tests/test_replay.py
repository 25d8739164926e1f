"""Steps that are captured as CUDA graphs, and those that cannot be."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from test_snapshots import OPTIMIZERS, SCHEDULES, Drawing, copied, dropping, normed, plain, told
from torch import nn

from archbench import replay
from archbench.budget import build_model, size_model
from archbench.replay import WARM_UP
from archbench.schema import USUAL, Knobs, Recipe
from archbench.timed import random_images
from archbench.training import train

REPLAYED = Knobs(cuda_graph=True)
RECIPE = Recipe(epochs=4, batch_size=16)


class Looking(nn.Module):
    """Lets the host look at what it computes."""

    def __init__(self):
        super().__init__()
        self.layer, self.drop = nn.Linear(64, 2), nn.Dropout(0.2)

    def forward(self, x):
        made = self.layer(self.drop(x.flatten(1)))
        return made + 1 if made.sum().item() > 0 else made


@pytest.fixture
def on_the_host(monkeypatch):
    """Let steps be prepared as for a card, and their replays be the steps themselves; return which were captured."""
    captured = []

    def capture(work):
        captured.append(len(work.args[0]))
        return work

    monkeypatch.setattr(replay, "aside", lambda work: work())
    monkeypatch.setattr(replay, "captured", capture)
    return captured


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_rates_that_lie_on_the_device_follow_the_schedule(stripes, on_the_host, optimizer, schedule):
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, schedule=schedule, lr=0.01)
    usual, replayed = (train(plain, stripes, recipe, knobs=knobs) for knobs in (USUAL, REPLAYED))
    losses = [[epoch.train.loss for epoch in one.epochs] for one in (usual, replayed)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert replayed.knobs == REPLAYED


def test_each_number_of_images_is_captured_once_it_came_some_times(stripes, on_the_host):
    samples = len(stripes.labels["train"])
    size = next(size for size in range(16, samples) if samples % size > 1)
    steps = samples // size
    train(plain, stripes, dataclasses.replace(RECIPE, batch_size=size, epochs=WARM_UP), knobs=REPLAYED)
    assert on_the_host == ([size] if steps * WARM_UP > WARM_UP else [])
    train(plain, stripes, dataclasses.replace(RECIPE, batch_size=size, epochs=WARM_UP + 1), knobs=REPLAYED)
    assert on_the_host[-2:] == [size, samples % size]


def test_what_cannot_be_captured_is_taken_op_by_op_and_said(stripes, on_the_host, monkeypatch, capsys):
    def refuse(work):
        raise RuntimeError("operation not permitted when stream is capturing")

    usual = train(dropping, stripes, RECIPE, knobs=REPLAYED)
    monkeypatch.setattr(replay, "captured", refuse)
    refused = train(dropping, stripes, RECIPE, knobs=REPLAYED)
    assert refused.knobs == USUAL
    assert told(refused) == told(usual)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("a step is taken op by op, not as a CUDA graph: RuntimeError: operation not permitted")


def test_what_was_drawn_on_the_host_is_seen_and_put_back():
    import random

    def draw(how):
        before = replay._host_states()
        how()
        drawn = not replay._same(before, replay._host_states())
        replay._put_back(before)
        return drawn, replay._same(before, replay._host_states())

    for how in (random.random, np.random.rand, partial(torch.rand, 1)):
        assert draw(how) == (True, True)
    assert draw(lambda: None) == (False, True)


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("build", [plain, dropping, normed])
def test_replays_are_the_steps_to_the_bit(stripes, monkeypatch, build, optimizer):
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, augment=("flip", "crop:2"))
    replayed = train(build, stripes, recipe, "cuda", knobs=REPLAYED)
    assert replayed.knobs == REPLAYED
    monkeypatch.setattr(replay, "captured", lambda work: work)
    assert told(train(build, stripes, recipe, "cuda", knobs=REPLAYED)) == told(replayed)


@pytest.mark.gpu
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("build", [plain, dropping, normed])
def test_a_training_on_a_card_goes_on_to_the_same_bits(stripes, build, schedule):
    recipe = dataclasses.replace(RECIPE, schedule=schedule)
    states, epochs = [], []
    whole = train(
        build, stripes, recipe, "cuda", knobs=REPLAYED,
        on_epoch=epochs.append, keep=lambda state: states.append(copied(state)),
    )  # fmt: skip
    for state in states[:-1]:
        resumed = train(build, stripes, recipe, "cuda", resume=(state, tuple(epochs[: state["epoch"]])))
        assert resumed.knobs == REPLAYED
        assert told(resumed) == told(whole)


@pytest.mark.gpu
@pytest.mark.parametrize("build", [Looking, Drawing])
def test_a_step_that_the_host_has_a_part_in_is_not_replayed(stripes, build):
    refused = train(build, stripes, RECIPE, "cuda", knobs=REPLAYED)
    assert refused.knobs == USUAL
    assert refused.diverged_epoch is None
    # What comes after it draws and is captured as if nothing had been.
    assert train(dropping, stripes, RECIPE, "cuda", knobs=REPLAYED).knobs == REPLAYED


@pytest.mark.gpu
@pytest.mark.parametrize(
    "model", ["cnn", "mobilenet", "mobilenetv2", "resnet18_mod", "squeezenet", "convnext", "vit", "mlp", "cnn_mnist"]
)
def test_models_of_the_zoo_are_replayed_with_any_augmentation(model):
    sized = size_model(model, None, (3, 32, 32), 10)
    augment = ("flip", "shift", "crop:4", "rotate:15", "zoom:0.1", "brightness:0.2", "cutout:8")
    trained = train(
        lambda: build_model(sized), random_images((3, 32, 32), 10),
        Recipe(epochs=2, batch_size=16, augment=augment), "cuda", knobs=REPLAYED,
    )  # fmt: skip
    assert trained.knobs == REPLAYED


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("knobs", [USUAL, REPLAYED])
def test_the_host_waits_for_the_card_once_an_epoch_at_most(stripes, knobs):
    taken = 0

    def on_step():
        nonlocal taken
        taken += 1
        within = WARM_UP < taken < len(stripes.labels["train"]) // 4  # of the first epoch, behind the capture
        torch.cuda.set_sync_debug_mode("error" if within else "default")

    recipe = dataclasses.replace(RECIPE, batch_size=4, augment=("flip", "crop:2", "rotate:15", "cutout:2"))
    try:
        train(normed, stripes, recipe, "cuda", knobs=knobs, on_step=on_step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
