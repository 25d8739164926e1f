"""Memory in huge pages, as the kernel itself tells."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from pathlib import Path

import pytest
from conftest import small_study
from contract import done, setup_of
from hypothesis import given
from hypothesis import strategies as st

from archbench.execute import Isolated, Job, nursery
from archbench.execute.hugepages import COLLAPSE, HUGE, MAPS, _places, gather
from archbench.plan import make_plan

ROLLUP = "smaps_rollup"


def huge_bytes(process="self"):
    """Return how much of a process's anonymous memory is in huge pages."""
    lines = Path(f"/proc/{process}/{ROLLUP}").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))


@pytest.fixture
def huge_pages():
    """Skip where this kernel makes no huge pages when it is asked to, as libc tells, not what is tested."""
    advise = ctypes.CDLL(None, use_errno=True).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if not MAPS.with_name(ROLLUP).is_file() or advise(None, 0, COLLAPSE):
        pytest.skip("needs a kernel that gathers pages, Linux 6.1 or later")


@pytest.mark.usefixtures("huge_pages")
def test_memory_is_gathered_and_stays_what_it_was():
    with mmap.mmap(-1, 8 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = bytes(range(256)) * (8 * HUGE // 256)
        before = huge_bytes()
        gather()
        assert huge_bytes() - before >= 4 * HUGE  # others may end at the same time
        assert memory[:] == bytes(range(256)) * (8 * HUGE // 256)


@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(1, 2**12)), max_size=8))
def test_places_lie_within_what_is_the_process_s_own(mappings):
    own, maps = [], []
    for number, (first, pages) in enumerate(mappings):
        start, end = first * 4096, (first + pages) * 4096
        maps.append(f"{start:x}-{end:x} rw-p 00000000 00:00 0 {'[heap]' * (number % 2)}")
        maps.append(f"{start:x}-{end:x} {'r--p' if number % 2 else 'rw-s'} 00000000 08:01 7 /lib/with a name.so")
        own.append((start, end))
    places = list(_places("\n".join(maps)))
    assert all(place % HUGE == 0 for place in places)
    # As many as fit, counted from the other side: by trying every place.
    count = 0
    for start, end in own:
        fitting = [place for place in range(0, end, HUGE) if place >= start and place + HUGE <= end]
        assert set(fitting) <= set(places)
        count += len(fitting)
    assert len(places) == count


@pytest.mark.usefixtures("huge_pages")
def test_the_warm_process_gathers_its_memory_where_many_are_forked_from_it(tmp_path):
    cells = make_plan(small_study(["linear"], ["1k"], epochs=1, seeds=nursery.MANY)).cells
    jobs = [Job("train", cell, attempt) for attempt, cell in enumerate(cells, 1)]
    with contextlib.closing(Isolated(setup_of(tmp_path))) as runner:
        done(runner, *jobs[:-1])
        before = huge_bytes(runner._warm.pid)
        heard = done(runner, jobs[-1])
        assert heard[nursery.MANY][-2].outcome.status == "done"
        assert huge_bytes(runner._warm.pid) - before > 20 * HUGE
