"""What is made once: kept under its key, made again where the file is damaged, done without where none can be kept."""

from __future__ import annotations

import numpy as np
import pytest

from archbench.data.cache import cache_folder, cached, recalled, remember
from archbench.schema import Peaks

ARRAYS = {"images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "labels": np.array([7, -1])}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Makes arrays, and counts how often."""

    def __init__(self, arrays=None):
        self.arrays, self.calls = arrays or ARRAYS, 0

    def __call__(self):
        self.calls += 1
        return self.arrays


def same(found, wanted=ARRAYS):
    return found.keys() == wanted.keys() and all(
        found[name].dtype == array.dtype and np.array_equal(found[name], array) for name, array in wanted.items()
    )


def the_file(folder):
    (file,) = folder.rglob("*.npz")
    return file


def test_what_is_made_once_is_there_the_second_time(folder):
    make = Maker()
    assert same(cached("kind", "key", make))
    assert same(cached("kind", "key", make))
    assert make.calls == 1
    assert the_file(folder).parent == folder / "kind"


def test_keys_and_kinds_are_kept_apart(folder):
    makers = [Maker({"images": np.full(3, number)}) for number in range(4)]
    places = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x/../y" * 200)]  # a key may be any text
    for _ in range(2):
        for place, make in zip(places, makers, strict=True):
            assert same(cached(*place, make), make.arrays)
    assert [make.calls for make in makers] == [1] * 4
    assert len(list(folder.rglob("*.npz"))) == 4


def test_a_cut_file_is_made_again_and_kept(folder):
    cached("kind", "key", Maker())
    whole = the_file(folder).read_bytes()
    for length in range(0, len(whole), 13):
        the_file(folder).write_bytes(whole[:length])
        make = Maker()
        assert same(cached("kind", "key", make))
        assert same(cached("kind", "key", make))
        assert make.calls == 1


def test_no_changed_byte_gives_another_array(folder):
    cached("kind", "key", Maker())
    file, whole = the_file(folder), the_file(folder).read_bytes()
    made_again = 0
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        make = Maker()
        found = cached("kind", "key", make)
        assert all(np.array_equal(array, ARRAYS[name]) for name, array in found.items())
        made_again += make.calls
    assert made_again > 0.6 * len(whole)  # what is left are dates and other things that say nothing of the arrays


def test_nothing_in_a_file_is_executed(folder):
    cached("kind", "key", Maker())
    np.savez(the_file(folder), images=np.array([{"an": "object"}], dtype=object))
    make = Maker()
    assert same(cached("kind", "key", make))
    assert make.calls == 1


@pytest.mark.parametrize("place", ["/dev/null/cache", "file/cache", "file"])
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ARCHBENCH_CACHE", place)
    make = Maker()
    assert same(cached("kind", "key", make))
    assert same(cached("kind", "key", make))
    assert make.calls == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_made_leaves_nothing(folder):
    with pytest.raises(ZeroDivisionError):
        cached("kind", "key", lambda: 1 / 0)
    assert not folder.exists()
    assert same(cached("kind", "key", Maker()))


def test_a_noun_is_kept_under_its_kind_and_key(folder):
    nouns = {("a", "x"): Peaks(1.0, 2.0), ("a", "y"): Peaks(3.0, 4.0), ("b", "x" * 999): Peaks(5.0, 6.0)}
    assert [recalled(*place, Peaks) for place in nouns] == [None] * 3
    for place, noun in nouns.items():
        remember(*place, noun)
    assert {place: recalled(*place, Peaks) for place in nouns} == nouns
    assert recalled("a", "x", list[int]) is None  # another noun than is asked for


def test_no_changed_or_missing_byte_gives_another_noun(folder):
    remember("kind", "key", Peaks(12.0, 34.0))
    (file,) = folder.rglob("*.json")
    whole = file.read_bytes()
    for place in range(len(whole)):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            file.write_bytes(damaged)
            assert recalled("kind", "key", Peaks) is None


def test_a_noun_that_cannot_be_kept_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "file" / "cache"))
    remember("kind", "key", Peaks(1.0, 2.0))
    assert recalled("kind", "key", Peaks) is None


def test_the_folder_is_the_variables_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("ARCHBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert cache_folder() == tmp_path / "users" / "archbench"
