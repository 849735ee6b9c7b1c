"""What an answer must come to, by the ending that its test ordered. Pure."""

import msgspec

from halley.kernel.faults import (
    Fault,
    Refused,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
    VendorUnreachable,
)
from halley.kernel.operation import COUNTING, Operation
from halley.testing.conformance.answer_cells import BROKEN_STREAMS, AnswerCell, Mode
from halley.usage.model import Outcome as End
from halley.vendors.simulate.directive import Outcome


class ExpectedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one call."""

    is_answered: bool = False
    """Whether a whole answer is an end that it may have."""
    faults: tuple[type[Fault], ...] = ()
    """Any one of these is; empty where the call must be answered."""
    is_lost: bool = False
    """Whether the vendor may have worked for it, so that it may bill the operator."""
    is_cut: bool = False
    """Whether the caller gets a part, and hears that it is no more."""

    @property
    def failure(self) -> End:
        """How it is written down when it is not answered."""
        return End.LOST if self.is_lost else End.FAILED


ANSWERED = ExpectedAnswer(is_answered=True)
CUT = ExpectedAnswer(is_cut=True)
_LOST = ExpectedAnswer(faults=(VendorBroken,), is_lost=True)
_ENDS = {
    # Some vendors refuse such a call, others tell it in the answer.
    Outcome.REQUEST_MODERATED: ExpectedAnswer(is_answered=True, faults=(Refused,)),
    Outcome.CONTENT_MODERATED: ExpectedAnswer(is_answered=True, faults=(Refused,)),
    Outcome.INVALID: ExpectedAnswer(faults=(Refused,)),
    Outcome.UNAUTHORIZED: ExpectedAnswer(faults=(VendorRejectsUs,)),
    # Some vendors have one word for a credit that is used up and for one that is used too fast.
    Outcome.OUT_OF_CREDIT: ExpectedAnswer(faults=(VendorRejectsUs, VendorBusy)),
    Outcome.RATE_LIMITED: ExpectedAnswer(faults=(VendorBusy,)),
    Outcome.VENDOR_ERROR: ExpectedAnswer(faults=(VendorBroken,)),
    Outcome.CONNECT_REFUSED: ExpectedAnswer(faults=(VendorUnreachable,)),
    Outcome.TIMEOUT_AFTER_SEND: _LOST,
    Outcome.RESET_AFTER_SEND: _LOST,
    Outcome.GARBAGE: _LOST,
    Outcome.CUT_STREAM: _LOST,
    Outcome.STALL_STREAM: _LOST,
    Outcome.MALFORMED_FRAME: _LOST,
    # A vendor's own error, of which some say that they have too much to do.
    Outcome.ERROR_FRAME: ExpectedAnswer(faults=(VendorBroken, VendorBusy)),
}


def expected_answer(cell: AnswerCell) -> ExpectedAnswer:
    """What becomes of a call that only this vendor's simulator may answer."""
    if cell.operation in COUNTING:
        # What the vendor cannot count is counted here.
        return _ENDS[Outcome.INVALID] if cell.ending is Outcome.INVALID else ANSWERED
    if cell.ending in BROKEN_STREAMS and _flows(cell):
        return CUT
    return _ENDS.get(cell.ending, ANSWERED)


def _flows(cell: AnswerCell) -> bool:
    """Whether the answer goes on to the caller while it comes: streams, and sound, which is no stream of events."""
    sound = cell.operation is Operation.SPEECH and cell.ending in (Outcome.CUT_STREAM, Outcome.STALL_STREAM)
    return cell.mode is not Mode.WHOLE or sound
