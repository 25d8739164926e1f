from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from archbench.quick import quicken
from archbench.quick.dropout import mask
from archbench.schema import USUAL, Knobs


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


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.1, 0.3, 0.999])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_loop_drops_the_same_to_the_bit(rate, kind, order):
    values = torch.randn(4, 7, 5, 9).to(kind).contiguous(memory_format=order)
    values[0, 0, 0, :3] = torch.tensor([torch.nan, torch.inf, -0.0])
    found = []
    for knobs in (USUAL, Knobs(quick_maps=True)):
        dropout = nn.Dropout(rate)
        quicken(dropout, "cpu", knobs)
        torch.manual_seed(3)
        leaf = values.clone(memory_format=torch.preserve_format).requires_grad_()
        done = dropout(leaf)
        (back,) = torch.autograd.grad(done, leaf, torch.ones(4, 7, 5, 9).to(kind))
        assert done.is_contiguous(memory_format=order)
        found.append((done.detach(), back, type(done.grad_fn).__name__))
    (usual, usual_back, _), (ours, back, by) = found
    assert by == "DropoutBackward"
    kept = usual_back != 0
    assert torch.equal(back, usual_back)
    torch.testing.assert_close(ours[kept], usual[kept], rtol=0, atol=0, equal_nan=True)
    assert (ours[~kept] == 0).all()  # also where there was no number


def test_a_loop_is_for_training_and_for_values_in_one_order():
    dropout = nn.Dropout(0.5)
    quicken(dropout, "cpu", Knobs(quick_maps=True))
    values = torch.randn(6, 8, requires_grad=True)
    for others in (values.t(), values.double()):
        torch.manual_seed(0)
        done = dropout(others)
        assert type(done.grad_fn).__name__ == "MulBackward0"
        assert set((done / others).unique().tolist()) <= {0.0, 2.0}
    with torch.no_grad():
        assert dropout(values).grad_fn is None
    assert dropout.eval()(values) is values
