from functools import partial

import pytest
from tests.console.conftest import Operator

from halley.accounts import rules
from halley.accounts.store import find_caller
from halley.console.protocol import CommandFailed
from halley.db import Tx
from halley.kernel.ids import TaskId
from halley.kernel.money import Nanos, nanos_from_dollars
from halley.ledger import store as ledger
from halley.ledger.model import HoldRequest
from halley.ledger.rules import ledger_account_id
from halley.tasks import store as tasks
from halley.tasks.model import NewTask, Pinned
from halley.testing.clock import FakeClock
from halley.usage import store as usage
from halley.usage.model import Outcome, Usage
from halley.webhooks import NewDelivery
from halley.webhooks import store as webhooks

DOLLAR = str(nanos_from_dollars(1))


async def test_a_new_account_has_books_in_both_modes(operator: Operator):
    made = await operator("accounts.create", name="acme", kind="prepaid")
    assert (made["live"]["kind"], made["live"]["left_nanos"]) == ("prepaid", "0")
    assert made["test"]["left_nanos"] == "1000000000000"
    assert await operator("accounts.list") == [made]
    assert made["created_at"] == "2026-11-01T12:00:00Z"


async def test_a_postpaid_account_may_have_a_limit(operator: Operator):
    made = await operator("accounts.create", name="acme", kind="postpaid", limit_nanos=int(DOLLAR))
    unbound = await operator("accounts.create", name="other", kind="postpaid")
    assert made["live"]["left_nanos"] == DOLLAR
    assert unbound["live"]["left_nanos"] is None


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"name": "taken", "kind": "prepaid"}, "There is an account named `taken` already"),
        ({"name": "", "kind": "prepaid"}, "length >= 1"),
        ({"name": "a\nb", "kind": "prepaid"}, "matching regex"),
        ({"name": "acme", "kind": "free"}, "Invalid enum value 'free'"),
        ({"name": "acme", "kind": "prepaid", "limit_nanos": 1}, "no limit but its credit"),
        ({"name": "acme", "kind": "postpaid", "limit_nanos": -1}, ">= 0"),
    ],
)
async def test_an_account_that_cannot_be_made_is_refused(operator: Operator, args: dict[str, object], text: str):
    await operator("accounts.create", name="taken", kind="prepaid")
    with pytest.raises(CommandFailed, match=text):
        await operator("accounts.create", **args)
    assert len(await operator("accounts.list")) == 1


