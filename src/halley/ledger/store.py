"""Writes transfers and moves the callers' columns with them. Two-phase: hold first, then post or void, each once.

No function here changes or deletes a transfer. What may run at the same time in two replicas is settled by guarded
updates; each unit locks the caller's account before it adds rows, so that holds of one account never deadlock.
"""

from halley.db import Tx
from halley.kernel.ids import Ids
from halley.kernel.money import ZERO, Nanos, dollars
from halley.ledger import rules
from halley.ledger.model import (
    AccountKind,
    Adjustment,
    AmountOutOfRange,
    HoldNotFound,
    HoldPosted,
    HoldRequest,
    HoldVoided,
    LedgerAccount,
    NoLedgerAccount,
    NotCorrectable,
    OpenHold,
    Posted,
    Transfer,
    TransferIdReused,
    TransferKind,
    Voided,
)
from halley.ledger.queries import (
    account,
    account_of,
    find_open_hold,
    find_transfer,
    history,
    holds_of_dead_boots,
    left,
    list_accounts,
    open_hold_of,
    open_holds,
    system_balances,
    transfers_of_hold,
)
from halley.ledger.statements import (
    ADD,
    INSERT_ACCOUNT,
    INSERT_OPEN,
    INSERT_TRANSFER,
    SETTLE,
    TAKE_BACK,
    Column,
    addition,
    listed,
    written,
)

__all__ = [
    "account",
    "adjust",
    "credit",
    "find_open_hold",
    "find_transfer",
    "history",
    "hold",
    "hold_nothing",
    "holds_of_dead_boots",
    "left",
    "list_accounts",
    "open_account",
    "open_holds",
    "post",
    "set_limit",
    "system_balances",
    "transfers_of_hold",
    "void",
]


def open_account(
    tx: Tx, *, account_id: str, livemode: bool, kind: AccountKind, limit_nanos: Nanos | None, now: int
) -> LedgerAccount:
    """Open an account's ledger account in one mode, or give the one that is open."""
    assert limit_nanos is None or kind is AccountKind.POSTPAID, "a prepaid account has no limit but its credits"
    if limit_nanos is not None:
        rules.checked_amount(limit_nanos)
    params = {
        "id": rules.ledger_account_id(account_id, livemode=livemode),
        "account_id": account_id,
        "livemode": int(livemode),
        "kind": kind.value,
        "limit_nanos": limit_nanos,
        "now": now,
    }
    tx.run(INSERT_ACCOUNT, params)
    return account(tx, str(params["id"]))


def set_limit(tx: Tx, ledger_account_id: str, limit_nanos: Nanos | None) -> None:
    """Give a postpaid account another limit; None for no bound. What it owes stays, also above it."""
    if limit_nanos is not None:
        rules.checked_amount(limit_nanos)
    sql = "UPDATE ledger_accounts SET limit_nanos = :limit WHERE id = :id AND kind = 'postpaid'"
    touched = tx.run(sql, {"id": ledger_account_id, "limit": limit_nanos})
    assert touched == 1, "a prepaid account has no limit but its credits"


def credit(tx: Tx, *, transfer_id: str, ledger_account_id: str, amount: Nanos, note: str, now: int) -> Transfer:
    """Book money that came in. The caller makes the id: a repeat books nothing and answers the first transfer."""
    account_id, livemode = rules.owner(ledger_account_id)
    wanted = Transfer(
        id=transfer_id,
        kind=TransferKind.CREDIT,
        debit_account=rules.funding(livemode=livemode),
        credit_account=ledger_account_id,
        amount_nanos=rules.checked_amount(amount, least=1),
        hold_id=None,
        account_id=account_id,
        livemode=livemode,
        order_id=None,
        boot_id=None,
        note=note,
        created_at=now,
    )
    return _move(tx, wanted, ledger_account_id, column="credits_posted")


def adjust(tx: Tx, adjustment: Adjustment) -> Transfer:
    """Correct an earlier transfer by a new one. What is taken from a caller must be left on the account.

    All corrections of a transfer together reverse no more than it came to, and what they added to it.
    The house's end is that of the transfer: a credit that is taken back was no money that came in, and no revenue.
    """
    account_id, livemode = rules.owner(adjustment.ledger_account_id)
    corrected = _correctable(tx, adjustment)
    house = (rules.funding if corrected.kind is TransferKind.CREDIT else rules.revenue)(livemode=livemode)
    to_caller = adjustment.amount >= 0
    wanted = Transfer(
        id=adjustment.id,
        kind=TransferKind.ADJUST,
        debit_account=house if to_caller else adjustment.ledger_account_id,
        credit_account=adjustment.ledger_account_id if to_caller else house,
        amount_nanos=rules.checked_amount(abs(adjustment.amount), least=1),
        hold_id=adjustment.corrects,
        account_id=account_id,
        livemode=livemode,
        order_id=corrected.order_id,
        boot_id=None,
        note=adjustment.note,
        created_at=adjustment.now,
    )
    _check_left(tx, corrected, wanted)
    column = "credits_posted" if to_caller else "debits_posted"
    return _move(tx, wanted, adjustment.ledger_account_id, column=column)


