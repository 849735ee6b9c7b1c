"""Holds and ends of many callers at once: the same books as one by one, and one that is refused harms nobody else."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.books import Books
from tests.database import FakeIds
from tests.db.puts import at_once

from halley.accounts import store as accounts
from halley.accounts.model import BudgetPeriod, NewKey
from halley.db import Group, Tx
from halley.db.sqlite import SqliteConnection
from halley.kernel.ids import Ids
from halley.kernel.money import ZERO, Nanos
from halley.ledger import store as ledger
from halley.ledger import together
from halley.ledger.model import AccountKind, HoldRequest, InDoubt, Settlement
from halley.ledger.verify import verify
from halley.testing.clock import FakeClock
from halley.usage import store as usage
from halley.usage.model import Outcome, Usage

Item = TypeVar("Item")
DAY_US = 86_400_000_000
ACCOUNTS = ("acct_a", "acct_b", "acct_c")


class End(msgspec.Struct, frozen=True):
    """One call's end, as the pipeline brings it."""

    request: HoldRequest
    amount: Nanos | None
    now: int

    @property
    def key_id(self) -> str:
        return self.request.key_id

    @property
    def held(self) -> Nanos:
        return self.request.amount

    @property
    def settlement(self) -> Settlement:
        return settlement(self.request, self.amount, self.now)


def settlement(request: HoldRequest, amount: int | None, now: int = 0, **wrong: Any) -> Settlement:
    known = Settlement(
        hold_id=request.id,
        ledger_account_id=request.ledger_account_id,
        order_id=request.order_id,
        held=request.amount,
        amount=None if amount is None else Nanos(amount),
        now=now,
    )
    return msgspec.structs.replace(known, **wrong)


def hold_all(tx: Tx, requests: Sequence[HoldRequest]) -> Sequence[None]:
    together.hold(tx, requests)
    accounts.reserve_budgets(tx, requests)
    return [None] * len(requests)


def hold_at_length(tx: Tx, asked: HoldRequest) -> None:
    ledger.hold(tx, asked)
    accounts.reserve_budget(tx, key_id=asked.key_id, amount=asked.amount, now=asked.now)


HOLD = Group("hold", hold_all, hold_at_length)


def settling(ids: Ids) -> Group[Settlement, Nanos]:
    """Give a group that settles what is plain, and one that is not plain at length: as the pipeline's does."""
    return Group("settle", together.settle, lambda tx, end: settle_at_length(tx, end, ids))


def settle_at_length(tx: Tx, end: Settlement, ids: Ids) -> Nanos:
    if end.amount is None:
        ledger.void(tx, hold_id=end.hold_id, ids=ids, now=end.now)
        return ZERO
    return ledger.post(tx, hold_id=end.hold_id, amount=end.amount, ids=ids, now=end.now).charged


def ending(ids: Ids) -> Group[End, Nanos]:
    """The same, with what is written beside the ledger."""

    def run(tx: Tx, ends: Sequence[End]) -> Sequence[Nanos]:
        charged = together.settle(tx, [end.settlement for end in ends])
        usage.insert_together(tx, [row(end, ids, paid) for end, paid in zip(ends, charged, strict=True)])
        accounts.settle_budgets(tx, ends, charged)
        return charged

    def alone(tx: Tx, end: End) -> Nanos:
        asked, paid = end.request, settle_at_length(tx, end.settlement, ids)
        if usage.insert(tx, row(end, ids, paid)):
            accounts.settle_budget(tx, key_id=asked.key_id, held=asked.amount, spent=paid, now=end.now)
        return paid

    return Group("end", run, alone)


def row(end: End, ids: Ids, paid: Nanos) -> Usage:
    return Usage(
        id=f"use_{ids.new()}",
        account_id=end.request.account_id,
        project_id="proj",
        key_id=end.request.key_id,
        livemode=end.request.livemode,
        order_kind="answer",
        order_id=end.request.order_id,
        model='say "m"\\',
        channel_id=None,
        outcome=Outcome.SUCCEEDED,
        meters={"call": 1},
        price_nanos=paid,
        vendor_cost_nanos=None,
        attempts=1,
        total_us=1,
        created_at=end.now,
    )


# --- the same books ---

hold_batches = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(ACCOUNTS), st.integers(0, 60), st.integers(0, 1)), max_size=8
)
end_batches = st.lists(st.tuples(st.integers(0, 40), st.none() | st.integers(0, 70), st.integers(0, 1)), max_size=8)
lives = st.lists(st.tuples(hold_batches, end_batches), max_size=5)


