"""Two replicas on one PostgreSQL, one of them killed under load: the other finishes what that one began."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest
from tests.crash.chance import ROUNDS
from tests.crash.house import House
from tests.crash.processes import GatewayProcess
from tests.database import PostgresServer

from halley.kernel.clock import MICROSECONDS
from halley.worker.deliver import LEASE_S as DELIVERY_LEASE_S
from halley.worker.poll import LEASE_S
from halley.world.boots import DEAD_AFTER_S

KILLS = max(1, ROUNDS // 6)
KILL_AFTER_S = (0.4, 0.9)
GO_ON_S = 0.4
pytestmark = [pytest.mark.crash, pytest.mark.postgres]


@pytest.fixture
def replicas(tmp_path: Path, seeded: Random, postgres_server: PostgresServer) -> Iterator[tuple[House, GatewayProcess]]:
    name = postgres_server.new()
    objects = tmp_path / "objects"
    objects.mkdir()
    shared = {"HALLEY_DATABASE_URL": postgres_server.url(name), "HALLEY_OBJECTS_URL": f"file://{objects}"}
    house = House(tmp_path, seeded, shared)
    # A vendor's callbacks and `find` name the one public address, which is that of the replica that stays.
    victim = house.another("victim", HALLEY_PUBLIC_URL=house.gateway.url)
    yield house, victim
    house.close()
    postgres_server.drop(name)


async def test_other_replica_finishes_what_a_killed_one_began(replicas: tuple[House, GatewayProcess], seeded: Random):
    house, victim = replicas
    await house.gateway.start()
    for _ in range(KILLS):
        await victim.start()
        dead = await _kill_under_load(house, victim, seeded)
        await asyncio.to_thread(_let_time_pass, house.database_url, dead)
    await house.settle()
    keyed = [order for order in house.orders.sent.values() if order.keyed]
    repeats = await house.orders.repeat(house.gateway.url, keyed)
    assert [each for each in repeats if each.task_id is None] == []
    await house.settle()
    await house.check()
    jobs = await asyncio.to_thread(house.jobs)
    print(f"{len(house.orders.sent)} orders sent, {len(jobs)} jobs at the vendors")
    assert house.gateway.errors() == []


async def _kill_under_load(house: House, victim: GatewayProcess, seeded: Random) -> int:
    """Kill one while both take orders; give the number of the process that it was."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(house.orders.load([house.gateway.url, victim.url], stop))
        await asyncio.sleep(seeded.uniform(*KILL_AFTER_S))
        dead = victim.pid
        victim.kill(whole_tree=True)
        await asyncio.sleep(GO_ON_S)
        stop.set()
    return dead


def _let_time_pass(url: str, dead: int) -> None:
    """Make it later for what the dead replica left: its last sign of life and the leases that nobody ends.

    The living replica's rows are seen anew every few seconds, and a lease that it loses by this is fenced.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE boots SET seen_at = seen_at - %s WHERE pid = %s", (DEAD_AFTER_S * MICROSECONDS, dead)
        )
        connection.execute("UPDATE tasks SET lease_until = lease_until - %s", (LEASE_S * MICROSECONDS,))
        connection.execute(
            "UPDATE outbox SET due_at = due_at - %s WHERE due_at IS NOT NULL", (DELIVERY_LEASE_S * MICROSECONDS,)
        )
