"""What several commands share: finding an account by name, the audit trail, and how amounts and times are spelled."""

from typing import Any

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Account, Act
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.clock import rfc3339
from halley.kernel.faults import NotFound

ACTOR = "cli"
NAME_LENGTH_MAX = 100
ROWS_MAX = 1_000


class Args(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of a command."""


def named_account(tx: Tx, name: str) -> Account:
    """Find an account by name or id. Raises `NotFound`."""
    account = accounts.find_account_named(tx, name) or accounts.find_account(tx, name)
    if account is None:
        raise NotFound(f"There is no account `{name}`; `halley accounts list` shows those there are", param="account")
    return account


def audit(tx: Tx, services: Services, act: str, subject: str, **details: Any) -> None:
    """Keep what was done."""
    now = services.clock.now()
    trace = Act(id=f"act_{services.ids.new()}", actor=ACTOR, act=act, subject=subject, details=details, created_at=now)
    accounts.audit(tx, trace)


def moment(microseconds: int | None) -> str | None:
    """Spell a time."""
    return None if microseconds is None else rfc3339(microseconds, digits=0)


def amount(nanos: int | None) -> str | None:
    """Spell nano-dollars so that no reader of JSON rounds them."""
    return None if nanos is None else str(nanos)
