"""The ledger's arithmetic: names of accounts, what is left, how a use splits, and what sound books look like."""

from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from halley.kernel.faults import OutOfFunds
from halley.kernel.money import ZERO, Nanos, dollars
from halley.ledger.model import (
    AccountKind,
    AmountOutOfRange,
    LedgerAccount,
    OpenHold,
    Posted,
    Transfer,
    TransferKind,
)

AMOUNT_MAX = Nanos(2**60)
"""The largest single amount, a billion dollars."""
BALANCE_MAX = Nanos(2**61)
"""The most that one column of an account may come to: sums of three columns stay within 64 bits, so SQL may add."""

MODES = {True: "live", False: "test"}
RESOLVING = (TransferKind.POST, TransferKind.VOID)
CORRECTABLE = (TransferKind.CREDIT, TransferKind.POST, TransferKind.EXCESS)
"""What moved money between a caller and the house."""
_BEHIND_A_POST = (TransferKind.EXCESS, TransferKind.SHORTFALL)


def ledger_account_id(account_id: str, *, livemode: bool) -> str:
    return f"{account_id}.{MODES[livemode]}"


def revenue(*, livemode: bool) -> str:
    return f"{MODES[livemode]}:revenue"


def funding(*, livemode: bool) -> str:
    return f"{MODES[livemode]}:funding"


def shortfall(*, livemode: bool) -> str:
    return f"{MODES[livemode]}:shortfall"


def owner(ledger_account: str) -> tuple[str, bool]:
    """Tell the account and the mode that a caller's ledger account belongs to."""
    account_id, _, mode = ledger_account.rpartition(".")
    return account_id, mode == MODES[True]


def end_id(hold_id: str) -> str:
    """Give an id for the post or void of a hold, of which there is one."""
    return "tr_" + hold_id.removeprefix("hold_")


def checked_amount(amount: int, *, least: int = 0) -> Nanos:
    """Give the amount back when the books can carry it. Raises `AmountOutOfRange`."""
    if not least <= amount <= AMOUNT_MAX:
        text = f"`${dollars(amount)}` is not an amount between ${dollars(least)} and ${dollars(AMOUNT_MAX)}"
        raise AmountOutOfRange(text, param="amount")
    return Nanos(amount)


def left(account: LedgerAccount) -> Nanos | None:
    """Tell what may still be held; None without bound. Never negative."""
    used = account.debits_pending + account.debits_posted
    match account.kind:
        case AccountKind.PREPAID:
            bound = ZERO
        case AccountKind.POSTPAID:
            bound = account.limit_nanos
        case _:
            assert_never(account.kind)
    return None if bound is None else Nanos(max(bound + account.credits_posted - used, 0))


def room(account: LedgerAccount) -> Nanos:
    """Tell how much more the account can be debited: what is left, and for one without bound what the books carry."""
    carried = BALANCE_MAX - account.debits_pending - account.debits_posted
    remaining = left(account)
    return Nanos(carried if remaining is None else min(carried, remaining))


def is_full(account: LedgerAccount, amount: Nanos) -> bool:
    """Whether the books cannot carry so large a debit, whoever pays."""
    return account.debits_pending + account.debits_posted > BALANCE_MAX - amount


def out_of_funds(account: LedgerAccount, needed: Nanos) -> OutOfFunds:
    remaining = left(account) or ZERO
    remedy = "add credit" if account.kind is AccountKind.PREPAID else "raise the account's limit"
    needs = f"This call needs ${dollars(needed)}, and ${dollars(remaining)} is left on the account"
    return OutOfFunds(f"{needs}; {remedy} or ask for less")


def split(*, held: Nanos, used: Nanos, remaining: Nanos) -> Posted:
    """Split what was used: out of the hold first, then out of what is left, the rest is the operator's loss."""
    posted = min(held, used)
    over = used - posted
    excess = min(over, remaining)
    return Posted(held=held, posted=posted, excess=Nanos(excess), shortfall=Nanos(over - excess))


def posted_before(hold: Transfer, children: Sequence[Transfer]) -> Posted:
    """Read the first result of a post from its transfers."""
    amounts = {child.kind: child.amount_nanos for child in children}
    return Posted(
        held=hold.amount_nanos,
        posted=amounts[TransferKind.POST],
        excess=amounts.get(TransferKind.EXCESS, ZERO),
        shortfall=amounts.get(TransferKind.SHORTFALL, ZERO),
        repeated=True,
    )


