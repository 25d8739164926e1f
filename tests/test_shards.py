"""How a study falls into shards, held against another counter; what these come to, held against the undivided study."""

from __future__ import annotations

import dataclasses
import json

import pytest
from conftest import QUICK, small_study
from hypothesis import given
from hypothesis import strategies as st
from test_cli import invoke

from archbench import shards
from archbench.cost import measure_cost
from archbench.cost.layers import layer_table
from archbench.errors import InputError
from archbench.loading import load
from archbench.manner import Manner
from archbench.merging import merge
from archbench.pipeline import run
from archbench.plan import make_plan
from archbench.shards import MOST, AskedFor, Shard, deal, parse_shard, words_of
from archbench.store import Store
from archbench.stored import asked_for
from archbench.study import MOST_BYTES

STUDY = small_study(["linear", "mlp"], ["3k"], seeds=3, limit=60)
COUNTED = {}


def shards_of(cells, of):
    return [Shard(number, of)(cells)[0] for number in range(1, of + 1)]


def work_of(cell):
    """Return multiply-accumulates of a training's forward passes, as torch's dispatcher sees them."""
    if cell.sized.key not in COUNTED:
        COUNTED[cell.sized.key] = measure_cost(cell.sized).macs
    return COUNTED[cell.sized.key] * cell.recipe.epochs * cell.images[0]


def results(comparison):
    """Return of every run what must not depend on where it was run."""
    return [
        (r.cell.key, r.cell.case, r.status, r.training.weights_sha256, r.training.test,
         [(epoch.epoch, epoch.train, epoch.validation) for epoch in r.training.epochs])
        for r in comparison.records
    ]  # fmt: skip


def quick(study, folder, part=None, **settings):
    return run(study, folder, manner=Manner(0, **({"part": part} if part else {})), protocol=QUICK, **settings)


# --- what users write


@pytest.mark.parametrize(
    ("text", "shard"),
    [("1/1", Shard()), ("2/2", Shard(2, 2)), (" 3/12 ", Shard(3, 12)), ("9999/9999", Shard(MOST, MOST))],
)
def test_a_shard_is_read(text, shard):
    assert parse_shard(text) == shard


@pytest.mark.parametrize(
    "text",
    ["", "1", "/", "1/", "/2", "0/2", "3/2", "1/0", "-1/2", "1/-2", "a/b", "1/2/3", "1 / 2", "01/2", "1.0/2",
     "\u0661/2", "1/2\n3", "1/10000", "9" * 400 + "/" + "9" * 400],
)  # fmt: skip
def test_what_is_no_shard_is_refused_with_what_is_accepted(text):
    with pytest.raises(InputError, match="is not accepted") as caught:
        parse_shard(text)
    assert "1/2 for the first of two parts" in caught.value.remedy
    assert len(str(caught.value)) < 100


def test_a_shards_folder_is_told_from_the_others_and_a_whole_one_has_the_usual_name(tmp_path):
    names = {Shard(number, 3).named(tmp_path / "cnn v1.5").name for number in (1, 2, 3)}
    assert names == {"cnn v1.5.1-of-3", "cnn v1.5.2-of-3", "cnn v1.5.3-of-3"}
    assert Shard().named(tmp_path / "digits") == tmp_path / "digits"
    assert len(Shard(MOST, MOST).named(tmp_path / ("x" * MOST_BYTES)).name) <= 255


# --- how work is dealt


@given(st.lists(st.integers(1, 10**18), max_size=40), st.integers(1, 50))
def test_all_work_is_dealt_and_no_two_differ_by_more_than_the_largest_piece(work, hands):
    dealt = deal(work, hands)
    assert dealt == deal(work, hands)
    sums = [sum(piece for piece, hand in zip(work, dealt, strict=True) if hand == one) for one in range(hands)]
    assert sum(sums) == sum(work)
    assert max(sums) - min(sums) <= max(work, default=0)


@pytest.fixture(scope="module")
def cells():
    """Return the cells of a study of many sizes, whose layers are looked at once."""
    study = small_study(["linear", "mlp", "mobilenet"], ["3k", "10k"], seeds=3, factors={"epochs": [1, 7]})
    known = {}

    def once(sized):
        if sized.key not in known:
            known[sized.key] = layer_table(sized)
        return known[sized.key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "layer_table", once)
        yield make_plan(study).cells


