"""Rows of accounts, projects, keys, budgets and the audit trail. A key's text never reaches a row, only its hash."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from halley.accounts import rules
from halley.accounts.model import (
    Account,
    Act,
    BackToBudget,
    BudgetPeriod,
    BudgetsInDoubt,
    Caller,
    Key,
    KeyChanges,
    NameTaken,
    NewKey,
    OfBudget,
    Project,
)
from halley.db import Row, Tx
from halley.kernel import codec
from halley.kernel.faults import BadRequest, NotFound, OutOfFunds
from halley.kernel.money import Nanos, dollars
from halley.limits import RateLimit

PAGE_MAX = 1_000
AMOUNT_MAX = Nanos(2**60)
"""The largest budget and the largest single hold: sums of a few never leave 64 bits."""
PER_MINUTE_MAX = 10**9
"""The highest limit of requests or tokens; without one, none is better."""
DEFAULT_PROJECT = "default"

_models = msgspec.json.Decoder(tuple[str, ...] | None)
_details = msgspec.json.Decoder(dict[str, Any])

# What was spent in the period that now is: nothing, when the stored period is over.
_PERIOD_BEGAN = (
    "CASE budget_period WHEN 'day' THEN :day WHEN 'week' THEN :week WHEN 'month' THEN :month ELSE period_started_at END"
)
_IS_OVER = f"(period_started_at < {_PERIOD_BEGAN} OR period_started_at > :ahead)"
_SAME_PERIOD = "COALESCE(budget_period, 'total') = :period"
_SPENT_NOW = f"CASE WHEN {_IS_OVER} THEN 0 ELSE period_spent_nanos END"

_RESERVE = f"""
    UPDATE keys SET
        held_nanos = held_nanos + :amount,
        period_spent_nanos = {_SPENT_NOW},
        period_started_at = CASE WHEN {_IS_OVER} THEN {_PERIOD_BEGAN} ELSE period_started_at END
    WHERE id = :id AND (budget_nanos IS NULL OR {_SPENT_NOW} + held_nanos + :amount <= budget_nanos)
"""  # noqa: S608 - made of the constants above
_SETTLE = f"""
    UPDATE keys SET
        held_nanos = held_nanos - :held,
        spent_nanos = spent_nanos + :spent,
        requests = requests + :count,
        period_spent_nanos = {_SPENT_NOW} + :spent,
        period_started_at = CASE WHEN {_IS_OVER} THEN {_PERIOD_BEGAN} ELSE period_started_at END
    WHERE id = :id
"""  # noqa: S608 - the same


# --- accounts and projects ---


def create_account(tx: Tx, *, account_id: str, project_id: str, name: str, now: int) -> Account:
    """Make an account and its default project. Raises `NameTaken`."""
    sql = "INSERT INTO accounts (id, name, created_at) VALUES (:id, :name, :now) ON CONFLICT DO NOTHING"
    if not tx.run(sql, {"id": account_id, "name": name, "now": now}):
        raise NameTaken(f"There is an account named `{name}` already; choose another name", param="name")
    create_project(tx, project_id=project_id, account_id=account_id, name=DEFAULT_PROJECT, now=now)
    account = find_account(tx, account_id)
    assert account is not None
    return account


def find_account(tx: Tx, account_id: str) -> Account | None:
    row = tx.one("SELECT * FROM accounts WHERE id = :id", {"id": account_id})
    return _account(row) if row else None


def find_account_named(tx: Tx, name: str) -> Account | None:
    row = tx.one("SELECT * FROM accounts WHERE name = :name", {"name": name})
    return _account(row) if row else None


def list_accounts(tx: Tx, *, after: str = "", limit: int = PAGE_MAX) -> Sequence[Account]:
    sql = "SELECT * FROM accounts WHERE id > :after ORDER BY id LIMIT :limit"
    return [_account(row) for row in tx.all(sql, {"after": after, "limit": min(limit, PAGE_MAX)})]


def create_project(tx: Tx, *, project_id: str, account_id: str, name: str, now: int) -> Project:
    """Make a project. Raises `NameTaken`."""
    sql = """INSERT INTO projects (id, account_id, name, created_at) VALUES (:id, :account_id, :name, :now)
        ON CONFLICT DO NOTHING"""
    if not tx.run(sql, {"id": project_id, "account_id": account_id, "name": name, "now": now}):
        raise NameTaken(f"This account has a project named `{name}` already; choose another name", param="name")
    return Project(id=project_id, account_id=account_id, name=name, created_at=now)


def find_project_named(tx: Tx, account_id: str, name: str = DEFAULT_PROJECT) -> Project | None:
    sql = "SELECT id, account_id, name, created_at FROM projects WHERE account_id = :account_id AND name = :name"
    row = tx.one(sql, {"account_id": account_id, "name": name})
    return _project(row) if row else None


def webhook_secret(tx: Tx, project_id: str) -> bytes | None:
    """Give the project's signing secret, encrypted as it was stored."""
    row = tx.one("SELECT webhook_secret FROM projects WHERE id = :id", {"id": project_id})
    return bytes(row["webhook_secret"]) if row and row["webhook_secret"] is not None else None