def hold(tx: Tx, request: HoldRequest) -> Transfer:
    """Set money aside before a vendor is called. Raises `OutOfFunds`. A repeat of an id answers the first transfer."""
    wanted = _held(request)
    transfer = _move(tx, wanted, request.ledger_account_id, column="debits_pending")
    if transfer is wanted:
        tx.run(INSERT_OPEN, listed(request))
    return transfer


def hold_nothing(tx: Tx, request: HoldRequest) -> Transfer:
    """List an order that was carried out with no hold: no account moves, so none refuses, and all it used is beyond it.

    A repeat of an id answers the first transfer.
    """
    assert request.amount == ZERO, "what is held must fit"
    wanted = _held(request)
    if _write(tx, wanted):
        tx.run(INSERT_OPEN, listed(request))
        return wanted
    first = find_transfer(tx, wanted.id)
    assert first is not None
    return _same(first, wanted)


def post(tx: Tx, *, hold_id: str, amount: Nanos, ids: Ids, now: int) -> Posted:
    """Take what was used and free the rest of the hold. A repeat answers the first result, whatever its amount.

    Use above the hold is taken in full out of it, then out of what the account has left, then out of the shortfall.
    Raises `HoldVoided`, `HoldNotFound`.
    """
    used = rules.checked_amount(amount)
    open_hold = _close(tx, hold_id)
    if open_hold is None:
        return _posted_before(tx, hold_id)
    held = open_hold.amount_nanos
    freed = _settle(tx, open_hold, min(held, used))
    posted = rules.split(held=held, used=used, remaining=rules.room(freed))
    _write(tx, _child(open_hold, TransferKind.POST, posted.posted, ids, now))
    if posted.excess:
        excess = _child(open_hold, TransferKind.EXCESS, posted.excess, ids, now)
        _move(tx, excess, open_hold.ledger_account_id, column="debits_posted")
    if posted.shortfall:
        _write(tx, _child(open_hold, TransferKind.SHORTFALL, posted.shortfall, ids, now))
    return posted


def void(tx: Tx, *, hold_id: str, ids: Ids, now: int) -> Voided:
    """Give a hold back whole. A repeat answers the first result. Raises `HoldPosted`, `HoldNotFound`."""
    open_hold = _close(tx, hold_id)
    if open_hold is None:
        return _voided_before(tx, hold_id)
    _settle(tx, open_hold, ZERO)
    _write(tx, _child(open_hold, TransferKind.VOID, open_hold.amount_nanos, ids, now))
    return Voided(held=open_hold.amount_nanos)


# --- writing ---


def _correctable(tx: Tx, adjustment: Adjustment) -> Transfer:
    """Find what is to be corrected. The account is locked before, so that two corrections see each other."""
    tx.run("UPDATE ledger_accounts SET id = id WHERE id = :id", {"id": adjustment.ledger_account_id})
    corrected = find_transfer(tx, adjustment.corrects)
    owner = rules.owner(adjustment.ledger_account_id)
    if corrected is None or (corrected.account_id, corrected.livemode) != owner:
        message = f"The account has no transfer `{adjustment.corrects}`; `halley ledger show --account` lists its own"
        raise HoldNotFound(message, param="corrects")
    if corrected.kind is TransferKind.ADJUST:
        message = f"`{corrected.id}` is a correction itself; correct `{corrected.hold_id}`, as it did"
        raise NotCorrectable(message, param="corrects")
    if corrected.kind not in rules.CORRECTABLE:
        message = (
            f"`{corrected.id}` is a {corrected.kind}, and no money of the caller's moved; correct a credit or post"
        )
        raise NotCorrectable(message, param="corrects")
    return corrected


def _check_left(tx: Tx, corrected: Transfer, wanted: Transfer) -> None:
    """Refuse to reverse more of a transfer than is left of it. A repeat is no further correction."""
    if wanted.credit_account == corrected.credit_account or find_transfer(tx, wanted.id) is not None:
        return
    remaining = rules.left_to_reverse(corrected, transfers_of_hold(tx, corrected.id))
    if wanted.amount_nanos > remaining:
        message = f"${dollars(remaining)} is left of `{corrected.id}` after its corrections; give no more than that"
        raise AmountOutOfRange(message, param="amount")


