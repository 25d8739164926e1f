"""The contract, over everything in the registry; and each of its clauses, on a model that breaks it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import zoo
from zoo import registry
from zoo.testing import check_model


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch.compile and export's own
@pytest.mark.parametrize("name", zoo.list_models())
def test_every_model_keeps_the_contract(name):
    spec = zoo.model_spec(name)
    if spec.requires:
        pytest.importorskip(spec.requires)
    # Some published inputs are large; their nets take smaller ones as well.
    small = {"captcha": (32, 40), "transfer": (64, 64) if "xception" in name else (32, 32)}
    check_model(spec, (spec.input_shape[0], *small[spec.family]) if spec.family in small else None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch.compile and export's own
@pytest.mark.parametrize(
    "name",
    [
        "cnn[norm=group,activation=silu,head=conv,first_kernel=5]", "mobilenet[norm=none,head=gap]",
        "mobilenetv2[squeeze_excite=true,activation=hard_swish]", "resnet18_mod[small_stem=true,head=64-32]",
        "squeezenet[norm=batch,head=dense1]", "convnext[head=dense2]", "vit[heads=2]", "cnn_mnist[activation=softmax]",
    ],
)  # fmt: skip
def test_variants_keep_the_contract(name):
    check_model(zoo.model_spec(name))


class Net(nn.Module):
    def __init__(self, num_classes=5):
        super().__init__()
        self.layer = nn.Linear(48, num_classes)

    def forward(self, x):
        return self.layer(x.flatten(1))


class WrongShape(Net):
    def forward(self, x):
        return super().forward(x)[:, 1:]


class Infinite(Net):
    def forward(self, x):
        return super().forward(x) * math.inf


class BatchBound(Net):
    def forward(self, x):
        return super().forward(x - x.mean(0, keepdim=True))


class FloatOnly(Net):
    def forward(self, x):
        return super().forward(x.to(self.layer.weight.dtype)).float()


class Moody(Net):
    def forward(self, x):
        return super().forward(x) + torch.rand(())


class Unseeded(Net):
    count = 0

    def __init__(self, num_classes=5):
        super().__init__(num_classes)
        Unseeded.count += 1
        self.layer.weight.data.fill_(Unseeded.count)


class Forgetful(Net):
    def __init__(self, num_classes=5):
        super().__init__(num_classes)
        self.hidden = [nn.Linear(48, num_classes)]

    def forward(self, x):
        return super().forward(x)

    def load_state_dict(self, state_dict, *rest, **named):
        return None


class Idle(Net):
    def __init__(self, num_classes=5):
        super().__init__(num_classes)
        self.unused = nn.Linear(2, 2)


class WrongGradient(Net):
    def forward(self, x):
        logits = super().forward(x)
        return logits + (logits.detach() * 0.5)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WrongShape, r"its logits are \(7, 4\)"), (Infinite, "not finite"), (BatchBound, "depend on the rest"),
        (FloatOnly, "does not work in bfloat16"), (Moody, "batch|second time"), (Unseeded, "a seed does not fix"),
        (Forgetful, "round trip"), (Idle, r"no gradient reaches unused\.weight, unused\.bias"),
        (WrongGradient, "is not the numeric one"),
    ],
)  # fmt: skip
def test_a_model_that_breaks_it_is_told_how(monkeypatch, broken, message):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    zoo.register_model("broken")(broken)
    with pytest.raises(AssertionError, match=message):
        check_model(zoo.model_spec("broken"), (3, 4, 4), 5)


def test_a_width_that_changes_nothing_is_told(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))

    @zoo.register_model
    def stiff(*, num_classes, width=8):
        return Net(num_classes)

    with pytest.raises(AssertionError, match="do not grow with its width"):
        check_model(zoo.model_spec("stiff"), (3, 4, 4), 5)
