from __future__ import annotations

import contextlib
import select
import signal
import threading
from types import SimpleNamespace

import pytest

from archbench.execute import Stops, stops


@pytest.fixture(autouse=True)
def handled():
    """Let both signals have a handler of this test's own, and see that it is there again in the end."""
    heard = []

    def handler(number, _):
        heard.append(number)

    before = {number: signal.signal(number, handler) for number in stops.SIGNALS}
    yield heard
    held = [signal.getsignal(number) for number in stops.SIGNALS]
    for number, one in before.items():
        signal.signal(number, one)
    assert all(one in {handler, signal.SIG_IGN} for one in held)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(stops, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_without_a_signal_the_work_goes_on():
    with Stops() as asked:
        asked.drain()
        assert (asked.level, asked.signal, asked.overdue) == (0, None, False)


def test_each_signal_raises_the_level_and_the_last_is_known(handled):
    with Stops() as asked:
        signal.raise_signal(signal.SIGINT)
        assert (asked.level, asked.signal) == (1, signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert (asked.level, asked.signal) == (2, signal.SIGTERM)
    assert handled == []


def test_the_first_alone_is_told_and_once():
    told = []
    with Stops(lambda: told.append("first")) as asked:
        asked.drain()
        assert told == []
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
            asked.drain()
            asked.drain()
    assert told == ["first"]


def test_two_signals_before_anybody_looks_are_told_of_as_one():
    told = []
    with Stops(lambda: told.append(asked.level)) as asked:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        asked.drain()
    assert told == [2]


def test_a_signal_wakes_up_who_waits_and_draining_lets_him_sleep_again():
    with Stops() as asked:
        with pytest.raises(BlockingIOError):
            asked.awoken.recv(1)
        signal.raise_signal(signal.SIGINT)
        asked.drain()
        with pytest.raises(BlockingIOError):
            asked.awoken.recv(1)
        signal.raise_signal(signal.SIGTERM)
        assert asked.awoken.recv(64) == bytes([signal.SIGTERM])


def test_more_signals_than_anybody_drains_do_no_harm():
    with Stops() as asked:
        for _ in range(2000):
            signal.raise_signal(signal.SIGINT)
        assert asked.level == 2000
        asked.drain()


def test_where_it_raises_the_first_ctrl_c_is_told_at_once_and_the_second_ends_what_is_under_way():
    told = []
    with Stops(lambda: told.append("first")) as asked:
        asked.raising = True
        signal.raise_signal(signal.SIGINT)
        assert (asked.level, told) == (1, ["first"])
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGINT)
        assert caught.value.args == (signal.SIGINT,)
        assert (asked.level, told) == (2, ["first"])


def test_where_it_raises_the_first_sigterm_ends_what_is_under_way():
    told = []
    with Stops(lambda: told.append("first")) as asked:
        asked.raising = True
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.args == (signal.SIGTERM,)
        assert (asked.level, told) == (1, ["first"])


def test_handlers_are_as_before_and_what_comes_later_is_theirs(handled):
    with Stops():
        pass
    signal.raise_signal(signal.SIGINT)
    assert handled == [signal.SIGINT]


def test_handlers_are_as_before_after_an_error_too(handled):
    with pytest.raises(RuntimeError), Stops():
        raise RuntimeError
    signal.raise_signal(signal.SIGTERM)
    assert handled == [signal.SIGTERM]


def test_the_wakeup_of_another_is_as_before():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with Stops():
        pass
    assert signal.set_wakeup_fd(before) == before


def test_one_within_another_takes_the_signals_and_gives_them_back():
    with Stops() as outer:
        with Stops() as inner:
            signal.raise_signal(signal.SIGINT)
        assert (inner.level, outer.level) == (1, 0)
        signal.raise_signal(signal.SIGINT)
        assert (inner.level, outer.level) == (1, 1)


def test_an_ignored_signal_stays_ignored_and_the_other_is_heard(handled):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as of what nohup or a script's & started
    with Stops() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.level == 0
        signal.raise_signal(signal.SIGTERM)
        assert asked.level == 1
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_nothing_is_heard_and_nothing_fails(handled):
    found = []

    def work():
        with Stops() as asked:
            asked.drain()
            found.append((asked.level, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(0, before)]
    signal.raise_signal(signal.SIGINT)
    assert handled == [signal.SIGINT]


def test_sigterm_is_overdue_after_the_grace_and_not_before(clock):
    with Stops() as asked:
        signal.raise_signal(signal.SIGTERM)
        assert not asked.overdue
        clock.now += 5
        assert not asked.overdue
        clock.now += 0.1
        assert asked.overdue


def test_ctrl_c_is_never_overdue(clock):
    with Stops() as asked:
        signal.raise_signal(signal.SIGINT)
        clock.now += 3600
        assert not asked.overdue


def test_the_grace_begins_with_the_first_signal(clock):
    with Stops() as asked:
        signal.raise_signal(signal.SIGTERM)
        clock.now += 4
        signal.raise_signal(signal.SIGTERM)
        clock.now += 2
        assert asked.overdue


def test_another_thread_may_ask_for_what_a_signal_asks_for():
    with contextlib.closing(Stops()) as asked:
        thread = threading.Thread(target=asked.ask, args=(2,))
        thread.start()
        assert select.select([asked.awoken], [], [], 30)[0]
        thread.join()
        asked.ask(1)
        assert asked.level == 2
    asked.ask(2)  # nobody waits any more
