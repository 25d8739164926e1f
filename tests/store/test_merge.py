"""Rows of several stores in one, read back by sqlite3 alone."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from conftest import timing_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schema import DONE, ENVIRONMENT, SIZED, TRAINING, cell_of

from archbench.errors import OutputError, StoreError
from archbench.schema import Epoch, Knobs, Metrics, Outcome
from archbench.store import FILE_NAME, Begun, Owner, Store, merge
from archbench.store.merge import Source, join, written
from archbench.timing.sessions import side_by_side

V1 = Path(__file__).parents[1] / "stores" / "v1.sqlite"
METRICS = Metrics(0.5, 0.75, 0.9)
FAILED = dataclasses.replace(DONE, status="failed", training=None, error="why")


def with_seed(seed, record=DONE, **changes):
    return dataclasses.replace(record, cell=cell_of(seed), **changes)


def trained(seed=0, **changes):
    """Return a done run whose training differs in something."""
    return with_seed(seed, training=dataclasses.replace(DONE.training, **changes))


def filled(folder, *records, timings=()):
    with Store(folder, create=True) as store:
        for record in records:
            store.add(record)
        store.add_timings(timings)
    return folder


def merged(target, *folders):
    """Merge stores; return what of them was new."""
    with ExitStack() as stack:
        sources = [stack.enter_context(Source(folder)) for folder in folders]
        into = stack.enter_context(Source(target)) if (target / FILE_NAME).exists() else None
        joined = join(sources, into)
        if into is not None:
            into.db.close()
        with written(joined, target):
            pass
    with Store(target) as store:
        assert store.verify() == []
    return joined


def tables(folder):
    """Return every row of a store."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def rows(folder):
    """Return every attempt with all that belongs to it, its numbers left out."""
    query = """
        SELECT specs.key, specs.seed, settings.content, status, owner, host, boot_id, pid, started_at, ended_at,
               seconds, exit_code, signal, error, epochs, training, environments.content, costs.content,
               memories.content,
               (SELECT group_concat(epoch || metrics || coalesce(checkpoint, ''), '|')
                FROM epochs WHERE attempt = attempts.id)
        FROM attempts JOIN specs ON specs.id = spec JOIN parts settings ON settings.id = setting
        JOIN parts environments ON environments.id = environment
        LEFT JOIN parts costs ON costs.id = cost LEFT JOIN parts memories ON memories.id = memory
        ORDER BY attempts.id
    """
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return db.execute(query).fetchall()


def begun(folder, seed, *, alive=None, ends=None, epochs=2):
    """Begin a run that is left to a process that dies, or ends so."""
    with Store(folder, create=True) as store, Owner(folder) as owner:
        attempt = store.begin(Begun(cell_of(seed), ENVIRONMENT), owner.token)
        for number in range(1, epochs + 1):
            store.add_epoch(attempt, Epoch(number, METRICS, METRICS, 1.0, 1.0), f"{number}" * 64)
        if ends is not None:
            store.finish(attempt, ends, 1.0)
    return folder


# --- what is copied


def test_every_row_is_there_as_it_was(tmp_path):
    one = filled(tmp_path / "a", with_seed(0), with_seed(1, FAILED), timings=[timing_of([1.0]), timing_of([1.0])])
    two = begun(tmp_path / "b", 2, ends=Outcome("oom", error="out of memory", exit_code=1, signal=9))
    filled(two, with_seed(3), timings=[timing_of([2.0], session="other")])
    joined = merged(tmp_path / "c", one, two)
    assert sorted(rows(tmp_path / "c"), key=str) == sorted([*rows(one), *rows(two)], key=str)
    assert (len(joined.attempts), len(joined.timings)) == (4, 3)
    with Store(one) as a, Store(two) as b, Store(tmp_path / "c") as c:
        assert c.timings() == a.timings() + b.timings()
        assert c.records() == a.records() | b.records()


def test_the_sources_stay_as_they_are(tmp_path):
    folders = [filled(tmp_path / name, with_seed(seed)) for seed, name in enumerate("ab")]
    before = [(folder / FILE_NAME).read_bytes() for folder in folders]
    merged(tmp_path / "c", *folders)
    assert [(folder / FILE_NAME).read_bytes() for folder in folders] == before
    assert [[file.name for file in folder.iterdir()] for folder in folders] == [[FILE_NAME]] * 2


