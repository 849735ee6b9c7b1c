"""The books, for the operator: verified against the transfers, shown by account, and what was lost."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import msgspec

from halley.accounts import store as accounts
from halley.console.commands.common import ROWS_MAX, Args, moment, named_account
from halley.console.protocol import Progress, Step
from halley.console.services import Services
from halley.db import Tx
from halley.ledger import store as ledger
from halley.ledger.model import SystemBalances, Transfer
from halley.ledger.verify import verify as recompute
from halley.usage import store as usage
from halley.usage.model import Usage

PAGES_MAX = 1_000

Limit = Annotated[int, msgspec.Meta(ge=1, le=ROWS_MAX)]


class ShowLedger(Args, frozen=True, kw_only=True):
    account: str | None = None
    livemode: bool = True
    limit: Limit = 50


class ListLost(Args, frozen=True, kw_only=True):
    account: str | None = None
    limit: Limit = ROWS_MAX


class VerifyLedger(Args, frozen=True, kw_only=True):
    """Recompute all."""


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    """One movement, in nano-dollars."""

    id: str
    kind: str
    debit: str
    credit: str
    amount_nanos: str
    hold_id: str | None
    order_id: str | None
    note: str
    created_at: str | None


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """The house's own balances in one mode, in nano-dollars, and one account's last transfers."""

    livemode: bool
    revenue_nanos: str
    funding_nanos: str
    shortfall_nanos: str
    account: str | None
    transfers: list[TransferRow]


class LostRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a vendor may bill though its caller was not charged."""

    order_id: str
    order_kind: str
    account: str
    model: str
    outcome: str
    exposure_nanos: str
    created_at: str | None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a recomputation found; sound books have no differences."""

    differences: tuple[str, ...]
    transfers: int
    holds_open: int
    accounts: int
    sums: dict[str, int]


async def verify(services: Services, _args: VerifyLedger, progress: Progress) -> Verified:
    """Recompute every balance from the transfers, on one snapshot."""
    report = await services.db.read(
        lambda tx: recompute(tx, progress=lambda done, total: progress(Step(done=done, total=total, text="rows")))
    )
    return msgspec.convert(msgspec.to_builtins(report), Verified)


async def show(services: Services, args: ShowLedger, _progress: Progress) -> LedgerView:
    """Show the house's balances, and one account's transfers, newest first."""

    def query(tx: Tx) -> LedgerView:
        account = named_account(tx, args.account) if args.account else None
        found = ledger.history(tx, account_id=account.id, livemode=args.livemode, limit=args.limit) if account else ()
        system = ledger.system_balances(tx, livemode=args.livemode)
        return _view(args, system, [_transfer(each) for each in found])

    return await services.db.read(query)


async def lost(services: Services, args: ListLost, _progress: Progress) -> list[LostRow]:
    """List what the operator may have to pay a vendor for, newest first."""

    def query(tx: Tx) -> list[LostRow]:
        account = named_account(tx, args.account) if args.account else None
        rows = (row for row in _exposures(tx) if account is None or row.account_id == account.id)
        return [_lost(tx, row) for row in islice(rows, args.limit)]

    return await services.db.read(query)


def _view(args: ShowLedger, system: SystemBalances, transfers: list[TransferRow]) -> LedgerView:
    return LedgerView(
        livemode=args.livemode,
        revenue_nanos=str(system.revenue),
        funding_nanos=str(system.funding),
        shortfall_nanos=str(system.shortfall),
        account=args.account,
        transfers=transfers,
    )


def _transfer(transfer: Transfer) -> TransferRow:
    return TransferRow(
        id=transfer.id,
        kind=transfer.kind,
        debit=transfer.debit_account,
        credit=transfer.credit_account,
        amount_nanos=str(transfer.amount_nanos),
        hold_id=transfer.hold_id,
        order_id=transfer.order_id,
        note=transfer.note,
        created_at=moment(transfer.created_at),
    )


def _exposures(tx: Tx) -> Iterator[Usage]:
    before = "~"
    for _ in range(PAGES_MAX):
        page = usage.exposures(tx, before=before)
        yield from page
        if len(page) < usage.PAGE_MAX:
            return
        before = page[-1].id


def _lost(tx: Tx, row: Usage) -> LostRow:
    account = accounts.find_account(tx, row.account_id)
    return LostRow(
        order_id=row.order_id,
        order_kind=row.order_kind,
        account=account.name if account else row.account_id,
        model=row.model,
        outcome=row.outcome,
        exposure_nanos=str(row.exposure_nanos),
        created_at=moment(row.created_at),
    )
