"""The cells of the matrix: what can be driven, what means nothing, and what a vendor is exempt from, each with why."""

from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from halley.testing.wire import Break
from halley.vendors.contract import Vendor
from halley.vendors.simulate.directive import ANSWER_ONLY, Outcome

ENDINGS = tuple(ending for ending in Outcome if ending not in ANSWER_ONLY)
"""What can become of a task."""


class Operation(StrEnum):
    """What the gateway does at a vendor."""

    SUBMIT = "submit"
    POLL = "poll"
    CANCEL = "cancel"
    FIND = "find"
    UPLOAD = "upload"
    CALLBACK = "callback"
    DOWNLOAD = "download"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One operation with one ending at one vendor. `why_not` is set where it is not driven."""

    vendor: Vendor
    operation: Operation
    ending: Outcome
    why_not: str = ""
    is_exempt: bool = False
    """Whether the vendor says so, rather than the suite."""

    @property
    def name(self) -> str:
        """`submit/success`."""
        return f"{self.operation}/{self.ending}"


BREAKS: Mapping[Outcome, Break] = {
    Outcome(how.value): how for how in Break if how.value in {outcome.value for outcome in Outcome}
}
"""Endings that are given to a call itself, by a broken wire."""

LOST = frozenset({Outcome.TIMEOUT_AFTER_SEND, Outcome.RESET_AFTER_SEND, Outcome.GARBAGE})
"""Endings after which nobody knows whether the vendor took the order."""

_IS_ORDERED = "an ending of the order, not of this call"
_NOTHING: Mapping[str, str] = {
    "find/request_moderated": "a job whose reply was lost succeeds in the simulators",
    "find/content_moderated": "a job whose reply was lost succeeds in the simulators",
    "find/never_finishes": "a job whose reply was lost succeeds in the simulators",
    "find/unknown_state": "a job whose reply was lost succeeds in the simulators",
    "find/expired_link": "a job whose reply was lost succeeds in the simulators",
    "find/callback_*": "a job whose reply was lost succeeds in the simulators",
    **{
        f"{operation}/{ending}": _IS_ORDERED
        for operation in (Operation.UPLOAD, Operation.DOWNLOAD)
        for ending in (
            *("request_moderated", "content_moderated", "never_finishes", "unknown_state", "callback_lost"),
            "callback_twice",
        )
    },
    "upload/expired_link": "an upload has no link of ours that ends",
    "callback/connect_refused": "the job does not exist, so nothing calls back",
    "callback/invalid": "the job does not exist, so nothing calls back",
    "callback/unauthorized": "the job does not exist, so nothing calls back",
    "callback/out_of_credit": "the job does not exist, so nothing calls back",
    "callback/rate_limited": "the job does not exist, so nothing calls back",
}


def cells(vendor: Vendor) -> list[Cell]:
    """Every cell of a vendor that takes tasks, those that are not driven included."""
    if vendor.tasks is None or not vendor.simulator:
        return []
    return [_cell(vendor, operation, ending) for operation in Operation for ending in ENDINGS]


def _cell(vendor: Vendor, operation: Operation, ending: Outcome) -> Cell:
    name = f"{operation}/{ending}"
    exempt, nothing = _reason(vendor.exempt, name), _reason(_NOTHING, name)
    return Cell(vendor=vendor, operation=operation, ending=ending, why_not=exempt or nothing, is_exempt=bool(exempt))


def _reason(globs: Mapping[str, str], name: str) -> str:
    return next((why for glob, why in globs.items() if fnmatchcase(name, glob)), "")