async def test_a_credit_with_the_same_key_is_booked_once(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    args = {"account": "acme", "amount_nanos": int(DOLLAR), "idempotency_key": "invoice-7"}
    first = await operator("accounts.credit", **args)
    assert await operator("accounts.credit", **args) == first
    assert first["account"]["live"]["left_nanos"] == DOLLAR
    with pytest.raises(CommandFailed) as caught:
        await operator("accounts.credit", **{**args, "amount_nanos": 5})
    assert caught.value.problem.code == "transfer_id_reused"
    assert caught.value.problem.param == "idempotency_key"
    assert "`invoice-7` was used" in caught.value.problem.message


async def test_credits_without_a_key_are_each_booked(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    await operator("accounts.credit", account="acme", amount_nanos=int(DOLLAR))
    last = await operator("accounts.credit", account="acme", amount_nanos=int(DOLLAR))
    assert last["account"]["live"]["left_nanos"] == str(2 * int(DOLLAR))


async def credited(operator: Operator) -> dict[str, object]:
    """Make an account with two dollars that were booked by mistake; give what says how to take one back."""
    await operator("accounts.create", name="acme", kind="prepaid")
    booked = await operator("accounts.credit", account="acme", amount_nanos=2 * int(DOLLAR))
    return {
        "account": "acme",
        "amount_nanos": -int(DOLLAR),
        "corrects": booked["transfer_id"],
        "reason": "booked for another",
    }


async def test_a_credit_is_taken_back_once_for_each_key_and_shown(operator: Operator):
    args = await credited(operator) | {"idempotency_key": "ticket-7"}
    first = await operator("accounts.adjust", **args)
    assert (first["amount_nanos"], first["account"]["live"]["left_nanos"]) == (f"-{DOLLAR}", DOLLAR)
    assert await operator("accounts.adjust", **args) == first
    with pytest.raises(CommandFailed) as caught:
        await operator("accounts.adjust", **args | {"amount_nanos": -5})
    assert caught.value.problem.code == "transfer_id_reused"
    assert "`ticket-7` was used" in caught.value.problem.message
    transfers = (await operator("ledger.show", account="acme"))["transfers"]
    (shown,) = [each for each in transfers if each["kind"] == "adjust"]
    assert (shown["note"], shown["hold_id"]) == (args["reason"], args["corrects"])
    assert (await operator("ledger.verify"))["differences"] == []


async def test_what_is_held_or_spent_is_not_taken_back(operator: Operator):
    args = await credited(operator)
    (row,) = await operator("accounts.list")
    account = ledger_account_id(row["id"], livemode=True)
    request = HoldRequest(
        id="hold_1",
        ledger_account_id=account,
        account_id=row["id"],
        livemode=True,
        amount=nanos_from_dollars("1.25"),
        order_id="task_1",
        order_kind="task",
        key_id="key_1",
        boot_id="boot_1",
        now=operator.services.clock.now(),
    )
    await operator.services.db.write("hold", lambda tx: ledger.hold(tx, request))
    with pytest.raises(
        CommandFailed, match=r"\$0.75 is left on `acme` beside what is held and spent: take back no more than that"
    ):
        await operator("accounts.adjust", **args)
    await operator("accounts.adjust", **args | {"amount_nanos": -750_000_000})
    await operator("accounts.adjust", **args | {"amount_nanos": 5})
    assert (await operator("accounts.list"))[0]["live"]["left_nanos"] == "5"
    assert (await operator("ledger.verify"))["differences"] == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"amount_nanos": 0}, "Nothing is corrected by 0"),
        ({"corrects": "credit_of_nobody"}, "no transfer `credit_of_nobody`; `halley ledger show --account"),
        ({"livemode": False}, "The account has no transfer"),
        ({"reason": ""}, "length >= 1"),
    ],
    ids=["by nothing", "no transfer", "other mode", "no reason"],
)
async def test_a_correction_that_corrects_nothing_is_refused(operator: Operator, wrong: dict[str, object], text: str):
    args = await credited(operator)
    with pytest.raises(CommandFailed, match=text):
        await operator("accounts.adjust", **args | wrong)


async def test_a_key_is_shown_once_and_stands_for_its_caller(operator: Operator):
    account = await operator("accounts.create", name="acme", kind="prepaid")
    made = await operator("keys.create", account="acme", project="app", livemode=True, models=["flux-*"])
    caller = await operator.services.db.read(lambda tx: find_caller(tx, rules.hash_key(made["key"])))
    assert caller is not None
    assert (caller.account_id, caller.livemode, caller.models) == (account["id"], True, ("flux-*",))
    listed = await operator("keys.list", account="acme")
    assert listed == [made["row"]]
    assert (listed[0]["project"], made["key"] in str(listed)) == ("app", False)


