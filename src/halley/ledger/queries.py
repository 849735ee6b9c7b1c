"""Reads the ledger: accounts, open holds, transfers, and what the house's own accounts come to."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from halley.db import Row, Tx
from halley.kernel.money import Nanos
from halley.ledger import rules
from halley.ledger.model import (
    AccountKind,
    LedgerAccount,
    NoLedgerAccount,
    OpenHold,
    SystemBalances,
    Transfer,
    TransferKind,
)

PAGE_MAX = 1_000


def account(tx: Tx, ledger_account_id: str) -> LedgerAccount:
    """Raises `NoLedgerAccount`."""
    row = tx.one("SELECT * FROM ledger_accounts WHERE id = :id", {"id": ledger_account_id})
    if row is None:
        raise NoLedgerAccount(f"There is no ledger account `{ledger_account_id}`", param="account")
    return account_of(row)


def left(tx: Tx, ledger_account_id: str) -> Nanos | None:
    """Tell what may still be held; None without bound."""
    return rules.left(account(tx, ledger_account_id))


def open_holds(tx: Tx, *, after: str = "", limit: int = PAGE_MAX) -> Sequence[OpenHold]:
    """List what is neither posted nor voided, in the order it was held."""
    sql = "SELECT * FROM open_holds WHERE hold_id > :after ORDER BY hold_id LIMIT :limit"
    return [open_hold_of(row) for row in tx.all(sql, {"after": after, "limit": min(limit, PAGE_MAX)})]


def open_hold_totals(tx: Tx) -> tuple[int, Nanos]:
    """Count all open holds and sum their amounts, for metrics."""
    row = tx.one("SELECT count(*) AS n, coalesce(sum(amount_nanos), 0) AS nanos FROM open_holds")
    assert row is not None
    return row["n"], Nanos(int(row["nanos"]))


def find_open_hold(tx: Tx, hold_id: str) -> OpenHold | None:
    row = tx.one("SELECT * FROM open_holds WHERE hold_id = :id", {"id": hold_id})
    return open_hold_of(row) if row else None


def holds_of_dead_boots(
    tx: Tx, *, order_kind: str, living: AbstractSet[str], limit: int = PAGE_MAX
) -> Sequence[OpenHold]:
    """List open holds whose process is not among the living; at most `limit`, so ask again until there are none."""
    sql = "SELECT DISTINCT boot_id FROM open_holds WHERE order_kind = :order_kind"
    boots = {row["boot_id"] for row in tx.all(sql, {"order_kind": order_kind})}
    found: list[OpenHold] = []
    for boot_id in sorted(boots - living):
        params = {"order_kind": order_kind, "boot_id": boot_id, "limit": min(limit, PAGE_MAX) - len(found)}
        found += [open_hold_of(row) for row in tx.all(_HOLDS_OF_BOOT, params)]
    return found


def find_transfer(tx: Tx, transfer_id: str) -> Transfer | None:
    row = tx.one("SELECT * FROM transfers WHERE id = :id", {"id": transfer_id})
    return transfer_of(row) if row else None


def transfers_of_hold(tx: Tx, hold_id: str) -> Sequence[Transfer]:
    """List what became of a hold: its post or void, excess, shortfall and corrections."""
    return [
        transfer_of(row) for row in tx.all("SELECT * FROM transfers WHERE hold_id = :id ORDER BY id", {"id": hold_id})
    ]


def history(
    tx: Tx, *, account_id: str, livemode: bool, before: tuple[int, str] = (2**62, ""), limit: int = PAGE_MAX
) -> Sequence[Transfer]:
    """List an account's transfers, newest first; `before` is time and id of the last one seen."""
    params = {
        "account_id": account_id,
        "livemode": int(livemode),
        "time": before[0],
        "id": before[1],
        "limit": min(limit, PAGE_MAX),
    }
    return [transfer_of(row) for row in tx.all(_HISTORY, params)]


def list_accounts(tx: Tx, *, after: str = "", limit: int = PAGE_MAX) -> Sequence[LedgerAccount]:
    sql = "SELECT * FROM ledger_accounts WHERE id > :after ORDER BY id LIMIT :limit"
    return [account_of(row) for row in tx.all(sql, {"after": after, "limit": min(limit, PAGE_MAX)})]


def system_balances(tx: Tx, *, livemode: bool) -> SystemBalances:
    """Sum the house's own accounts; reads every transfer, so it is for the operator, not for the data path."""
    names = {
        "revenue": rules.revenue(livemode=livemode),
        "funding": rules.funding(livemode=livemode),
        "shortfall": rules.shortfall(livemode=livemode),
    }
    row = tx.one(_SYSTEM_SUMS, names)
    assert row is not None
    return SystemBalances(**{name: int(row[name] or 0) for name in names})


def account_of(row: Row) -> LedgerAccount:
    return LedgerAccount(
        id=row["id"],
        account_id=row["account_id"],
        livemode=bool(row["livemode"]),
        kind=AccountKind(row["kind"]),
        limit_nanos=row["limit_nanos"],
        debits_pending=row["debits_pending"],
        debits_posted=row["debits_posted"],
        credits_pending=row["credits_pending"],
        credits_posted=row["credits_posted"],
        created_at=row["created_at"],
    )


def open_hold_of(row: Row) -> OpenHold:
    return OpenHold(
        hold_id=row["hold_id"],
        ledger_account_id=row["ledger_account_id"],
        amount_nanos=row["amount_nanos"],
        order_kind=row["order_kind"],
        order_id=row["order_id"],
        key_id=row["key_id"],
        boot_id=row["boot_id"],
        created_at=row["created_at"],
    )


def transfer_of(row: Row) -> Transfer:
    return Transfer(
        id=row["id"],
        kind=TransferKind(row["kind"]),
        debit_account=row["debit_account"],
        credit_account=row["credit_account"],
        amount_nanos=row["amount_nanos"],
        hold_id=row["hold_id"],
        account_id=row["account_id"],
        livemode=bool(row["livemode"]),
        order_id=row["order_id"],
        boot_id=row["boot_id"],
        note=row["note"],
        created_at=row["created_at"],
    )


_HOLDS_OF_BOOT = """
    SELECT * FROM open_holds WHERE order_kind = :order_kind AND boot_id = :boot_id ORDER BY hold_id LIMIT :limit
"""
_HISTORY = """
    SELECT * FROM transfers
    WHERE account_id = :account_id AND livemode = :livemode AND (created_at, id) < (:time, :id)
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""
_SYSTEM_SUMS = """
    SELECT
        SUM(CASE WHEN credit_account = :revenue THEN amount_nanos ELSE 0 END)
            - SUM(CASE WHEN debit_account = :revenue THEN amount_nanos ELSE 0 END) AS revenue,
        SUM(CASE WHEN credit_account = :funding THEN amount_nanos ELSE 0 END)
            - SUM(CASE WHEN debit_account = :funding THEN amount_nanos ELSE 0 END) AS funding,
        SUM(CASE WHEN credit_account = :shortfall THEN amount_nanos ELSE 0 END)
            - SUM(CASE WHEN debit_account = :shortfall THEN amount_nanos ELSE 0 END) AS shortfall
    FROM transfers WHERE kind NOT IN ('hold', 'void')
"""