def test_merging_again_adds_nothing(tmp_path):
    one = filled(tmp_path / "a", with_seed(0, FAILED), with_seed(0), with_seed(1, FAILED), timings=[timing_of([1.0])])
    two = begun(tmp_path / "b", 1)
    merged(tmp_path / "c", one, two)
    before = tables(tmp_path / "c")
    for again in ((one, two), (two, one), (two,), (tmp_path / "c", one)[1:]):
        joined = merged(tmp_path / "c", *again)
        assert (joined.attempts, joined.timings) == ([], [])
        assert tables(tmp_path / "c") == before


def test_a_merged_store_merges_with_what_it_was_made_of(tmp_path):
    one, two, three = (filled(tmp_path / name, with_seed(seed)) for seed, name in enumerate("abc"))
    merged(tmp_path / "ab", one, two)
    merged(tmp_path / "bc", two, three)
    merged(tmp_path / "abc", tmp_path / "ab", tmp_path / "bc", one)
    assert sorted(rows(tmp_path / "abc")) == sorted([*rows(one), *rows(two), *rows(three)])


def test_what_comes_to_a_source_later_is_added(tmp_path):
    one, two = filled(tmp_path / "a", with_seed(0)), filled(tmp_path / "b", with_seed(1, FAILED))
    merged(tmp_path / "c", one, two)
    filled(two, with_seed(1), with_seed(2))
    assert len(merged(tmp_path / "c", one, two).attempts) == 2
    with Store(tmp_path / "c") as store:
        assert [record.status for record in store.records().values()] == ["done"] * 3


def test_attempts_stand_in_the_order_of_time(tmp_path):
    times = {"a": (3, 9), "b": (1, 5)}
    for name, found in times.items():
        filled(tmp_path / name, *(with_seed(0, FAILED, finished_at=f"2026-01-0{day}T00:00:00+00:00") for day in found))
    merged(tmp_path / "c", tmp_path / "a", tmp_path / "b")
    with Store(tmp_path / "c") as store:
        assert [attempt.started_at[9] for attempt in store.attempts()] == ["1", "3", "5", "9"]


def test_a_done_run_wins_over_others_and_all_attempts_are_kept(tmp_path):
    one = filled(tmp_path / "a", with_seed(0))
    two = filled(tmp_path / "b", with_seed(0, FAILED, finished_at="2027-01-01T00:00:00+00:00"))
    for number, folders in enumerate(((one, two), (two, one))):
        merged(tmp_path / str(number), *folders)
        with Store(tmp_path / str(number)) as store:
            assert store.records()[cell_of(0).key].status == "done"
            assert [attempt.state for attempt in store.attempts()] == ["done", "failed"]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 3)), max_size=12))
def test_the_whole_holds_a_row_as_often_as_one_of_the_stores_does(tmp_path_factory, found):
    root = tmp_path_factory.mktemp("often")
    counts = {}
    for place in range(3):
        with Store(root / str(place), create=True) as store:
            for where, seed, times in found:
                for _ in range(times if where == place else 0):
                    store.add(with_seed(seed, FAILED))
                    counts[place, seed] = counts.get((place, seed), 0) + 1
    merged(root / "all", *(root / str(place) for place in range(3)))
    with Store(root / "all") as store:
        keys = [attempt.key for attempt in store.attempts()]
    for seed in range(4):
        assert keys.count(cell_of(seed).key) == max(counts.get((place, seed), 0) for place in range(3))


def test_timings_of_sessions_stay_apart(tmp_path):
    """Two machines of one kind timed both models each: ratios are of one session, whichever is taken."""
    cells = [dataclasses.replace(cell_of(seed), sized=dataclasses.replace(SIZED, params=seed)) for seed in range(2)]
    for name in "ab":
        timings = [
            timing_of([1.0 + seed], session=f"of {name}", sized_key=cell.sized.key, device_name=ENVIRONMENT.cpu,
                      batch_size=cell.recipe.batch_size, torch=ENVIRONMENT.torch)
            for seed, cell in enumerate(cells)
        ]  # fmt: skip
        filled(tmp_path / name, timings=timings)
    filled(tmp_path / "a", dataclasses.replace(DONE, cell=cells[0]))
    filled(tmp_path / "b", dataclasses.replace(DONE, cell=cells[1]))
    merged(tmp_path / "c", tmp_path / "a", tmp_path / "b")
    with Store(tmp_path / "c") as store:
        assert {timing.session for timing in store.timings()} == {"of a", "of b"}
        chosen = side_by_side(store.timings(), store.records().values())
    assert [len(found) for found in chosen.values()] == [1, 1]
    assert len({timing.session for found in chosen.values() for timing in found}) == 1


