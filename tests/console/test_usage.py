"""Usage as the operator asks for it: summed by this and that, and one order's row."""

from typing import Any

import pytest
from tests.console.conftest import Operator

from halley.console.protocol import CommandFailed
from halley.kernel.clock import parse_time
from halley.kernel.money import Nanos
from halley.usage import store as usage
from halley.usage.model import Outcome, Usage


class Book:
    """Writes usage rows of two accounts."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._count = 0
        self.ids: dict[str, str] = {}

    async def open(self, *names: str) -> None:
        for name in names:
            self.ids[name] = (await self._operator("accounts.create", name=name, kind="postpaid"))["id"]

    async def row(self, account: str, price: int, **changed: Any) -> None:
        self._count += 1
        values: dict[str, Any] = {
            "id": f"use_{self._count}",
            "account_id": self.ids[account],
            "project_id": "proj",
            "key_id": "key_1",
            "livemode": True,
            "order_kind": "answer",
            "order_id": f"ans_{self._count}",
            "model": "gpt-4o",
            "channel_id": None,
            "outcome": Outcome.SUCCEEDED,
            "meters": {"input_token": 7},
            "price_nanos": Nanos(price),
            "vendor_cost_nanos": Nanos(price // 2),
            "attempts": 1,
            "total_us": 1_500,
            "created_at": parse_time("2026-11-01T11:00:00Z"),
        }
        found = Usage(**values | changed)
        await self._operator.services.db.write("usage", lambda tx: usage.insert(tx, found))


@pytest.fixture
async def book(operator: Operator) -> Book:
    made = Book(operator)
    await made.open("acme", "other")
    return made


async def test_usage_is_summed_by_account(operator: Operator, book: Book):
    await book.row("acme", 10)
    await book.row("acme", 20, outcome=Outcome.FAILED, price_nanos=Nanos(0), exposure_nanos=Nanos(4))
    await book.row("other", 100, vendor_cost_nanos=None)
    view = await operator("usage.sum")
    assert (view["since"], view["until"]) == ("2026-11-01T00:00:00Z", "2026-11-01T12:00:00Z")
    assert view["rows"] == [
        {
            "of": {"account": "other"},
            "requests": 1,
            "unsuccessful": 0,
            "price_nanos": "100",
            "vendor_cost_nanos": "0",
            "exposure_nanos": "0",
        },
        {
            "of": {"account": "acme"},
            "requests": 2,
            "unsuccessful": 1,
            "price_nanos": "10",
            "vendor_cost_nanos": "15",
            "exposure_nanos": "4",
        },
    ]
    assert len((await operator("usage.sum", account="acme"))["rows"]) == 1
    assert (await operator("usage.sum", livemode=False))["rows"] == []


async def test_days_stand_in_their_order_and_accounts_add_up(operator: Operator, book: Book):
    yesterday = parse_time("2026-10-31T23:59:59Z")
    await book.row("acme", 1, created_at=yesterday)
    await book.row("acme", 5)
    await book.row("other", 6)
    await book.row("other", 50, model="o3")
    view = await operator("usage.sum", by=["day", "model"], since="2026-10-01")
    found = [(row["of"], row["requests"], row["price_nanos"]) for row in view["rows"]]
    assert found == [
        ({"day": "2026-10-31", "model": "gpt-4o"}, 1, "1"),
        ({"day": "2026-11-01", "model": "o3"}, 1, "50"),
        ({"day": "2026-11-01", "model": "gpt-4o"}, 2, "11"),
    ]
    assert len((await operator("usage.sum", by=["day"], since="2026-10-01", until="2026-11-01"))["rows"]) == 1


@pytest.mark.parametrize("by", ["account", "project", "key", "model", "channel", "outcome", "day"])
async def test_all_that_usage_can_be_summed_by(operator: Operator, book: Book, by: str):
    key = (await operator("keys.create", account="acme", name="of the team"))["row"]["id"]
    await book.row("acme", 5, key_id=key)
    [row] = (await operator("usage.sum", by=[by]))["rows"]
    assert list(row["of"]) == [by]
    assert row["of"][by] == {
        "account": "acme",
        "project": "proj",
        "key": f"{key} of the team",
        "model": "gpt-4o",
        "channel": None,
        "outcome": "succeeded",
        "day": "2026-11-01",
    }.get(by)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"since": "yesterday"}, "`yesterday` is no time"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "ends before it begins"),
        ({"account": "nobody"}, "There is no account `nobody`"),
        ({"by": []}, "length >= 1"),
    ],
)
async def test_what_cannot_be_summed_is_refused(operator: Operator, args: dict[str, Any], text: str):
    with pytest.raises(CommandFailed, match=text):
        await operator("usage.sum", **args)


async def test_an_order_is_shown_by_the_id_of_its_request(operator: Operator, book: Book):
    await book.row("acme", 5)
    for name in ("ans_1", "1", "req_1"):
        shown = await operator("usage.show", order=name)
        assert (shown["order_id"], shown["account"], shown["price_nanos"]) == ("ans_1", "acme", "5")
    assert (shown["meters"], shown["total_ms"], shown["transfers"]) == ({"input_token": 7}, 1.5, {})
    with pytest.raises(CommandFailed, match="No order `ans_2` has ended"):
        await operator("usage.show", order="ans_2")
