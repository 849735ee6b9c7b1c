import pytest
from tests.console.conftest import Operator

from halley.accounts import rules
from halley.accounts.store import PER_MINUTE_MAX, find_caller
from halley.console.protocol import CommandFailed


async def made(operator: Operator, **limits: int) -> tuple[str, dict[str, object]]:
    await operator("accounts.create", name="acme", kind="prepaid")
    found = await operator("keys.create", account="acme", **limits)
    return found["key"], found["row"]


async def test_a_key_may_be_made_with_limits(operator: Operator):
    key, row = await made(operator, requests_per_minute=60, tokens_per_minute=9_000)
    assert (row["requests_per_minute"], row["tokens_per_minute"]) == (60, 9_000)
    caller = await operator.services.db.read(lambda tx: find_caller(tx, rules.hash_key(key)))
    assert caller is not None
    assert (caller.rate.requests_per_minute, caller.rate.tokens_per_minute) == (60, 9_000)


@pytest.mark.parametrize("by", ["id", "text"])
async def test_what_is_not_named_stays_and_null_lifts_the_limit(operator: Operator, by: str):
    text, row = await made(operator, requests_per_minute=60, tokens_per_minute=9_000)
    key = row["id"] if by == "id" else text
    with operator.services.db.wakeups.subscribe(rules.KEYS_TOPIC) as waiter:
        changed = await operator("keys.update", key=key, tokens_per_minute=5)
        assert await waiter.wait()
    assert changed == {**row, "tokens_per_minute": 5}
    assert await operator("keys.update", key=key, requests_per_minute=None) == {**changed, "requests_per_minute": None}
    acts = await operator.services.db.read(lambda tx: tx.all("SELECT * FROM audit ORDER BY id"))
    assert [act["act"] for act in acts][-2:] == ["keys.update"] * 2
    assert acts[-1]["details"] == '{"requests_per_minute":null}'


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({}, "Nothing is to be changed"),
        ({"requests_per_minute": 0}, ">= 1"),
        ({"tokens_per_minute": PER_MINUTE_MAX + 1}, "<= 1000000000"),
        ({"key": "key_none", "requests_per_minute": 1}, "There is no key `key_none`"),
    ],
)
async def test_a_change_that_can_not_be_is_refused(operator: Operator, args: dict[str, object], text: str):
    key, _ = await made(operator)
    with pytest.raises(CommandFailed, match=text):
        await operator("keys.update", **{"key": key, **args})


async def test_a_revoked_key_is_not_changed(operator: Operator):
    key, _ = await made(operator)
    await operator("keys.revoke", key=key)
    with pytest.raises(CommandFailed, match="was revoked; make another"):
        await operator("keys.update", key=key, requests_per_minute=1)
