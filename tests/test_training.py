from __future__ import annotations

import dataclasses
import math
import shutil

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
from torch import nn
from torch.nn.functional import cross_entropy

from archbench import stepper, training
from archbench.forward import torch_threads
from archbench.metrics import top_k
from archbench.optimizers import make_optimizer, make_schedule
from archbench.schema import USUAL, Knobs, Recipe
from archbench.training import evaluate, train

RECIPE = Recipe(epochs=3, batch_size=16)


def net(dropout=0.0):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(dropout), nn.Linear(16, 2))


def without_seconds(result):
    epochs = [dataclasses.replace(e, train_seconds=0, validation_seconds=0) for e in result.epochs]
    return dataclasses.replace(result, epochs=tuple(epochs), seconds=0, train_seconds=0)


def test_a_separable_task_is_learned(stripes):
    result = train(net, stripes, dataclasses.replace(RECIPE, epochs=8))
    assert result.test.top1 == 1.0
    assert result.epochs[-1].train.loss < result.epochs[0].train.loss
    assert [epoch.epoch for epoch in result.epochs] == list(range(1, 9))
    assert result.diverged_epoch is None
    assert result.k == 1


@pytest.mark.parametrize("augment", [(), ("flip", "shift")])
def test_a_run_repeats_to_the_bit_and_a_seed_changes_it(stripes, augment):
    recipe = dataclasses.replace(RECIPE, augment=augment)
    with torch_threads(1):
        torch.manual_seed(99)
        first = train(lambda: net(0.3), stripes, recipe)
        torch.manual_seed(7)
        second = train(lambda: net(0.3), stripes, recipe)
        other = train(lambda: net(0.3), stripes, dataclasses.replace(recipe, seed=1))
    assert without_seconds(first) == without_seconds(second)
    assert first.weights_sha256 != other.weights_sha256


def test_an_epochs_randomness_does_not_depend_on_what_came_before(stripes, monkeypatch):
    drawn = []
    original = torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda n: drawn.append(original(n)) or drawn[-1])
    train(net, stripes, RECIPE)
    train(lambda: net(0.5), stripes, RECIPE)  # dropout draws numbers in every epoch
    assert len(drawn) == 6
    assert all(torch.equal(a, b) for a, b in zip(drawn[:3], drawn[3:], strict=True))
    assert not torch.equal(drawn[0], drawn[1])


def test_the_test_split_changes_nothing_but_the_test_figures(stripes):
    swapped = dataclasses.replace(
        stripes,
        images={**stripes.images, "test": stripes.images["test"].flip(0) // 2},
        labels={**stripes.labels, "test": 1 - stripes.labels["test"]},
    )
    ours, theirs = (train(net, data, RECIPE) for data in (stripes, swapped))
    assert ours.weights_sha256 == theirs.weights_sha256
    assert without_seconds(ours).epochs == without_seconds(theirs).epochs
    assert ours.test != theirs.test


def test_a_loss_that_is_not_finite_ends_the_run_at_its_epoch(stripes):
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.steps = nn.Linear(64, 2), 0

        def forward(self, x):
            self.steps += self.training
            logits = self.layer(x.flatten(1))
            return logits * math.nan if self.steps > 4 else logits  # 3 steps an epoch

    told = []
    result = train(Failing, stripes, dataclasses.replace(RECIPE, epochs=5), on_epoch=told.append)
    assert result.diverged_epoch == 2
    assert len(result.epochs) == len(told) == 2
    assert result.epochs[0].train.loss is not None
    assert result.epochs[1].train.loss is None
    assert result.test is None


def test_metrics_are_those_of_scikit_learn():
    torch.manual_seed(0)
    logits, labels = torch.randn(700, 10), torch.randint(10, (700,))
    images = torch.arange(700).reshape(-1, 1, 1, 1)

    class Table(nn.Module):
        def forward(self, x):
            return logits[x.flatten()]

    metrics = evaluate(Table(), lambda x: x, images, labels, "fp32", 3)
    assert metrics.loss == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-6)
    assert metrics.top1 == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    assert metrics.topk == pytest.approx(top_k_accuracy_score(labels, logits, k=3))


def test_training_metrics_are_means_over_samples_not_batches(stripes):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.tensor([0.3, -0.2]))

        def forward(self, x):
            return self.bias.expand(len(x), 2)

    result = train(Constant, stripes, Recipe(epochs=1, batch_size=20, lr=1e-12))
    expected = cross_entropy(torch.tensor([[0.3, -0.2]] * 48), stripes.labels["train"])
    assert result.epochs[0].train.loss == pytest.approx(float(expected), rel=1e-5)
    assert result.epochs[0].train.top1 == 0.5


@pytest.mark.parametrize(("classes", "k"), [(2, 1), (3, 2), (10, 3), (99, 3), (100, 5), (1000, 5)])
def test_k_of_top_k(classes, k):
    assert top_k(classes) == k


