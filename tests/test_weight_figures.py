"""First layers as images: the right layer, the right way up, the largest first."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image
from test_tables import record
from torch import nn

import zoo
from archbench.comparison import Comparison
from archbench.drawing import write
from archbench.execute import WEIGHTS_FOLDER, weights_file
from archbench.figures.style import GROUND
from archbench.schema import Study
from archbench.weight_figures import MOST_UNITS, first_weights, weights_figure


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 4, 6)])
def test_a_hidden_units_image_is_what_it_answers_to(shape):
    net = zoo.create_model("mlp", num_classes=4, in_chans=shape[0], input_size=shape[1:])
    weights = first_weights(net.state_dict(), shape)
    first = next(module for module in net.modules() if isinstance(module, nn.Linear))
    assert weights.shape == (first.out_features, *shape)
    image = torch.rand(1, *shape)
    answers = first(image.flatten(1))[0] - first.bias
    assert torch.allclose((weights * image).sum((1, 2, 3)), answers, atol=1e-5)


def test_a_kernel_is_shown_as_it_stands():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 6, (3, 5)), nn.Conv2d(6, 8, 3))
    assert torch.equal(first_weights(net.state_dict(), (3, 20, 20)), net[1].weight)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Conv2d(3, 8, 1), (3, 9, 9)),  # kernels of one pixel show nothing
        (nn.Conv2d(2, 8, 3), (2, 9, 9)),  # two channels are no picture
        (nn.Conv2d(3, 6, 3, groups=3), (3, 9, 9)),
        (nn.Linear(10, 3), (1, 9, 9)),
        (nn.BatchNorm2d(3), (3, 9, 9)),
    ],
)
def test_what_is_no_image_is_not_drawn(net, shape):
    assert first_weights(net.state_dict(), shape) is None


def shown(figure):
    return [ax.images[0].get_array() for ax in figure.axes if ax.images]


def test_the_largest_come_first_each_stretched_to_its_own_range():
    weights = torch.zeros(3, 1, 2, 3)
    weights[0, 0, 0, 1], weights[1, 0, 1, 2], weights[2] = 1.0, -4.0, 2.0
    figure = weights_figure("a net$_$", weights)
    figure.canvas.draw()
    even, second, third = shown(figure)  # of norms 2 x sqrt(6) = 4.9, 4 and 1
    assert np.array_equal(even, np.zeros((2, 3)))  # an even image has no range
    assert np.array_equal(second, [[1, 1, 1], [1, 1, 0]])
    assert np.array_equal(third, [[0, 1, 0], [0, 0, 0]])
    assert figure.get_suptitle() == "a net$_$: first layer, all 3"


def test_it_is_drawn_in_the_style_and_width_that_are_asked_for(tmp_path):
    net = zoo.create_model("mlp", num_classes=4, in_chans=1, input_size=(4, 4))
    one = record("mlp", 1000, 0, 0.9)
    cell = dataclasses.replace(one.cell, sized=dataclasses.replace(one.cell.sized, input_shape=(1, 4, 4)))
    compared = Comparison(Study(("mlp",)), [dataclasses.replace(one, cell=cell)], tmp_path)
    file = weights_file(tmp_path / WEIGHTS_FOLDER, cell)
    file.parent.mkdir()
    torch.save(net.state_dict(), file)
    for kind in ("weights", "usual"):
        (drawn,) = [one for one in compared.draw(kind, style="dark", width="column") if "mlp" in one.name]
        assert drawn.figure.get_figwidth() == 3.5
        assert to_rgb(drawn.figure.get_facecolor()) == to_rgb(GROUND)
        assert drawn.name.endswith("-dark-column")
        (picture,) = write([drawn], tmp_path)
        with Image.open(picture) as image:
            assert image.convert("RGB").getpixel((0, 0)) == tuple(round(255 * part) for part in to_rgb(GROUND))


def test_no_more_than_a_hundred_are_drawn_and_colours_stay_colours():
    figure = weights_figure("net", torch.arange(120).view(120, 1, 1, 1) * torch.rand(120, 3, 2, 2))
    assert len(shown(figure)) == MOST_UNITS == 100
    assert shown(figure)[0].shape == (2, 2, 3)
    assert figure.get_suptitle().endswith("the 100 largest of 120")
    assert len(shown(weights_figure("net", torch.rand(1, 1, 2, 2)))) == 1
