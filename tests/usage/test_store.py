import pytest
from tests.books import Books

from halley.kernel.clock import parse_time
from halley.kernel.faults import BadRequest
from halley.kernel.money import Nanos
from halley.usage import store as usage
from halley.usage.model import DayOfKey, Outcome, Usage

NOON = parse_time("2026-11-01T12:00:00Z")
DAY_US = 86_400_000_000


def row(order_id: str, **changed: object) -> Usage:
    values = {
        "id": f"usage_{order_id}",
        "account_id": "acct_1",
        "project_id": "proj_1",
        "key_id": "key_1",
        "livemode": True,
        "order_kind": "task",
        "order_id": order_id,
        "model": "m",
        "channel_id": None,
        "outcome": Outcome.SUCCEEDED,
        "meters": {"image": 1},
        "price_nanos": Nanos(40),
        "vendor_cost_nanos": None,
        "attempts": 1,
        "total_us": 1_500_000,
        "created_at": NOON,
    }
    return Usage(**{**values, **changed})  # pyright: ignore[reportArgumentType] a table of changes


async def put(books: Books, *rows: Usage) -> list[bool]:
    return await books.db.write("usage", lambda tx: [usage.insert(tx, each) for each in rows])


async def test_a_row_comes_back_as_it_was_written(books: Books):
    written = row("o1", channel_id="ch_1", meters={"image": 2, "input": 2**53}, vendor_cost_nanos=3, first_byte_us=9)
    await put(books, written)
    assert await books.db.read(lambda tx: usage.of_order(tx, order_id="o1", order_kind="task")) == written
    assert await books.db.read(lambda tx: usage.of_order(tx, order_id="o1", order_kind="answer")) is None


async def test_many_rows_are_written_as_one_by_one(books: Books):
    rows = [row(f"o{n}", outcome=outcome, first_byte_us=n or None) for n, outcome in enumerate(Outcome)][:3]
    await books.db.write("usage", lambda tx: usage.insert_together(tx, rows))
    for each in rows:
        stored = await books.db.read(lambda tx, id_=each.order_id: usage.of_order(tx, order_id=id_, order_kind="task"))
        assert stored == each


async def test_an_order_has_one_row(books: Books):
    assert await put(books, row("o1"), row("o1", id="usage_2", price_nanos=99)) == [True, False]
    stored = await books.db.read(lambda tx: usage.of_order(tx, order_id="o1", order_kind="task"))
    assert stored is not None
    assert stored.price_nanos == 40


async def test_a_quota_sums_each_key_on_each_day_of_one_account_and_mode(books: Books):
    await put(
        books,
        row("o1"),
        row("o2", price_nanos=2),
        row("o3", key_id="key_2"),
        row("o4", created_at=NOON + DAY_US),
        row("o5", outcome=Outcome.FAILED, price_nanos=0),
        row("o6", livemode=False),
        row("o7", account_id="acct_2"),
        row("o8", created_at=NOON + 2 * DAY_US),
    )
    start = NOON - NOON % DAY_US
    days = await books.db.read(
        lambda tx: usage.quota(tx, account_id="acct_1", livemode=True, start=start, end=start + 2 * DAY_US)
    )
    assert list(days) == [
        DayOfKey(day="2026-11-01", key_id="key_1", used_nanos=Nanos(42), requests=3),
        DayOfKey(day="2026-11-01", key_id="key_2", used_nanos=Nanos(40), requests=1),
        DayOfKey(day="2026-11-02", key_id="key_1", used_nanos=Nanos(40), requests=1),
    ]


async def test_a_quota_over_more_than_a_year_is_refused(books: Books):
    with pytest.raises(BadRequest, match="366 days"):
        await books.db.read(lambda tx: usage.quota(tx, account_id="acct_1", livemode=True, start=0, end=367 * DAY_US))


async def test_exposures_are_orders_whose_end_nobody_knows(books: Books):
    await put(books, row("o1"), row("o2", outcome=Outcome.LOST, exposure_nanos=7), row("o3", outcome=Outcome.UNKNOWN))
    listed = await books.db.read(usage.exposures)
    assert [each.order_id for each in listed] == ["o3", "o2"]
    rest = await books.db.read(lambda tx: usage.exposures(tx, before="usage_o3"))
    assert [each.exposure_nanos for each in rest] == [7]
