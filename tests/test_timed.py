from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from conftest import QUICK
from conftest import timing_of as timing

import archbench
import archbench.timed
from archbench.budget import size_model
from archbench.environment import capture
from archbench.errors import InputError, ModelError
from archbench.figures import batch_figure
from archbench.schema import Budget, Cost, Peaks
from archbench.timed import Named, Timed, flips, make_sweep
from archbench.timing_words import doubt_notes, self_test_words, setting_words, time_words, timed_notes
from zoo import registry

CNN, NET = (size_model(name, Budget(5000), (1, 8, 8), 10) for name in ("cnn", "mobilenet"))
COSTS = {one.key: Cost(5000, 5000, 0, 10**6, 1000, train_macs=3 * 10**6, size_bytes=20_000) for one in (CNN, NET)}


def samples(level, spread=0.002, n=30, seed=0):
    return np.random.default_rng(seed).normal(level, spread * level, n)


def made(*ratios_by_batch, mode="infer"):
    """Return timings of the two models by batch size, the second so many times the first."""
    found = Timed((CNN, NET), COSTS, capture())
    for batch, ratio in ratios_by_batch:
        common = {"mode": mode, "batch_size": batch, "session": str(batch), "peaks": Peaks(1e11, 1e10)}
        level = 100.0 * batch
        found.timings.append(timing(samples(level), sized_key=CNN.key, twin_us=tuple(samples(level, seed=1)), **common))
        found.timings.append(timing(samples(ratio * level, seed=2), sized_key=NET.key, **common))
    return found


def test_a_row_holds_the_time_the_ratio_and_the_limit():
    frame = made((8, 1.5)).frame()
    cnn, net = frame.iloc[0], frame.iloc[1]
    assert (cnn["model"], cnn["is_baseline"], cnn["batch_size"]) == ("cnn@5k", True, 8)
    assert net["ratio"] == pytest.approx(1.5, rel=0.01)
    assert net["ratio_low"] < net["ratio"] < net["ratio_high"]
    assert not net["tie"]
    assert net["us_per_sample"] == net["step_us"] / 8
    assert net["gflops_achieved"] == pytest.approx(2 * 10**6 * 8 / net["step_us"] / 1e3)
    assert net["roofline"] == pytest.approx(net["roofline_us"] / net["step_us"])
    assert 0 < cnn["resolution"] < 0.01
    assert frame["unstable"].isna().all()


def test_a_tie_is_a_ratio_whose_interval_holds_one():
    words = time_words(made((8, 1.0)).frame())
    assert words["verdict"].tolist() == ["", "tie"]
    assert time_words(made((8, 1.2)).frame())["verdict"].tolist() == ["", "slower"]
    assert time_words(made((8, 0.8)).frame())["verdict"].tolist() == ["", "faster"]


def test_the_ranking_flips_between_resolved_sizes_and_ties_do_not_count():
    frame = made((1, 1.3), (8, 1.0), (64, 0.8), (256, 0.7)).frame()
    assert flips(frame[~frame["is_baseline"]]) == [("cnn@5k", 1, "mobilenet@5k", 64)]
    steady = made((1, 1.3), (64, 1.2))
    rows = steady.frame()
    assert flips(rows[~rows["is_baseline"]]) == []
    assert any(
        note.endswith("mobilenet@5k against cnn@5k: the same rank at every batch where it is resolved (1, 64).")
        for note in timed_notes(steady)
    )
    assert any("whether the rank changes is not resolved" in note for note in timed_notes(made((1, 1.0), (64, 1.2))))
    notes = timed_notes(made((1, 1.3), (64, 0.8)))
    assert "infer on cpu, 1 thread: cnn@5k is faster at batch 1, mobilenet@5k at batch 64." in notes


def test_notes_say_what_can_be_told_and_what_is_in_doubt():
    notes = timed_notes(made((8, 1.5)))
    assert len(notes) == 1
    assert notes[0].startswith("A against A, timed beside the others, differs by up to 0.")
    shaky, steady = timing([100.0, 140.0] * 9), timing([100.0] * 18, sized_key="b")
    spread = "Unstable: the middle half of the samples spreads over more than 10 % of the median"
    notes = doubt_notes([Named("a", shaky, shaky), Named("b", steady, steady)])
    assert any(note.startswith(f"{spread} (a train 33 %): quiet the machine") for note in notes)
    assert any(note.startswith(f"{spread} (all: 33 %)") for note in doubt_notes([Named(n, shaky, None) for n in "ab"]))
    against = doubt_notes([Named("a", shaky, shaky), Named("b", steady, shaky)])
    assert any("interval of the ratio is wider than ±1 % (b train ±" in note for note in against)
    assert any(f"{spread} (a train 33 %)" in note for note in against)  # the baseline's own stands by the baseline


