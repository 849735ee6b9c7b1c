"""How a realtime session ends: who ended it, with which code, and what each side is told. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.faults import CallerFault, Draining, Fault, VendorBroken, VendorRejectsUs
from halley.upstream.websocket import Closed
from halley.wire.openai.errors import read_refusal
from halley.wire.words import masked

REASON_BYTES_MAX = 123
"""What fits into a closing frame."""
NORMAL, GOING_AWAY, POLICY, FAILED, RESTART = 1000, 1001, 1008, 1011, 1012
_BAD_REQUEST = 400
_NEVER_SENT = frozenset((1004, 1005, 1006, 1015))
_REGISTERED = range(1000, 1016)
_PRIVATE = range(3000, 5000)


class SessionExpired(CallerFault):
    """The session has lasted as long as one may."""

    code = "session_expired"


class SessionIdle(CallerFault):
    """Nothing has happened in the session for too long."""

    code = "session_idle"


class Side(StrEnum):
    """Who ends a session."""

    CLIENT = "client"
    VENDOR = "vendor"
    US = "us"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a session; `fault` is told in an event before the closing frame."""

    by: Side
    code: int
    reason: str = ""
    fault: Fault | None = None

    @property
    def vendor_code(self) -> int:
        """What the vendor is closed with: the caller's own code, else that all is well."""
        return self.code if self.by is Side.CLIENT else NORMAL


def of_client(closed: Closed) -> Ending:
    """Give the end that a caller made."""
    if closed.code is None:
        return Ending(by=Side.CLIENT, code=NORMAL)
    code = closed.code if _may_be_sent(closed.code) else GOING_AWAY
    return Ending(by=Side.CLIENT, code=code, reason=closed.reason)


def of_vendor(closed: Closed) -> Ending:
    """Give the end that a vendor made: its code and words, without what is between it and the operator."""
    if closed.lost:
        message = "The connection to the vendor was lost; what was received is charged. Open another session"
        return Ending(by=Side.VENDOR, code=FAILED, reason=VendorBroken.code, fault=VendorBroken(message))
    if closed.code is None:
        return Ending(by=Side.VENDOR, code=NORMAL)
    fault = about_operator({"code": closed.reason, "message": closed.reason}) if closed.reason else None
    if fault is not None:
        return Ending(by=Side.VENDOR, code=FAILED, reason=fault.code, fault=fault)
    code = closed.code if _may_be_sent(closed.code) else FAILED
    return Ending(by=Side.VENDOR, code=code, reason=_bounded(masked(closed.reason)))


def about_operator(error: Mapping[str, Any]) -> Fault | None:
    """Give the fault for a vendor's error about the operator's account, which is none of the caller's business."""
    fault = read_refusal(_BAD_REQUEST, {}, codec.encode({"error": error}))
    return fault if isinstance(fault, VendorRejectsUs) else None


def ending_of_fault(fault: Fault) -> Ending:
    """Give the end that a fault makes."""
    match fault:
        case SessionExpired() | SessionIdle():
            code = GOING_AWAY
        case CallerFault():
            code = POLICY
        case Draining():
            code = RESTART
        case _:
            code = FAILED
    return Ending(by=Side.US, code=code, reason=fault.code, fault=fault)


def _may_be_sent(code: int) -> bool:
    return code not in _NEVER_SENT and (code in _REGISTERED or code in _PRIVATE)


def _bounded(reason: str) -> str:
    return reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
