from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score
from torch.nn.functional import cross_entropy

from archbench.metrics import by_position, loss_of, metrics_of, tally, top_k
from archbench.schema import Metrics, Recipe

CLASSES, POSITIONS, IMAGES, K = 6, 4, 50, 3


def scores(seed=0):
    """Return logits (N, P, K) and labels (N, P), every second of them the likeliest."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(IMAGES, POSITIONS, CLASSES, generator=generator)
    labels = torch.randint(CLASSES, (IMAGES, POSITIONS), generator=generator)
    right = torch.rand(IMAGES, POSITIONS, generator=generator) < 0.5
    return logits, torch.where(right, logits.argmax(2), labels)


def test_one_label_an_image_is_as_scikit_learn_counts_it():
    logits, labels = (part[:, 0] for part in scores())
    found = metrics_of(tally(logits, labels, K), IMAGES)
    assert found.loss == pytest.approx(log_loss(labels, logits.double().softmax(1).numpy(), labels=range(CLASSES)))
    assert found.top1 == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert found.topk == pytest.approx(top_k_accuracy_score(labels, logits, k=K, labels=range(CLASSES)))
    assert (found.positions, found.word) == ((), None)


def test_several_labels_are_as_scikit_learn_counts_each_position():
    logits, labels = scores()
    found = metrics_of(tally(logits, labels, K), IMAGES)
    by_place = [accuracy_score(labels[:, p], logits[:, p].argmax(1)) for p in range(POSITIONS)]
    assert found.positions == pytest.approx(tuple(by_place))
    assert found.top1 == pytest.approx(np.mean(by_place))
    assert found.word == pytest.approx((logits.argmax(2) == labels).all(1).double().mean().item())
    assert 0 < found.word < found.top1
    flat = logits.flatten(0, 1), labels.flatten()
    assert found.topk == pytest.approx(top_k_accuracy_score(flat[1], flat[0], k=K, labels=range(CLASSES)))
    loss = log_loss(flat[1], flat[0].double().softmax(1).numpy(), labels=range(CLASSES))
    assert found.loss == pytest.approx(loss, rel=1e-6)


def test_words_by_hand():
    labels = torch.tensor([[0, 1], [1, 1], [2, 0]])
    guesses = torch.tensor([[0, 1], [1, 0], [0, 1]])  # right: both, the first, none
    logits = 5 * torch.nn.functional.one_hot(guesses, 3).float()
    found = metrics_of(tally(logits, labels, 1), 3)
    assert found.positions == pytest.approx((2 / 3, 1 / 3))
    assert (found.top1, found.topk, found.word) == pytest.approx((1 / 2, 1 / 2, 1 / 3))
    assert found.loss == pytest.approx((3 * math.log1p(2 * math.exp(-5)) + 3 * math.log(2 + math.exp(5))) / 6)


def test_one_output_for_all_positions_is_read_position_by_position():
    logits, labels = scores()
    flat = logits.reshape(IMAGES, POSITIONS * CLASSES)
    assert torch.equal(by_position(flat, labels), logits)
    assert torch.equal(tally(flat, labels, K), tally(logits, labels, K))
    assert loss_of(flat, labels, Recipe()) == loss_of(logits, labels, Recipe())
    plain = logits[:, 0]
    assert by_position(plain, labels[:, 0]) is plain
    assert by_position(logits, labels) is logits


def test_one_position_is_no_word():
    logits, labels = scores()
    found = metrics_of(tally(logits[:, :1], labels[:, :1], K), IMAGES)
    assert found == metrics_of(tally(logits[:, 0], labels[:, 0], K), IMAGES)
    assert metrics_of(tally(logits[:, 0], labels[:, :1], K), IMAGES) == found


def test_tallies_of_batches_add_up_to_that_of_the_whole():
    logits, labels = scores()
    sizes = (7, 20, IMAGES - 27)
    parts = zip(logits.split(sizes), labels.split(sizes), strict=True)
    sums = sum(tally(*part, K) for part in parts)
    assert sums.dtype == torch.float64
    assert sums.shape == (3 + POSITIONS,)
    torch.testing.assert_close(sums, tally(logits, labels, K), rtol=1e-6, atol=0)


def test_a_loss_that_is_known_is_not_computed_again():
    logits, labels = scores()
    sums = tally(logits, labels, K, torch.tensor(0.25))
    assert metrics_of(sums, IMAGES).loss == 0.25
    assert torch.equal(sums[1:], tally(logits, labels, K)[1:])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_none(bad):
    logits, labels = scores()
    logits[3, 2, 1] = bad
    found = metrics_of(tally(logits, labels, K), IMAGES)
    assert found.loss is None
    assert 0 < found.top1 < 1


def test_half_precision_is_summed_in_full():
    logits, labels = scores()
    half = metrics_of(tally(logits.bfloat16(), labels, K), IMAGES)
    assert half.loss == pytest.approx(metrics_of(tally(logits.bfloat16().float(), labels, K), IMAGES).loss)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_what_is_trained_on_is_the_mean_or_the_sum_over_positions(smoothing):
    logits, labels = scores()
    each = [
        cross_entropy(logits[:, p], labels[:, p], label_smoothing=smoothing).item() for p in range(POSITIONS)
    ]  # the mean over images
    mean = loss_of(logits, labels, Recipe(label_smoothing=smoothing))
    total = loss_of(logits, labels, Recipe(label_smoothing=smoothing, position_loss="sum"))
    assert mean.item() == pytest.approx(np.mean(each))
    assert total.item() == pytest.approx(sum(each))
    single = loss_of(logits[:, 0], labels[:, 0], Recipe(label_smoothing=smoothing, position_loss="sum"))
    assert single.item() == pytest.approx(each[0])


def test_smoothing_by_its_formula():
    logits, labels = scores()
    logits, labels = logits[:, 0], labels[:, 0]
    target = torch.full((IMAGES, CLASSES), 0.3 / CLASSES)
    target[torch.arange(IMAGES), labels] += 0.7
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    assert loss_of(logits, labels, Recipe(label_smoothing=0.3)).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("classes", "k"), [(1, 1), (2, 1), (3, 2), (4, 3), (99, 3), (100, 5)])
def test_top_k_leaves_a_class_out(classes, k):
    assert top_k(classes) == k


def test_everything_right_and_nothing_right():
    labels = torch.tensor([[0, 1], [1, 0]])
    logits = 100 * torch.nn.functional.one_hot(labels, 2).float()
    assert metrics_of(tally(logits, labels, 1), 2) == Metrics(0.0, 1.0, 1.0, (1.0, 1.0), 1.0)
    assert metrics_of(tally(-logits, labels, 1), 2) == Metrics(100.0, 0.0, 0.0, (0.0, 0.0), 0.0)