def set_webhook_secret(tx: Tx, *, project_id: str, secret: bytes, seen: bytes | None) -> bytes:
    """Store the encrypted secret, unless there is one by now that was not the one seen; give the one that holds."""
    sql = """UPDATE projects SET webhook_secret = :secret
        WHERE id = :id AND (webhook_secret IS NULL OR webhook_secret = :seen)"""
    tx.run(sql, {"id": project_id, "secret": secret, "seen": seen})
    stored = webhook_secret(tx, project_id)
    if stored is None:
        raise NotFound(f"There is no project `{project_id}`", param="project")
    return stored


# --- keys ---


def create_key(tx: Tx, new: NewKey) -> Key:
    """Store a key. Raises `NameTaken` when the text is a key already, `NotFound` for a project of another account."""
    _check_bounds(new.budget_nanos, new.requests_per_minute, new.tokens_per_minute)
    sql = "SELECT 1 AS found FROM projects WHERE id = :project_id AND account_id = :account_id"
    if not tx.one(sql, {"project_id": new.project_id, "account_id": new.account_id}):
        raise NotFound(f"The account has no project `{new.project_id}`", param="project")
    if not tx.run(_INSERT_KEY, _key_params(new)):
        raise NameTaken("This key exists already; choose another text", param="key")
    bump_generation(tx, rules.KEYS_TOPIC)
    tx.wake(rules.KEYS_TOPIC)
    key = find_key(tx, new.id)
    assert key is not None
    return key


def find_caller(tx: Tx, key_hash: str) -> Caller | None:
    """Tell who the key stands for; nobody, when it is unknown or revoked."""
    row = tx.one(_FIND_CALLER, {"hash": key_hash})
    if row is None:
        return None
    livemode = bool(row["livemode"])
    return Caller(
        key_id=row["id"],
        account_id=row["account_id"],
        project_id=row["project_id"],
        livemode=livemode,
        ledger_account_id=rules.ledger_account_id(row["account_id"], livemode=livemode),
        models=_models.decode(row["models"] or "null"),
        group_name=row["group_name"],
        key_name=row["name"],
        hint=row["hint"],
        rate=RateLimit(requests_per_minute=row["requests_per_minute"], tokens_per_minute=row["tokens_per_minute"]),
        operator=bool(row["operator"]),
    )


def find_key(tx: Tx, key_id: str) -> Key | None:
    row = tx.one("SELECT * FROM keys WHERE id = :id", {"id": key_id})
    return _key(row) if row else None


def find_key_hashed(tx: Tx, key_hash: str) -> Key | None:
    """Find a key by its hash, revoked or not."""
    row = tx.one("SELECT * FROM keys WHERE hash = :hash", {"hash": key_hash})
    return _key(row) if row else None


def list_keys(tx: Tx, *, account_id: str | None = None, after: str = "", limit: int = PAGE_MAX) -> Sequence[Key]:
    """List keys of one account, or of all; in the order they were made."""
    if account_id is None:
        rows = tx.all(
            "SELECT * FROM keys WHERE id > :after ORDER BY id LIMIT :limit",
            {"after": after, "limit": min(limit, PAGE_MAX)},
        )
    else:
        rows = tx.all(
            "SELECT * FROM keys WHERE account_id = :account_id AND id > :after ORDER BY id LIMIT :limit",
            {"account_id": account_id, "after": after, "limit": min(limit, PAGE_MAX)},
        )
    return [_key(row) for row in rows]


def change_key(tx: Tx, key_id: str, changes: KeyChanges, now: int) -> bool:
    """Change a key and tell every process; False when it is unknown or revoked.

    A budget of another period begins anew, with nothing spent; one in all counts all that the key ever spent.
    """
    given: dict[str, Any] = msgspec.to_builtins(changes)
    _check_bounds(*(given.get(name) for name in ("budget_nanos", "requests_per_minute", "tokens_per_minute")))
    if given.get("models") is not None:
        given["models"] = codec.encode(given["models"]).decode()
    if "operator" in given:
        given["operator"] = int(given["operator"])
    columns = [f"{name} = :{name}" for name in given]
    params: dict[str, int | str | None] = {**given, "id": key_id}
    if "budget_period" in given:
        period = BudgetPeriod(given["budget_period"] or BudgetPeriod.TOTAL)
        params |= {"period": period.value, "began": rules.period_start(period, now)}
        spent = "spent_nanos" if period is BudgetPeriod.TOTAL else "0"
        columns.append(f"period_spent_nanos = CASE WHEN {_SAME_PERIOD} THEN period_spent_nanos ELSE {spent} END")
        columns.append(f"period_started_at = CASE WHEN {_SAME_PERIOD} THEN period_started_at ELSE :began END")
    sql = f"UPDATE keys SET {', '.join(columns)} WHERE id = :id AND revoked_at IS NULL"  # noqa: S608 - names of fields
    if not tx.run(sql, params):
        return False
    bump_generation(tx, rules.KEYS_TOPIC)
    tx.wake(rules.KEYS_TOPIC)
    return True


