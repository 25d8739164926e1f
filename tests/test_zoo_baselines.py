"""The models without gradients against scikit-learn's own answers."""

from __future__ import annotations

import copy

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

import zoo


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return images[:600], torch.tensor(labels[:600]), images[600:900]


def fitted(name, digits, **options):
    torch.manual_seed(0)
    net = zoo.create_model(name, num_classes=10, in_chans=1, input_size=8, **options)
    net.fit(digits[0], digits[1])
    return net.eval()


def test_the_support_vector_machine_is_scikit_learns(digits):
    train, labels, test = digits
    theirs = LinearSVC(C=0.5, max_iter=10_000, random_state=0).fit(train.flatten(1).numpy(), labels.numpy())
    with torch.inference_mode():
        margins = fitted("linear_svm", digits, c=0.5)(test)
    expected = torch.tensor(theirs.decision_function(test.flatten(1).numpy()), dtype=torch.float32)
    assert torch.allclose(margins, expected, atol=0.02)
    assert (margins.argmax(1) == expected.argmax(1)).float().mean() >= 0.99


def test_nearest_neighbours_are_scikit_learns(digits):
    train, labels, test = digits
    theirs = KNeighborsClassifier(3, weights="distance").fit(train.flatten(1).numpy(), labels.numpy())
    logits = fitted("knn", digits, neighbours=3)(test)
    assert torch.equal(logits.argmax(1), torch.tensor(theirs.predict(test.flatten(1).numpy())))
    assert torch.allclose(logits.exp().sum(1), torch.ones(len(test)), atol=1e-5)
    shares = torch.tensor(theirs.predict_proba(test.flatten(1).numpy()))
    assert torch.allclose(logits.exp().double(), (3 * shares + 1) / 13, atol=1e-5)  # one vote for each class


def test_two_classes_have_opposite_margins():
    images = torch.cat([torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2)])
    net = zoo.create_model("linear_svm", num_classes=2, in_chans=1, input_size=2)
    net.fit(images, torch.arange(8) // 4)
    with torch.inference_mode():
        margins = net(images)
    assert torch.allclose(margins[:, 0], -margins[:, 1])
    assert margins.argmax(1).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(("name", "options"), [("linear_svm", {"c": 1.0}), ("knn", {})])
def test_a_class_without_examples_is_never_the_answer(name, options, digits):
    train, labels, test = digits
    net = zoo.create_model(name, num_classes=10, in_chans=1, input_size=8, **options)
    net.fit(train[labels != 9], labels[labels != 9])
    with torch.inference_mode():
        answers = net(torch.cat([train, test])).argmax(1)
    assert set(answers.tolist()) == set(range(9))


def test_a_state_brings_its_neighbours(digits):
    net, other = fitted("knn", digits), fitted("knn", (digits[0].flip(0), digits[1], None))
    logits = net(digits[2])
    assert not torch.equal(other(digits[2]), logits)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(digits[2]), logits)
    fresh = zoo.create_model("knn", num_classes=10, in_chans=1, input_size=8)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(copy.deepcopy(fresh)(digits[2]), logits)


def test_unfitted_neighbours_say_nothing():
    logits = zoo.create_model("knn", num_classes=4, in_chans=1, input_size=2)(torch.zeros(2, 1, 2, 2))
    assert torch.allclose(logits.exp(), torch.full((2, 4), 0.25))
