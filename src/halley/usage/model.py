"""One order's end in figures, and sums over many."""

from enum import StrEnum

import msgspec

from halley.kernel.money import ZERO, Nanos


class Outcome(StrEnum):
    """How an order ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CUT = "cut"
    """A stream that broke off, or whose caller left, or a model that ended without an answer: what came is charged."""
    LOST = "lost"
    """An answer whose end nobody knows; not charged, the operator's exposure."""
    UNKNOWN = "unknown"
    """A task whose end nobody knows; not charged, the operator's exposure."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one order used and cost. The vendor's cost and the caller's price are kept apart."""

    id: str
    account_id: str
    project_id: str
    key_id: str
    livemode: bool
    order_kind: str
    order_id: str
    model: str
    channel_id: str | None
    outcome: Outcome
    meters: dict[str, int]
    """What each meter counted, in its base units."""
    price_nanos: Nanos
    """What the caller was charged."""
    vendor_cost_nanos: Nanos | None
    exposure_nanos: Nanos = ZERO
    """What the operator may owe a vendor without being paid for it."""
    attempts: int
    first_byte_us: int | None = None
    total_us: int
    created_at: int


class DayOfKey(msgspec.Struct, frozen=True, kw_only=True):
    """What one key used on one day in UTC."""

    day: str
    """`2026-11-01`."""
    key_id: str
    used_nanos: Nanos
    requests: int


class By(StrEnum):
    """What usage is summed by."""

    ACCOUNT = "account"
    PROJECT = "project"
    KEY = "key"
    MODEL = "model"
    CHANNEL = "channel"
    OUTCOME = "outcome"
    DAY = "day"
    """In UTC."""


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What many orders used and cost together."""

    of: tuple[str | None, ...]
    """What they have in common, one for each `By` that was asked for; ids, and days as `2026-11-01`."""
    requests: int
    unsuccessful: int
    """Of these: failed, cancelled, cut, lost or unknown."""
    price_nanos: Nanos
    vendor_cost_nanos: Nanos
    """As far as it is known."""
    exposure_nanos: Nanos