def left_to_reverse(corrected: Transfer, corrections: Iterable[Transfer]) -> Nanos:
    """Tell how much of a transfer stands, after what its corrections took back from it and added to it."""
    return Nanos(
        corrected.amount_nanos
        + sum(
            each.amount_nanos if each.credit_account == corrected.credit_account else -each.amount_nanos
            for each in corrections
        )
    )


def same_transfer(one: Transfer, other: Transfer) -> bool:
    """Whether a repeat asks for what was done: who and when it came from does not count."""
    return _content(one) == _content(other)


# --- what must be true of sound books; each function gives the differences in words ---


def check_shape(transfer: Transfer) -> Iterator[str]:
    """Hold one transfer against what its kind allows."""
    live = transfer.livemode
    caller = ledger_account_id(transfer.account_id, livemode=live)
    ends = (transfer.debit_account, transfer.credit_account)
    allowed = {
        TransferKind.CREDIT: ((funding(livemode=live), caller),),
        TransferKind.SHORTFALL: ((shortfall(livemode=live), revenue(livemode=live)),),
        TransferKind.ADJUST: tuple(
            ends
            for house in (revenue(livemode=live), funding(livemode=live))
            for ends in ((house, caller), (caller, house))
        ),
    }.get(transfer.kind, ((caller, revenue(livemode=live)),))
    if ends not in allowed:
        yield f"{transfer.id}: a {transfer.kind} must not go from {ends[0]} to {ends[1]}"
    if transfer.amount_nanos < 0:
        yield f"{transfer.id}: its amount is negative: {transfer.amount_nanos}"
    if (transfer.hold_id is None) != (transfer.kind in (TransferKind.CREDIT, TransferKind.HOLD)):
        yield f"{transfer.id}: a {transfer.kind} names the transfer `{transfer.hold_id}`"


def check_hold(hold: Transfer, children: Sequence[Transfer], open_hold: OpenHold | None) -> Iterator[str]:
    """Hold a hold against what became of it and against the list of open ones."""
    resolved = [child for child in children if child.kind in RESOLVING]
    behind = [child for child in children if child.kind in _BEHIND_A_POST]
    if len(resolved) > 1:
        yield f"{hold.id}: it is resolved {len(resolved)} times"
    if len({child.kind for child in behind}) != len(behind):
        yield f"{hold.id}: it has an excess or a shortfall more than once"
    if behind and [child.kind for child in resolved] != [TransferKind.POST]:
        yield f"{hold.id}: it has an excess or a shortfall without a post"
    for child in children:
        yield from _check_child(hold, child)
    if bool(resolved) == (open_hold is not None):
        yield f"{hold.id}: it is {'resolved, and yet listed as' if resolved else 'open, but not listed as'} open"
    elif open_hold and _listed(open_hold) != (hold.debit_account, hold.amount_nanos, hold.order_id, hold.boot_id):
        yield f"{hold.id}: the list of open holds says something else of it"


def check_account(stored: LedgerAccount, computed: dict[str, int]) -> Iterator[str]:
    """Hold the columns of an account against the sums of its transfers, and against its own bound."""
    for column in ("debits_pending", "debits_posted", "credits_pending", "credits_posted"):
        value, expected = getattr(stored, column), computed.get(column, 0)
        if value != expected:
            yield f"{stored.id}: {column} is {value}, its transfers come to {expected}"
    debits = stored.debits_pending + stored.debits_posted
    if stored.kind is AccountKind.PREPAID and debits > stored.credits_posted:
        yield f"{stored.id}: its debits of {debits} exceed its credits of {stored.credits_posted}"


def _check_child(hold: Transfer, child: Transfer) -> Iterator[str]:
    if (child.account_id, child.livemode) != (hold.account_id, hold.livemode):
        yield f"{child.id}: it belongs to another account than its hold {hold.id}"
    if child.kind is TransferKind.POST and child.amount_nanos > hold.amount_nanos:
        yield f"{child.id}: it posts {child.amount_nanos} of a hold of {hold.amount_nanos}"
    if child.kind is TransferKind.VOID and child.amount_nanos != hold.amount_nanos:
        yield f"{child.id}: it voids {child.amount_nanos} of a hold of {hold.amount_nanos}"


def _listed(hold: OpenHold) -> tuple[str, int, str, str]:
    return hold.ledger_account_id, hold.amount_nanos, hold.order_id, hold.boot_id


def _content(transfer: Transfer) -> tuple[object, ...]:
    return (
        transfer.kind,
        transfer.debit_account,
        transfer.credit_account,
        transfer.amount_nanos,
        transfer.hold_id,
        transfer.order_id,
        transfer.note,
    )
