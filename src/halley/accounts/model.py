"""Accounts, projects, keys, and the caller that a key stands for."""

from enum import StrEnum
from typing import Any, Protocol

import msgspec

from halley.kernel.faults import Conflict
from halley.kernel.money import Nanos
from halley.limits import RateLimit


class NameTaken(Conflict):
    """Another of that name is there already."""

    code = "name_taken"


class BudgetPeriod(StrEnum):
    """How long a key's budget lasts before it begins anew, in UTC; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    group_name: str
    created_at: int


class Project(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    account_id: str
    name: str
    created_at: int


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the owner sees it. Its text is shown once and not kept."""

    id: str
    account_id: str
    project_id: str
    livemode: bool
    name: str
    hint: str
    models: tuple[str, ...] | None
    """Public model ids or patterns that the key may use; None for all."""
    budget_nanos: Nanos | None
    """The most that the key may spend in a period; None for no bound of its own."""
    budget_period: BudgetPeriod | None
    requests_per_minute: int | None
    """None for no limit, as with the next."""
    tokens_per_minute: int | None
    operator: bool
    """Whether answers to it say which channel gave them."""
    period_started_at: int
    period_spent_nanos: Nanos
    """Spent in the period that began at `period_started_at`, which may be over."""
    held_nanos: Nanos
    spent_nanos: Nanos
    requests: int
    """Orders that ended, whatever their outcome."""
    created_at: int
    revoked_at: int | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be made. `text` is the whole key; only its hash and a hint are stored."""

    id: str
    account_id: str
    project_id: str
    livemode: bool
    name: str
    text: str
    now: int
    models: tuple[str, ...] | None = None
    budget_nanos: Nanos | None = None
    budget_period: BudgetPeriod | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    operator: bool = False


class KeyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be other of a key; what is left out stays as it is."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    models: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    budget_nanos: Nanos | msgspec.UnsetType | None = msgspec.UNSET
    budget_period: BudgetPeriod | msgspec.UnsetType | None = msgspec.UNSET
    requests_per_minute: int | msgspec.UnsetType | None = msgspec.UNSET
    tokens_per_minute: int | msgspec.UnsetType | None = msgspec.UNSET
    operator: bool | msgspec.UnsetType = msgspec.UNSET


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who a key stands for, with all that a request needs to know of them."""

    key_id: str
    account_id: str
    project_id: str
    livemode: bool
    ledger_account_id: str
    models: tuple[str, ...] | None
    group_name: str
    key_name: str
    hint: str
    rate: RateLimit = RateLimit()
    operator: bool = False
    """Whether answers may say which channel gave them."""


class OfBudget(Protocol):
    """What holds a part of a key's budget for one order, such as a hold of the ledger's."""

    @property
    def key_id(self) -> str:
        """Whose budget."""
        ...

    @property
    def amount(self) -> Nanos:
        """How much of it."""
        ...

    @property
    def now(self) -> int:
        """When; it is of the period then."""
        ...


class BackToBudget(Protocol):
    """What ends that, such as the end of a hold."""

    @property
    def key_id(self) -> str:
        """Whose budget."""
        ...

    @property
    def held(self) -> Nanos:
        """How much of it was held."""
        ...

    @property
    def now(self) -> int:
        """When; what was spent is of the period then."""
        ...


class BudgetsInDoubt(Exception):
    """Some of many orders cannot be counted together; one by one each will have its own answer."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did to the gateway, e.g. revoked a key."""

    id: str
    actor: str
    act: str
    subject: str
    details: dict[str, Any]
    created_at: int
