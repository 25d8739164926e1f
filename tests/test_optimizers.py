from __future__ import annotations

import math
from typing import get_args, get_type_hints

import pytest
import torch
from torch import nn

from archbench.optimizers import ADADELTA_RHO, DEFAULT_LR, make_optimizer, make_schedule, penalty
from archbench.schema import Recipe
from archbench.training import train

NAMES = get_args(get_type_hints(Recipe)["optimizer"])
GRADIENTS = (2.0, -1.0, 0.5)


class One(nn.Module):
    """A single weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))


def steps(recipe):
    """Return the weight after each step, from 1, with the gradients of `GRADIENTS`."""
    net = One()
    optimizer = make_optimizer(net, recipe)
    weights = []
    for gradient in GRADIENTS:
        net.weight.grad = torch.tensor([gradient])
        optimizer.step()
        weights.append(net.weight.item())
    return weights


def test_every_optimizer_has_a_default_rate():
    assert set(DEFAULT_LR) == set(NAMES)
    assert Recipe().lr == DEFAULT_LR[Recipe().optimizer]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_by_its_formula(momentum, decay):
    weight, velocity, expected = 1.0, 0.0, []
    for gradient in GRADIENTS:  # Sutskever 2013, as torch has it: no dampening, the rate applied last
        velocity = momentum * velocity + gradient + decay * weight
        weight -= 0.1 * velocity
        expected.append(weight)
    recipe = Recipe(optimizer="sgd", lr=0.1, momentum=momentum, weight_decay=decay)
    assert steps(recipe) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw_by_their_formulas(decoupled):
    lr, decay = 0.1, 0.2
    weight, first, second, expected = 1.0, 0.0, 0.0, []
    for step, gradient in enumerate(GRADIENTS, start=1):  # Kingma 2015; Loshchilov 2019 decays the weight itself
        grad = gradient if decoupled else gradient + decay * weight
        weight *= 1 - lr * decay if decoupled else 1
        first, second = 0.9 * first + 0.1 * grad, 0.999 * second + 0.001 * grad**2
        weight -= lr * first / (1 - 0.9**step) / (math.sqrt(second / (1 - 0.999**step)) + 1e-8)
        expected.append(weight)
    recipe = Recipe(optimizer="adamw" if decoupled else "adam", lr=lr, weight_decay=decay)
    assert steps(recipe) == pytest.approx(expected, rel=1e-5)


def test_adadelta_by_its_formula():
    rho, eps = ADADELTA_RHO, 1e-6  # Zeiler 2012, algorithm 1
    weight, squares, updates, expected = 1.0, 0.0, 0.0, []
    for gradient in GRADIENTS:
        squares = rho * squares + (1 - rho) * gradient**2
        update = math.sqrt(updates + eps) / math.sqrt(squares + eps) * gradient
        updates = rho * updates + (1 - rho) * update**2
        weight -= update
        expected.append(weight)
    assert ADADELTA_RHO == 0.95
    assert steps(Recipe(optimizer="adadelta", lr=1.0)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_rmsprop_by_its_formula():
    weight, squares, expected = 1.0, 0.0, []
    for gradient in GRADIENTS:
        squares = 0.99 * squares + 0.01 * gradient**2
        weight -= 0.1 * gradient / (math.sqrt(squares) + 1e-8)
        expected.append(weight)
    assert steps(Recipe(optimizer="rmsprop", lr=0.1)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_momentum_is_of_sgd_alone(name):
    changed = steps(Recipe(optimizer=name, lr=0.1, momentum=0.0)) != steps(Recipe(optimizer=name, lr=0.1, momentum=0.9))
    assert changed == (name == "sgd")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_frozen_stays(name):
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    net[0].requires_grad_(requires_grad=False)
    before = net[0].weight.clone()
    optimizer = make_optimizer(net, Recipe(optimizer=name, weight_decay=0.5))
    net(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    assert torch.equal(net[0].weight, before)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


# Schedules.


def rates(schedule, epochs, steps_per_epoch, **settings):
    recipe = Recipe(optimizer="sgd", lr=0.4, schedule=schedule, epochs=epochs, **settings)
    optimizer = make_optimizer(One(), recipe)
    scheduler = make_schedule(optimizer, recipe, steps_per_epoch)
    seen = []
    for _ in range(epochs * steps_per_epoch):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen, optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize(("epochs", "steps_per_epoch"), [(1, 1), (1, 7), (3, 5), (10, 2)])
def test_rates_by_step(epochs, steps_per_epoch):
    total = epochs * steps_per_epoch
    constant, last = rates("constant", epochs, steps_per_epoch)
    assert constant == [0.4] * total
    assert last == 0.4
    cosine, last = rates("cosine", epochs, steps_per_epoch)
    assert cosine == pytest.approx([0.2 * (1 + math.cos(math.pi * step / total)) for step in range(total)])
    assert last == pytest.approx(0.0, abs=1e-9)
    exponential, _ = rates("exponential", epochs, steps_per_epoch, lr_decay=0.5)
    assert exponential == pytest.approx([0.4 * 0.5 ** (step // steps_per_epoch) for step in range(total)])
    step_rates, _ = rates("step", epochs, steps_per_epoch)
    marks = max(1, total // 2), max(1, total * 3 // 4)
    assert step_rates == pytest.approx([0.4 * 0.1 ** sum(step >= mark for mark in marks) for step in range(total)])


def test_no_schedule_begins_lower_than_the_recipe_says():
    for schedule in get_args(get_type_hints(Recipe)["schedule"]):
        assert rates(schedule, 1, 1)[0] == [0.4]


# The penalty.


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))


def test_the_penaltys_gradient_is_twice_the_weight_and_of_weights_alone():
    net = network()
    penalty(net, 0.3).backward()
    for weight in (net[0].weight, net[3].weight):
        torch.testing.assert_close(weight.grad, 2 * 0.3 * weight)
    for parameter in (net[0].bias, net[3].bias, net[1].weight, net[1].bias):
        assert parameter.grad is None


def test_the_penalty_is_the_sum_of_squares():
    net = network()
    squares = sum((weight.detach() ** 2).sum().item() for weight in (net[0].weight, net[3].weight))
    assert penalty(net, 0.3).item() == pytest.approx(0.3 * squares)
    net[0].requires_grad_(requires_grad=False)  # what is frozen is not learned, nor punished
    assert penalty(net, 1.0).item() == pytest.approx((net[3].weight.detach() ** 2).sum().item())


def test_no_penalty_is_nothing():
    assert penalty(network(), 0.0) == 0.0
    assert penalty(nn.BatchNorm1d(3), 0.3) == 0.0


def test_the_penalty_is_trained_on_and_not_reported(stripes):
    def net():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

    still = Recipe(epochs=1, lr=1e-12, batch_size=48)
    plain, punished = (train(net, stripes, Recipe(**{**vars(still), "l2": l2})) for l2 in (0.0, 100.0))
    assert punished.epochs[0].train.loss == pytest.approx(plain.epochs[0].train.loss)
    # A step of SGD with weight decay 2 l2 is one with the penalty, where there are no biases.
    recipe = Recipe(epochs=1, optimizer="sgd", lr=0.01, momentum=0.0, schedule="constant")
    weights = []
    for settings in ({"l2": 0.05}, {"weight_decay": 0.1}):

        def bare():
            return nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False))

        kept = []
        train(bare, stripes, Recipe(**{**vars(recipe), **settings}), on_trained=kept.append)
        weights.append(kept[0][1].weight)
    torch.testing.assert_close(*weights)
