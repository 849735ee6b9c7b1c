"""The server is killed under load at random moments, again and again; nothing is lost and nothing is doubled."""

import asyncio
import subprocess
import sys
from random import Random
from statistics import median

import pytest
from tests.crash.chance import ROUNDS
from tests.crash.house import House
from tests.crash.orders import Order

KILL_AFTER_S = (0.15, 0.9)
READY_S_MAX = 3.0
SETTLE_EVERY = 6
"""Else the simulators draw, for each life of the gateway, all the images that none lived long enough to fetch."""


@pytest.mark.crash
async def test_server_killed_at_random_moments_loses_and_doubles_nothing(house: House, seeded: Random):
    repeated = 0
    ready_s = [await house.gateway.start()]
    for number in range(ROUNDS):
        after_s = seeded.uniform(*KILL_AFTER_S)
        whole_tree = number % 2 == 0
        await house.load_and_kill(after_s, whole_tree=whole_tree)
        ready_s.append(await house.gateway.start())
        what = "the tree" if whole_tree else "the main process"
        print(f"round {number + 1}: killed {what} after {after_s:.3f} s, ready again in {ready_s[-1]:.2f} s")
        await _repeats_give_the_same_task(house, list(house.orders.sent.values())[repeated:])
        repeated = len(house.orders.sent)
        if number % SETTLE_EVERY == SETTLE_EVERY - 1:
            await house.settle()
    await _repeats_give_the_same_task(house, list(house.orders.sent.values()))
    await house.settle()
    await house.check()
    assert median(ready_s[1:]) <= READY_S_MAX, ready_s
    await _tell(house)
    verified = await asyncio.to_thread(_verify_by_command, house)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert house.gateway.errors() == []


async def _repeats_give_the_same_task(house: House, sent: list[Order]) -> None:
    """Repeat every request that carried a key, whether its first answer came or was cut."""
    first = {each.order.tag: each for each in house.orders.answers if each.task_id}
    keyed = [order for order in sent if order.keyed]
    for again in await house.orders.repeat(house.gateway.url, keyed):
        assert again.task_id is not None, f"the repeat of {again.order.tag}: {again.status} {again.text}"
        before = first.get(again.order.tag, again)
        assert again.task_id == before.task_id, f"{again.order.tag} became another task"
        assert again.replayed or again.order.tag not in first, f"{again.order.tag} was not known any more"


async def _tell(house: House) -> None:
    accepted = {each.order.tag for each in house.orders.answers if each.task_id}
    jobs = await asyncio.to_thread(house.jobs)
    print(f"{len(house.orders.sent)} orders sent, {len(accepted)} accepted, {len(jobs)} jobs at the vendors")


def _verify_by_command(house: House) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "halley.cli", "ledger", "verify"]
    return subprocess.run(command, env=house.command_line(), capture_output=True, text=True, check=False)
