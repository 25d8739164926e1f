"""What is joined, by a module in the place of Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from archbench.errors import InputError
from archbench.execute import session
from archbench.execute.session import Session, remove_left

JOINED = "10.0.0.1:6379"


@pytest.fixture
def connected(monkeypatch):
    context = SimpleNamespace(gcs_address=JOINED)
    monkeypatch.setitem(
        sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    )


@pytest.mark.parametrize("address", ["10.0.0.2:6379", "auto"])
def test_another_cluster_than_the_one_that_is_joined_is_refused(connected, address):
    with pytest.raises(InputError, match=f"already connected to the cluster at {JOINED}") as caught:
        Session(address)
    assert "ray.shutdown()" in caught.value.remedy


@pytest.mark.parametrize("address", [None, JOINED])
def test_the_connection_that_is_there_is_used_and_stays(connected, address):
    session = Session(address)
    assert not session.own
    session.close()


def test_what_a_killed_driver_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "FOLDERS", tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = (f"{ended.pid}-a", f"{ended.pid}-b", f"{os.getpid()}-c", "name-d")
    left, not_seen, mine, of_somebody = (tmp_path / f"archbench-ray-{name}" for name in names)
    for folder in (left, not_seen, mine, of_somebody):
        (folder / "session_latest").mkdir(parents=True)
    lock = session._locked(not_seen)  # as a driver of another container would
    remove_left()
    os.close(lock)
    assert sorted(tmp_path.iterdir()) == sorted([not_seen, mine, of_somebody])
