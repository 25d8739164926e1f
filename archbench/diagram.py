"""A model as a graph of its layers, and the diagram of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.budget import build_model
from archbench.cost.layers import layer_table
from archbench.errors import InputError
from archbench.files import file_name, write_file
from archbench.units import grouped, shape, short

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from archbench.cost.layers import Layer
    from archbench.schema import SizedModel

FORMATS = (".svg", ".png", ".pdf")
COLORS = {"Conv": "#c6dbef", "Linear": "#fdd0a2", "Pool": "#c7e9c0", "image": "#f0f0f0", "logits": "#f0f0f0"}
OTHERS = "#ffffff"
BOX_WIDTH, BOX_HEIGHT = 2.9, 0.44  # inches
STEP_X, STEP_Y = 3.3, 0.72
FONT_SIZE = 7.5
FOLLOWERS = ("Norm", "ReLU", "LU", "Sigmoid", "Tanh", "Softmax", "swish", "Dropout", "Identity", "Flatten", "Pad")
# What does no arithmetic worth a box of its own: it is written into the box before.


@dataclass
class Box:
    """One or several layers that follow each other without a branch, as one box."""

    title: str
    kind: str
    output_shape: tuple[int, ...]
    params: int = 0
    macs: int = 0
    then: list[str] = field(default_factory=list)


def layer_graph(sized: SizedModel) -> nx.DiGraph:
    """Return the graph of a model: nodes in the order they run, each with a `Box` as `box`.

    It is read off `torch.export`; a model that cannot be exported is a chain of its layers, as they ran.

    Raises:
        ModelError: the model cannot be built or does not run on its own input shape.
    """
    import networkx as nx
    import torch

    layers = {layer.name: layer for layer in reversed(layer_table(sized))}  # of a layer that runs twice, the first call
    graph = nx.DiGraph()
    graph.add_node(0, box=Box("image", "image", sized.input_shape))
    try:
        net = build_model(sized).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what export has to say of itself
            exported = torch.export.export(net, (torch.zeros(2, *sized.input_shape),))
        _read(exported.graph, layers, graph)
    except Exception:  # noqa: BLE001 - export may raise anything, and the layers are known without it
        graph.remove_nodes_from([node for node in graph if node])
        for layer in reversed(list(layers.values())):
            graph.add_edge(len(graph) - 1, len(graph))
            graph.nodes[len(graph) - 1]["box"] = _box(layer)
    last = [node for node in graph if not graph.out_degree(node)][-1]
    graph.add_node("logits", box=Box("logits", "logits", graph.nodes[last]["box"].output_shape))
    graph.add_edge(last, "logits")
    return _merged(graph)


def _read(exported: Any, layers: dict[str, Layer], graph: nx.DiGraph) -> None:
    """Add a node for each run of operations that belong to one layer, and for each that belongs to none."""
    group_of: dict[Any, int] = {}
    seen: set[str] = set()
    current = ""
    for node in exported.nodes:
        if node.op == "placeholder":
            if node.name == "x" or not node.target.startswith(("p_", "b_", "c_")):
                group_of[node] = 0
            continue
        value = node.meta.get("val")
        inputs = {group_of[source] for source in node.all_input_nodes if source in group_of}
        if node.op != "call_function" or not hasattr(value, "shape") or not inputs:
            if inputs:
                group_of[node] = max(inputs)
            continue
        path = [entry[0] for entry in node.meta.get("nn_module_stack", {}).values()][-1:] or [""]
        name = path[0].partition("@")[0].removeprefix("L['self'].")
        if name in layers and name == current:
            group = len(graph) - 1
        elif name in layers or len(inputs) > 1:
            group = len(graph)
            layer = layers.get(name)
            box = _box(layer) if layer else Box(str(node.target).split(".")[1], "operation", ())
            if name in seen:
                box.params = 0
            graph.add_node(group, box=box)
            seen.add(name)
        else:  # a view or another operation of one input: part of what gave it
            group = max(inputs)
        current = name if name in layers else ""
        graph.nodes[group]["box"].output_shape = tuple(value.shape[1:])
        group_of[node] = group
        graph.add_edges_from((source, group) for source in inputs if source != group)


def _box(layer: Layer) -> Box:
    return Box(layer.name, layer.kind, layer.output_shape, layer.params, layer.macs or 0)


def _merged(graph: nx.DiGraph) -> nx.DiGraph:
    """Write what only follows one layer into that layer's box."""
    import networkx as nx

    for node in list(graph):
        box: Box = graph.nodes[node]["box"]
        sources = list(graph.predecessors(node))
        follows = len(sources) == 1 and sources[0] != 0 and graph.out_degree(sources[0]) == 1
        if not follows or not any(word in box.kind for word in FOLLOWERS):
            continue
        before: Box = graph.nodes[sources[0]]["box"]
        before.then += [box.kind, *box.then]
        before.params, before.macs = before.params + box.params, before.macs + box.macs
        if len(box.output_shape) == len(before.output_shape):  # a map says more than its length
            before.output_shape = box.output_shape
        nx.contracted_nodes(graph, sources[0], node, self_loops=False, copy=False)
    return graph