def _held(request: HoldRequest) -> Transfer:
    return Transfer(
        id=request.id,
        kind=TransferKind.HOLD,
        debit_account=request.ledger_account_id,
        credit_account=rules.revenue(livemode=request.livemode),
        amount_nanos=rules.checked_amount(request.amount),
        hold_id=None,
        account_id=request.account_id,
        livemode=request.livemode,
        order_id=request.order_id,
        boot_id=request.boot_id,
        note=request.note,
        created_at=request.now,
    )


def _move(tx: Tx, wanted: Transfer, ledger_account_id: str, *, column: Column) -> Transfer:
    """Add to one column of the caller's account and write the transfer; or give the transfer that has its id.

    The account comes first: its lock makes two replicas that bring the same id wait for each other. Whatever this
    raises, nothing is changed, so that a caller may go on with its unit.
    """
    params = addition(
        ledger_account_id, account_id=wanted.account_id, livemode=wanted.livemode, amount=wanted.amount_nanos
    )
    if not tx.run(ADD[column], params):
        first = find_transfer(tx, wanted.id)
        if first is None:
            raise _refusal(account(tx, ledger_account_id), wanted)
        return _same(first, wanted)
    if _write(tx, wanted):
        return wanted
    tx.run(TAKE_BACK[column], params)
    first = find_transfer(tx, wanted.id)
    assert first is not None
    return _same(first, wanted)


def _write(tx: Tx, transfer: Transfer) -> bool:
    """Insert a transfer; False when its id is taken."""
    return tx.run(INSERT_TRANSFER, written(transfer)) == 1


def _close(tx: Tx, hold_id: str) -> OpenHold | None:
    """Strike a hold off the list; None when it is not on it. Of two who try at once, one gets it."""
    row = tx.one("DELETE FROM open_holds WHERE hold_id = :id RETURNING *", {"id": hold_id})
    return open_hold_of(row) if row else None


def _settle(tx: Tx, open_hold: OpenHold, posted: Nanos) -> LedgerAccount:
    """Free the hold, post what was used of it, and give the account as it is then."""
    params = {"id": open_hold.ledger_account_id, "held": open_hold.amount_nanos, "posted": posted}
    row = tx.one(SETTLE, params)
    assert row is not None, "a hold's account is never deleted"
    return account_of(row)


def _child(open_hold: OpenHold, kind: TransferKind, amount: Nanos, ids: Ids, now: int) -> Transfer:
    account_id, livemode = rules.owner(open_hold.ledger_account_id)
    lost = kind is TransferKind.SHORTFALL
    return Transfer(
        id=f"tr_{ids.new()}",
        kind=kind,
        debit_account=rules.shortfall(livemode=livemode) if lost else open_hold.ledger_account_id,
        credit_account=rules.revenue(livemode=livemode),
        amount_nanos=amount,
        hold_id=open_hold.hold_id,
        account_id=account_id,
        livemode=livemode,
        order_id=open_hold.order_id,
        boot_id=None,
        note="",
        created_at=now,
    )


# --- what to answer when it was done before, or cannot be done ---


def _posted_before(tx: Tx, hold_id: str) -> Posted:
    children = transfers_of_hold(tx, hold_id)
    kinds = {child.kind for child in children}
    if TransferKind.VOID in kinds:
        raise HoldVoided(f"`{hold_id}` was voided, so nothing can be posted of it; hold anew")
    first = find_transfer(tx, hold_id)
    if TransferKind.POST not in kinds or first is None:
        raise HoldNotFound(f"There is no hold `{hold_id}`")
    return rules.posted_before(first, children)


def _voided_before(tx: Tx, hold_id: str) -> Voided:
    children = transfers_of_hold(tx, hold_id)
    kinds = {child.kind for child in children}
    if TransferKind.POST in kinds:
        raise HoldPosted(f"`{hold_id}` was posted, so it cannot be voided; correct it with an adjust")
    voids = [child for child in children if child.kind is TransferKind.VOID]
    if not voids:
        raise HoldNotFound(f"There is no hold `{hold_id}`")
    return Voided(held=voids[0].amount_nanos, repeated=True)


def _same(first: Transfer, wanted: Transfer) -> Transfer:
    if rules.same_transfer(first, wanted):
        return first
    raise TransferIdReused(f"`{wanted.id}` is the id of another transfer; use a new id", param="id")


def _refusal(refusing: LedgerAccount, wanted: Transfer) -> Exception:
    if (refusing.account_id, refusing.livemode) != (wanted.account_id, wanted.livemode):
        return NoLedgerAccount(f"There is no ledger account `{refusing.id}` of this caller", param="account")
    if wanted.credit_account == refusing.id or rules.is_full(refusing, wanted.amount_nanos):
        return AmountOutOfRange("The account would come to more than the books can carry", param="amount")
    return rules.out_of_funds(refusing, wanted.amount_nanos)