@given(st.data())
def test_shards_are_a_partition_of_any_plan_balanced_by_work(cells, data):
    plan = data.draw(st.lists(st.sampled_from(cells), min_size=1, unique_by=lambda cell: cell.key))
    found = shards_of(plan, data.draw(st.integers(1, 30)))
    assert sorted(cell.key for shard in found for cell in shard) == sorted(cell.key for cell in plan)
    for shard in found:
        assert list(shard) == [cell for cell in plan if cell in shard]  # in the study's order
    sums = [sum(map(work_of, shard)) for shard in found]
    assert max(sums) - min(sums) <= max(map(work_of, plan))


def test_the_division_does_not_look_at_the_machine():
    cells = make_plan(small_study(["linear", "mlp", "mobilenet"], ["3k", "10k"], seeds=3)).cells
    elsewhere = [
        dataclasses.replace(cell, device_name="another", torch="9.9", data_sha256="e", problem="needs 15 GiB")
        for cell in cells
    ]
    for here, there in zip(shards_of(cells, 4), shards_of(elsewhere, 4), strict=True):
        assert [cell.place for cell in here] == [cell.place for cell in there]


def test_a_run_of_two_cases_is_in_one_shard():
    cells = make_plan(small_study(["linear", "mlp"], ["3k"], seeds=2)).cells
    both = [cell.in_case(case) for case in "ab" for cell in cells]
    one, other = shards_of(both, 2)
    assert [cell.case for cell in one] == [cell.case for cell in other] == ["a"] * 2 + ["b"] * 2
    assert not {cell.key for cell in one} & {cell.key for cell in other}


def test_what_cannot_be_built_or_run_is_in_a_shard_too():
    cells = make_plan(small_study(["linear"], ["3k"], seeds=1)).cells
    unbuilt = dataclasses.replace(cells[0], model="gone", sized=None, problem="cannot be built")
    unrun = dataclasses.replace(
        cells[0], model="odd", sized=dataclasses.replace(cells[0].sized, options={"ranks": (10**6, 1)}, params=5)
    )
    assert [len(shard) for shard in shards_of([*cells, unbuilt, unrun], 3)] == [1, 1, 1]


def test_the_first_has_the_dearest_run_and_times_and_others_than_there_are_runs_are_empty():
    cells = make_plan(small_study(["linear", "mobilenet"], ["3k"], seeds=1)).cells
    portions = [Shard(number, 3)(cells) for number in (1, 2, 3)]
    assert [(len(mine), timed) for mine, timed in portions] == [(1, True), (1, False), (0, False)]
    assert portions[0][0][0] == max(cells, key=work_of)


def test_what_a_folder_was_asked_for_is_known_by_its_place_on_any_machine():
    cells = make_plan(small_study(["linear", "mlp"], ["3k"], seeds=3)).cells
    other = [dataclasses.replace(cell, torch="9.9") for cell in cells]
    for number in (1, 2):
        mine, timed = Shard(number, 2)(cells)
        by_key = AskedFor(frozenset(cell.key for cell in mine), frozenset())
        by_place = AskedFor(frozenset(), frozenset(cell.place for cell in mine))
        assert by_key(cells) == by_place(cells) == (mine, timed)
        assert [cell.place for cell in by_place(other)[0]] == [cell.place for cell in mine]
        assert by_key(other)[0] == ()
    assert AskedFor(frozenset(cell.key for cell in cells), frozenset())(cells) == (cells, True)


def test_how_much_a_part_is_is_said_but_not_of_the_whole():
    cells = make_plan(small_study(["linear"], ["3k"], seeds=3)).cells
    assert (
        words_of(Shard(2, 2), cells[:1], cells, timed=False)
        == "shard 2/2: 1 of 3 runs; the first shard times the steps"
    )
    assert words_of(Shard(1, 2), cells[:2], cells, timed=True) == "shard 1/2: 2 of 3 runs"
    assert words_of(Shard(), cells, cells, timed=True) == ""


# --- what shards come to


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return quick(STUDY, tmp_path_factory.mktemp("whole") / "whole")