@pytest.fixture(scope="module")
def template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database with three accounts: prepaid, with a limit, without one; the keys have budgets of each kind."""
    path = tmp_path_factory.mktemp("together") / "template.db"
    shutil.copy(sqlite_template, path)
    with closing(SqliteConnection(str(path))) as connection:
        open_books(connection.begin())
        connection.commit()
    return path


def open_books(tx: Tx) -> None:
    terms = ((AccountKind.PREPAID, None), (AccountKind.POSTPAID, Nanos(80)), (AccountKind.POSTPAID, None))
    budgets = ((None, None), (Nanos(70), BudgetPeriod.DAY), (Nanos(90), BudgetPeriod.TOTAL))
    for account_id, (kind, limit), (budget, period) in zip(ACCOUNTS, terms, budgets, strict=True):
        project = f"proj_{account_id}"
        accounts.create_account(tx, account_id=account_id, project_id=project, name=account_id, now=0)
        opened = ledger.open_account(tx, account_id=account_id, livemode=True, kind=kind, limit_nanos=limit, now=0)
        ledger.credit(
            tx, transfer_id=f"cr_{account_id}", ledger_account_id=opened.id, amount=Nanos(100), note="", now=0
        )
        new = NewKey(
            id=f"key_{account_id}",
            account_id=account_id,
            project_id=project,
            livemode=True,
            name="k",
            text=f"sk-{account_id}",
            budget_nanos=budget,
            budget_period=period,
            now=0,
        )
        accounts.create_key(tx, new)


@given(life=lives)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_books_are_the_same_as_one_by_one(life: list[tuple[Any, Any]], template: Path, tmp_path: Path):
    many, each, plain = (Life(template, tmp_path / name) for name in ("together.db", "alone.db", "long.db"))
    with closing(many), closing(each), closing(plain):
        for holds, ends in life:
            expected = plain.live(holds, ends, at_length)
            assert many.live(holds, ends, as_one) == expected
            assert each.live(holds, ends, one_by_one) == expected
        assert many.state() == each.state() == plain.state()
        assert many.differences() == each.differences() == plain.differences() == ()


Way = Callable[[SqliteConnection, Group[Any, Any], Sequence[Any]], list[Any]]


class Life:
    """What callers do, on a database of its own."""

    def __init__(self, template: Path, path: Path) -> None:
        shutil.copy(template, path)
        self._connection = SqliteConnection(str(path))
        self._ids = FakeIds(FakeClock())
        self._asked: dict[int, HoldRequest] = {}

    def live(self, holds: list[Any], ends: list[Any], way: Way) -> list[Any]:
        requests = [request(*each) for each in holds]
        for number, asked in zip((each[0] for each in holds), requests, strict=True):
            self._asked.setdefault(number, asked)
        found = [(self._asked.get(number, request(number, ACCOUNTS[0], 0, 0)), *rest) for number, *rest in ends]
        over = [End(asked, None if used is None else Nanos(used), day * DAY_US) for asked, used, day in found]
        return way(self._connection, HOLD, requests) + way(self._connection, ending(self._ids), over)

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Give all rows; ids that were made on the way are left out, for their number depends on the way."""
        tx = self._connection.begin()
        state = {
            "transfers": tx.all("SELECT * FROM transfers WHERE hold_id IS NULL ORDER BY id"),
            "ends": tx.all(
                "SELECT kind, debit_account, credit_account, amount_nanos, hold_id, account_id, livemode, order_id,"
                " boot_id, note, created_at FROM transfers WHERE hold_id IS NOT NULL ORDER BY hold_id, kind"
            ),
            **{
                table: tx.all(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608 - constants
                for table in ("open_holds", "ledger_accounts", "keys")
            },
            "usage": tx.all("SELECT order_id, price_nanos, meters, model, created_at FROM usage ORDER BY order_id"),
        }
        self._connection.rollback()
        return {name: [tuple(row) for row in rows] for name, rows in state.items()}  # pyright: ignore[reportArgumentType] sqlite3's rows are sequences

    def differences(self) -> tuple[str, ...]:
        found = verify(self._connection.begin(), keys=False).differences
        self._connection.rollback()
        return found

    def close(self) -> None:
        self._connection.close()


def request(number: int, account_id: str, amount: int, day: int) -> HoldRequest:
    return HoldRequest(
        id=f"hold_{number:02}",
        ledger_account_id=f"{account_id}.live",
        account_id=account_id,
        livemode=True,
        amount=Nanos(amount),
        order_id=f"order_{number:02}",
        order_kind="answer",
        key_id=f"key_{account_id}",
        boot_id="boot",
        now=day * DAY_US,
    )


def as_one(connection: SqliteConnection, group: Group[Item, Any], items: Sequence[Item]) -> list[Any]:
    """Run all at once, and one by one should that fail: as the writer does."""
    if not items:
        return []
    tx = connection.begin()
    try:
        results = list(group.run(tx, items))
    except Exception:  # noqa: BLE001 - whatever it is, the writer catches it
        connection.rollback()
        return at_length(connection, group, items)
    connection.commit()
    return results


def one_by_one(connection: SqliteConnection, group: Group[Item, Any], items: Sequence[Item]) -> list[Any]:
    return [result for item in items for result in as_one(connection, group, [item])]


def at_length(connection: SqliteConnection, group: Group[Item, Any], items: Sequence[Item]) -> list[Any]:
    """Run one by one, without any short way."""
    assert group.alone is not None
    results: list[Any] = []
    for item in items:
        tx = connection.begin()
        try:
            results.append(group.alone(tx, item))
        except Exception as error:  # noqa: BLE001 - compared below
            connection.rollback()
            results.append((type(error), str(error)))
        else:
            connection.commit()
    return results


# --- one of ten ---


async def test_ten_holds_are_one_call_and_move_several_accounts(books: Books):
    owners = [await books.open(name, credit=100) for name in ("acct_a", "acct_b", "acct_one")]
    await books.key()
    calls: list[int] = []

    def run(tx: Tx, requests: Sequence[HoldRequest]) -> Sequence[None]:
        calls.append(len(requests))
        return hold_all(tx, requests)

    group = Group("hold", run, hold_at_length)
    requests = [
        books.request(f"hold_{n}", 10, ledger_account_id=owner, account_id=owner.removesuffix(".live"))
        for n, owner in enumerate((owners * 4)[:10])
    ]
    writes = (lambda each=each: books.db.write_together(group, each) for each in requests)
    assert await at_once(books.db, *writes) == [None] * 10
    assert calls == [10]
    assert [await books.left(owner) for owner in owners] == [60, 70, 70]
    assert len(await books.db.read(ledger.open_holds)) == 10
    assert await books.differences() == ()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "more than is left": (
        {"amount": 90},
        r"needs \$0.00000009, and \$0.0000000(05|45|5) is left on the account",
    ),
    "not an amount": ({"amount": -1}, "is not an amount"),
    "more than the books carry": ({"amount": 2**60 + 1}, "is not an amount"),
    "another's account": ({"account_id": "acct_x"}, "no ledger account"),
    "an id of another hold": ({"hold_id": "hold_first"}, "id of another transfer"),
    "a key that is not there": ({"key_id": "key_x"}, "no key `key_x`"),
}


