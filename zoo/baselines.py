"""Baselines without gradient descent, by scikit-learn: a linear support vector machine and nearest neighbours.

Their modules say `learns_by_fit`, have `fit(images, labels)`, and answer batches as networks do; `timed_unfitted` says
that their speed can be measured without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from zoo.grammar import OptionError
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import Tensor

SVM_ITERATIONS = 10_000
UNSEEN = -1e4


class LinearSVM(nn.Module):
    """A linear support vector machine for each class against the rest (Fan et al. 2008, LIBLINEAR)."""

    learns_by_fit = True
    timed_unfitted = True  # what it learned does not change its speed

    def __init__(self, features: int, num_classes: int, c: float) -> None:
        super().__init__()
        self.c = c
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, classes) distances from the separating planes, in units of the margin."""
        margins: Tensor = self.classifier(self.flatten(x))
        return margins

    def fit(self, images: Tensor, labels: Tensor) -> None:
        """Learn from float (N, C, H, W) and int64 (N,), with a seed from torch's global generator."""
        from sklearn.svm import LinearSVC

        seed = int(torch.randint(2**31, ()).item())
        machine = LinearSVC(C=self.c, max_iter=SVM_ITERATIONS, random_state=seed)
        with threadpool_limits(torch.get_num_threads()):  # as many as the nets have
            machine.fit(images.flatten(1).cpu().numpy(), labels.cpu().numpy())
        weight, bias = torch.from_numpy(machine.coef_), torch.from_numpy(machine.intercept_)
        if len(weight) == 1 < self.classifier.out_features:  # two classes share one plane
            weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
        with torch.no_grad():
            seen = torch.from_numpy(machine.classes_).to(self.classifier.weight.device)
            self.classifier.weight.zero_()
            self.classifier.bias.fill_(UNSEEN)  # a class without an example is on the far side of every margin
            self.classifier.weight[seen] = weight.to(self.classifier.weight)
            self.classifier.bias[seen] = bias.to(self.classifier.bias)


class NearestNeighbours(nn.Module):
    """The labels of the nearest training images (Cover and Hart 1967), by Euclidean distance of their pixels."""

    learns_by_fit = True
    images: Tensor
    labels: Tensor

    def __init__(self, features: int, num_classes: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours, self.num_classes = neighbours, num_classes
        self._machine: Any = None
        self.register_buffer("images", torch.zeros(0, features))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, classes) logarithms of probability.

        Each neighbour votes by the inverse of its distance; a class is smoothed by one vote (Laplace), so that none is
        impossible. Without a fit, all are equal.
        """
        shares = torch.zeros(len(x), self.num_classes, dtype=torch.float64)
        near = min(self.neighbours, len(self.labels))
        if near:
            with threadpool_limits(torch.get_num_threads()):  # as many as the nets have
                machine = self._machine = self._machine or self._fitted(near)
                votes = machine.predict_proba(x.detach().flatten(1).float().cpu().numpy())
            shares[:, torch.from_numpy(machine.classes_)] = torch.from_numpy(votes)
        return ((near * shares + 1) / (near + self.num_classes)).log().to(x)

    def fit(self, images: Tensor, labels: Tensor) -> None:
        """Keep float (N, C, H, W) and int64 (N,)."""
        self.images, self.labels = images.flatten(1).clone(), labels.clone()
        self._machine = None

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Make room for as many images as the state holds."""
        self._machine = None
        for name in ("images", "labels"):
            if f"{prefix}{name}" in state_dict:
                setattr(self, name, getattr(self, name).new_zeros(state_dict[f"{prefix}{name}"].shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _fitted(self, neighbours: int) -> Any:
        from sklearn.neighbors import KNeighborsClassifier

        machine = KNeighborsClassifier(neighbours, weights="distance")
        return machine.fit(self.images.float().cpu().numpy(), self.labels.cpu().numpy())


@register_model(by_gradient=False, family="baseline", source="scikit-learn, LinearSVC")
def linear_svm(*, num_classes: int, in_chans: int, input_size: tuple[int, int], c: float = 0.01) -> nn.Module:
    """Linear support vector machine, fitted by LIBLINEAR.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        c: weight of the margin's violations against the weights' squares.
    """
    if c <= 0:
        msg = f"c={c} is not accepted; give a number above 0"
        raise OptionError(msg)
    return LinearSVM(in_chans * input_size[0] * input_size[1], num_classes, c)


@register_model(by_gradient=False, family="baseline", source="scikit-learn, KNeighborsClassifier")
def knn(*, num_classes: int, in_chans: int, input_size: tuple[int, int], neighbours: int = 5) -> nn.Module:
    """Nearest neighbours on pixels; no parameters, it keeps the training images.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W).
        neighbours: that vote.
    """
    return NearestNeighbours(in_chans * input_size[0] * input_size[1], num_classes, neighbours)
