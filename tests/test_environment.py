from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.environment import ALLOCATOR_VARIABLE, HUGE_PAGES, KEEPING, allocator, worker_variables

FAULTS = """
import resource, torch
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**22)  # 16 MiB, given back at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""

HEAP = """
block = bytearray(2**24)
lines = open("/proc/self/smaps").read().splitlines()
heap = next(number for number, line in enumerate(lines) if line.endswith("[heap]"))
print(next(line for line in lines[heap:] if line.startswith("VmFlags")))
"""


def _asks():
    library, version = platform.libc_ver()
    told = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    known = library == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 35)
    return known and told.exists() and "[madvise]" in told.read_text()


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    for name in (ALLOCATOR_VARIABLE, *KEEPING, *HUGE_PAGES):
        monkeypatch.delenv(name, raising=False)


def test_workers_keep_their_memory_unless_the_user_says_otherwise(monkeypatch):
    assert (KEEPING | HUGE_PAGES).items() <= worker_variables().items()
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "5")
    assert worker_variables()["MALLOC_MMAP_MAX_"] == "5"
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=1")
    assert worker_variables()["GLIBC_TUNABLES"] == "glibc.malloc.tcache_count=1"
    monkeypatch.delenv("GLIBC_TUNABLES")
    monkeypatch.setenv(ALLOCATOR_VARIABLE, "system")
    assert not {"MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & set(worker_variables())


def test_a_process_knows_which_allocator_it_has(monkeypatch):
    assert allocator() == "system"
    for name, value in KEEPING.items():
        monkeypatch.setenv(name, value)
    assert allocator() == "kept"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the variables are glibc's")
def test_memory_that_is_kept_is_not_fetched_page_by_page():
    """A page fault is a count, not a time: 20 tensors of 4,096 pages each, or next to none."""
    words = [sys.executable, "-c", FAULTS]
    kept = subprocess.run(words, env=worker_variables(), capture_output=True, text=True, check=True)
    assert int(kept.stdout) < 1000


@pytest.mark.skipif(not _asks(), reason="glibc asks from 2.35 on, of a kernel that gives huge pages to who asks")
def test_memory_of_workers_is_asked_for_in_huge_pages():
    """The kernel says of the heap whether it was; that it gives them depends on how it is set up."""
    words = [sys.executable, "-c", HEAP]
    asked, plain = (
        subprocess.run(words, env=variables, capture_output=True, text=True, check=True).stdout.split()
        for variables in (worker_variables(), {**worker_variables(), "GLIBC_TUNABLES": ""})
    )
    assert "hg" in asked
    assert "hg" not in plain