def test_the_table_shows_what_varies_and_the_setting_the_rest():
    one = time_words(made((8, 1.5)).frame())
    assert "batch" not in one.columns
    several = made((8, 1.5), (16, 1.5))
    assert time_words(several.frame())["batch"].tolist() == ["8", "8", "16", "16"]
    assert "peak 100 GFLOP/s, copy 10 GB/s" in setting_words(several)


def test_a_self_test_shows_a_against_a():
    words = self_test_words(made((8, 1.5)))
    assert words["holds 1"].tolist() == ["yes"]
    off = Timed((CNN,), COSTS, capture(), [timing([100.0] * 9, twin_us=(103.0,) * 9)])
    assert self_test_words(off)["holds 1"].tolist() == ["no"]
    assert self_test_words(off)["resolves"].tolist() == ["3.00 %"]


def test_the_curve_has_a_panel_a_mode_and_a_line_a_model():
    timed = made((1, 1.3), (8, 1.0), (64, 0.8))
    timed.timings += made((1, 1.3), (64, 2.0), mode="train").timings
    figure = batch_figure(timed.frame(), "a caption")
    assert [ax.get_title() for ax in figure.axes] == ["infer, cpu, 1 thread", "train, cpu, 1 thread"]
    line = figure.axes[0].get_lines()[0]
    assert line.get_xdata().tolist() == [1, 8, 64]
    assert line.get_ydata() == pytest.approx([100, 100, 100], rel=0.01)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"modes": ("trian",)}, "'trian' is no mode"),
        ({"engines": ("jit",)}, "'jit' is no engine"),
        ({"engines": ("graph",)}, "no CUDA device in this comparison"),
        ({"threads": (1, 10_000)}, "threads: 10000 is not accepted"),
        ({"batch_sizes": (0,)}, "batch size: 0 is not accepted"),
        ({"optimizer": "adma"}, "adma"),
    ],
)
def test_what_cannot_be_timed_is_refused_before_anything_is(settings, wrong):
    with pytest.raises(InputError, match=wrong):
        make_sweep(**settings)


def test_a_sweep_has_a_session_for_each_setting():
    sweep = make_sweep(("cpu", "cuda"), (1, 2), (1, 32))
    assert sweep.sessions() == [
        ("cpu", 1, 1), ("cpu", 1, 32), ("cpu", 2, 1), ("cpu", 2, 32), ("cuda", 1, 1), ("cuda", 1, 32),
    ]  # fmt: skip
    assert sweep.engines == ("eager", "graph")
    assert make_sweep().engines == ("eager",)


def test_python_times_models_on_random_images_or_on_a_data_set():
    heard = []
    timed = archbench.time(["mlp", "cnn"], "5k", input="1x8x8", batch_sizes=[2, 4], protocol=QUICK, device="cpu",
                           on_session=lambda one: heard.append(len(one.timings)))  # fmt: skip
    assert heard == [4, 8]
    assert timed.frame()["data_us"].isna().all()
    assert set(timed.frame()["batch_size"]) == {2, 4}
    real = archbench.time("mlp", "5k", dataset="digits", modes=["train"], protocol=QUICK, device="cpu")
    assert real.models[0].input_shape == (1, 8, 8)
    assert real.frame()["data_us"].notna().all()
    assert msgspec.json.decode(msgspec.json.encode(real.timings), type=list[type(real.timings[0])]) == real.timings
    assert dataclasses.replace(real).timings


def test_a_session_that_dies_costs_no_other(monkeypatch):
    original = archbench.timed.time_models

    def time_models(request, *rest, **more):
        if request.recipe.batch_size == 4:
            raise ModelError("a timing process was killed by signal 9")
        return original(request, *rest, **more)

    monkeypatch.setattr(archbench.timed, "time_models", time_models)
    problems = []
    timed = archbench.time("mlp", "5k", input="1x8x8", batch_sizes=[2, 4, 8], protocol=QUICK, device="cpu",
                           on_problem=problems.append)  # fmt: skip
    assert set(timed.frame()["batch_size"]) == {2, 8}
    assert problems == ["batch 4 on cpu: a timing process was killed by signal 9"]


def test_modules_of_models_are_sent_along(monkeypatch, tmp_path):
    (tmp_path / "late_nets.py").write_text(
        "import zoo\nfrom torch import nn\n@zoo.register_model\n"
        "def late(*, num_classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    __import__("late_nets")
    sent = []
    original = archbench.timed.time_models
    monkeypatch.setattr(
        archbench.timed, "time_models", lambda request, *rest, **more: (sent.append(request.plugins), original(
            request, *rest, **more))[1],
    )  # fmt: skip
    archbench.time(["late", "mlp@5k"], input="1x8x8", protocol=QUICK, device="cpu")
    assert sent == [("late_nets",)]


def test_a_network_is_not_compared_with_itself():
    with pytest.raises(InputError, match="named twice"):
        archbench.time(["mlp", "mlp"], "5k", input="1x8x8", protocol=QUICK)
    with pytest.raises(InputError, match="no model is named"):
        archbench.time([], protocol=QUICK)
