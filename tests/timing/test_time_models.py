from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo
from archbench.budget import size_model
from archbench.environment import capture
from archbench.schema import Budget, Recipe
from archbench.timing import Protocol, time_models
from archbench.timing.sessions import fits
from zoo import registry


class CountingClock:
    """Every block takes a microsecond more than the one before."""

    def __init__(self):
        self.blocks = 0

    def elapsed_us(self, work):
        work()
        self.blocks += 1
        return float(self.blocks)


PROTOCOL = Protocol(rounds=4, block_us=1, warmup_blocks=0)
RECIPE = Recipe(batch_size=6)


def timed(models, **settings):
    images = torch.zeros(6, 1, 8, 8)
    return time_models(
        models, {(1, 8, 8): images}, RECIPE, "cpu", 1, capture(), protocol=PROTOCOL, clock=CountingClock(), **settings
    )


def test_each_model_is_timed_in_both_modes_in_one_session():
    models = [size_model(name, Budget(5000), (1, 8, 8), 10) for name in ("mlp", "mobilenet")]
    threads = torch.get_num_threads()
    timings = timed(models)
    assert {(t.sized_key, t.mode) for t in timings} == {(m.key, mode) for m in models for mode in ("train", "infer")}
    assert len({t.session for t in timings}) == 1
    assert all(len(t.samples_us) == 4 for t in timings)
    assert all((t.batch_size, t.threads, t.precision, t.optimizer) == (6, 1, "fp32", "adam") for t in timings)
    assert torch.get_num_threads() == threads
    assert all(fits(t, RECIPE, 1, capture()) for t in timings)
    assert not any(fits(t, Recipe(batch_size=7), 1, capture()) for t in timings)
    assert not any(fits(t, RECIPE, 2, capture()) for t in timings)


def test_a_training_step_trains_and_an_inference_step_does_not(monkeypatch):
    seen = []

    class Watched(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.layer = nn.Linear(64, num_classes)
            seen.append(self)

        def forward(self, x):
            self.modes = {*getattr(self, "modes", ()), (self.training, torch.is_inference_mode_enabled())}
            return self.layer(x.flatten(1))

    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    zoo.register_model("watched")(Watched)
    sized = size_model("watched", None, (1, 8, 8), 10)
    torch.manual_seed(0)
    fresh = zoo.create_model("watched").layer.bias.detach().clone()
    seen.clear()
    timed([sized])
    trained, inferred = (net for net in seen)
    settling = (False, False)  # one run in eval mode tells which memory order the net takes
    assert trained.modes == {settling, (True, False)}
    assert inferred.modes == {settling, (False, True)}
    assert torch.equal(inferred.layer.bias, fresh)
    assert not torch.equal(trained.layer.bias, fresh)


def test_steps_run_with_the_threads_and_the_precision_that_are_recorded(monkeypatch):
    seen = set()

    class Watched(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.layer = nn.Linear(64, num_classes)

        def forward(self, x):
            logits = self.layer(x.flatten(1))
            seen.add((torch.get_num_threads(), logits.dtype))
            return logits

    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    zoo.register_model("watched_threads")(Watched)
    sized = size_model("watched_threads", None, (1, 8, 8), 10)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        time_models(
            [sized], {(1, 8, 8): torch.zeros(6, 1, 8, 8)}, Recipe(batch_size=6, precision="bf16"), "cpu", 1, capture(),
            protocol=PROTOCOL, clock=CountingClock(),
        )  # fmt: skip
    finally:
        torch.set_num_threads(before)
    # One run outside of autocast settles the memory order.
    assert seen >= {(1, torch.bfloat16)}
    assert {threads for threads, _ in seen} == {1}


def test_a_model_that_fails_is_named_and_the_others_are_timed(monkeypatch):
    class Broken(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.layer = nn.Linear(64, num_classes)

        def forward(self, x):
            raise ValueError("no forward\nat all")

    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    zoo.register_model("broken_step")(Broken)
    problems = []
    models = [size_model("broken_step", None, (1, 8, 8), 10), size_model("mlp", Budget(5000), (1, 8, 8), 10)]
    timings = timed(models, on_problem=problems.append)
    assert {t.sized_key for t in timings} == {models[1].key}
    assert len(problems) == 2
    assert problems[0] == "broken_step cannot be timed (train, cpu): ValueError: no forward"


@pytest.mark.gpu
def test_models_are_timed_on_cuda():
    images = torch.zeros(6, 1, 8, 8)
    models = [size_model("mlp", Budget(5000), (1, 8, 8), 10)]
    timings = time_models(models, {(1, 8, 8): images}, RECIPE, "cuda", 1, capture(), protocol=PROTOCOL)
    assert {t.device for t in timings} == {"cuda"}
    assert all(value > 0 for t in timings for value in t.samples_us)


def test_models_without_gradients_have_no_training_step():
    taught = []
    models = [size_model(name, None, (1, 8, 8), 10) for name in ("knn", "linear_svm", "mlp")]
    images, labels = torch.randn(20, 1, 8, 8), torch.arange(20) % 10

    def fit(_, net):
        taught.append(type(net).__name__)
        net.fit(images, labels)

    timings = timed(models, fit=fit)
    modes = {model.model: {t.mode for t in timings if t.sized_key == model.key} for model in models}
    assert modes == {"knn": {"infer"}, "linear_svm": {"infer"}, "mlp": {"train", "infer"}}
    assert taught == ["NearestNeighbours"]  # the speed of the other does not depend on what it learned
