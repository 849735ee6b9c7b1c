"""What an operator changes of keys and accounts that there are."""

import json
from typing import Any

import pytest
from tests.console.conftest import Operator

from halley.accounts import rules
from halley.accounts.store import find_caller, reserve_budget, settle_budget
from halley.console.protocol import CommandFailed
from halley.kernel.faults import OutOfFunds
from halley.kernel.money import Nanos
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.ledger.verify import verify
from halley.testing.clock import FakeClock

DOLLAR = 1_000_000_000
DAY_S = 86_400


async def made(operator: Operator, **given: Any) -> tuple[str, dict[str, Any]]:
    await operator("accounts.create", name="acme", kind="prepaid")
    found = await operator("keys.create", account="acme", **given)
    return found["key"], found["row"]


async def spend(operator: Operator, key_id: str, amount: int) -> None:
    """Reserve and settle, as an order does."""
    services = operator.services
    now, nanos = services.clock.now(), Nanos(amount)
    await services.db.write("hold", lambda tx: reserve_budget(tx, key_id=key_id, amount=nanos, now=now))
    await services.db.write("post", lambda tx: settle_budget(tx, key_id=key_id, held=nanos, spent=nanos, now=now))


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"name": "second"}, {}),
        ({"models": ["flux-*"]}, {}),
        ({"models": None}, {}),
        ({"models": ["gpt-4o-mini-2024-07-18", "gpt-4o-mini"]}, {"models": ["gpt-4o-mini"]}),
        ({"operator": True}, {}),
        ({"budget_nanos": DOLLAR}, {"budget_nanos": str(DOLLAR), "left_nanos": str(DOLLAR)}),
        ({"budget_period": "week"}, {}),
        ({"budget_nanos": None}, {"budget_nanos": None, "budget_period": None, "left_nanos": None}),
    ],
    ids=["name", "models", "all models", "another name of a model", "operator", "budget", "period", "no budget"],
)
async def test_what_is_named_changes_and_the_rest_stays(
    operator: Operator, changes: dict[str, Any], shown: dict[str, Any]
):
    text, row = await made(operator, name="first", models=["flux-dev"], budget_nanos=5, budget_period="day")
    with operator.services.db.wakeups.subscribe(rules.KEYS_TOPIC) as waiter:
        assert await operator("keys.update", key=row["id"], **changes) == {**row, **changes, **shown}
        assert await waiter.wait()
    caller = await operator.services.db.read(lambda tx: find_caller(tx, rules.hash_key(text)))
    assert caller is not None
    assert caller.key_name == changes.get("name", "first")
    assert caller.operator == changes.get("operator", False)
    acts = await operator.services.db.read(lambda tx: tx.all("SELECT * FROM audit ORDER BY id"))
    assert json.loads(acts[-1]["details"]).keys() >= changes.keys()


async def test_a_caller_out_of_budget_may_go_on_once_it_is_raised(operator: Operator):
    _, row = await made(operator, budget_nanos=3, budget_period="day")
    await spend(operator, row["id"], 3)
    with pytest.raises(OutOfFunds):
        await spend(operator, row["id"], 1)
    assert (await operator("keys.update", key=row["id"], budget_nanos=10))["left_nanos"] == "7"
    await spend(operator, row["id"], 7)
    assert (await operator("keys.update", key=row["id"], budget_nanos=5))["left_nanos"] == "-5"
    with pytest.raises(OutOfFunds):
        await spend(operator, row["id"], 1)


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("day", "month", 10),
        ("day", "day", 7),
        ("total", "day", 10),
        ("day", "total", 5),
        (None, "total", 5),
        (None, "week", 10),
    ],
)
async def test_another_period_begins_anew_and_a_budget_in_all_counts_all(
    operator: Operator, clock: FakeClock, before: str | None, after: str, left: int
):
    budget = {} if before is None else {"budget_nanos": 100, "budget_period": before}
    _, row = await made(operator, **budget)
    await spend(operator, row["id"], 2)
    clock.advance(DAY_S)
    await spend(operator, row["id"], 3)
    changed = await operator("keys.update", key=row["id"], budget_nanos=10, budget_period=after)
    assert (changed["left_nanos"], changed["spent_nanos"]) == (str(left), "5")
    await spend(operator, row["id"], left)
    with pytest.raises(OutOfFunds):
        await spend(operator, row["id"], 1)
    assert await operator.services.db.read(lambda tx: verify(tx, keys=True).differences) == ()


