"""What a key can learn of its account: the balance in US dollars."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Account, Key
from halley.api.asgi import Reply, json_reply
from halley.api.call import Call
from halley.api.times import time_of
from halley.db import Tx
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import BadRequest
from halley.kernel.money import dollars
from halley.ledger import queries as ledger
from halley.ledger import rules as ledger_rules
from halley.ledger.model import LedgerAccount
from halley.usage import store as usage

Dollars = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]
"""An amount as a JSON number, written from whole nano-dollars: no float is made on the way."""

UNLIMITED = msgspec.Raw(b"-1")
DAY_US = 24 * 60 * 60 * MICROSECONDS


class QuotaKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the account."""

    name: str
    remain_quota: Dollars
    """US dollars that the key may still spend; -1 is unlimited."""
    used_quota: Dollars


class QuotaDay(msgspec.Struct, frozen=True, kw_only=True):
    """What one key used on one day."""

    token_name: str
    quota_used: Dollars
    request_count: int


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The balance of an account, in US dollars, exact to the nano-dollar."""

    username: str
    total_quota: Dollars
    """What is left; -1 is unlimited."""
    total_used_quota: Dollars
    request_count: int
    keys: list[QuotaKey]
    daily_quota: dict[str, list[QuotaDay]] | None = None
    """Only when both dates were given."""


async def quota(call: Call) -> Reply:
    """Give the balance, also to a key that has none left."""
    caller, now = call.caller, call.world.clock.now()
    days = _days(call)

    def query(tx: Tx) -> tuple[Account | None, LedgerAccount, Sequence[Key], dict[str, list[QuotaDay]] | None]:
        keys = [key for key in accounts.list_keys(tx, account_id=caller.account_id) if key.livemode == caller.livemode]
        daily = None if days is None else _daily(tx, call, keys, days)
        return accounts.find_account(tx, caller.account_id), ledger.account(tx, caller.ledger_account_id), keys, daily

    account, books, keys, daily = await call.world.db.read(query)
    left = ledger_rules.left(books)
    shown = Quota(
        username="" if account is None else account.name,
        total_quota=UNLIMITED if left is None else number(left),
        total_used_quota=number(books.debits_posted),
        request_count=sum(key.requests for key in keys),
        keys=[_key(key, now) for key in keys if key.revoked_at is None],
        daily_quota=daily,
    )
    return json_reply(shown)


def number(nanos: int) -> msgspec.Raw:
    """Spell US dollars as a JSON number, exactly; nothing on the way is a float."""
    return msgspec.Raw(dollars(nanos).encode())


def _key(key: Key, now: int) -> QuotaKey:
    left = accounts.budget_left(key, now)
    remain = UNLIMITED if left is None else number(max(left, 0))
    return QuotaKey(name=key.name, remain_quota=remain, used_quota=number(key.spent_nanos))


def _days(call: Call) -> tuple[int, int] | None:
    """Read both dates as a span of time; the last day is in it."""
    first, last = time_of(call.query, "start_date"), time_of(call.query, "end_date")
    if first is None or last is None:
        return None
    first, last = first - first % DAY_US, last - last % DAY_US
    if last < first:
        raise BadRequest("`end_date` is before `start_date`", param="end_date")
    return first, last + DAY_US


def _daily(tx: Tx, call: Call, keys: Sequence[Key], span: tuple[int, int]) -> dict[str, list[QuotaDay]]:
    names = {key.id: key.name for key in keys}
    caller = call.caller
    found: dict[str, list[QuotaDay]] = {}
    for row in usage.quota(tx, account_id=caller.account_id, livemode=caller.livemode, start=span[0], end=span[1]):
        used = QuotaDay(
            token_name=names.get(row.key_id, ""), quota_used=number(row.used_nanos), request_count=row.requests
        )
        found.setdefault(row.day, []).append(used)
    return found
