"""What an order must come to, by the ending that its test ordered. Pure."""

import msgspec

from halley.kernel.order import FailureCode
from halley.tasks import TaskState
from halley.testing.conformance.cells import LOST
from halley.vendors.contract import Vendor, tasks_of
from halley.vendors.simulate.directive import Outcome

OK = (200, 201)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one order."""

    statuses: tuple[int, ...] = OK
    """Of the answer to the order."""
    state: TaskState = TaskState.SUCCEEDED
    failures: tuple[FailureCode, ...] = ()
    """Any one of these."""
    jobs: int = 1
    """What the vendor made of it."""
    is_exposed: bool = False
    """Whether it is listed for the operator as of unknown outcome."""
    is_unknown_first: bool = False
    """Whether it is unknown for a while."""

    @property
    def is_charged(self) -> bool:
        """Whether the caller pays."""
        return self.state is TaskState.SUCCEEDED


def _failed(*codes: FailureCode) -> Expected:
    return Expected(state=TaskState.FAILED, failures=codes)


def _refused(status: int, *codes: FailureCode) -> Expected:
    return Expected(statuses=(status,), state=TaskState.FAILED, failures=codes, jobs=0)


_SUCCESS = Expected()
_NEVER_TOLD = Expected(
    state=TaskState.FAILED, failures=(FailureCode.OUTCOME_UNKNOWN,), is_exposed=True, is_unknown_first=True
)
_MODERATED = (FailureCode.REQUEST_MODERATED, FailureCode.CONTENT_MODERATED)
_ENDS = {
    Outcome.SUCCESS: _SUCCESS,
    Outcome.CALLBACK_LOST: _SUCCESS,
    Outcome.CALLBACK_TWICE: _SUCCESS,
    # Not every vendor tells whether the request or the content was moderated.
    Outcome.REQUEST_MODERATED: _failed(*_MODERATED),
    Outcome.CONTENT_MODERATED: _failed(FailureCode.CONTENT_MODERATED),
    Outcome.VENDOR_ERROR: _failed(FailureCode.VENDOR_FAILED),
    Outcome.EXPIRED_LINK: _failed(FailureCode.OUTPUT_LOST),
    Outcome.INVALID: _refused(422, FailureCode.VENDOR_REFUSED),
    Outcome.UNAUTHORIZED: _refused(503, FailureCode.VENDOR_UNAVAILABLE),
    Outcome.OUT_OF_CREDIT: _refused(503, FailureCode.VENDOR_UNAVAILABLE),
    Outcome.RATE_LIMITED: _refused(429, FailureCode.VENDOR_UNAVAILABLE),
    Outcome.CONNECT_REFUSED: _refused(503, FailureCode.VENDOR_UNAVAILABLE),
    Outcome.NEVER_FINISHES: _NEVER_TOLD,
    Outcome.UNKNOWN_STATE: _NEVER_TOLD,
    Outcome.NOT_FOUND_LATER: _NEVER_TOLD,
}


def expected_of(vendor: Vendor, ending: Outcome) -> Expected:
    """What becomes of an order that only this vendor's simulator may take."""
    if ending in LOST:
        found = tasks_of(vendor).find is not None
        return Expected(is_unknown_first=True) if found else _NEVER_TOLD
    return _ENDS[ending]