async def test_a_budget_without_a_period_is_in_all_unless_there_was_one(operator: Operator):
    _, row = await made(operator)
    assert (await operator("keys.update", key=row["id"], budget_nanos=1))["budget_period"] == "total"
    await operator("keys.update", key=row["id"], budget_period="day")
    assert (await operator("keys.update", key=row["id"], budget_nanos=2))["budget_period"] == "day"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"budget_period": "day"}, "A period needs a budget"),
        ({"budget_nanos": None, "budget_period": "day"}, "A period needs a budget"),
        ({"budget_nanos": 2**61}, "A budget is between"),
        ({"models": []}, "length >= 1"),
        ({"name": "a" * 1_000}, "length <="),
    ],
)
async def test_a_change_that_can_not_be_is_refused(operator: Operator, args: dict[str, Any], text: str):
    _, row = await made(operator)
    with pytest.raises(CommandFailed, match=text):
        await operator("keys.update", key=row["id"], **args)
    assert (await operator("keys.list"))[0] == row


def held(account_id: str, number: int, amount: int, now: int) -> HoldRequest:
    return HoldRequest(
        id=f"hold_{number}",
        ledger_account_id=rules.ledger_account_id(account_id, livemode=True),
        account_id=account_id,
        livemode=True,
        amount=Nanos(amount),
        order_kind="task",
        order_id=f"order_{number}",
        key_id="key_1",
        boot_id="boot_1",
        now=now,
    )


async def test_another_limit_of_an_account_bounds_the_next_call(operator: Operator):
    row = await operator("accounts.create", name="acme", kind="postpaid", limit_nanos=DOLLAR)
    db, now = operator.services.db, operator.services.clock.now()
    await db.write("hold", lambda tx: ledger.hold(tx, held(row["id"], 1, DOLLAR, now)))
    with pytest.raises(OutOfFunds, match="raise the account's limit"):
        await db.write("hold", lambda tx: ledger.hold(tx, held(row["id"], 2, 1, now)))
    changed = await operator("accounts.update", account="acme", limit_nanos=2 * DOLLAR)
    assert (changed["live"]["limit_nanos"], changed["live"]["left_nanos"]) == (str(2 * DOLLAR), str(DOLLAR))
    await db.write("hold", lambda tx: ledger.hold(tx, held(row["id"], 2, 1, now)))
    below = await operator("accounts.update", account="acme", limit_nanos=0)
    assert below["live"]["left_nanos"] == "0"
    with pytest.raises(OutOfFunds):
        await db.write("hold", lambda tx: ledger.hold(tx, held(row["id"], 3, 1, now)))
    assert (await operator("accounts.update", account="acme", limit_nanos=None))["live"]["limit_nanos"] is None
    await db.write("hold", lambda tx: ledger.hold(tx, held(row["id"], 3, 5 * DOLLAR, now)))
    acts = await db.read(lambda tx: tx.all("SELECT * FROM audit WHERE act = 'accounts.update' ORDER BY id"))
    assert [json.loads(act["details"]) for act in acts] == [
        {"limit_nanos": str(2 * DOLLAR), "before_nanos": str(DOLLAR)},
        {"limit_nanos": "0", "before_nanos": str(2 * DOLLAR)},
        {"limit_nanos": None, "before_nanos": "0"},
    ]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"account": "acme", "limit_nanos": 5}, "`acme` is prepaid"),
        ({"account": "nobody", "limit_nanos": 5}, "There is no account `nobody`"),
        ({"account": "acme", "limit_nanos": -1}, ">= 0"),
        ({"account": "acme"}, "limit_nanos"),
        ({"account": "later", "limit_nanos": 2**62}, "not an amount between"),
    ],
)
async def test_a_limit_that_can_not_be_is_refused(operator: Operator, args: dict[str, Any], text: str):
    await operator("accounts.create", name="acme", kind="prepaid")
    await operator("accounts.create", name="later", kind="postpaid")
    with pytest.raises(CommandFailed, match=text):
        await operator("accounts.update", **args)
