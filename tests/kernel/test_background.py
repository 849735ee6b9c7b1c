"""Threads that stand back: how the scheduler treats them, and only them."""

import os
import threading
from collections.abc import Callable

import pytest

from halley.kernel.background import stand_back


def policy_within(work: Callable[[], object]) -> int:
    """Give the policy of a thread that has done something."""
    found: list[int] = []

    def run() -> None:
        work()
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_that_stands_back_interrupts_nobody_and_others_are_as_they_were() -> None:
    before = os.sched_getscheduler(0)
    assert policy_within(stand_back) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before
    assert policy_within(lambda: None) == before


def test_where_it_is_not_permitted_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", deny)
    assert policy_within(stand_back) == os.sched_getscheduler(0)


def test_where_there_is_no_such_thing_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setscheduler")
    assert policy_within(stand_back) == os.sched_getscheduler(0)
