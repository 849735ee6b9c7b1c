"""Holds and their ends for many callers at once, by one statement per table instead of one per caller.

Only what is plain is done here: anything else raises, and whoever called undoes all of it and comes again with one at a
time. Then each goes the long way through `store`, which knows what to answer to repeats and to whom to refuse what.
"""

from collections.abc import Sequence

import msgspec

from halley.db import Tx
from halley.db.engine import Params, Values
from halley.kernel.ids import Ids
from halley.kernel.money import ZERO, Nanos
from halley.ledger import rules
from halley.ledger.model import HoldRequest, InDoubt, Settlement, TransferKind
from halley.ledger.statements import ADD, addition

_TRANSFER = (
    "id",
    "kind",
    "debit_account",
    "credit_account",
    "amount_nanos",
    "hold_id",
    "account_id",
    "livemode",
    "order_id",
    "boot_id",
    "note",
    "created_at",
)
_OPEN_HOLD = (
    "hold_id",
    "ledger_account_id",
    "amount_nanos",
    "order_kind",
    "order_id",
    "key_id",
    "boot_id",
    "created_at",
)
# Looked up once: an enum's value costs more than a row's other fields together.
_HOLD, _POST, _VOID = TransferKind.HOLD.value, TransferKind.POST.value, TransferKind.VOID.value
_REVENUE = {livemode: rules.revenue(livemode=livemode) for livemode in rules.MODES}
_FREE = """
    UPDATE ledger_accounts SET debits_pending = debits_pending - :held, debits_posted = debits_posted + :posted
    WHERE id = :id
"""


class _Held(msgspec.Struct, frozen=True, array_like=True):
    """What of an open hold is needed to end it; its fields are the columns that are read."""

    hold_id: str
    ledger_account_id: str
    amount_nanos: Nanos
    order_id: str


def hold(tx: Tx, requests: Sequence[HoldRequest]) -> None:
    """Hold what all of them ask for: what fits as a sum fits in any order."""
    sums: dict[tuple[str, str, bool], int] = {}
    for request in requests:
        if request.amount < 0:
            raise InDoubt(request.id)
        owner = (request.ledger_account_id, request.account_id, request.livemode)
        sums[owner] = sums.get(owner, 0) + request.amount
    if max(sums.values()) > rules.AMOUNT_MAX:
        raise InDoubt("the sum of many")
    # In one order everywhere, so that no two replicas wait for each other.
    params = [
        addition(ledger_account_id, account_id=account_id, livemode=livemode, amount=amount)
        for (ledger_account_id, account_id, livemode), amount in sorted(sums.items())
    ]
    if tx.many(ADD["debits_pending"], params) != len(params):
        raise InDoubt("one of the accounts")
    tx.insert("transfers", _TRANSFER, [_hold_values(request) for request in requests])
    tx.insert("open_holds", _OPEN_HOLD, [_open_values(request) for request in requests])


def settle(tx: Tx, settlements: Sequence[Settlement], ids: Ids) -> Sequence[Nanos]:
    """End holds that are open and were not exceeded; give what each caller was charged."""
    taken = tx.take("open_holds", _Held.__struct_fields__, [end.hold_id for end in settlements])
    held = {each.hold_id: each for each in msgspec.convert(taken, list[_Held])}
    if len(held) != len(settlements):
        raise InDoubt(f"{len(held)} of {len(settlements)} holds are open")
    accounts = {each.ledger_account_id: _Sums(each.ledger_account_id) for each in held.values()}
    rows: list[Values] = []
    charged: list[Nanos] = []
    for end in settlements:
        each = held[end.hold_id]
        sums = accounts[each.ledger_account_id]
        used = ZERO if end.amount is None else end.amount
        if not 0 <= used <= each.amount_nanos:
            raise InDoubt(end.hold_id)
        sums.freed += each.amount_nanos
        sums.posted += used
        charged.append(used)
        rows.append(_end_values(end, each, sums, ids))
    tx.many(_FREE, [sums.freeing() for _, sums in sorted(accounts.items())])
    tx.insert("transfers", _TRANSFER, rows)
    return charged


class _Sums:
    """What the ends of one batch come to on one account."""

    def __init__(self, ledger_account_id: str) -> None:
        self._ledger_account_id = ledger_account_id
        self.owner, livemode = rules.owner(ledger_account_id)
        self.livemode = int(livemode)
        self.revenue = _REVENUE[livemode]
        self.freed = 0
        self.posted = 0

    def freeing(self) -> Params:
        return {"id": self._ledger_account_id, "held": self.freed, "posted": self.posted}


def _hold_values(request: HoldRequest) -> Values:
    return (
        request.id,
        _HOLD,
        request.ledger_account_id,
        _REVENUE[request.livemode],
        request.amount,
        None,
        request.account_id,
        int(request.livemode),
        request.order_id,
        request.boot_id,
        request.note,
        request.now,
    )


def _open_values(request: HoldRequest) -> Values:
    return (
        request.id,
        request.ledger_account_id,
        request.amount,
        request.order_kind,
        request.order_id,
        request.key_id,
        request.boot_id,
        request.now,
    )


def _end_values(end: Settlement, held: _Held, sums: _Sums, ids: Ids) -> Values:
    return (
        f"tr_{ids.new()}",
        _VOID if end.amount is None else _POST,
        held.ledger_account_id,
        sums.revenue,
        held.amount_nanos if end.amount is None else end.amount,
        held.hold_id,
        sums.owner,
        sums.livemode,
        held.order_id,
        None,
        "",
        end.now,
    )
