"""Accounts: made with their books in both modes, credited, corrected, listed."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Account
from halley.console.commands.common import NAME_LENGTH_MAX, ROWS_MAX, Args, amount, audit, moment, named_account
from halley.console.protocol import Progress
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.faults import BadRequest, Conflict, OutOfFunds
from halley.kernel.money import ZERO, Nanos, dollars, nanos_from_dollars
from halley.ledger import rules
from halley.ledger import store as ledger
from halley.ledger.model import AccountKind, Adjustment, NoLedgerAccount, Transfer, TransferIdReused

TEST_CREDIT = nanos_from_dollars(1_000)
"""What a test account begins with; it is not money."""
DIGEST_LENGTH = 32
NOTE_LENGTH_MAX = 500

IdempotencyKey = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00-\x1f]+$")]


class CreateAccount(Args, frozen=True, kw_only=True):
    name: Name
    kind: AccountKind
    limit_nanos: Annotated[int, msgspec.Meta(ge=0)] | None = None


class CreditAccount(Args, frozen=True, kw_only=True):
    account: Name
    amount_nanos: Annotated[int, msgspec.Meta(ge=1)]
    note: Annotated[str, msgspec.Meta(max_length=NOTE_LENGTH_MAX)] = ""
    livemode: bool = True
    idempotency_key: IdempotencyKey | None = None


class AdjustAccount(Args, frozen=True, kw_only=True):
    account: Name
    amount_nanos: int
    """Below 0 takes back."""
    corrects: str
    """Id of the transfer that was wrong."""
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_LENGTH_MAX)]
    livemode: bool = True
    idempotency_key: IdempotencyKey | None = None


class UpdateAccount(Args, frozen=True, kw_only=True):
    account: Name
    limit_nanos: Annotated[int, msgspec.Meta(ge=0)] | None
    """The most that it may owe; null for no bound."""


class ListAccounts(Args, frozen=True, kw_only=True):
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=ROWS_MAX)] = ROWS_MAX


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """An account's money in one mode, in nano-dollars. `left_nanos` is None where nothing bounds it."""

    kind: str
    limit_nanos: str | None
    credited_nanos: str | None
    spent_nanos: str | None
    held_nanos: str | None
    left_nanos: str | None


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    group: str
    live: Books | None
    test: Books | None
    created_at: str | None


class Credited(msgspec.Struct, frozen=True, kw_only=True):
    """A credit or a correction that was booked, now or by an earlier call with the same idempotency key."""

    transfer_id: str
    amount_nanos: str
    account: AccountRow


async def create(services: Services, args: CreateAccount, _progress: Progress) -> AccountRow:
    """Make an account, its default project, and its books."""
    if args.limit_nanos is not None and args.kind is AccountKind.PREPAID:
        raise BadRequest("A prepaid account has no limit but its credit; leave `--limit` out", param="limit")
    return await services.db.write("accounts.create", lambda tx: create_in(tx, services, args))


def create_in(tx: Tx, services: Services, args: CreateAccount) -> AccountRow:
    """The same inside a transaction."""
    account_id, project_id = f"acct_{services.ids.new()}", f"proj_{services.ids.new()}"
    now = services.clock.now()
    account = accounts.create_account(tx, account_id=account_id, project_id=project_id, name=args.name, now=now)
    limit = None if args.limit_nanos is None else Nanos(args.limit_nanos)
    ledger.open_account(tx, account_id=account_id, livemode=True, kind=args.kind, limit_nanos=limit, now=now)
    _open_test_books(tx, services, account_id, now)
    audit(tx, services, "accounts.create", account_id, name=args.name, kind=args.kind, limit_nanos=amount(limit))
    return _row(tx, account)


async def credit(services: Services, args: CreditAccount, _progress: Progress) -> Credited:
    """Book money that came in, once for each idempotency key."""

    def unit(tx: Tx) -> Credited:
        account = named_account(tx, args.account)
        with _told_by_key(args.idempotency_key):
            booked = ledger.credit(
                tx,
                transfer_id=_transfer_id(services, "credit", account.id, args.idempotency_key),
                ledger_account_id=rules.ledger_account_id(account.id, livemode=args.livemode),
                amount=Nanos(args.amount_nanos),
                note=args.note,
                now=services.clock.now(),
            )
        audit(tx, services, "accounts.credit", account.id, transfer=booked.id, amount_nanos=str(args.amount_nanos))
        return Credited(transfer_id=booked.id, amount_nanos=str(booked.amount_nanos), account=_row(tx, account))

    return await services.db.write("accounts.credit", unit)