@pytest.mark.parametrize("of", [2, 3, 8])
def test_the_union_of_shards_is_the_undivided_study_bit_for_bit(whole, tmp_path, of, trained):
    folders = [tmp_path / f"study.{number}-of-{of}" for number in range(1, of + 1)]
    for number, folder in enumerate(folders, start=1):
        shard = quick(STUDY, folder, Shard(number, of))
        assert set(map(str, results(shard))) < set(map(str, results(whole)))
        assert bool([t for r in shard.records for t in r.timings]) == (number == 1)
        assert all(r.memory is not None for r in shard.records)
    assert len(trained) == len(whole.records) == 6  # each once
    merge(folders[::-1], tmp_path / "merged")
    merged = load(tmp_path / "merged")
    assert results(merged) == results(whole)
    assert merged.study == whole.study
    assert [{(t.device, t.mode) for t in r.timings} for r in merged.records] == [
        {("cpu", "train"), ("cpu", "infer")}
    ] * 6
    trained.clear()
    assert quick(STUDY, tmp_path / "merged").records == merged.records
    assert trained == []


def test_shards_of_one_folder_do_each_its_part_and_its_tables_show_all_that_is_there(whole, tmp_path, trained):
    first = quick(STUDY, tmp_path, Shard(2, 3))
    assert len(first.records) == len(trained) == 2
    assert len(quick(STUDY, tmp_path, Shard(1, 3)).records) == len(trained) == 4
    assert len(quick(STUDY, tmp_path, Shard(2, 3)).records) == len(trained) == 4
    assert results(quick(STUDY, tmp_path, Shard(3, 3))) == results(whole)
    assert len(trained) == 6
    with Store(tmp_path) as store:
        assert [key for key, _ in store.last_study()[1]] == [r.cell.key for r in whole.records]


def test_a_shard_tells_of_itself_once(tmp_path):
    for number, words in (
        (1, "shard 1/2: 3 of 6 runs"),
        (2, "shard 2/2: 3 of 6 runs; the first shard times the steps"),
    ):
        told = []
        quick(STUDY, tmp_path / str(number), Shard(number, 2), report=told.append)
        assert [step.detail for step in told if step.note] == [words]
    told = []
    quick(STUDY, tmp_path / "whole", report=told.append)
    assert not any(step.note for step in told)


def test_an_empty_shard_leaves_a_folder_that_can_be_merged(tmp_path, trained):
    study = small_study(["linear"], ["3k"], seeds=1, limit=60)
    assert quick(study, tmp_path / "a", Shard(2, 2)).records == ()
    assert trained == []
    quick(study, tmp_path / "b", Shard(1, 2))
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert load(tmp_path / "c").complete


def test_a_resumption_is_of_the_cells_that_were_asked_for(tmp_path, trained):
    quick(STUDY, tmp_path, Shard(2, 2))
    (tmp_path / "again").mkdir()
    with Store(tmp_path) as old, Store(tmp_path / "again", create=True) as new:
        study, cells = old.last_study()
        known = old.cells(key for key, _ in cells)
        new.add_study(study, [(known[key], case) for key, case in cells])
    assert len(trained) == len(cells) == 3
    asked = asked_for(tmp_path / "again")
    resumed = quick(STUDY, tmp_path / "again", asked)
    assert len(trained) == 6
    assert [r.cell.key for r in resumed.records] == [key for key, _ in cells]
    assert not any(r.timings for r in resumed.records)


# --- the command line

BRIEFLY = ("--workers", "0", "--processes", "0", "--max-seconds", "0", "--quiet")
COMPARE = ("compare", "linear", "mlp", "--budgets", "3k", "--epochs", 1, "--seeds", 2, "--limit", 60)
MYSTUDY = """
title = "A small study"
models = ["linear@3k", "mlp@3k"]
seeds = 2
[settings]
epochs = 1
limit = 60
[[claims]]
text = "They are told apart"
kind = "difference"
of = { model = "mlp" }
against = { model = "linear" }
above = 0.0
"""


@pytest.fixture
def asked(monkeypatch, capsys):
    return lambda *words: invoke(monkeypatch, capsys, *words)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "9" * 30 + "/" + "9" * 30])
@pytest.mark.parametrize("command", [COMPARE, ("run", "mystudy.toml"), ("reproduce", "mnist-heads")])
def test_what_is_no_shard_is_exit_2_with_the_accepted_form(asked, tmp_path, command, text):
    (tmp_path / "mystudy.toml").write_text(MYSTUDY)
    code, out, err = asked(*command, "--shard", text)
    assert (code, out) == (2, "")
    assert err.startswith("error: shard: ")
    assert "Give 1/2 for the first of two parts" in err
    assert not (tmp_path / "results").exists()