@pytest.mark.parametrize("others", [9, 1, 0])
@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
async def test_a_hold_is_refused_in_its_own_words_whoever_is_beside_it(
    books: Books, changed: dict[str, Any], message: str, others: int
):
    await books.open(credit=100)
    await books.key()
    await books.hold("hold_first", 50)
    values: dict[str, Any] = {"hold_id": "hold_odd", "amount": 1, **changed}
    odd = books.request(**values)
    requests = [*(books.request(f"hold_{n}", 5) for n in range(others)), odd]
    results = await at_once(books.db, *(lambda each=each: books.db.write_together(HOLD, each) for each in requests))
    assert results[:others] == [None] * others
    with pytest.raises(Exception, match=message):
        raise results[others]
    assert await books.left() == 50 - 5 * others
    assert (await key(books)).held_nanos == 5 * others
    assert await books.differences() == ()


async def test_a_hold_that_is_repeated_among_others_is_held_once(books: Books):
    await books.open(credit=100)
    await books.key()
    twice = books.request("hold_1", 30)

    def hold(tx: Tx, items: Sequence[HoldRequest]) -> Sequence[None]:
        together.hold(tx, items)
        return [None] * len(items)

    def alone(tx: Tx, item: HoldRequest) -> None:
        ledger.hold(tx, item)

    group = Group("hold", hold, alone)
    asked = (twice, books.request("hold_2", 30), twice)
    assert (
        await at_once(books.db, *(lambda each=each: books.db.write_together(group, each) for each in asked))
        == [None] * 3
    )
    assert await books.left() == 40
    assert await books.differences() == ()


ENDS: dict[str, tuple[str, int | None, object]] = {
    "posted before": ("hold_posted", 3, Nanos(7)),
    "voided before": ("hold_voided", None, ZERO),
    "post of what was voided": ("hold_voided", 3, "was voided, so nothing can be posted"),
    "void of what was posted": ("hold_posted", None, "was posted, so it cannot be voided"),
    "never held": ("hold_nowhere", 3, "no hold `hold_nowhere`"),
    "more than was held": ("hold_odd", 25, Nanos(25)),
    "not an amount": ("hold_odd", -1, "is not an amount"),
    "among the others already": ("hold_3", 2, Nanos(3)),
}


