from __future__ import annotations

import dataclasses

import pytest
from torch import nn

from archbench import features
from archbench.forward import torch_threads
from archbench.schema import Recipe
from archbench.training import train

RECIPE = Recipe(epochs=3, batch_size=16)


def frozen(freeze="backbone", dropout=0.0):
    """Build a small frozen net: a backbone with a batch norm and a dropout that are not to act, and a head."""
    from collections import OrderedDict

    from zoo.frozen import frozen as frozen_net

    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * 36, 2))
    return frozen_net(nn.Sequential(OrderedDict(backbone=backbone, head=head)), "head", freeze)


def test_cached_features_come_to_the_same_results(stripes, monkeypatch):
    with torch_threads(1):
        cached = train(lambda: frozen(dropout=0.3), stripes, RECIPE)
        monkeypatch.setattr(features, "MOST_BYTES", 0)
        computed = train(lambda: frozen(dropout=0.3), stripes, RECIPE)
    assert (cached.cached_features, computed.cached_features) == (True, False)
    for ours, theirs in zip(cached.epochs, computed.epochs, strict=True):
        assert ours.train.loss == pytest.approx(theirs.train.loss, rel=1e-4)
        assert ours.validation.loss == pytest.approx(theirs.validation.loss, rel=1e-4)
    assert cached.test.top1 == computed.test.top1


def test_a_frozen_backbone_sees_each_image_once(stripes, monkeypatch):
    seen = []
    original = nn.Conv2d.forward

    def counted(self, images):
        seen.append(len(images))
        return original(self, images)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    train(frozen, stripes, dataclasses.replace(RECIPE, epochs=5))
    probes = 2 + 2 * 2  # of the memory order, and of whether the head is all that follows
    assert sum(seen) <= 48 + 16 + 16 + probes


@pytest.mark.parametrize(
    ("build", "recipe"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), RECIPE),
        (lambda: frozen("none"), RECIPE),
        (frozen, dataclasses.replace(RECIPE, augment=("flip",))),
    ],
)
def test_features_that_change_are_not_cached(stripes, build, recipe):
    assert not train(build, stripes, recipe).cached_features


def test_a_head_whose_map_is_flattened_is_cached(stripes):
    class Flattened(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = nn.Conv2d(1, 4, 3), nn.Sequential(nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1))

        def forward(self, x):
            return self.head(self.backbone(x)).flatten(1)

    from zoo.frozen import frozen as frozen_net

    assert train(lambda: frozen_net(Flattened(), "head", "backbone"), stripes, RECIPE).cached_features


def test_a_net_whose_head_is_not_the_last_is_not_cached(stripes):
    class After(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.backbone(x)) * 2

    from zoo.frozen import frozen as frozen_net

    assert not train(lambda: frozen_net(After(), "head", "backbone"), stripes, RECIPE).cached_features