def test_shards_of_a_comparison_go_to_folders_of_their_own_and_are_resumed_alone(asked, tmp_path, trained):
    for number in (1, 2):
        code, out, err = asked(*COMPARE, "--shard", f"{number}/2", *BRIEFLY)
        assert code == 0, err
        assert f"results/digits.{number}-of-2/runs.csv" in out
    assert len(trained) == 4
    assert asked("resume", "results")[1].count("nothing is left to do") == 2
    code, out, _ = asked("results", "list", "results", "--json")
    rows = json.loads(out)
    assert len({row["key"] for row in rows}) == len(rows) == 4
    assert {row["state"] for row in rows} == {"done"}


def test_a_dry_run_shows_what_the_shard_would_run(asked, tmp_path):
    (tmp_path / "mystudy.toml").write_text(MYSTUDY)
    for command, name in ((COMPARE, "digits"), (("run", "mystudy.toml"), "mystudy")):
        keys = []
        for number in (1, 2, 3):
            found = json.loads(asked(*command, "--shard", f"{number}/3", "--dry-run", "--json")[1])
            assert found["folder"] == f"results/{name}.{number}-of-3"
            assert found["to_run"] == len(found["cells"])
            keys += [cell["key"] for cell in found["cells"]]
        assert len(set(keys)) == len(keys) == 4
        code, out, err = asked(*command, "--shard", "2/3", "--dry-run")
        assert (code, err) == (0, "")
        assert "shard 2/3: 1 of 4 runs; the first shard times the steps" in out
        assert f"1 of 1 runs to do in results/{name}.2-of-3" in out
        code, out, err = asked(*command, "--shard", "5/5", "--dry-run")
        assert (code, err) == (0, "")
        assert "shard 5/5: 0 of 4 runs" in out


@pytest.mark.parametrize("command", [COMPARE, ("run", "mystudy.toml")])
def test_an_empty_shard_is_no_error_and_says_so(asked, tmp_path, command):
    (tmp_path / "mystudy.toml").write_text(MYSTUDY)
    code, out, _ = asked(*command, "--shard", "5/5", *BRIEFLY, "--out", "empty")
    assert (code, out) == (0, "empty: nothing to run, as there are more shards than runs\n")
    assert [file.name for file in (tmp_path / "empty").iterdir()] == ["results.sqlite"]
    code, out, _ = asked(*command, "--shard", "5/5", *BRIEFLY, "--out", "empty", "--json")
    assert (code, json.loads(out)["files"]) == (0, [])
    assert asked("resume", "empty") == (0, "empty: nothing is left to do\n", "")
    assert asked("results", "list", "empty") == (0, "empty: no run\n", "")


def test_a_study_file_is_divided_merged_and_whole_again(asked, tmp_path, trained):
    (tmp_path / "mystudy.toml").write_text(MYSTUDY)
    for number in (1, 2, 3):
        code, out, err = asked("run", "mystudy.toml", "--shard", f"{number}/3", *BRIEFLY)
        assert code == 0, err
    code, out, err = asked("results", "merge", *sorted(tmp_path.glob("results/mystudy.*-of-3")))
    assert code == 0, err
    assert out.splitlines()[-1] == "results/merged: 4 done"
    assert len(trained) == 4
    code, out, err = asked("run", "mystudy.toml", "--out", "results/merged", *BRIEFLY)
    assert (code, err) == (0, "")
    assert "They are told apart" in out
    assert len(trained) == 4


@pytest.mark.parametrize(("study", "why"), [("cifar10-two-layer", "search"), ("transfer-resnet50", "pretraining")])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_study_whose_steps_build_on_each_other_is_not_divided(asked, study, why, more):
    code, out, err = asked("reproduce", study, "--shard", "1/2", *more)
    assert (code, out) == (2, "")
    assert f"a study with a {why} cannot be divided" in err


def test_from_python_a_shard_is_named_too(tmp_path, trained):
    import archbench

    settings = {"epochs": 1, "seeds": 2, "workers": 0, "protocol": QUICK, "limit": 60}
    compared = archbench.compare(["linear"], budgets="3k", shard="2/2", **settings)
    assert str(compared.folder) == "results/digits.2-of-2"
    (tmp_path / "mystudy.toml").write_text(MYSTUDY)
    made = archbench.reproduce("mystudy.toml", shard="1/2", workers=0, protocol=QUICK)
    assert str(made.comparison.folder) == "results/mystudy.1-of-2"
    assert len(trained) == 1 + 2
