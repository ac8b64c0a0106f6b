"""Calls to be made later are made once, in their order, and those that are cancelled never."""

from __future__ import annotations

import threading
import time

from executor.timers import Timers


def test_calls_are_made_in_the_order_of_their_times():
    timers, made, done = Timers(), [], threading.Event()
    timers.call_later(0.06, done.set)
    for name, seconds in (("second", 0.04), ("first", 0.02), ("third", 0.04)):
        timers.call_later(seconds, lambda name=name: made.append(name))

    assert done.wait(10)
    assert made == ["first", "second", "third"]


def test_what_is_cancelled_is_not_made_and_holds_up_nothing():
    timers, made, done = Timers(), [], threading.Event()
    cancelled = [timers.call_later(n / 1000, lambda n=n: made.append(n)) for n in range(20, 40)]
    kept = timers.call_later(0.03, lambda: made.append("kept"))
    timers.call_later(0.05, done.set)
    for later in cancelled:
        later.cancel()

    assert done.wait(10)
    assert made == ["kept"]
    assert kept.is_over


def test_one_that_is_sooner_than_all_that_wait_is_made_at_once():
    timers, done = Timers(), threading.Event()
    far = timers.call_later(60, lambda: None)
    far.cancel()
    timers.call_later(60, lambda: None)
    time.sleep(0.05)  # it waits by now
    timers.call_later(0, done.set)

    assert done.wait(10)


def test_what_a_call_raises_is_logged_and_ends_nothing(caplog):
    timers, done = Timers(), threading.Event()
    timers.call_later(0, lambda: 1 / 0)
    timers.call_later(0.01, done.set)

    assert done.wait(10)
    assert [(r.getMessage(), r.exc_info[0]) for r in caplog.records] == [("timer_call_failed", ZeroDivisionError)]
