"""Budgets fall and never rise in silence, and what is counted is the gateway's own doing, the same in each run."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from scripts.budgets.explain import functions, report
from scripts.budgets.meter import LOOP, WRITER, Meter
from scripts.budgets.model import COUNTS, Measured, least, minus, per
from scripts.budgets.ratchet import Budgets, Raise, compare, read, updated, write

ROOT = Path(__file__).resolve().parents[2]
PATH = "chat"


def counts_of(**some: float) -> dict[str, float]:
    return {**dict.fromkeys(COUNTS, 0), **some}


def measured(**some: float) -> Measured:
    return Measured(path=PATH, title="a chat", counts=counts_of(**some))


def budgets(**some: float) -> Budgets:
    return Budgets(python="3.11", paths={PATH: counts_of(**some)})


def messages(held: Budgets, now: Measured) -> list[str]:
    return [str(finding) for finding in compare(held, [now], [PATH])]


CASES: Mapping[str, tuple[float, float, str]] = {
    "one call more": (1000, 1001, "`loop_calls` is 1001, its budget is 1000 (+1, +0.1 %)"),
    "from none to one": (0, 1, "`loop_calls` is 1, its budget is 0 (+1)"),
    "far below": (1000, 960, "it got better: `loop_calls` 1000 → 960. Lower the budget"),
}


@pytest.mark.parametrize(("budget", "now", "said"), CASES.values(), ids=CASES)
def test_a_count_off_its_budget_is_named(budget: float, now: float, said: str):
    (message,) = messages(budgets(loop_calls=budget), measured(loop_calls=now))
    assert message.startswith(f"{PATH}: {said}")


@pytest.mark.parametrize("now", [1000, 999, 970])
def test_a_count_just_below_its_budget_passes(now: float):
    assert messages(budgets(loop_calls=1000), measured(loop_calls=now)) == []


def test_only_what_is_above_counts_as_over():
    found = compare(budgets(loop_calls=10, hops=10), [measured(loop_calls=11, hops=1)], [PATH])
    assert [finding.over for finding in found] == ["loop_calls", ""]


def test_a_path_and_a_count_without_a_budget_ask_for_one():
    held = Budgets(python="3.11", paths={})
    assert "has no budget yet" in messages(held, measured())[0]
    held = Budgets(python="3.11", paths={PATH: {name: 0 for name in COUNTS if name != "hops"}})
    assert "`hops` has no budget yet" in messages(held, measured())[0]


def test_a_budget_of_a_path_that_is_gone_is_named_and_dropped():
    held = Budgets(python="3.11", paths={"gone": counts_of(), PATH: counts_of()})
    (message,) = messages(held, measured())
    assert message.startswith("gone: there is no such path")
    assert list(updated(held, [measured()], [PATH], None).paths) == [PATH]


def test_writing_takes_what_is_lower_and_leaves_what_is_higher():
    now = measured(loop_calls=900, hops=2)
    new = updated(budgets(loop_calls=1000, hops=1), [now], [PATH], None)
    assert new.paths[PATH] == counts_of(loop_calls=900, hops=1)
    assert new.raised == []


def test_a_raise_is_written_with_its_reason():
    new = updated(budgets(hops=1), [measured(hops=2)], [PATH], "a large file is read aside")
    assert new.paths[PATH] == counts_of(hops=2)
    assert new.raised == [Raise(path=PATH, count="hops", before=1, after=2, reason="a large file is read aside")]


def test_writing_one_path_leaves_the_others():
    held = Budgets(python="3.11", paths={"other": counts_of(hops=3), PATH: counts_of(hops=2)})
    new = updated(held, [measured(hops=1)], [PATH, "other"], None)
    assert new.paths == {PATH: counts_of(hops=1), "other": counts_of(hops=3)}


def test_the_file_reads_as_it_was_written():
    raised = Raise(path=PATH, count="hops", before=1, after=2.5, reason='as "they" say \\ so')
    held = Budgets(python="3.11", paths={PATH: counts_of(loop_calls=1025.02, commits=0.03)}, raised=[raised])
    assert read(write(held)) == held


def test_large_and_exact_numbers_are_written_whole():
    held = budgets(loop_calls=1234567.25)
    assert read(write(held)).paths[PATH]["loop_calls"] == 1234567.25


def test_counts_are_reckoned_one_by_one():
    assert minus(counts_of(hops=5), counts_of(hops=2))["hops"] == 3
    assert least(counts_of(hops=5, tasks=1), counts_of(hops=2, tasks=4)) == counts_of(hops=2, tasks=1)
    assert per(counts_of(hops=1), 3)["hops"] == 0.33


def work(times: int) -> int:
    return sum(abs(step(each)) for each in range(times))


def step(number: int) -> int:
    return -number


def counted(meter: Meter, times: int, *, name: str | None = None) -> None:
    meter.install()
    try:
        thread = threading.Thread(target=work, args=(times,), name=name)
        meter.on = True
        if name is None:
            work(times)
        else:
            thread.start()
            thread.join()
        meter.on = False
    finally:
        meter.remove()


def test_one_more_step_costs_the_same_each_time():
    found: list[tuple[int, int]] = []
    for times in (1, 2, 3):
        meter = Meter()
        counted(meter, times)
        found.append((meter.lanes[LOOP].calls, meter.lanes[LOOP].c_calls))
    # `step` and the generator that goes on; `abs`.
    assert [(two[0] - one[0], two[1] - one[1]) for one, two in pairwise(found)] == [(2, 1)] * 2


def test_the_writers_thread_is_counted_apart():
    meter = Meter(detailed=True)
    counted(meter, 5, name="halley-writer")
    assert [line.calls for name, line in functions(meter.lanes[WRITER]).items() if name.startswith("step ")] == [5]
    assert not any(name.startswith("step ") for name in functions(meter.lanes[LOOP]))


def test_explaining_names_functions_with_their_place_and_what_is_inside():
    meter = Meter(detailed=True)
    counted(meter, 5)
    name, line = next(item for item in functions(meter.lanes[LOOP]).items() if item[0].startswith("work "))
    assert name == f"work  tests/scripts/test_budgets.py:{work.__code__.co_firstlineno}"
    # `work` and `sum`; six entries of the generator; five of `abs` and of `step`.
    assert (line.calls, line.c_calls, line.inside) == (1, 1, 1 + 1 + 6 + 5 + 5)
    assert any("abs" in row and "5.0" in row for row in report(meter.lanes[LOOP], 1))


@pytest.mark.slow
def test_a_chat_costs_the_same_whatever_the_hash_seed():
    command = [sys.executable, "-m", "scripts.budgets", PATH, "stream-chunk"]
    runs = {
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
        ).stdout.partition(f"{PATH}: ")[0]
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert PATH in next(iter(runs))


def test_a_call_for_a_raise_without_writing_is_refused():
    command = [sys.executable, "-m", "scripts.budgets", "--raise", "why"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--raise takes a reason" in done.stderr
