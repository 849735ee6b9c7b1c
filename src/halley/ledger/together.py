"""Holds and their ends, for many callers at once or for one, by as few statements as can be.

Only what is plain is done here. Whatever is in doubt raises, at once or by the end of the unit, and whoever called
undoes all of it and goes the long way through `store` with one at a time, which knows what to answer to repeats and to
whom to refuse what.
"""

from collections.abc import Mapping, Sequence

from halley.db import Tx
from halley.db.engine import Params, Values
from halley.kernel.money import ZERO, Nanos
from halley.ledger import rules
from halley.ledger.model import HoldRequest, InDoubt, Settlement, TransferKind
from halley.ledger.statements import ADD, CLOSE, FREE, addition

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
_TAKEN = ("hold_id", "ledger_account_id", "amount_nanos")
# Looked up once: an enum's value costs more than a row's other fields together.
_HOLD, _POST, _VOID = TransferKind.HOLD.value, TransferKind.POST.value, TransferKind.VOID.value
_REVENUE = {livemode: rules.revenue(livemode=livemode) for livemode in rules.MODES}


def hold(tx: Tx, requests: Sequence[HoldRequest]) -> None:
    """Hold what all of them ask for: what fits as a sum fits in any order. Raises whenever in doubt."""
    sums: dict[tuple[str, str, bool], int] = {}
    for request in requests:
        if request.amount < 0:
            raise InDoubt(request.id)
        owner = (request.ledger_account_id, request.account_id, request.livemode)
        sums[owner] = sums.get(owner, 0) + request.amount
    if max(sums.values()) > rules.AMOUNT_MAX:
        raise InDoubt("the sum of many")
    # In one order everywhere, so that no two replicas wait for each other.
    for (ledger_account_id, account_id, livemode), amount in sorted(sums.items()):
        params = addition(ledger_account_id, account_id=account_id, livemode=livemode, amount=amount)
        tx.expect(ADD["debits_pending"], params, InDoubt(ledger_account_id))
    tx.insert(
        "transfers",
        _TRANSFER,
        [
            (
                one.id,
                _HOLD,
                one.ledger_account_id,
                _REVENUE[one.livemode],
                one.amount,
                None,
                one.account_id,
                int(one.livemode),
                one.order_id,
                one.boot_id,
                one.note,
                one.now,
            )
            for one in requests
        ],
    )
    tx.insert(
        "open_holds",
        _OPEN_HOLD,
        [
            (
                one.id,
                one.ledger_account_id,
                one.amount,
                one.order_kind,
                one.order_id,
                one.key_id,
                one.boot_id,
                one.now,
            )
            for one in requests
        ],
    )


def settle(tx: Tx, settlements: Sequence[Settlement]) -> Sequence[Nanos]:
    """End holds that are open, as they are said to be, and were not exceeded; give what each caller was charged.

    Raises whenever in doubt.
    """
    accounts: dict[str, _Sums] = {}
    charged: list[Nanos] = []
    for end in settlements:
        used = ZERO if end.amount is None else end.amount
        if not 0 <= used <= end.held:
            raise InDoubt(end.hold_id)
        sums = accounts.get(end.ledger_account_id)
        if sums is None:
            sums = accounts[end.ledger_account_id] = _Sums(end.ledger_account_id)
        sums.count += 1
        sums.freed += end.held
        sums.posted += used
        charged.append(used)
    _close(tx, settlements, accounts)
    for _, sums in sorted(accounts.items()):
        tx.run_later(FREE, sums.freeing())
    tx.insert(
        "transfers",
        _TRANSFER,
        [accounts[end.ledger_account_id].ending(end) for end in settlements],
    )
    return charged


def _close(tx: Tx, settlements: Sequence[Settlement], accounts: "Mapping[str, _Sums]") -> None:
    doubt = InDoubt("some holds are not open, or not what they are said to be")
    if len(settlements) == 1:
        end = settlements[0]
        said: Params = {"hold_id": end.hold_id, "ledger_account_id": end.ledger_account_id, "held": end.held}
        tx.expect(CLOSE, said, doubt)
    else:
        expected = {sums.ledger_account_id: (sums.count, sums.freed) for sums in accounts.values()}
        tx.take("open_holds", _TAKEN, [end.hold_id for end in settlements], expected, doubt)


class _Sums:
    """What the ends of one batch come to on one account."""

    __slots__ = ("count", "freed", "ledger_account_id", "livemode", "owner", "posted", "revenue")

    def __init__(self, ledger_account_id: str) -> None:
        self.ledger_account_id = ledger_account_id
        self.owner, livemode = rules.owner(ledger_account_id)
        self.livemode = int(livemode)
        self.revenue = _REVENUE[livemode]
        self.count = self.freed = self.posted = 0

    def freeing(self) -> Params:
        return {"id": self.ledger_account_id, "held": self.freed, "posted": self.posted}

    def ending(self, end: Settlement) -> Values:
        """Give the transfer that ends a hold, in the order of `_TRANSFER`."""
        return (
            rules.end_id(end.hold_id),
            _VOID if end.amount is None else _POST,
            end.ledger_account_id,
            self.revenue,
            end.held if end.amount is None else end.amount,
            end.hold_id,
            self.owner,
            self.livemode,
            end.order_id,
            None,
            "",
            end.now,
        )
