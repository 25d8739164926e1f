from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_tables import RECORDS, record

from archbench import figures
from archbench.figures.points import points
from archbench.frame import epochs_frame, runs_frame


def boxes_of(ax):
    """Return where names stand, without the lines that lead them to their points."""
    for text in ax.texts:
        text.update_positions(ax.figure._get_renderer())
    return [Text.get_window_extent(text) for text in ax.texts]


def labels(ax):
    return {text.get_text() for text in ax.texts}


def test_the_scatter_shows_every_seed_the_mean_and_the_actual_parameters():
    ax = figures.scatter(runs_frame(RECORDS), Figure().add_subplot())
    assert ax.get_xscale() == "log"
    assert labels(ax) == {"cnn", "net", "fixed"}
    seeds = [line for line in ax.lines if line.get_alpha() == 0.5]
    assert sorted(x for line in seeds for x in line.get_xdata()) == [1000] * 3 + [1005] * 3 + [1200]
    means = [container.lines[0] for container in ax.containers]
    assert [line.get_ydata()[0] for line in means] == pytest.approx([0.91, 0.94, 0.5])
    assert len({line.get_marker() for line in means}) == len({tuple(line.get_color()) for line in means}) == 3


def test_intervals_lie_inside_the_axes_and_labels_do_not_overlap():
    records = [
        record(f"family{i}", 1000 * b, s, 0.9 + i / 2000 + s / 100) for i in range(5) for b in (1, 30) for s in range(3)
    ]
    figure = figures.scatter_figure(runs_frame(records))
    figure.canvas.draw()
    (ax,) = figure.axes
    low, high = ax.get_ylim()
    for container in ax.containers:
        for segments in container.lines[2]:
            for segment in segments.get_segments():
                assert low <= segment[:, 1].min() <= segment[:, 1].max() <= high
    boxes = boxes_of(ax)
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize("sizes", [(30_000,), (30_000, 31_000), (30_000, 200_000, 1_600_000), (100, 10**9)])
def test_any_range_of_sizes_has_at_least_two_labelled_ticks_or_one_size(sizes):
    frame = runs_frame([record("cnn", size, seed, 0.9 + seed / 50) for size in sizes for seed in range(2)])
    figure = figures.scatter_figure(frame)
    figure.canvas.draw()
    ax = figure.axes[0]
    low, high = ax.get_xlim()
    shown = [
        t for t, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True) if low <= t <= high and text.get_text()
    ]
    assert len(shown) >= min(2, len(sizes))


def test_sizes_that_met_one_budget_stand_together_and_inside():
    frame = runs_frame([record(f"net{i}", 60_000 + i, seed, 0.9 + seed / 50) for i in range(4) for seed in range(2)])
    figure = figures.scatter_figure(frame)
    figure.canvas.draw()
    ax = figure.axes[0]
    low, high = ax.get_xlim()
    assert high / low >= 2
    assert low < 60_000
    assert high > 60_003
    texts = [text.get_text() for text in ax.get_xticklabels()]
    assert len(set(texts)) == len(texts)


def test_a_network_that_two_budgets_share_is_counted_once():
    records = [record("cnn", budget, 0, 0.9, params=87) for budget in (10, 20)]
    figure = figures.scatter_figure(runs_frame(records))
    assert "one run a point, so no interval" in figure.get_suptitle()
    assert sum(len(line.get_xdata()) for line in figure.axes[0].lines if line.get_alpha() == 0.5) == 1


def test_failed_runs_are_told_in_the_caption():
    title = figures.scatter_figure(runs_frame(RECORDS)).get_suptitle()
    assert "not drawn: 1 failed of 8 runs" in title
    assert "digits" in title


def test_nothing_to_draw_is_no_error():
    figures.scatter_figure(runs_frame([])).canvas.draw()
    failed = [record("cnn", 1000, 0, 0, status="failed")]
    figures.scatter_figure(runs_frame(failed)).canvas.draw()
    figures.curves_figure(epochs_frame(failed)).canvas.draw()


def test_curves_have_a_column_a_budget_and_both_splits():
    figure = figures.curves_figure(epochs_frame(RECORDS))
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown if ax.get_title()] == ["1k parameters", "own size"]
    assert len(shown) == 4
    (legend,) = figure.legends
    assert {"cnn", "net", "train", "validation"} <= {text.get_text() for text in legend.get_texts()}


def test_figures_can_stand_on_ones_own_axes(filled):
    figure, (left, right) = plt.subplots(1, 2)
    assert filled.scatter(left) is left
    assert filled.curves("loss", right) is right
    assert right.get_ylabel() == "loss"
    plt.close(figure)
    own = filled.scatter()
    assert own.has_data()
    plt.close(own.figure)


def test_the_same_figure_gives_the_same_bytes(filled, tmp_path):
    for name in ("a.png", "a.svg"):
        first, second = (tmp_path / folder / name for folder in ("one", "two"))
        for path in (first, second):
            path.parent.mkdir(exist_ok=True)
            figures.save(figures.scatter_figure(filled.frame()), path)
        assert first.read_bytes() == second.read_bytes()
    assert ET.parse(tmp_path / "one" / "a.svg").getroot().tag.endswith("svg")


def test_names_with_markup_are_drawn_as_they_are(tmp_path):
    records = [record("<script>$x_1", 1000, seed, 0.9 + seed / 100) for seed in range(2)]
    frame = runs_frame(records)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save(figures.scatter_figure(frame.assign(dataset="a$b_$")), tmp_path / "a.svg")
        figures.save(figures.curves_figure(epochs_frame(records)), tmp_path / "b.png")
    text = (tmp_path / "a.svg").read_text()
    assert "<script>" not in text


def test_a_time_of_too_few_samples_is_drawn_without_an_interval():
    few = runs_frame([record("cnn", size, seed, 0.9, [100.0, 102.0]) for size in (1000, 5000) for seed in range(2)])
    data = points(few, "train_step_us_cpu")
    means = data[data["what"] == "mean"]
    assert means["train_step_us_cpu"].tolist() == pytest.approx([101.0, 101.0])
    assert means[["x_low", "x_high"]].isna().all(axis=None)