@pytest.mark.parametrize(("samples", "size"), [(48, 16), (49, 16), (50, 16), (5, 64), (1, 4), (33, 32)])
def test_batches_cover_all_samples_and_none_but_the_only_one_is_alone(samples, size):
    bounds = training._batch_bounds(samples, size)
    assert [i for first, last in bounds for i in range(first, last)] == list(range(samples))
    assert samples == 1 or all(last - first > 1 for first, last in bounds)


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimizers_take_what_is_trainable(name, kind):
    model = net()
    model[1].requires_grad_(requires_grad=False)
    optimizer = make_optimizer(model, Recipe(optimizer=name, lr=0.02, weight_decay=0.1))
    (group,) = optimizer.param_groups
    assert type(optimizer).__name__ == kind
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.1)
    assert {id(p) for p in group["params"]} == {id(p) for p in model.parameters() if p.requires_grad}
    assert group.get("momentum", 0.9) == 0.9


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [1.0] * 8),
        ("cosine", [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]),
        ("step", [1.0] * 4 + [0.1] * 2 + [0.01] * 2),
        ("exponential", [1.0] * 4 + [0.5] * 4),
    ],
)
def test_schedules_by_step(schedule, rates):
    recipe = Recipe(optimizer="sgd", lr=1.0, schedule=schedule, epochs=2, lr_decay=0.5)
    optimizer = make_optimizer(net(), recipe)
    scheduler = make_schedule(optimizer, recipe, 4)
    seen = []
    for _ in range(8):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx(rates)


def test_bfloat16_trains_and_differs_from_float32(stripes):
    fp32 = train(net, stripes, RECIPE)
    bf16 = train(net, stripes, dataclasses.replace(RECIPE, precision="bf16"))
    assert bf16.test.top1 is not None
    assert bf16.weights_sha256 != fp32.weights_sha256


@pytest.mark.parametrize(
    "change", [{"label_smoothing": 0.3}, {"augment": ("shift",)}, {"weight_decay": 0.1}, {"schedule": "constant"}]
)
def test_every_choice_of_the_recipe_changes_the_weights(stripes, change):
    plain = train(net, stripes, RECIPE)
    other = train(net, stripes, dataclasses.replace(RECIPE, **change))
    assert other.weights_sha256 != plain.weights_sha256


def test_label_smoothing_changes_what_is_trained_on_and_not_what_is_reported(stripes):
    class Sure(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(8.0))

        def forward(self, x):  # the right answer, with a margin that smoothing would punish
            bright = x[:, 0, :, 4:].mean((1, 2)) - x[:, 0, :, :4].mean((1, 2))
            return torch.stack([-bright, bright], 1) * self.scale

    result = train(Sure, stripes, Recipe(epochs=1, lr=1e-12, batch_size=16, label_smoothing=0.5))
    assert result.epochs[0].train.loss < 0.01


def test_images_are_normalised_by_the_training_split(stripes):
    seen = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 2)

        def forward(self, x):
            if self.training:
                seen.append(x)
            return self.layer(x.flatten(1))

    train(Watching, stripes, Recipe(epochs=1, batch_size=48))
    assert seen[-1].mean().abs() < 1e-5
    assert seen[-1].std(correction=0) == pytest.approx(1, abs=1e-5)


def test_a_net_that_views_its_maps_as_flat_memory_trains_as_well(stripes):
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.layer = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.layer(x.view(x.size(0), -1))

    assert train(Viewing, stripes, RECIPE).test.top1 is not None


def test_a_step_that_breaks_the_weights_is_a_divergence_even_where_its_own_loss_was_finite(stripes):
    result = train(net, stripes, Recipe(epochs=1, batch_size=48, lr=1e38, optimizer="sgd"))
    assert result.epochs[0].train.loss is not None
    assert result.diverged_epoch == 1
    assert result.test is None


@pytest.mark.parametrize(
    ("device", "shape", "expected"),
    [("cpu", (1, 8, 8), 256), ("cuda", (1, 28, 28), 1024), ("cuda", (3, 64, 64), 341), ("cuda", (3, 224, 224), 256)],
)
def test_a_card_evaluates_more_images_at_a_time_where_they_are_small(device, shape, expected):
    assert training.evaluation_batch(device, math.prod(shape)) == expected


def test_threads_are_set_and_put_back():
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.gpu
def test_training_on_cuda(stripes):
    result = train(net, stripes, dataclasses.replace(RECIPE, epochs=8), "cuda")
    assert result.test.top1 == 1.0


def test_a_model_that_learns_by_fit_has_one_epoch(stripes):
    import zoo

    told = []
    result = train(
        lambda: zoo.create_model("linear_svm", num_classes=2, in_chans=1, input_size=8),
        stripes, RECIPE, on_epoch=told.append,
    )  # fmt: skip
    assert result.test.top1 == result.epochs[0].validation.top1 == 1.0
    assert [epoch.epoch for epoch in result.epochs] == [1]
    assert told == list(result.epochs)
    assert (result.cached_features, result.diverged_epoch) == (False, None)
    assert len(result.weights_sha256) == 64


def test_a_seed_fixes_a_fit(stripes):
    import zoo

    def weights():
        return train(
            lambda: zoo.create_model("linear_svm", num_classes=2, in_chans=1, input_size=8), stripes, RECIPE
        ).weights_sha256

    assert weights() == weights()


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler, as torch.compile does on a CPU")
def test_compiled_steps_learn_the_same_but_for_rounding(stripes, monkeypatch):
    taken = []
    compiled = stepper.compiled

    def watched(*of):
        forward = compiled(*of)
        return lambda batch: taken.append(len(batch)) or forward(batch)

    monkeypatch.setattr(stepper, "compiled", watched)
    recipe = dataclasses.replace(RECIPE, epochs=2, batch_size=20)  # and a smaller batch at the end of an epoch
    usual, quick = (train(net, stripes, recipe, knobs=knobs) for knobs in (USUAL, Knobs(compiled=True)))
    assert set(taken) == {20}
    assert [epoch.train.loss for epoch in quick.epochs] == pytest.approx([e.train.loss for e in usual.epochs], rel=1e-4)