def diagram(graph: nx.DiGraph, title: str) -> Figure:
    """Draw a graph of layers from the image down to the logits; branches stand side by side, shortcuts are curved.

    Args:
        graph: as `layer_graph` returns it.
        title: above the drawing.
    """
    import networkx as nx

    from archbench.figures import new_figure

    rows = [sorted(row, key=str) for row in nx.topological_generations(graph)]
    place = {
        node: ((index - (len(row) - 1) / 2) * STEP_X, -level * STEP_Y)
        for level, row in enumerate(rows)
        for index, node in enumerate(row)
    }
    columns = max(len(row) for row in rows)
    figure = new_figure(columns * STEP_X + 1.6, len(rows) * STEP_Y + 0.5)
    ax = figure.add_subplot()
    half = columns * STEP_X / 2 + 0.8
    ax.set(xlim=(-half, half), ylim=(-len(rows) * STEP_Y + 0.3, 0.4))
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_title(title, fontsize=9, parse_math=False)
    for source, target in graph.edges:
        _arrow(ax, place[source], place[target])
    for node, (x, y) in place.items():
        _draw(ax, graph.nodes[node]["box"], x, y)
    return figure


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an edge; one that passes a row goes around it."""
    passes = start[1] - end[1] > 1.5 * STEP_Y
    side = BOX_WIDTH / 2 if passes else 0.0
    ax.annotate(
        "",
        xy=(end[0] + side, end[1] + (0 if passes else BOX_HEIGHT / 2)),
        xytext=(start[0] + side, start[1] - (0 if passes else BOX_HEIGHT / 2)),
        arrowprops={
            "arrowstyle": "-|>", "lw": 0.8, "color": "#555555", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7,
            "connectionstyle": f"arc3,rad={-0.35 if passes else 0}",
        },
    )  # fmt: skip


def _draw(ax: Axes, box: Box, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    color = next((shade for word, shade in COLORS.items() if word in box.kind), OTHERS)
    ax.add_patch(FancyBboxPatch(
        (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2), BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=color, edgecolor="#555555", linewidth=0.8, zorder=3,
    ))  # fmt: skip
    kind = "" if box.kind in {box.title, "operation"} else f"  {box.kind}"
    after = "".join(f" · {kind}" for kind in box.then if kind not in {"Identity", "Flatten"})
    first = f"{box.title}{kind}{after}"
    figures = [shape(box.output_shape)]
    figures += [f"{grouped(box.params)} params"] if box.params else []
    figures += [f"{short(box.macs)} MACs"] if box.macs else []
    style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4, "parse_math": False}
    fits = FONT_SIZE * min(1.0, 46 / max(1, len(first)))  # characters that a box holds
    ax.text(x, y + BOX_HEIGHT / 5, first, fontsize=fits, **style)
    ax.text(x, y - BOX_HEIGHT / 4, "   ".join(figures), fontsize=FONT_SIZE - 0.5, color="#444444", **style)


def check_format(path: Path) -> None:
    """Refuse a file whose suffix is none that can be drawn.

    Raises:
        InputError: it is none.
    """
    if path.suffix not in FORMATS:
        msg = f"a diagram cannot be written as {path.name}"
        raise InputError(msg, f"Name a file that ends in {', '.join(FORMATS)}.")


def write_diagram(sized: SizedModel, name: str, path: Path | None = None) -> Path:
    """Write the diagram of a model, by default to a file of its name in the current folder.

    Raises:
        InputError: the file's suffix is none that can be drawn.
        OutputError: it cannot be written.
        ModelError: the model cannot be built or does not run on its own input shape.
    """
    from archbench.figures import save

    path = path or Path(f"{file_name(name)}.svg")
    check_format(path)
    title = f"{name} on {shape(sized.input_shape)}, {sized.classes} classes: {grouped(sized.params)} parameters"
    figure = diagram(layer_graph(sized), title)
    return write_file(path, lambda file: save(figure, file))
