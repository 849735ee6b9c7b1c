"""The ledger's writing statements and their parameters."""

from typing import Literal

from halley.db.engine import Params
from halley.ledger import rules
from halley.ledger.model import HoldRequest, Transfer

Column = Literal["debits_pending", "debits_posted", "credits_posted"]

INSERT_ACCOUNT = """
    INSERT INTO ledger_accounts (id, account_id, livemode, kind, limit_nanos, created_at)
    VALUES (:id, :account_id, :livemode, :kind, :limit_nanos, :now)
    ON CONFLICT DO NOTHING
"""
INSERT_TRANSFER = """
    INSERT INTO transfers (id, kind, debit_account, credit_account, amount_nanos, hold_id, account_id, livemode,
        order_id, boot_id, note, created_at)
    VALUES (:id, :kind, :debit_account, :credit_account, :amount_nanos, :hold_id, :account_id, :livemode,
        :order_id, :boot_id, :note, :created_at)
    ON CONFLICT (id) DO NOTHING
"""
INSERT_OPEN = """
    INSERT INTO open_holds (hold_id, ledger_account_id, amount_nanos, order_kind, order_id, key_id, boot_id, created_at)
    VALUES (:hold_id, :ledger_account_id, :amount_nanos, :order_kind, :order_id, :key_id, :boot_id, :created_at)
"""
_OF_CALLER = "WHERE id = :id AND account_id = :account_id AND livemode = :livemode"
_DEBITS_FIT = """
    AND debits_pending + debits_posted <= :room
    AND (
        (kind = 'postpaid' AND limit_nanos IS NULL)
        OR debits_pending + debits_posted - credits_posted + :amount
            <= CASE kind WHEN 'postpaid' THEN limit_nanos ELSE 0 END
    )
"""
_DEBIT = _OF_CALLER + _DEBITS_FIT
_CREDIT = _OF_CALLER + " AND credits_posted <= :room"
ADD: dict[Column, str] = {
    "debits_pending": f"UPDATE ledger_accounts SET debits_pending = debits_pending + :amount {_DEBIT}",  # noqa: S608 - constants
    "debits_posted": f"UPDATE ledger_accounts SET debits_posted = debits_posted + :amount {_DEBIT}",  # noqa: S608 - constants
    "credits_posted": f"UPDATE ledger_accounts SET credits_posted = credits_posted + :amount {_CREDIT}",  # noqa: S608 - constants
}
TAKE_BACK: dict[Column, str] = {
    "debits_pending": "UPDATE ledger_accounts SET debits_pending = debits_pending - :amount WHERE id = :id",
    "debits_posted": "UPDATE ledger_accounts SET debits_posted = debits_posted - :amount WHERE id = :id",
    "credits_posted": "UPDATE ledger_accounts SET credits_posted = credits_posted - :amount WHERE id = :id",
}
CLOSE = """
    DELETE FROM open_holds
    WHERE hold_id = :hold_id AND ledger_account_id = :ledger_account_id AND amount_nanos = :held
"""
FREE = """
    UPDATE ledger_accounts SET debits_pending = debits_pending - :held, debits_posted = debits_posted + :posted
    WHERE id = :id
"""
SETTLE = """
    UPDATE ledger_accounts SET debits_pending = debits_pending - :held, debits_posted = debits_posted + :posted
    WHERE id = :id RETURNING *
"""


def addition(ledger_account_id: str, *, account_id: str, livemode: bool, amount: int) -> Params:
    return {
        "id": ledger_account_id,
        "account_id": account_id,
        "livemode": int(livemode),
        "amount": amount,
        "room": rules.BALANCE_MAX - amount,
    }


def written(transfer: Transfer) -> Params:
    return {
        "id": transfer.id,
        "kind": transfer.kind.value,
        "debit_account": transfer.debit_account,
        "credit_account": transfer.credit_account,
        "amount_nanos": transfer.amount_nanos,
        "hold_id": transfer.hold_id,
        "account_id": transfer.account_id,
        "livemode": int(transfer.livemode),
        "order_id": transfer.order_id,
        "boot_id": transfer.boot_id,
        "note": transfer.note,
        "created_at": transfer.created_at,
    }


def listed(request: HoldRequest) -> Params:
    return {
        "hold_id": request.id,
        "ledger_account_id": request.ledger_account_id,
        "amount_nanos": request.amount,
        "order_kind": request.order_kind,
        "order_id": request.order_id,
        "key_id": request.key_id,
        "boot_id": request.boot_id,
        "created_at": request.now,
    }
