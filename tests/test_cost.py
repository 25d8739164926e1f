from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model_weights

import zoo
from archbench import cost
from archbench.budget import size_model
from archbench.cost import measure_cost, register_counter
from archbench.cost.layers import layer_table
from archbench.errors import ModelError
from archbench.schema import Budget
from zoo import registry


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.setattr(cost, "_COUNTERS", dict(cost.counters()))


def sized_as(net, shape, name="given"):
    zoo.register_model(name)(lambda: net)
    return size_model(name, None, shape, 10)


def test_resnet18_costs_what_torchvision_publishes():
    published = get_model_weights("resnet18").DEFAULT.meta
    counted = measure_cost(size_model("resnet18", None, (3, 224, 224), 1000))
    assert counted.params == published["num_params"]
    assert round(counted.macs / 1e9, 3) == published["_ops"]
    assert (counted.macs, counted.params) == (1_814_073_344, 11_689_512)


@pytest.mark.parametrize(("model", "width", "macs"), [("cnn", 32, 113.1e6), ("mobilenet", 8, 3.96e6)])
def test_the_published_fer2013_nets_cost_what_was_published(model, width, macs):
    counted = measure_cost(size_model(model, None, (1, 48, 48), 7, width=width))
    assert counted.macs == pytest.approx(macs, rel=0.005)


@pytest.mark.parametrize("model", [name for name in zoo.list_models() if zoo.model_spec(name).scalable])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 20)])
def test_closed_forms_by_layer_add_up_to_torchs_counter(model, shape):
    sized = size_model(model, Budget(50_000), shape, 10)
    counted, layers = measure_cost(sized), layer_table(sized)
    by_torch = next(count.value for count in counted.counters if count.counter == "torch")
    assert sum(layer.macs for layer in layers) == counted.macs == by_torch // 2
    assert sum(layer.params for layer in layers) == counted.params == sized.params
    assert counted.trainable_params == counted.params
    assert counted.activations == sum(layer.activations for layer in layers) > 0


@pytest.mark.parametrize("model", ["cnn", "mobilenet", "mlp", "resnet18"])
def test_the_counters_agree_on_what_they_all_count(model):
    counted = measure_cost(size_model(model, Budget(50_000), (1, 16, 16), 10))
    figures = {count.counter: count for count in counted.counters}
    assert set(figures) >= {"torch", "fvcore", "ptflops"}
    for figure in figures.values():
        assert figure.error is None
        assert figure.version
    assert figures["torch"].value == 2 * counted.macs
    # The two others add batch norm, pooling and activations to the same multiply-accumulates.
    assert counted.macs <= figures["fvcore"].value <= 1.3 * counted.macs
    assert counted.macs <= figures["ptflops"].value <= 1.3 * counted.macs


@settings(max_examples=30)
@given(
    groups=st.integers(1, 3), inputs=st.integers(1, 4), outputs=st.integers(1, 4), kernel=st.integers(1, 4),
    stride=st.integers(1, 3), dilation=st.integers(1, 2), padding=st.integers(0, 2), transposed=st.booleans(),
)  # fmt: skip
def test_any_convolution_by_its_closed_form(groups, inputs, outputs, kernel, stride, dilation, padding, transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    net = kind(groups * inputs, groups * outputs, kernel, stride, padding, groups=groups, dilation=dilation)
    before = dict(registry._SPECS)
    try:
        (layer,) = layer_table(sized_as(net, (groups * inputs, 11, 9)))
    finally:
        registry._SPECS.clear()
        registry._SPECS.update(before)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, groups * inputs, 11, 9))
    assert 2 * layer.macs == counter.get_total_flops()
    assert layer.params == sum(p.numel() for p in net.parameters())


def test_a_layer_that_runs_twice_has_its_parameters_once(own_registry):
    shared = nn.Linear(64, 64)
    net = nn.Sequential(nn.Flatten(), shared, nn.ReLU(), shared)
    layers = layer_table(sized_as(net, (1, 8, 8)))
    assert [layer.params for layer in layers] == [0, 64 * 65, 0, 0]
    assert sum(layer.macs for layer in layers) == 2 * 64 * 64


def test_frozen_parameters_and_buffers_are_told_apart(own_registry):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 10))
    net[0].requires_grad_(requires_grad=False)
    sized = sized_as(net, (1, 8, 8))
    counted = measure_cost(sized)
    assert (counted.params, counted.trainable_params) == (40 + 8 + 1450, 8 + 1450)
    assert counted.buffers == counted.statistics == 4 + 4  # the count of batches is no value
    assert [layer.trainable_params for layer in layer_table(sized)] == [0, 8, 0, 1450]
    assert counted.activations == 4 * 36 + 10


def test_a_layer_of_an_unknown_kind_is_not_counted_as_nothing(own_registry):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(64, 10))
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x.flatten(1) @ self.weight)

    layers = {layer.kind: layer for layer in layer_table(sized_as(Odd(), (1, 8, 8)))}
    assert (layers["Odd"].macs, layers["Odd"].params) == (None, 640)
    assert measure_cost(size_model("given", None, (1, 8, 8), 10)).macs == 640


def test_a_counter_that_fails_is_a_missing_figure_with_its_reason(own_registry):
    @register_counter("broken", unit="macs", package="no-such-package")
    def count(net, example):
        raise RuntimeError("cannot trace\nthis")

    counted = measure_cost(size_model("mlp", Budget(5000), (1, 8, 8), 10))
    figure = next(count for count in counted.counters if count.counter == "broken")
    assert (figure.value, figure.error, figure.version) == (None, "RuntimeError: cannot trace", "")
    assert counted.macs is not None


def test_a_model_that_does_not_run_says_so(own_registry):
    with pytest.raises(ModelError, match="given does not run on 1x8x8: RuntimeError"):
        measure_cost(sized_as(nn.Linear(3, 4), (1, 8, 8)))


class Attending(nn.Module):
    """Attention whose output projection is used and never called, as torch's own does."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(64, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x = self.inside(x.flatten(2))
        return self.out(self.attention(x, x, x)[0]).mean(1)


def test_parameters_of_what_is_never_called_are_in_the_table(own_registry):
    sized = sized_as(Attending(), (4, 8, 8))
    layers = layer_table(sized)
    assert sum(layer.params for layer in layers) == sized.params
    assert next(layer.params for layer in layers if layer.name == "attention.out_proj") == 8 * 8 + 8


def test_attention_is_counted_product_by_product(own_registry):
    # 4 tokens of 8: inside, three projections and the one out, queries by keys and their mixture, the last layer.
    expected = 4 * 64 * 8 + 4 * 4 * 8 * 8 + 2 * 4 * 4 * 8 + 4 * 8 * 3
    assert measure_cost(sized_as(Attending(), (4, 8, 8))).macs == expected
