"""What is drawn is what the data says: the artists are held against the frame, by kind."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from grids import GRID, changed
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from test_tables import BASE, RECORDS, SLOW, record

from archbench import figures
from archbench.comparison import Comparison
from archbench.errors import InputError
from archbench.figures import Wanted
from archbench.frame import epochs_frame, runs_frame
from archbench.reporting import page_of
from archbench.schema import Study
from archbench.tables import overhead


def drawn_points(ax, alpha):
    lines = [line for line in ax.lines if line.get_alpha() == alpha]
    return sorted(zip(*(np.concatenate([f(line) for line in lines]).astype(float) for f in (
        lambda line: line.get_xdata(), lambda line: line.get_ydata())), strict=True))  # fmt: skip


@pytest.mark.parametrize("x", ["params", "macs", "train_step_us_cpu"])
def test_a_scatter_draws_the_runs_of_the_frame_against_any_cost(x):
    frame = runs_frame(RECORDS)
    ax = figures.scatter(frame, Figure().add_subplot(), x)
    done = frame[frame["status"] == "done"]
    assert drawn_points(ax, 0.5) == sorted(zip(done[x].astype(float), done["test_accuracy"], strict=True))
    assert ax.get_xscale() == "log"


def test_the_data_of_a_scatter_is_what_is_drawn():
    one = figures.draw_scatter(runs_frame(RECORDS), Wanted(x="train_us"))
    runs, means = (one.data[one.data["what"] == what] for what in ("run", "mean"))
    assert len(runs) == 7
    (ax,) = one.figure.axes
    containers = [c.lines[0] for c in ax.containers]
    assert [line.get_xdata()[0] for line in containers] == pytest.approx(means["train_step_us_cpu"].tolist())
    assert [line.get_ydata()[0] for line in containers] == pytest.approx(means["test_accuracy"].tolist())
    assert means["n"].tolist() == [3, 3, 1]
    cnn = means.iloc[0]
    assert cnn["high"] - cnn["test_accuracy"] == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert cnn["x_low"] <= cnn["train_step_us_cpu"] <= cnn["x_high"]
    assert one.name == "scatter-train_us"


def test_lines_are_drawn_aside_only_where_they_meet():
    apart = [record(f"m{i}", 1000 * 2**i, s, 0.9) for i in range(3) for s in range(2)]
    ax = figures.scatter(runs_frame(apart), Figure().add_subplot())
    seen = [line.get_transform().transform((1000, 0.9)) for line in ax.lines if line.get_alpha() == 0.5]
    assert np.ptp([x for x, _ in seen]) == 0
    same = [record(f"m{i}", 1000, s, 0.9) for i in range(3) for s in range(2)]
    ax = figures.scatter(runs_frame(same), Figure().add_subplot())
    seen = [line.get_transform().transform((1000, 0.9)) for line in ax.lines if line.get_alpha() == 0.5]
    assert len({x for x, _ in seen}) == 3


def test_a_hue_has_a_colour_a_value_and_a_legend_and_a_facet_has_a_panel():
    frame = runs_frame(GRID)
    one = figures.draw_scatter(frame, Wanted(hue="lr", facet="batch_size"))
    panels = [ax for ax in one.figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in panels] == ["batch_size 8", "batch_size 16", "batch_size 32"]
    (legend,) = one.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0.1", "0.2"]
    for ax, size in zip(panels, (8, 16, 32), strict=True):
        own = frame[frame["batch_size"] == size]
        assert [y for _, y in drawn_points(ax, 0.5)] == pytest.approx(sorted(own["test_accuracy"]))
        assert len({tuple(line.get_color()) for line in ax.lines}) == 2
    assert set(one.data["batch_size"]) == {8, 16, 32}


def test_what_has_no_value_of_the_hue_is_drawn_once_and_named():
    frame = runs_frame(GRID)
    frame["momentum"] = frame["lr"].map({0.1: 0.9})  # the others have none
    one = figures.draw_scatter(frame, Wanted(hue="momentum"))
    (ax,) = one.figure.axes
    assert [y for _, y in drawn_points(ax, 0.5)] == pytest.approx(sorted(frame["test_accuracy"]))
    (legend,) = one.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0.9", "no momentum"]


def test_a_model_has_one_colour_in_every_figure_of_a_comparison_and_in_its_report(tmp_path):
    """Each figure lacks some of the models: what failed has no accuracy, and what learned in one call no curve."""
    models = ("gone", "linear", "cnn", "net")
    records = [
        record("gone", 1000, 0, 0.0, SLOW, status="failed"),
        record("linear", 1000, 0, 0.8), *(record(name, 1000, 0, 0.9, BASE) for name in models[2:]),
    ]  # fmt: skip
    longer = dataclasses.replace(records[2].training, epochs=(
        *records[2].training.epochs, dataclasses.replace(records[2].training.epochs[0], epoch=2)
    ))  # fmt: skip
    records[2:] = [dataclasses.replace(one, training=longer) for one in records[2:]]
    compared = Comparison(Study(models, baseline="cnn"), records, tmp_path)
    with figures.styled():
        expected = dict(zip(models, figures.colors(4), strict=True))
    (scatter,), (curves,), (bars,) = map(compared.draw, ("scatter", "curves", "overhead"))
    means = [container.lines[0].get_color() for container in scatter.figure.axes[0].containers]
    assert means == [expected[name] for name in ("linear", "cnn", "net")]
    (legend,) = curves.figure.legends
    handles = zip(legend.get_texts(), legend.legend_handles, strict=True)
    colors = {text.get_text(): to_rgb(handle.get_color()) for text, handle in handles}
    assert (colors["cnn"], colors["net"]) == (expected["cnn"], expected["net"])
    assert "linear" not in colors
    ratios = compared.overhead()
    (ax,) = [ax for ax in bars.figure.axes if ax.get_title() == "training step (cpu)"]
    measured = ratios.loc[ratios["train_ratio_cpu"].notna(), "model"]
    assert set(measured) == {"gone", "cnn", "net"}
    assert [bar.get_facecolor()[:3] for bar in ax.patches] == [expected[name] for name in measured]
    chart = page_of(compared).chart
    assert dict(zip(chart["series"], chart["looks"], strict=True)) == dict(zip(models, range(4), strict=True))


def test_every_panel_of_a_scatter_shows_all_of_its_points():
    budgets = (1000, 50_000, 1_000_000)
    records = [record(name, b, s, 0.5 + s / 10) for name in ("cnn", "net") for b in budgets for s in range(2)]
    one = figures.draw_scatter(runs_frame(records), Wanted(facet="budget"))
    for ax, budget in zip(one.figure.axes, budgets, strict=True):
        xs, ys = zip(*drawn_points(ax, 0.5), strict=True)
        assert xs == (budget,) * 4
        assert all(ax.get_xlim()[0] < x < ax.get_xlim()[1] for x in xs)
        assert all(ax.get_ylim()[0] < y < ax.get_ylim()[1] for y in ys)
        assert any(text.get_text() for text in ax.get_xticklabels())


def test_an_axis_ends_where_accuracy_does():
    one = figures.draw_scatter(runs_frame([record("cnn", 1000, s, a) for s, a in enumerate((0.01, 0.99))]))
    low, high = one.figure.axes[0].get_ylim()
    assert -0.05 < low < 0
    assert 1 < high < 1.05
    assert "intervals are cut off at the frame" in one.caption


def test_published_points_are_hollow_and_their_source_is_told():
    known = pd.DataFrame({"series": ["cnn"], "params": [1000], "test_accuracy": [0.97], "source": ["a paper, p. 3"]})
    one = figures.draw_scatter(runs_frame(RECORDS), published=known)
    (hollow,) = [line for line in one.figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert (hollow.get_xdata()[0], hollow.get_ydata()[0]) == (1000, 0.97)
    assert "hollow: published (a paper, p. 3)" in one.caption
    assert one.data.iloc[-1]["what"] == "published"


def test_conclusions_are_drawn_beside_the_points_and_no_fit_beyond_a_decade():
    table = pd.DataFrame
    concluded = SimpleNamespace(
        pareto=table({"dataset": "digits", "axes": "params+accuracy", "params": [1000, 5000, 9000],
                      "accuracy": [0.9, 0.95, 0.8], "on_front": [True, True, False]}),
        crossovers=table({"dataset": "digits", "x": ["params", "macs"], "value": [2000.0, 1.0], "low": [1500.0, 1.0],
                          "high": [2500.0, 1.0], "before": "cnn", "after": "net"}),
        fit_lines=table({"dataset": "digits", "series": "cnn", "params": [1000.0, 2000.0, 15_000.0, 50_000.0],
                         "error": [0.1, 0.08, 0.05, 0.04], "extrapolated": [False, False, True, True]}),
    )  # fmt: skip
    one = figures.draw_scatter(runs_frame(RECORDS), concluded=concluded)
    (ax,) = one.figure.axes
    behind = [line for line in ax.lines if line.get_gid() == "behind"]
    (front,) = [line for line in behind if line.get_drawstyle() == "steps-post"]
    assert list(front.get_xdata()) == [1000, 5000]
    dashed = [x for line in behind if line.get_linestyle() == "--" for x in line.get_xdata()]
    assert dashed == [15_000]
    assert [patch.get_x() for patch in ax.patches] == [1500]
    assert "net overtakes cnn at 2k [1.5k, 2.5k]" in one.caption


def test_bars_are_the_ratios_of_the_table():
    table = overhead(RECORDS)
    one = figures.draw_overhead(table)
    assert [ax.get_title() for ax in one.figure.axes] == ["MACs", "training step (cpu)", "inference step (cpu)"]
    for ax, column in zip(one.figure.axes, ("macs_ratio", "train_ratio_cpu", "infer_ratio_cpu"), strict=True):
        assert [bar.get_width() for bar in ax.patches] == pytest.approx(table[column].dropna().tolist())
        assert ax.get_xlim()[0] == 0
    segments = [
        s for c in one.figure.axes[1].containers if hasattr(c, "has_xerr") for s in c.lines[2][0].get_segments()
    ]
    known = table[table["train_ratio_cpu_high"] > table["train_ratio_cpu_low"]]
    assert [tuple(s[:, 0]) for s in segments] == [
        pytest.approx(ends) for ends in zip(known["train_ratio_cpu_low"], known["train_ratio_cpu_high"], strict=True)
    ]
    with pytest.raises(InputError, match="nothing to draw"):
        figures.draw_overhead(overhead(RECORDS[:1]))


def test_batch_curves_are_made_of_a_study_that_varies_the_batch():
    one = record("cnn", 1000, 0, 0.9, BASE)
    records = [changed(one, f"{size}", batch_size=size) for size in (8, 16)]
    frame = figures.batch_frame(runs_frame(records))
    assert set(frame["batch_size"]) == {8, 16}
    one = figures.draw_batches(frame, "digits")
    assert len(one.figure.axes) == 2
    (line,) = (c.lines[0] for c in one.figure.axes[0].containers)
    mine = frame[frame["mode"] == frame["mode"].iloc[0]]
    assert line.get_ydata().tolist() == (mine["step_us"] / mine["batch_size"]).tolist()
    with pytest.raises(InputError, match="no two batch sizes"):
        figures.batch_frame(runs_frame([record("cnn", 1000, 0, 0.9, SLOW)]))


def test_the_data_of_curves_is_mean_and_range():
    epochs = epochs_frame([record("cnn", 1000, seed, 0.9) for seed in range(2)])
    epochs["accuracy"] = [0.1, 0.3, 0.2, 0.5]
    one = figures.draw_curves(epochs)
    row = one.data[one.data["split"] == "validation"].iloc[0]
    assert (row["accuracy"], row["accuracy_least"], row["accuracy_most"], row["n"]) == (pytest.approx(0.4), 0.3, 0.5, 2)
    assert "mean of 2 seeds and their range" in one.caption


def test_a_line_of_curves_by_another_column_is_the_mean_of_its_seeds():
    """One colour has the lines of several models: each goes through its own means, an epoch a point."""
    records = [
        changed(record(model, 1000, seed, 0.9), lr=lr, seed=seed)
        for model, lr in (("cnn", 0.1), ("net", 0.1), ("fixed", 0.2)) for seed in range(3)
    ]  # fmt: skip
    epochs = epochs_frame(records)
    epochs = pd.concat([epochs.assign(epoch=epoch) for epoch in (1, 2, 3)], ignore_index=True)
    epochs["accuracy"] = np.linspace(0, 1, len(epochs))
    epochs["lr"] = epochs["model"].map({"cnn": 0.1, "net": 0.1, "fixed": 0.2})
    one = figures.draw_curves(epochs, Wanted(hue="lr"))
    means = epochs.groupby(["model", "split", "epoch"])["accuracy"].mean().unstack()  # noqa: PD010 - a grid it is
    lines = [line for line in one.figure.axes[1].lines if len(line.get_xdata())]
    drawn = sorted(line.get_ydata().tolist() for line in lines)
    assert np.array(drawn) == pytest.approx(np.array(sorted(means.to_numpy().tolist())))
    assert all(line.get_xdata().tolist() == [1, 2, 3] for line in lines)
    assert "mean of 3 seeds;" in one.caption


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("macz", "no column 'macz'", "Did you mean macs"),
        ("model", "holds no numbers", "params, macs"),
        ("train_us", "no step was timed", "--retime"),
    ],
)
def test_a_column_that_cannot_be_drawn_is_named_with_what_can(name, message, remedy):
    with pytest.raises(InputError, match=message) as caught:
        figures.draw_scatter(runs_frame([record("cnn", 1000, 0, 0.9)]), Wanted(x=name))
    assert remedy in caught.value.remedy
