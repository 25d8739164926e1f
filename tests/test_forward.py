from __future__ import annotations

import pytest
import torch
from torch import nn

from archbench.forward import arithmetic, forward_pass, order_of, resident


def test_filters_are_channels_last_where_the_net_takes_it():
    conv = resident(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), "cpu", (3, 8, 8))[0]
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert conv.training


def switches():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_tf32_is_what_is_asked_for_and_nothing_else(precision, tf32):
    before = switches()
    with arithmetic("cuda", precision):
        assert switches() == (tf32, tf32, True)
    assert switches() == before
    with pytest.raises(ZeroDivisionError), arithmetic("cuda", precision):
        _ = 1 / 0
    assert switches() == before
    with arithmetic("cpu", precision):
        assert switches() == before


@pytest.mark.gpu
@pytest.mark.parametrize("layer", [nn.Conv2d(64, 64, 3), nn.Linear(512, 64)])
def test_single_precision_is_that_of_the_standard(layer):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(8, *((64, 16, 16) if isinstance(layer, nn.Conv2d) else (512,)), generator=generator)
    layer = layer.requires_grad_(False)
    exact = layer.double()(inputs.double())

    def error(precision):
        with forward_pass("cuda", precision):
            found = layer.float().cuda()(inputs.cuda()).cpu().double()
        return float((found - exact).norm() / exact.norm())

    assert error("fp32") < 2e-6
    assert 5e-5 < error("tf32") < 1e-3 < error("bf16") < 1e-2


@pytest.mark.parametrize(
    ("net", "channels", "order"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), 3, "channels_last"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)), 1, "channels_last"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), 3, "contiguous"),
        (nn.Conv2d(3, 4, 1), 3, "contiguous"),
        (nn.ReLU(), 3, "contiguous"),
    ],
)
def test_images_come_in_the_order_of_the_filters(net, channels, order):
    assert order_of(resident(net, "cpu", (channels, 8, 8))) == order


def test_a_net_that_views_its_images_as_flat_memory_has_them_so():
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.dense = nn.Linear(192, 5)

        def forward(self, images):
            return self.dense(images.view(len(images), -1)) + self.conv(images).sum()

    assert order_of(resident(Viewing(), "cpu", (3, 8, 8))) == "contiguous"