async def test_models_of_a_key_are_kept_by_the_ids_that_calls_are_held_against(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    models = ["gpt-4o-2024-11-20", "gpt-4o", "house-model", "black-forest-labs/flux-*"]
    made = await operator("keys.create", account="acme", models=models)
    assert made["row"]["models"] == ["gpt-4o", "house-model", "black-forest-labs/flux-*"]
    assert made["resolved"] == {"gpt-4o-2024-11-20": "gpt-4o"}
    assert made["unmatched"] == ["house-model", "black-forest-labs/flux-*"]
    assert (await operator("keys.create", account="acme"))["resolved"] == {}


async def test_a_test_key_looks_like_one(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    assert (await operator("keys.create", account="acme"))["key"].startswith("sk-test-")


async def test_a_budget_lasts_for_its_period(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    daily = await operator("keys.create", account="acme", budget_nanos=5, budget_period="day")
    total = await operator("keys.create", account="acme", budget_nanos=5)
    assert (daily["row"]["budget_period"], total["row"]["budget_period"]) == ("day", "total")
    with pytest.raises(CommandFailed, match="A period needs a budget"):
        await operator("keys.create", account="acme", budget_period="day")


@pytest.mark.parametrize("by", ["id", "text"])
async def test_a_revoked_key_wakes_the_server_and_stands_for_nobody(operator: Operator, by: str):
    await operator("accounts.create", name="acme", kind="prepaid")
    made = await operator("keys.create", account="acme")
    with operator.services.db.wakeups.subscribe(rules.KEYS_TOPIC) as waiter:
        row = await operator("keys.revoke", key=made["row"]["id"] if by == "id" else made["key"])
        assert await waiter.wait()
    assert row["revoked_at"] == "2026-11-01T12:00:00Z"
    assert await operator.services.db.read(lambda tx: find_caller(tx, rules.hash_key(made["key"]))) is None
    assert await operator("keys.list") == []
    assert len(await operator("keys.list", revoked=True)) == 1
    assert await operator("keys.revoke", key=made["row"]["id"]) == row


async def test_an_unknown_key_is_not_repeated_in_the_error(operator: Operator):
    with pytest.raises(CommandFailed, match="sk-…2345") as caught:
        await operator("keys.revoke", key="sk-a-secret-12345")
    assert "secret" not in str(caught.value)


async def test_what_was_done_is_on_the_trail(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    made = await operator("keys.create", account="acme")
    await operator("keys.revoke", key=made["row"]["id"])
    await operator("accounts.credit", account="acme", amount_nanos=7)
    acts = await operator.services.db.read(lambda tx: tx.all("SELECT * FROM audit ORDER BY id"))
    assert [act["act"] for act in acts] == ["accounts.create", "keys.create", "keys.revoke", "accounts.credit"]
    assert made["key"] not in str([act["details"] for act in acts])


async def test_sound_books_have_no_differences(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    found = await operator("ledger.verify")
    assert (found["differences"], found["sums"]) == ([], {"live": 0, "test": 0})


async def test_the_books_of_an_account_are_shown_newest_first(operator: Operator, clock: FakeClock):
    await operator("accounts.create", name="acme", kind="prepaid")
    for amount in (1, 2):
        clock.advance(1)
        await operator("accounts.credit", account="acme", amount_nanos=amount, note="in")
    view = await operator("ledger.show", account="acme")
    assert [row["amount_nanos"] for row in view["transfers"]] == ["2", "1"]
    assert (view["funding_nanos"], view["revenue_nanos"]) == ("-3", "0")
    assert (await operator("ledger.show"))["transfers"] == []


async def make_task(operator: Operator, number: int, *, account: str = "acme") -> TaskId:
    """Write a task with its hold, as the data path does."""
    made = await operator("keys.create", account=account)
    caller = await operator.services.db.read(lambda tx: find_caller(tx, rules.hash_key(made["key"])))
    assert caller is not None
    task = TaskId(operator.services.ids.new())
    amount = Nanos(40_000_000)
    hold = HoldRequest(
        id=f"hold_{number}",
        ledger_account_id=caller.ledger_account_id,
        account_id=caller.account_id,
        livemode=False,
        amount=amount,
        order_id=task,
        order_kind="task",
        key_id=caller.key_id,
        boot_id="boot",
        now=operator.services.clock.now(),
    )
    new = NewTask(
        id=task,
        account_id=caller.account_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        livemode=False,
        request_id="req",
        boot_id="boot",
        dialect="flux",
        kind="image",
        model="flux-pro",
        channel_id="ch",
        vendor="bfl",
        vendor_model="flux-pro",
        hold_id=hold.id,
        held=amount,
        prices=Pinned(price_set="", meters={"call": 40_000_000_000_000}),
        estimate={"call": 1},
        body=b"{}",
        body_object=None,
        webhook=None,
        created_at=operator.services.clock.now(),
        deadline_at=operator.services.clock.now() + 1,
    )
    await operator.services.db.write("hold", lambda tx: (ledger.hold(tx, hold), tasks.insert_task(tx, new)))
    return task


async def test_tasks_are_listed_by_account_and_state(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    await operator("accounts.create", name="other", kind="prepaid")
    first = await make_task(operator, 1)
    second = await make_task(operator, 2, account="other")
    listed = await operator("tasks.list")
    assert [row["id"] for row in listed] == [f"task_{second}", f"task_{first}"]
    assert [row["account"] for row in await operator("tasks.list", account="acme")] == ["acme"]
    assert await operator("tasks.list", states=["running"]) == []
    assert [row["id"] for row in await operator("tasks.list", after=second)] == [f"task_{first}"]


async def test_a_task_is_shown_in_any_spelling_and_without_its_body(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    task = await make_task(operator, 1)
    shown = await operator("tasks.show", id=f"task_{task}")
    assert shown == await operator("tasks.show", id=task)
    assert (shown["held_nanos"], shown["prices"]) == ("40000000", {"call": 40_000_000_000_000})
    assert {"body", "webhook"}.isdisjoint(shown)
    with pytest.raises(CommandFailed, match="There is no task `zzz`"):
        await operator("tasks.show", id="zzz")


async def test_a_webhook_that_was_given_up_is_shown_and_sent_again(operator: Operator):
    await operator("accounts.create", name="acme", kind="prepaid")
    task = await make_task(operator, 1)
    now = operator.services.clock.now()
    event = NewDelivery(
        id="msg_1",
        task_id=task,
        account_id="acct",
        project_id="proj",
        livemode=False,
        dialect="replicate",
        event="completed",
        url="https://example.com/hook",
        body=b"{}",
        created_at=now,
    )
    await operator.services.db.write("enqueue", lambda tx: webhooks.enqueue(tx, event))
    with pytest.raises(CommandFailed, match="still being delivered"):
        await operator("webhooks.redeliver", id="msg_1")
    await operator.services.db.write("fail", lambda tx: _give_up(tx, now))
    [given_up] = (await operator("tasks.show", id=task))["webhooks"]
    again = await operator("webhooks.redeliver", id="msg_1")

    assert (given_up["state"], given_up["attempts"], given_up["last_error"]) == ("failed", 1, "410 from the receiver")
    assert (again["id"], again["state"], again["attempts"]) == ("msg_1", "pending", 0)
    with pytest.raises(CommandFailed, match="no webhook `msg_2`"):
        await operator("webhooks.redeliver", id="msg_2")


async def test_webhooks_are_listed_and_those_given_up_sent_again_together(operator: Operator):
    for number, name in enumerate(("acme", "other"), start=1):
        account = await operator("accounts.create", name=name, kind="prepaid")
        task = await make_task(operator, number, account=name)
        now = operator.services.clock.now()
        event = NewDelivery(
            id=f"msg_{number}",
            task_id=task,
            account_id=account["id"],
            project_id="proj",
            livemode=False,
            dialect="replicate",
            event="completed",
            url="https://example.com/hook",
            body=b"{}",
            created_at=now,
        )
        await operator.services.db.write("enqueue", partial(webhooks.enqueue, delivery=event))
    assert [row["id"] for row in await operator("webhooks.list")] == ["msg_2", "msg_1"]
    assert [row["id"] for row in await operator("webhooks.list", after="msg_2")] == ["msg_1"]
    for number in (1, 2):
        given_up = partial(_give_up, now=operator.services.clock.now(), delivery_id=f"msg_{number}")
        await operator.services.db.write("fail", given_up)
    [row] = await operator("webhooks.list", states=["failed"], account="acme")

    assert (row["id"], row["account"], row["event"], row["attempts"]) == ("msg_1", "acme", "completed", 1)
    assert (row["task"][:5], row["last_error"], row["due_at"]) == ("task_", "410 from the receiver", None)
    assert {"url", "body", "secret"}.isdisjoint(row)
    assert await operator("webhooks.redeliver_failed", account="other") == {"due": 1, "more": False}
    assert [row["id"] for row in await operator("webhooks.list", states=["failed"])] == ["msg_1"]
    assert await operator("webhooks.redeliver_failed") == {"due": 1, "more": False}
    assert await operator("webhooks.list", states=["failed"]) == []
    assert await operator("webhooks.redeliver_failed") == {"due": 0, "more": False}


def _give_up(tx: Tx, now: int, delivery_id: str = "msg_1") -> None:
    [held] = webhooks.lease(tx, [delivery_id], now=now, lease_us=1)
    noted = webhooks.failed(tx, held, status=410, error="410 from the receiver", due_at=None)
    assert noted


async def test_what_was_lost_is_listed(operator: Operator):
    acme = await operator("accounts.create", name="acme", kind="prepaid")
    await operator("accounts.create", name="other", kind="prepaid")
    row = Usage(
        id="use_1",
        account_id=acme["id"],
        project_id="p",
        key_id="k",
        livemode=True,
        order_kind="task",
        order_id="t",
        model="m",
        channel_id=None,
        outcome=Outcome.UNKNOWN,
        meters={},
        price_nanos=Nanos(0),
        vendor_cost_nanos=None,
        exposure_nanos=Nanos(9),
        attempts=1,
        total_us=1,
        created_at=operator.services.clock.now(),
    )
    await operator.services.db.write("usage", lambda tx: usage.insert(tx, row))
    (lost,) = await operator("ledger.lost")
    assert (lost["order_id"], lost["account"], lost["exposure_nanos"]) == ("t", "acme", "9")
    assert await operator("ledger.lost", account="other") == []
