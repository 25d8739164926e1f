from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from archbench.quick import quicken
from archbench.quick.dropout import mask
from archbench.schema import USUAL


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.1, 0.3, 1 / 256, 0.999])
def test_a_mask_drops_at_its_rate_and_makes_up_for_it(rate):
    torch.manual_seed(0)
    drawn = mask(torch.empty(100, 1003), rate)
    dropped = int((drawn == 0).sum())
    assert stats.binomtest(dropped, drawn.numel(), rate).pvalue > 1e-3
    (kept,) = set(drawn[drawn != 0].tolist())
    assert kept == pytest.approx(1 / (1 - rate), rel=1.1 / 2**16 / (1 - rate))
    # Neither neighbours nor what stands eight apart, which comes of one number, know of each other.
    zero = (drawn.flatten() == 0).double()
    for apart in (1, 4, 8):
        known = torch.corrcoef(torch.stack([zero[:-apart], zero[apart:]]))[0, 1]
        assert abs(float(known)) < 4 / len(zero) ** 0.5


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_dropout_in_training_alone(kind, order):
    dropout = nn.Dropout(0.5)
    quicken(dropout, "cpu", USUAL)
    maps = torch.ones(4, 8, 5, 5, dtype=kind).contiguous(memory_format=order).requires_grad_()
    torch.manual_seed(3)
    first = dropout(maps)
    torch.manual_seed(3)
    assert torch.equal(dropout(maps), first)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert first.dtype == kind
    assert first.is_contiguous(memory_format=order)
    first.sum().backward()
    assert torch.equal(maps.grad, first.detach())
    assert torch.equal(dropout.eval()(maps), maps)


def test_a_dropout_of_no_rate_or_of_ones_own_is_left_as_it_is():
    class Own(nn.Dropout):
        pass

    net = nn.Sequential(nn.Dropout(0.0), nn.Dropout(1.0), Own(0.5), nn.Dropout(0.5, inplace=True))
    quicken(net, "cpu", USUAL)
    assert not any("forward" in vars(module) for module in net)
