"""What the ledger is made of: transfers, the callers' accounts, open holds, and what goes wrong with them."""

from enum import StrEnum

import msgspec

from halley.kernel.faults import BadRequest, Conflict, NotFound
from halley.kernel.money import Nanos


class AccountKind(StrEnum):
    """Whether an account pays before or after."""

    PREPAID = "prepaid"
    """Debits must not exceed credits."""
    POSTPAID = "postpaid"
    """Debits may exceed credits by the account's limit, or without bound when it has none."""


class TransferKind(StrEnum):
    CREDIT = "credit"
    """Money came in: funding → caller."""
    HOLD = "hold"
    """Money is set aside before a call: caller → revenue, pending."""
    POST = "post"
    """What of a hold was used; the rest of the hold is free again."""
    VOID = "void"
    """A hold is given back whole."""
    EXCESS = "excess"
    """What was used above a hold and the caller could pay: caller → revenue."""
    SHORTFALL = "shortfall"
    """What was used above a hold and the caller could not pay: the operator's shortfall → revenue."""
    ADJUST = "adjust"
    """A correction by the operator; it names the transfer that it corrects."""


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of money. It is written once and never changed."""

    id: str
    kind: TransferKind
    debit_account: str
    credit_account: str
    amount_nanos: Nanos
    hold_id: str | None
    """The hold that a post, void, excess or shortfall belongs to; for an adjust the credit, post or excess that it
    corrects."""
    account_id: str
    livemode: bool
    order_id: str | None
    boot_id: str | None
    note: str
    created_at: int


class LedgerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's account in one mode. System accounts have no row: their balance is a sum of transfers."""

    id: str
    account_id: str
    livemode: bool
    kind: AccountKind
    limit_nanos: Nanos | None
    debits_pending: Nanos
    debits_posted: Nanos
    credits_pending: Nanos
    credits_posted: Nanos
    created_at: int


class HoldRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be set aside for one order. `boot_id` is the process that will call the vendor."""

    id: str
    ledger_account_id: str
    account_id: str
    livemode: bool
    amount: Nanos
    order_id: str
    order_kind: str
    """`task`, or `answer` for what finishes within its call."""
    key_id: str
    boot_id: str
    now: int
    note: str = ""
    """What it is for, e.g. the model: all that is known of an answer whose process died."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one hold, with what it is said to be. The ledger believes that only where it finds the same."""

    hold_id: str
    ledger_account_id: str
    order_id: str
    held: Nanos
    amount: Nanos | None
    """What was used; None to give the hold back whole."""
    now: int


class OpenHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that was neither posted nor voided yet."""

    hold_id: str
    ledger_account_id: str
    amount_nanos: Nanos
    order_kind: str
    order_id: str
    key_id: str
    boot_id: str
    created_at: int


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a hold that was used."""

    held: Nanos
    posted: Nanos
    excess: Nanos
    shortfall: Nanos
    repeated: bool = False
    """Whether this was posted before: whoever counts beside the ledger must not count again."""

    @property
    def charged(self) -> Nanos:
        """What the caller pays."""
        return Nanos(self.posted + self.excess)


class Voided(msgspec.Struct, frozen=True, kw_only=True):
    """What was given back. `repeated`: it was given back before."""

    held: Nanos
    repeated: bool = False


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """A correction: `amount` to the caller when positive, from the caller when negative."""

    id: str
    ledger_account_id: str
    amount: int
    corrects: str
    note: str
    now: int


class SystemBalances(msgspec.Struct, frozen=True, kw_only=True):
    """Credits minus debits of the house's own accounts in one mode."""

    revenue: int
    funding: int
    shortfall: int


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a recomputation of the whole ledger found."""

    differences: tuple[str, ...]
    transfers: int
    holds_open: int
    accounts: int
    sums: dict[str, int]
    """Per mode, credits minus debits over all accounts. Each must be zero."""


class NoLedgerAccount(NotFound):
    """The account has no ledger account in this mode."""

    code = "ledger_account_not_found"


class HoldNotFound(NotFound):
    """No hold has this id."""

    code = "hold_not_found"


class HoldVoided(Conflict):
    """The hold was given back before, so nothing can be taken from it."""

    code = "hold_voided"


class HoldPosted(Conflict):
    """The hold was used before, so it cannot be given back."""

    code = "hold_posted"


class NotCorrectable(Conflict):
    """The transfer moved no money between caller and house, or is a correction itself."""

    code = "not_correctable"


class TransferIdReused(Conflict):
    """The id stands for a transfer with other content."""

    code = "transfer_id_reused"


class AmountOutOfRange(BadRequest):
    """The amount, or what the account would come to, does not fit the books."""

    code = "amount_out_of_range"


class InDoubt(Exception):
    """Some of many cannot be done together with the others; one by one each will have its own answer."""