async def adjust(services: Services, args: AdjustAccount, _progress: Progress) -> Credited:
    """Correct a transfer by a new one, once for each idempotency key. Takes back no more than is left."""
    if args.amount_nanos == 0:
        raise BadRequest("Nothing is corrected by 0; give another amount", param="amount")

    def unit(tx: Tx) -> Credited:
        account = named_account(tx, args.account)
        wanted = Adjustment(
            id=_transfer_id(services, "adjust", account.id, args.idempotency_key),
            ledger_account_id=rules.ledger_account_id(account.id, livemode=args.livemode),
            amount=Nanos(args.amount_nanos),
            corrects=args.corrects,
            note=args.reason,
            now=services.clock.now(),
        )
        with _told_by_key(args.idempotency_key):
            booked = _adjusted(tx, wanted, account.name)
        audit(tx, services, "accounts.adjust", account.id, transfer=booked.id, amount_nanos=str(args.amount_nanos))
        return Credited(transfer_id=booked.id, amount_nanos=str(args.amount_nanos), account=_row(tx, account))

    return await services.db.write("accounts.adjust", unit)


async def update(services: Services, args: UpdateAccount, _progress: Progress) -> AccountRow:
    """Give a postpaid account another limit. One below what it owes takes nothing back, and refuses new calls."""

    def unit(tx: Tx) -> AccountRow:
        account = named_account(tx, args.account)
        books = rules.ledger_account_id(account.id, livemode=True)
        before = ledger.account(tx, books)
        if before.kind is not AccountKind.POSTPAID:
            message = (
                f"`{account.name}` is prepaid and has no limit but its credit; add some with `halley accounts credit`"
            )
            raise BadRequest(message, param="account")
        limit = None if args.limit_nanos is None else Nanos(args.limit_nanos)
        ledger.set_limit(tx, books, limit)
        limits = {"limit_nanos": amount(limit), "before_nanos": amount(before.limit_nanos)}
        audit(tx, services, "accounts.update", account.id, **limits)
        return _row(tx, account)

    return await services.db.write("accounts.update", unit)


async def list_all(services: Services, args: ListAccounts, _progress: Progress) -> list[AccountRow]:
    """List accounts in the order they were made."""

    def query(tx: Tx) -> list[AccountRow]:
        return [_row(tx, account) for account in accounts.list_accounts(tx, after=args.after, limit=args.limit)]

    return await services.db.read(query)


def _open_test_books(tx: Tx, services: Services, account_id: str, now: int) -> None:
    ledger.open_account(tx, account_id=account_id, livemode=False, kind=AccountKind.PREPAID, limit_nanos=None, now=now)
    ledger.credit(
        tx,
        transfer_id=f"credit_{services.ids.new()}",
        ledger_account_id=rules.ledger_account_id(account_id, livemode=False),
        amount=TEST_CREDIT,
        note="to try with",
        now=now,
    )


def _adjusted(tx: Tx, wanted: Adjustment, name: str) -> Transfer:
    try:
        return ledger.adjust(tx, wanted)
    except OutOfFunds as error:
        left = dollars(rules.left(ledger.account(tx, wanted.ledger_account_id)) or ZERO)
        message = f"Only ${left} is left on `{name}` beside what is held and spent: take back no more than that"
        raise Conflict(message, param="amount") from error


def _transfer_id(services: Services, kind: str, account_id: str, key: str | None) -> str:
    if key is None:
        return f"{kind}_{services.ids.new()}"
    return f"{kind}_" + hashlib.sha256(f"{account_id}\n{key}".encode()).hexdigest()[:DIGEST_LENGTH]


@contextmanager
def _told_by_key(key: str | None) -> Generator[None]:
    """Name the key that was given, not the id that was made of it."""
    try:
        yield
    except TransferIdReused as error:
        message = f"`{key}` was used for another transfer of this account; give a new `--idempotency-key`"
        raise TransferIdReused(message, param="idempotency_key") from error


def _row(tx: Tx, account: Account) -> AccountRow:
    return AccountRow(
        id=account.id,
        name=account.name,
        group=account.group_name,
        live=_books(tx, rules.ledger_account_id(account.id, livemode=True)),
        test=_books(tx, rules.ledger_account_id(account.id, livemode=False)),
        created_at=moment(account.created_at),
    )


def _books(tx: Tx, ledger_account_id: str) -> Books | None:
    try:
        account = ledger.account(tx, ledger_account_id)
    except NoLedgerAccount:
        return None
    return Books(
        kind=account.kind,
        limit_nanos=amount(account.limit_nanos),
        credited_nanos=amount(account.credits_posted),
        spent_nanos=amount(account.debits_posted),
        held_nanos=amount(account.debits_pending),
        left_nanos=amount(rules.left(account)),
    )
