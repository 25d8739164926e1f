"""The side of a node, in this process, by a driver that is a script: there is no Ray."""

from __future__ import annotations

import socket
import threading

import msgspec
import pytest
from conftest import small_study

from archbench.environment import capture
from archbench.execute import remote
from archbench.execute.jobs import Ended, Job, Setup
from archbench.execute.remote import Place, Said, do, variables
from archbench.plan import make_plan


class Driver(threading.Thread):
    """Lets the one that connects begin, and hears all that it says."""

    def __init__(self):
        super().__init__()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard = []

    def run(self):
        with self.listener, self.listener.accept()[0] as connection:
            connection.sendall(b"kept 0\n")
            self.heard += [msgspec.json.decode(line, type=Said) for line in connection.makefile("rb")]


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setattr(remote, "_node_id", lambda: "node")
    monkeypatch.setattr(remote, "setup_here", lambda place: place.setup)
    driver = Driver()
    driver.start()
    yield driver
    driver.join()


def place_of(driver):
    setup = Setup([], (), None, "logs", "checkpoints")
    return Place(setup, variables(), driver.listener.getsockname()[:2], "", capture())


def job():
    (cell,) = make_plan(small_study(["mlp"], ["3k"], seeds=1)).cells
    return Job("train", cell, 1)


def test_a_network_that_fails_loses_the_run_and_says_why(driver, monkeypatch):
    def fail(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr(remote._Task, "run", fail)
    do(job(), place_of(driver), "token", None)
    driver.join()
    assert driver.heard[0].token == "token"
    assert driver.heard[-1].ended == Ended(lost=True, why="TimeoutError: timed out")