def test_a_store_of_an_older_archbench_is_merged_and_stays_as_it_is(tmp_path):
    (tmp_path / "old").mkdir()
    shutil.copy(V1, tmp_path / "old" / FILE_NAME)
    new = filled(tmp_path / "new", with_seed(0))
    merged(tmp_path / "both", tmp_path / "old", new)
    assert (tmp_path / "old" / FILE_NAME).read_bytes() == V1.read_bytes()
    with Store(tmp_path / "old") as old, Store(tmp_path / "both") as both:
        assert both.records().items() >= old.records().items()
        assert len(both.attempts()) == len(old.attempts()) + 1
    before = tables(tmp_path / "both")
    merged(tmp_path / "both", new, tmp_path / "old")
    assert tables(tmp_path / "both") == before
    shutil.copytree(tmp_path / "old", tmp_path / "target")
    merged(tmp_path / "target", new)
    assert sorted(rows(tmp_path / "target")) == sorted(rows(tmp_path / "both"))


def test_what_a_dead_process_left_running_is_interrupted_and_can_be_gone_on_with(tmp_path):
    one, two = begun(tmp_path / "a", 0), filled(tmp_path / "b", with_seed(1))
    merged(tmp_path / "c", one, two)
    with Store(one) as store:
        shown = store.attempts()[0]
    with Store(tmp_path / "c", create=True) as store, Owner(tmp_path / "c") as owner:
        attempt = next(attempt for attempt in store.attempts() if attempt.key == cell_of(0).key)
        assert attempt.state == "interrupted"
        assert (attempt.error, attempt.owner, attempt.started_at) == (shown.error, shown.owner, shown.started_at)
        assert [sha256 for _, sha256 in store.checkpoints(cell_of(0).key)] == ["1" * 64, "2" * 64]
        assert store.begin(Begun(cell_of(0), ENVIRONMENT), owner.token)
    with Store(one, create=True) as store:  # as the same command would
        store.recover()
    assert merged(tmp_path / "c", one, two).attempts == []


def test_what_a_dead_process_left_running_in_the_target_gives_way_to_what_is_done(tmp_path):
    target = begun(tmp_path / "c", 0)
    merged(target, filled(tmp_path / "a", with_seed(0)), filled(tmp_path / "b", with_seed(1)))
    with Store(target) as store:
        assert sorted(attempt.state for attempt in store.attempts()) == ["done", "done", "interrupted"]


# --- what contradicts itself


def test_the_same_result_twice_is_kept_once_as_it_is_in_the_first(tmp_path):
    one = filled(tmp_path / "a", trained(seconds=1.0))
    two = filled(tmp_path / "b", trained(seconds=7.0))
    joined = merged(tmp_path / "c", one, two)
    assert [count for _, count in joined.twice.items()] == [1]
    assert rows(tmp_path / "c") == rows(one)
    merged(tmp_path / "c", two, one)
    assert rows(tmp_path / "c") == rows(one)


def test_weights_that_were_not_noted_contradict_none(tmp_path):
    one, two = filled(tmp_path / "a", trained(weights_sha256=None)), filled(tmp_path / "b", trained())
    assert len(merged(tmp_path / "c", one, two).attempts) == 1


EPOCH = TRAINING.epochs[0]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"weights_sha256": "e" * 64}, "other weights in"),
        ({"test": Metrics(0.1, 0.8, 1)}, "other test metrics in"),
        ({"test": None}, "other test metrics in"),
        ({"epochs": (dataclasses.replace(EPOCH, train=METRICS),)}, "other metrics of epoch 1 in"),
        ({"epochs": (dataclasses.replace(EPOCH, validation=METRICS),)}, "other metrics of epoch 1 in"),
        ({"epochs": (EPOCH, dataclasses.replace(EPOCH, epoch=2))}, "other metrics of epoch 2 in"),
        (
            {"epochs": (dataclasses.replace(EPOCH, train=METRICS), dataclasses.replace(EPOCH, epoch=2))},
            "other metrics of epoch 1 in",
        ),
        ({"weights_sha256": "e" * 64, "test": METRICS}, "other weights, other test metrics in"),
        ({"weights_sha256": "e" * 64, "knobs": Knobs("contiguous")}, ", where its steps were taken in another way"),
    ],
)
def test_results_that_contradict_each_other_are_refused_and_nothing_is_written(tmp_path, changes, what):
    one, two = filled(tmp_path / "a", with_seed(3), trained()), filled(tmp_path / "b", trained(**changes), with_seed(4))
    target = filled(tmp_path / "there", trained())
    before = (target / FILE_NAME).read_bytes()
    for into, folders in ((tmp_path / "c", (one, two)), (target, (two,))):
        with pytest.raises(StoreError, match="nothing is written") as caught:
            merged(into, *folders)
        assert f"cnn@30k seed 0 ({cell_of(0).key[:8]}) has " in str(caught.value)
        assert what in str(caught.value)
        assert str(two) in str(caught.value)
        assert caught.value.exit_code == 4
    assert not (tmp_path / "c").exists()
    assert (target / FILE_NAME).read_bytes() == before