@pytest.mark.parametrize(("hold_id", "amount", "expected"), ENDS.values(), ids=ENDS)
async def test_one_end_of_ten_has_its_own_answer(books: Books, hold_id: str, amount: int | None, expected: object):
    await books.open(credit=120)
    for name in ("odd", "posted", "voided", *range(9)):
        await books.hold(f"hold_{name}", 10)
    await books.post("hold_posted", 7)
    await books.void("hold_voided")
    await books.hold("hold_rest", 3)
    ends = [settlement(books.request(f"hold_{n}", 10), n or None) for n in range(9)]
    ends.append(settlement(books.request(hold_id, 10), amount))
    group = settling(books.ids)
    results = await at_once(books.db, *(lambda end=end: books.db.write_together(group, end) for end in ends))
    assert results[:9] == list(range(9))
    if isinstance(expected, str):
        assert expected in str(results[9])
    else:
        assert results[9] == expected
    assert await books.differences() == ()


async def test_ten_ends_are_one_call_and_move_several_accounts(books: Books):
    owners = [await books.open(f"acct_{n}", credit=100) for n in range(3)]
    holds = [f"hold_{n}" for n in range(10)]
    asked = [
        books.request(name, 20, ledger_account_id=owners[n % 3], account_id=f"acct_{n % 3}")
        for n, name in enumerate(holds)
    ]
    await books.db.write("hold", lambda tx: together.hold(tx, asked))
    calls: list[int] = []

    def run(tx: Tx, ends: Sequence[Settlement]) -> Sequence[Nanos]:
        calls.append(len(ends))
        return together.settle(tx, ends)

    group = Group("settle", run)
    ends = [settlement(request, n if n % 2 else None) for n, request in enumerate(asked)]
    results = await at_once(books.db, *(lambda end=end: books.db.write_together(group, end) for end in ends))
    assert results == [0, 1, 0, 3, 0, 5, 0, 7, 0, 9]
    assert calls == [10]
    assert [await books.left(owner) for owner in owners] == [100 - 12, 100 - 8, 100 - 5]
    assert await books.differences() == ()


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "more held than was": ({"held": Nanos(11)}, {}),
    "less held than was": ({"held": Nanos(9)}, {}),
    "another's account": ({"ledger_account_id": "acct_two.live"}, {}),
    "accounts exchanged": ({"ledger_account_id": "acct_two.live"}, {"ledger_account_id": "acct_one.live"}),
}


@pytest.mark.parametrize(("one", "other"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("many", [False, True], ids=["alone", "among others"])
async def test_an_end_that_is_wrong_about_its_hold_does_not_reach_the_books(
    books: Books, one: dict[str, Any], other: dict[str, Any], many: bool
):
    requests = [
        books.request("hold_1", 10),
        books.request("hold_2", 20, ledger_account_id="acct_two.live", account_id="acct_two"),
        books.request("hold_3", 5),
    ]
    for name in ("acct_one", "acct_two"):
        await books.open(name, credit=100)
    await books.db.write("hold", lambda tx: together.hold(tx, requests))
    ends = [settlement(requests[0], 7, **one), settlement(requests[1], 13, **other), settlement(requests[2], None)]
    group = settling(books.ids)
    if many:
        paid = await at_once(books.db, *(lambda end=end: books.db.write_together(group, end) for end in ends))
    else:
        paid = [await books.db.write_together(group, end) for end in ends]
    assert paid == [7, 13, 0]
    assert [await books.left(f"{name}.live") for name in ("acct_one", "acct_two")] == [93, 87]
    assert await books.differences() == ()


async def test_whatever_is_in_doubt_raises_and_changes_nothing(books: Books):
    await books.open(credit=100)
    request = books.request("hold_1", 10)
    await books.db.write("hold", lambda tx: together.hold(tx, [request]))

    async def settle(end: Settlement) -> Any:
        return await books.db.write("settle", lambda tx: together.settle(tx, [end]))

    for doubtful in (settlement(request, 11), settlement(request, 5, held=Nanos(9))):
        with pytest.raises(InDoubt):
            await settle(doubtful)
    assert await books.left() == 90
    assert await settle(settlement(request, 4)) == [4]
    with pytest.raises((InDoubt, psycopg.IntegrityError)):
        await settle(settlement(request, 4))
    with pytest.raises(InDoubt):
        await books.db.write("hold", lambda tx: together.hold(tx, [books.request("hold_2", 97)]))
    assert await books.left() == 96
    assert await books.differences() == ()


async def key(books: Books) -> Any:
    return await books.db.read(lambda tx: accounts.find_key(tx, "key_one"))
