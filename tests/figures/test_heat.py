"""What a heat map shows is held against the frame: each figure under the names of its own setting."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from grids import GRID, changed, failed
from test_tables import record

from archbench import figures
from archbench.errors import InputError
from archbench.figures import Wanted
from archbench.frame import runs_frame


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(x="lr", y="batch_size")])
def test_a_heat_map_has_the_mean_of_every_cell(wanted):
    frame = runs_frame(GRID)
    one = figures.draw_heat(frame, wanted)
    image = np.asarray(one.figure.axes[0].images[0].get_array())
    means = frame.groupby(["batch_size", "lr"])["test_accuracy"].mean().unstack()
    assert image == pytest.approx(means.to_numpy())
    assert one.figure.axes[0].get_xlabel() == "learning rate"
    assert len(one.data) == 6


def test_a_heat_map_that_would_pool_is_refused_and_one_without_two_factors():
    both = [*GRID, *(dataclasses.replace(r, cell=dataclasses.replace(r.cell, model="net")) for r in GRID)]
    with pytest.raises(InputError, match="a mean over different values of model") as caught:
        figures.draw_heat(runs_frame(both), Wanted(x="lr", y="batch_size"))
    assert "--facet model" in caught.value.remedy
    one = figures.draw_heat(runs_frame(both), Wanted(x="lr", y="batch_size", facet="model"))
    assert [ax.get_title() for ax in one.figure.axes if ax.images] == ["cnn", "net"]
    with pytest.raises(InputError, match="budget alone differs"):
        figures.draw_heat(runs_frame([record("cnn", budget, 0, 0.9) for budget in (10, 20)]))
    with pytest.raises(InputError, match="no run is done"):
        figures.draw_heat(runs_frame([changed(r, r.cell.case) for r in failed(GRID)]))


@pytest.mark.parametrize("decays", [(0.0, 0.1), (0.1, 0.0)])
def test_panels_of_a_heat_map_have_one_pair_of_axes_and_one_scale_of_colours(decays):
    """The second panel has other settings than the first: each figure stands where its own names cross."""
    accuracies = {  # by decay, lr and batch size
        (decays[0], 0.1, 8): 0.5, (decays[0], 0.2, 16): 0.7, (decays[1], 0.05, 16): 0.2, (decays[1], 0.2, 32): 0.9,
    }  # fmt: skip
    records = [
        changed(record("cnn", 1000, 0, accuracy), f"{decay} {lr} {size}", weight_decay=decay, lr=lr, batch_size=size)
        for (decay, lr, size), accuracy in accuracies.items()
    ]
    one = figures.draw_heat(runs_frame(records), Wanted(x="lr", y="batch_size", facet="weight_decay"))
    one.figure.canvas.draw()
    panels = [ax for ax in one.figure.axes if ax.images]
    seen = {}
    for ax in panels:  # the names of rows stand at the first alone
        names = [[text.get_text() for text in axis.get_ticklabels()] for axis in (ax.xaxis, panels[0].yaxis)]
        decay = float(ax.get_title().removeprefix("weight_decay "))
        for text in ax.texts:
            lr, size = (own[round(at)] for own, at in zip(names, text.get_position(), strict=True))
            seen[decay, float(lr), int(size)] = float(text.get_text()) / 100
        assert (ax.images[0].norm.vmin, ax.images[0].norm.vmax) == (0.2, 0.9)
    assert seen == pytest.approx(accuracies)


def test_a_heat_map_takes_models_of_their_own_size():
    sized = [record(name, budget, 0, 0.9) for name in ("cnn", "net") for budget in (1000, 2000)]
    one = figures.draw_heat(runs_frame([*sized, record("fixed", None, 0, 0.5, params=10)]))
    assert {text.get_text() for text in one.figure.axes[0].texts} == {"90.0", "50.0"}


def test_a_cell_without_a_run_that_is_done_says_why():
    one = figures.draw_heat(runs_frame([*GRID[2:], *failed(GRID[:2])]))
    assert "failed" in {text.get_text() for text in one.figure.axes[0].texts}
    assert "not drawn: 2 failed of 12 runs" in one.caption