def revoke_key(tx: Tx, key_id: str, now: int) -> bool:
    """Revoke a key and tell every process; False when it is unknown or was revoked before."""
    sql = "UPDATE keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL"
    if not tx.run(sql, {"id": key_id, "now": now}):
        return False
    bump_generation(tx, rules.KEYS_TOPIC)
    tx.wake(rules.KEYS_TOPIC)
    return True


# --- budgets ---


def reserve_budget(tx: Tx, *, key_id: str, amount: Nanos, now: int) -> None:
    """Hold a part of the key's budget, whatever others do at the same moment. Raises `OutOfFunds`.

    To be called behind `ledger.store.hold` in the same unit, and `settle_budget` behind `post` or `void`: where all
    lock the ledger's account first and the key second, no two replicas wait for each other.
    """
    assert 0 <= amount <= AMOUNT_MAX
    if tx.run(_RESERVE, {"id": key_id, "amount": amount, **_period_starts(now)}):
        return
    key = find_key(tx, key_id)
    if key is None:
        raise NotFound(f"There is no key `{key_id}`", param="key")
    left = budget_left(key, now)
    assert left is not None
    span = "in all" if key.budget_period in (None, BudgetPeriod.TOTAL) else f"per {key.budget_period}"
    message = (
        f"This call needs ${dollars(amount)}, and ${dollars(max(left, 0))} is left of the key's budget of "
        f"${dollars(key.budget_nanos or 0)} {span}; raise it with `halley keys update` or use another key"
    )
    raise OutOfFunds(message)


def settle_budget(tx: Tx, *, key_id: str, held: Nanos, spent: Nanos, now: int) -> None:
    """Give back what was held for one order and count what it cost. Once for each order, with its post or void."""
    assert held >= 0
    assert spent >= 0
    touched = tx.run(_SETTLE, {"id": key_id, "held": held, "spent": spent, "count": 1, **_period_starts(now)})
    assert touched == 1, "keys are never deleted"


def reserve_budgets(tx: Tx, reservations: Sequence[OfBudget]) -> None:
    """Hold a part of many budgets, by one statement per key.

    Raises whenever in doubt, be it by the end of the unit: to be undone then, and asked for one by one.
    """
    starts = _period_starts(_one_day(reservations))
    sums: dict[str, int] = {}
    for each in reservations:
        assert each.amount >= 0
        sums[each.key_id] = sums.get(each.key_id, 0) + each.amount
    if max(sums.values()) > AMOUNT_MAX:
        raise BudgetsInDoubt("the sum of many")
    for key_id, amount in sorted(sums.items()):
        tx.expect(_RESERVE, {"id": key_id, "amount": amount, **starts}, BudgetsInDoubt(key_id))


def settle_budgets(tx: Tx, settlements: Sequence[BackToBudget], spent: Sequence[Nanos]) -> None:
    """Give back and count for many orders, each with what it cost, by one statement per key.

    In doubt as `reserve_budgets`.
    """
    starts = _period_starts(_one_day(settlements))
    sums: dict[str, list[int]] = {}
    for each, cost in zip(settlements, spent, strict=True):
        assert each.held >= 0
        assert cost >= 0
        sum_ = sums.setdefault(each.key_id, [0, 0, 0])
        sum_[0] += each.held
        sum_[1] += cost
        sum_[2] += 1
    if max(max(sum_) for sum_ in sums.values()) > AMOUNT_MAX:
        raise BudgetsInDoubt("the sum of many")
    for key_id, (held, cost, count) in sorted(sums.items()):
        params = {"id": key_id, "held": held, "spent": cost, "count": count, **starts}
        tx.expect(_SETTLE, params, BudgetsInDoubt(key_id))


def budget_left(key: Key, now: int) -> Nanos | None:
    """What the key may still reserve in this period; None when it has no budget. Negative after an excess."""
    if key.budget_nanos is None:
        return None
    start = rules.period_start(key.budget_period or BudgetPeriod.TOTAL, now)
    spent = key.period_spent_nanos if start <= key.period_started_at <= rules.latest_start(now) else 0
    return Nanos(key.budget_nanos - spent - key.held_nanos)


