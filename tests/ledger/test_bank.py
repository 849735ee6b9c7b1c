"""Money under many hands: none is lost, none is made, and nobody spends what they do not have."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack

from tests.books import LEDGER, Books
from tests.database import opened

from halley.accounts import store as accounts
from halley.db import Database, Tx, Wakeups
from halley.kernel.faults import OutOfFunds
from halley.kernel.money import Nanos
from halley.ledger import store as ledger
from halley.testing.clock import FakeClock

ORDERS = 300


async def replicas(db: Database, url: str, wakeups: Wakeups, stack: AsyncExitStack) -> Sequence[Database]:
    """Give both replicas on PostgreSQL; SQLite has one process."""
    if db.kind == "sqlite":
        return (db,)
    return (db, await stack.enter_async_context(opened(url, wakeups)))


async def test_the_sum_is_never_lost_and_no_account_is_overdrawn(
    books: Books, database_url: str, wakeups: Wakeups, clock: FakeClock
):
    owners = [await books.open(f"acct_{n}", credit=1_000) for n in range(4)]
    chance = random.Random(7)
    async with AsyncExitStack() as stack:
        banks = [Books(db, books.ids, clock) for db in await replicas(books.db, database_url, wakeups, stack)]
        orders = (order(chance.choice(banks), f"{n}", chance.choice(owners), chance) for n in range(ORDERS))
        outcomes = await asyncio.gather(*orders)
    assert {"posted", "voided", "refused"} <= set(outcomes)
    assert await books.differences() == ()
    for account in owners:
        assert (await books.account(account)).debits_pending == 0
    balances = await books.db.read(lambda tx: ledger.system_balances(tx, livemode=True))
    left = sum([await books.left(account) or 0 for account in owners])
    assert left + balances.revenue + balances.shortfall == -balances.funding == 4_000


async def order(bank: Books, name: str, account: str, chance: random.Random) -> str:
    held, used = chance.randint(0, 60), chance.randint(0, 80)
    hold_id = f"hold_{name}"
    try:
        await bank.hold(hold_id, held, ledger_account_id=account, account_id=account.removesuffix(".live"))
    except OutOfFunds:
        return "refused"
    # Each end is asked for twice at once, as by a callback and a poll that meet.
    if chance.random() < 0.3:
        results = await asyncio.gather(bank.void(hold_id), bank.void(hold_id))
        assert sorted(each.repeated for each in results) == [False, True]
        return "voided"
    posts = await asyncio.gather(bank.post(hold_id, used), bank.post(hold_id, used))
    assert sorted(each.repeated for each in posts) == [False, True]
    assert posts[0].charged == posts[1].charged
    return "posted"


async def test_parallel_holds_never_take_more_than_there_is(
    books: Books, database_url: str, wakeups: Wakeups, clock: FakeClock
):
    await books.open(credit=100)
    async with AsyncExitStack() as stack:
        banks = [Books(db, books.ids, clock) for db in await replicas(books.db, database_url, wakeups, stack)]
        holds = (banks[n % len(banks)].hold(f"hold_{n}", 7) for n in range(100))
        results = await asyncio.gather(*holds, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 100 // 7
    assert all(isinstance(result, OutOfFunds) for result in results if isinstance(result, BaseException))
    assert await books.left() == 100 % 7


async def test_one_id_held_in_two_replicas_at_once_is_held_once(
    books: Books, database_url: str, wakeups: Wakeups, clock: FakeClock
):
    await books.open(credit=1_000)
    async with AsyncExitStack() as stack:
        banks = [Books(db, books.ids, clock) for db in await replicas(books.db, database_url, wakeups, stack)]
        for n in range(20):
            first, *others = await asyncio.gather(*(bank.hold(f"hold_{n}", 5) for bank in banks * 2))
            assert all(other == first for other in others)
    assert await books.left() == 900
    assert await books.differences() == ()


async def test_parallel_orders_never_exceed_a_keys_budget(
    books: Books, database_url: str, wakeups: Wakeups, clock: FakeClock
):
    await books.open(credit=10_000)
    key = await books.key(budget=100)

    async def call(bank: Books, name: str) -> str:
        def begin(tx: Tx) -> None:
            ledger.hold(tx, bank.request(name, 9, key_id=key.id))
            accounts.reserve_budget(tx, key_id=key.id, amount=Nanos(9), now=clock.now())

        def end(tx: Tx) -> None:
            result = bank.post_in(tx, name, 4)
            accounts.settle_budget(tx, key_id=key.id, held=result.held, spent=result.charged, now=clock.now())

        try:
            await bank.db.write("hold", begin)
        except OutOfFunds as refused:
            return "over budget" if "budget" in refused.message else "over balance"
        await bank.db.write("post", end)
        return "posted"

    async with AsyncExitStack() as stack:
        banks = [Books(db, books.ids, clock) for db in await replicas(books.db, database_url, wakeups, stack)]
        outcomes = await asyncio.gather(*(call(banks[n % len(banks)], f"hold_{n}") for n in range(150)))
        settled = await books.db.read(lambda tx: accounts.find_key(tx, key.id))
        assert settled is not None
        assert settled.held_nanos == 0
        assert settled.spent_nanos == settled.period_spent_nanos == 4 * outcomes.count("posted") <= 100
        assert settled.requests == outcomes.count("posted")
        assert set(outcomes) == {"posted", "over budget"}
    assert await books.left(LEDGER) == 10_000 - settled.spent_nanos
    assert await books.differences() == ()
