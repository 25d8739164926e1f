from __future__ import annotations

import re

import networkx as nx
import pytest
from torch import nn

import zoo
from archbench import api
from archbench.diagram import diagram, layer_graph, write_diagram
from archbench.errors import InputError, OutputError
from zoo import registry


def titles(graph):
    return [graph.nodes[node]["box"].title for node in nx.lexicographical_topological_sort(graph, key=str)]


def boxes(graph):
    return {graph.nodes[node]["box"].title: (node, graph.nodes[node]["box"]) for node in graph}


def test_a_chain_is_a_chain_with_what_follows_a_layer_in_its_box():
    graph = layer_graph(api.size("mnist_dense2"))
    assert titles(graph) == ["image", "conv1.conv", "conv2.conv", "pool", "dense", "classifier", "logits"]
    assert [degree for _, degree in graph.out_degree()] == [1, 1, 1, 1, 1, 1, 0]
    box = boxes(graph)["dense"][1]
    assert (box.params, box.macs, box.output_shape) == (1_179_776, 9216 * 128, (128,))
    assert box.then == ["ReLU", "Dropout"]


def test_shortcuts_and_branches_are_edges():
    graph = layer_graph(api.size("resnet18_mod", input="3x32x32"))
    assert sum(title.startswith("add") for title in titles(graph)) == 8
    joined = [node for node in graph if graph.nodes[node]["box"].title.startswith("add")]
    assert all(graph.in_degree(node) == 2 for node in joined)
    fires = layer_graph(api.size("squeezenet", input="3x32x32"))
    assert titles(fires).count("cat") == 8
    squeeze = boxes(fires)["run1_fire1.squeeze.conv"][0]
    assert {fires.nodes[n]["box"].title for n in fires.successors(squeeze)} == {
        "run1_fire1.expand1.conv", "run1_fire1.expand3.conv",
    }  # fmt: skip


@pytest.mark.parametrize("model", ["cnn", "mobilenetv2", "convnext", "vit", "knn", "captcha_baseline"])
def test_every_parameter_is_in_one_box(model):
    sized = api.size(model, input="3x32x32")
    graph = layer_graph(sized)
    assert sum(data["box"].params for _, data in graph.nodes(data=True)) == sized.params
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.is_weakly_connected(graph)


def test_what_cannot_be_exported_is_a_chain_of_its_layers(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))

    class Branching(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.a, self.b = nn.Linear(64, 4), nn.Linear(4, num_classes)

        def forward(self, x):
            return self.b(self.a(x.flatten(1)) if float(x.sum()) > 1e9 else self.a(-x.flatten(1)))

    zoo.register_model("branching")(Branching)
    graph = layer_graph(api.size("branching", input=(1, 8, 8), classes=3))
    assert titles(graph) == ["image", "a", "b", "logits"]


def test_the_drawing_says_what_each_box_is(tmp_path):
    path = write_diagram(api.size("mnist_dense1"), "mnist_dense1", tmp_path / "net.svg")
    text = re.sub(r"<[^>]+>", " ", path.read_text())
    for word in ("mnist_dense1 on 1x28x28, 10 classes: 110,986 parameters", "conv2.conv", "18,496 params", "64x12x12"):
        assert word in text
    again = write_diagram(api.size("mnist_dense1"), "mnist_dense1", tmp_path / "again.svg")
    assert again.read_bytes() == path.read_bytes()


def test_its_file_is_named_after_the_model():
    assert write_diagram(api.size("mlp"), "mlp[activation=sigmoid]@30k").name == "mlp_activation=sigmoid_@30k.svg"


def test_an_arrow_that_passes_a_row_goes_around_it():
    graph = layer_graph(api.size("resnet18_mod", input="3x32x32"))
    (ax,) = diagram(graph, "").axes
    curved = [text for text in ax.texts if "rad=-0.35" in str(getattr(text, "arrowprops", ""))]
    passing = sum(1 for a, b in graph.edges if longest(graph, b) - longest(graph, a) > 1)
    assert len(curved) == passing > 0


def longest(graph, node):
    return next(level for level, row in enumerate(nx.topological_generations(graph)) if node in row)


def test_a_format_that_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written as net\.gif") as caught:
        write_diagram(api.size("mlp"), "mlp", tmp_path / "net.gif")
    assert ".svg" in caught.value.remedy


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_diagram(api.size("mlp"), "mlp", tmp_path / "file" / "net.svg")