# --- generations and the audit trail ---


def bump_generation(tx: Tx, topic: str) -> int:
    """Raise the number by which processes that missed the wake-up see that something changed."""
    sql = """INSERT INTO generations (topic, value) VALUES (:topic, 1)
        ON CONFLICT (topic) DO UPDATE SET value = generations.value + 1 RETURNING value"""
    row = tx.one(sql, {"topic": topic})
    assert row is not None
    return row["value"]


def generation(tx: Tx, topic: str) -> int:
    row = tx.one("SELECT value FROM generations WHERE topic = :topic", {"topic": topic})
    return row["value"] if row else 0


def audit(tx: Tx, act: Act) -> None:
    """Keep who did what to whom. `details` must hold no secret."""
    sql = """INSERT INTO audit (id, actor, act, subject, details, created_at)
        VALUES (:id, :actor, :act, :subject, :details, :created_at)"""
    tx.run(sql, {**msgspec.structs.asdict(act), "details": codec.encode(act.details).decode()})


_INSERT_KEY = """
    INSERT INTO keys (id, account_id, project_id, livemode, name, hash, hint, models, budget_nanos, budget_period,
        requests_per_minute, tokens_per_minute, operator, period_started_at, created_at)
    VALUES (:id, :account_id, :project_id, :livemode, :name, :hash, :hint, :models, :budget_nanos, :budget_period,
        :requests_per_minute, :tokens_per_minute, :operator, :period_started_at, :created_at)
    ON CONFLICT DO NOTHING
"""
_FIND_CALLER = """
    SELECT keys.id, keys.account_id, keys.project_id, keys.livemode, keys.models, keys.name, keys.hint,
        keys.requests_per_minute, keys.tokens_per_minute, keys.operator, accounts.group_name
    FROM keys JOIN accounts ON accounts.id = keys.account_id
    WHERE keys.hash = :hash AND keys.revoked_at IS NULL
"""


def _key_params(new: NewKey) -> dict[str, int | str | None]:
    return {
        "id": new.id,
        "account_id": new.account_id,
        "project_id": new.project_id,
        "livemode": int(new.livemode),
        "name": new.name,
        "hash": rules.hash_key(new.text),
        "hint": rules.hint(new.text),
        "models": codec.encode(new.models).decode() if new.models is not None else None,
        "budget_nanos": new.budget_nanos,
        "budget_period": new.budget_period.value if new.budget_period else None,
        "requests_per_minute": new.requests_per_minute,
        "tokens_per_minute": new.tokens_per_minute,
        "operator": int(new.operator),
        "period_started_at": rules.period_start(new.budget_period or BudgetPeriod.TOTAL, new.now),
        "created_at": new.now,
    }


def _check_bounds(budget: int | None, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
    if budget is not None and not 0 <= budget <= AMOUNT_MAX:
        raise BadRequest(f"A budget is between $0 and ${dollars(AMOUNT_MAX)}", param="budget")
    limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
    for param, limit in limits.items():
        if limit is not None and not 1 <= limit <= PER_MINUTE_MAX:
            message = f"`{param}` is {limit}; give a number from 1 to {PER_MINUTE_MAX:,}, or none for no limit"
            raise BadRequest(message, param=param)


def _one_day(orders: Sequence[OfBudget] | Sequence[BackToBudget]) -> int:
    """Give a moment of the day that all of them are of."""
    if len({order.now // rules.DAY_US for order in orders}) > 1:
        raise BudgetsInDoubt("some came before midnight")
    return orders[0].now


def _period_starts(now: int) -> dict[str, int]:
    return _starts_in_day(now // rules.DAY_US)


@lru_cache(maxsize=16)
def _starts_in_day(day: int) -> dict[str, int]:
    dated = (BudgetPeriod.DAY, BudgetPeriod.WEEK, BudgetPeriod.MONTH)
    starts = {period.value: rules.period_start(period, day * rules.DAY_US) for period in dated}
    return {**starts, "ahead": rules.latest_start(day * rules.DAY_US)}


def _key(row: Row) -> Key:
    values = _values(row, Key)
    values["livemode"] = bool(values["livemode"])
    values["operator"] = bool(values["operator"])
    values["models"] = _models.decode(values["models"] or "null")
    return msgspec.convert(values, Key)


def _account(row: Row) -> Account:
    return msgspec.convert(_values(row, Account), Account)


def _project(row: Row) -> Project:
    return msgspec.convert(_values(row, Project), Project)


def _values(row: Row, struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: row[name] for name in struct.__struct_fields__}
