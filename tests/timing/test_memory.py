from __future__ import annotations

import pytest
from torch import nn

import zoo
from archbench.budget import size_model
from archbench.schema import Budget, Recipe
from archbench.timed import random_images
from archbench.timing.memory import measure_memory, state_values
from zoo import registry


@pytest.mark.parametrize(
    ("optimizer", "values"),
    [("adam", 2), ("adamw", 2), ("sgd", 1), ("adadelta", 2), ("rmsprop", 1)],  # as their papers define them
)
def test_optimizers_keep_what_their_papers_say(optimizer, values):
    assert state_values(Recipe(optimizer=optimizer)) == values


def test_plain_descent_keeps_nothing():
    assert state_values(Recipe(optimizer="sgd", momentum=0.0)) == 0


@pytest.fixture
def wide(monkeypatch):
    """A single layer, whose memory is known: 100 x 5,000 weights and next to no activations."""
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))

    class Wide(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.layer = nn.Linear(100, num_classes, bias=False)

        def forward(self, x):
            return self.layer(x.flatten(1))

    zoo.register_model("wide")(Wide)
    return size_model("wide", None, (1, 10, 10), 5000)


@pytest.mark.parametrize(("optimizer", "copies"), [("adam", 4), ("sgd", 3)])
def test_a_step_holds_weights_gradients_and_state(wide, optimizer, copies):
    memory = measure_memory(wide, random_images((1, 10, 10), 5000), Recipe(optimizer=optimizer, batch_size=2), "cpu")
    least = copies * 100 * 5000 * 4
    # On top: a batch of 2, its 2 x 5,000 outputs with their gradients, and a few copies for a moment in an update.
    assert least <= memory.peak_memory_bytes <= least + 3 * 100 * 5000 * 4
    assert least <= memory.estimated_memory_bytes <= 1.1 * least
    assert (memory.batch_size, memory.device, memory.error) == (2, "cpu", None)


def test_activations_grow_with_the_batch_in_both_figures():
    sized = size_model("cnn", Budget(30_000), (1, 16, 16), 10)
    images = random_images((1, 16, 16), 10)
    small, large = (measure_memory(sized, images, Recipe(batch_size=size), "cpu") for size in (8, 64))
    for name in ("peak_memory_bytes", "estimated_memory_bytes"):
        assert getattr(large, name) > 3 * getattr(small, name)
    assert large.estimated_memory_bytes == pytest.approx(large.peak_memory_bytes, rel=0.2)


def test_a_model_without_a_training_step_has_none():
    assert measure_memory(size_model("knn", None, (1, 8, 8), 10), random_images((1, 8, 8), 10), Recipe(), "cpu") is None


def test_a_model_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))

    class Broken(nn.Linear):
        def forward(self, x):
            if self.training:
                raise ValueError("not this way")
            return super().forward(x.flatten(1))

    zoo.register_model("broken_in_training")(lambda num_classes: Broken(64, num_classes))
    sized = size_model("broken_in_training", None, (1, 8, 8), 10)
    memory = measure_memory(sized, random_images((1, 8, 8), 10), Recipe(batch_size=4), "cpu")
    assert memory.peak_memory_bytes is memory.estimated_memory_bytes is None
    assert "not this way" in memory.error


@pytest.mark.gpu
def test_a_card_tells_its_own_peak():
    sized = size_model("cnn", Budget(30_000), (1, 16, 16), 10)
    memory = measure_memory(sized, random_images((1, 16, 16), 10), Recipe(batch_size=64), "cuda")
    assert memory.peak_memory_bytes > 16 * sized.params
