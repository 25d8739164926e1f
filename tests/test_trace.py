from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archbench.cost.trace import counted, trace


class Calls(nn.Module):
    """A network that is one function."""

    def __init__(self, call, **layers):
        super().__init__()
        self.call = call
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.call(self, x)


def backward(operations):
    return sum(operation.backward_macs for operation in operations)


CONVOLUTIONS = st.fixed_dictionaries({
    "groups": st.sampled_from([1, 2, 4]), "kernel_size": st.integers(1, 4), "stride": st.integers(1, 3),
    "dilation": st.integers(1, 2), "padding": st.integers(0, 2), "bias": st.booleans(),
})  # fmt: skip


@settings(max_examples=40)
@given(st.sampled_from([1, 4, 8]), st.sampled_from([4, 12]), CONVOLUTIONS, st.booleans())
def test_any_convolution_has_its_closed_form(factor, outputs, options, transposed):
    inputs = 4 * factor
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(inputs, outputs, **options)
    example = torch.zeros(1, inputs, 11, 9)
    out = layer(example)
    # Each value of the side that the kernel walks over meets kernel x channels / groups others.
    walked, met = (example.numel(), outputs) if transposed else (out.numel(), inputs)
    expected = walked * options["kernel_size"] ** 2 * met // options["groups"]
    (operation,) = (one for one in trace(layer, example) if one.kind)
    assert operation.macs == expected
    assert operation.kind == "convolution"
    assert operation.bias == (out.numel() if options["bias"] else 0)
    assert operation.backward_macs == expected  # of its weight alone: nothing trained stands before it
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(example)
    assert counter.get_total_flops() == 2 * expected


def test_a_depthwise_convolution_is_trained_at_three_times_its_forward_pass():
    """torch's own counter comes to 66 times for 64 channels: it counts the groups once too often."""
    net = nn.Sequential(nn.Conv2d(64, 64, 1), nn.Conv2d(64, 64, 3, padding=1, groups=64))
    depthwise = trace(net, torch.zeros(1, 64, 8, 8))[-1]
    assert depthwise.macs == 64 * 64 * 9
    assert depthwise.macs + depthwise.backward_macs == 3 * depthwise.macs


def test_gradients_are_those_of_what_is_trained_and_of_what_stands_before():
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 7), nn.Linear(7, 2))
    first, second, third = 3 * 5, 5 * 7, 7 * 2
    example = torch.zeros(1, 3)
    assert backward(trace(net, example)) == first + 2 * second + 2 * third
    with FlopCounterMode(display=False) as counter:
        net(example).sum().backward()
    assert counter.get_total_flops() == 2 * (first + second + third + backward(trace(net, example)))
    net[0].requires_grad_(requires_grad=False)
    assert backward(trace(net, example)) == second + 2 * third
    net[2].requires_grad_(requires_grad=False)
    assert backward(trace(net, example)) == third
    net[3].requires_grad_(requires_grad=False)
    assert backward(trace(net, example)) == 0
    net[2].requires_grad_()
    assert backward(trace(net, example)) == second + third  # through what is frozen the gradient passes


PRODUCTS = {
    "at": (lambda _, x: x @ x.transpose(1, 2), 5 * 6 * 5),
    "matmul": (lambda _, x: torch.matmul(x, x.transpose(1, 2)), 5 * 6 * 5),
    "bmm": (lambda _, x: torch.bmm(x, x.transpose(1, 2)), 5 * 6 * 5),
    "baddbmm": (lambda _, x: torch.baddbmm(torch.zeros(1, 5, 5), x, x.transpose(1, 2)), 5 * 6 * 5),
    "einsum": (lambda _, x: torch.einsum("bij,bkj->bik", x, x), 5 * 6 * 5),
    "matrix by vector": (lambda _, x: x[0] @ x[0, 0], 5 * 6),
    "dot": (lambda _, x: x[0, 0] @ x[0, 1], 6),
    "linear": (lambda _, x: functional.linear(x, torch.zeros(4, 6), torch.zeros(4)), 5 * 6 * 4),
    # 3 heads of 2: scores and their mixture.
    "attention": (lambda _, x: functional.scaled_dot_product_attention(*[x.view(1, 3, 5, 2)] * 3), 2 * 3 * 5 * 5 * 2),
    "nothing": (lambda _, x: torch.relu(x) + x.mean() * 2, 0),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_counted_however_it_is_written(name):
    call, expected = PRODUCTS[name]
    assert counted(trace(Calls(call), torch.zeros(1, 5, 6))) == expected


def test_attention_trains_its_four_gradients():
    call, products = PRODUCTS["attention"]
    net = Calls(lambda net, x: call(net, net.before(x)), before=nn.Linear(6, 6))
    before = 5 * 6 * 6
    assert backward(trace(net, torch.zeros(1, 5, 6))) == before + 2 * products


def test_operations_know_where_they_ran_and_what_was_called():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()))
    found = {operation.name: operation for operation in trace(net, torch.zeros(1, 1, 5, 5))}
    assert found["aten.convolution"].modules == ("", "0")
    assert found["aten.native_batch_norm"].modules == ("", "1", "1.0")
    assert found["aten.convolution"].function == "torch.nn.functional.conv2d"
    assert found["aten.relu"].outputs == 2 * 3 * 3


def test_a_network_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trace(net, torch.ones(1, 3))
    assert net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_multiply_by_both_of_their_weights(kind):
    layer = kind(5, 7, batch_first=True)
    gates = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}[kind]
    net = Calls(lambda net, x: net.layer(x)[0], layer=layer)
    assert counted(trace(net, torch.zeros(1, 6, 5))) == 6 * gates * 7 * (5 + 7)


def test_a_network_that_changes_its_parameters_is_counted_without_gradients():
    def call(net, x):
        net.layer.bias.mul_(1.0)
        return net.layer(x)

    net = Calls(call, layer=nn.Linear(3, 4))
    with pytest.raises(RuntimeError, match="in-place"):
        trace(net, torch.zeros(1, 3))
    found = trace(net, torch.zeros(1, 3), gradients=False)
    assert (counted(found), backward(found)) == (12, 0)