def test_an_early_epoch_alone_is_enough_of_a_contradiction(tmp_path):
    """The rows of two attempts may say the same of all but it."""
    curves = [
        (dataclasses.replace(EPOCH, train=train), dataclasses.replace(EPOCH, epoch=2))
        for train in (EPOCH.train, METRICS)
    ]
    one, two = (filled(tmp_path / name, trained(epochs=curve)) for name, curve in zip("ab", curves, strict=True))
    with pytest.raises(StoreError, match=r"has other metrics of epoch 1 in"):
        merged(tmp_path / "c", one, two)
    failed = [filled(tmp_path / name, trained(epochs=curve)) for name, curve in zip("de", curves[:1] * 2, strict=True)]
    assert len(merged(tmp_path / "f", *failed).attempts) == 1


def test_of_many_contradictions_some_are_named_and_the_others_counted(tmp_path):
    one = filled(tmp_path / "a", *(trained(seed) for seed in range(5)))
    two = filled(tmp_path / "b", *(trained(seed, weights_sha256="e" * 64) for seed in range(5)))
    with pytest.raises(StoreError, match=r"seed 0 .*seed 1 .*seed 2 .*; and 2 more runs"):
        merged(tmp_path / "c", one, two)


@pytest.mark.parametrize("other", [with_seed(0, FAILED), with_seed(0, status="diverged", error="the loss is nan")])
def test_what_came_to_nothing_contradicts_nothing(tmp_path, other):
    one, two = filled(tmp_path / "a", with_seed(0)), filled(tmp_path / "b", other)
    assert len(merged(tmp_path / "c", one, two).attempts) == 2


# --- what cannot be merged


@pytest.mark.parametrize("there", [False, True])
def test_a_damaged_store_is_refused_with_how_to_leave_out_what_is_damaged(tmp_path, there):
    one = filled(tmp_path / "a", with_seed(0), with_seed(1))
    two = filled(tmp_path / "b", with_seed(2))
    with closing(sqlite3.connect(one / FILE_NAME)) as db, db:
        db.execute("DROP TRIGGER attempts_done")
        db.execute("UPDATE attempts SET error = 'x' WHERE id = 2")
        db.execute("DELETE FROM epochs WHERE attempt = 1")
    target, *sources = (one, two) if there else (tmp_path / "c", two, one)
    with pytest.raises(StoreError, match="attempts 2: its content does not fit its hash, and 1 more") as caught:
        merged(target, *sources)
    assert str(one) in str(caught.value)
    assert "--salvage NEW" in caught.value.remedy
    assert not (tmp_path / "c").exists()


def test_a_folder_without_a_store_is_told(tmp_path):
    with pytest.raises(StoreError, match="there are no results in"):
        Source(tmp_path)
    (tmp_path / FILE_NAME).write_text("no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Source(tmp_path)


@pytest.mark.parametrize("there", [False, True])
def test_what_others_write_to_the_target_meanwhile_is_not_overlooked(tmp_path, there):
    one, target = filled(tmp_path / "a", with_seed(0)), tmp_path / "c"
    if there:
        filled(target, with_seed(5))
    with Source(one) as source:
        into = Source(target) if there else None
        joined = join([source], into)
        if into is not None:
            into.db.close()
        filled(target, with_seed(9))
        before = tables(target)
        with pytest.raises(OutputError, match="another has written to") as caught, written(joined, target):
            pass
        assert caught.value.remedy == "Give the command again."
    assert tables(target) == before


def test_a_merge_that_fails_on_the_way_leaves_the_target_as_it_was(tmp_path, monkeypatch):
    one, two = (filled(tmp_path / name, with_seed(seed)) for seed, name in enumerate("ab"))
    target = filled(tmp_path / "c", with_seed(7))
    before = tables(target)
    for fail in (1, 2, 5):
        original, calls = merge.insert, []

        def failing(*words, original=original, calls=calls, fail=fail, **values):
            calls.append(words)
            if len(calls) == fail:
                raise MemoryError
            return original(*words, **values)

        with monkeypatch.context() as patch:
            patch.setattr(merge, "insert", failing)
            with pytest.raises(MemoryError):
                merged(target, one, two)
        assert tables(target) == before
    assert len(merged(target, one, two).attempts) == 2
