"""Everything that can go wrong with a call, as one tree; each dialect renders it in its own shape.

Fault
├── CallerFault            the caller can mend it; sent to no other channel
│   ├── BadRequest         400, one field named
│   │   └── NotConveyed    400, no channel can convey this field
│   ├── Unauthenticated    401
│   ├── OutOfFunds         the account's balance or the key's budget does not cover the hold
│   ├── Forbidden          403
│   ├── NotFound           404, also for what belongs to somebody else
│   │   └── NoSuchPath     404, no such route
│   ├── NotAllowed         405
│   ├── Conflict           409
│   │   ├── CancelNotSupported
│   │   ├── NotCancelled   the vendor refused to, or has not confirmed the order yet
│   │   ├── StillRunning   the first request with this idempotency key has not ended
│   │   └── NotReplayable  its answer was too large to keep
│   ├── TooLarge           413
│   ├── KeyReused          422, idempotency key with another request
│   ├── Refused            the vendor refused the order as it stands
│   │   └── Moderated      for what it says or shows
│   └── TooManyRequests    429
├── NoChannel              503, nothing serves this model
├── NoPrice                503, the model has no price, so a live key may not use it
├── Draining               503, starting or stopping
├── PictureNotReady        424, the wait is over and the task goes on
├── AnswerUnusable         424, the model ended without an answer, and is charged
├── VendorFault            a vendor or the way to it failed
│   ├── VendorUnreachable  nothing was sent
│   ├── VendorBusy         its rate limit
│   ├── VendorRejectsUs    our credentials or our credit there
│   │   └── ModelNotOffered  it does not have this model, or not for us
│   ├── VendorBroken       it answered that it failed
│   └── OutcomeUnknown     it may or may not have taken the order
└── Internal               500, our own mistake
"""

from typing import ClassVar, Literal

import msgspec

OpenAIType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "insufficient_quota",
    "rate_limit_error",
    "api_error",
]


class Fault(Exception):
    """A call that cannot be answered as asked.

    `message` names the value and the remedy; `param` the field; `retry_after_s` when to come again.
    """

    status: ClassVar[int] = 500
    type: ClassVar[OpenAIType] = "api_error"
    code: ClassVar[str] = "internal_error"
    may_retry: ClassVar[bool] = False
    """Whether the same request may succeed later without the caller changing anything."""

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class CallerFault(Fault):
    """The caller can mend it."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class BadRequest(CallerFault):
    """Something in the request is wrong; `param` names it."""


class NotConveyed(BadRequest):
    """No channel for this model can convey a field that was set."""

    code = "not_conveyed"


class Unauthenticated(CallerFault):
    """No key, an unknown or revoked one, or two that differ."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class OutOfFunds(CallerFault):
    """The balance or the key's budget does not cover the hold; the message names what was needed and what is left."""

    status = 402
    type = "insufficient_quota"
    code = "insufficient_quota"


class Forbidden(CallerFault):
    """The key may not do this."""

    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFound(CallerFault):
    """No such thing for this caller."""

    status = 404
    code = "not_found"


class NoSuchPath(NotFound):
    """No route has this path."""

    code = "unknown_path"


class NotAllowed(CallerFault):
    """The path is there, the method is not; `allow` lists those that are."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(CallerFault):
    """The state of the thing does not allow this now."""

    status = 409
    code = "conflict"


class CancelNotSupported(Conflict):
    """The vendor that runs this task cannot cancel it."""

    code = "cancel_not_supported"


class NotCancelled(Conflict):
    """The task was not cancelled: its vendor refused to, or has not confirmed the order yet."""

    code = "not_cancelled"
    may_retry = True


class StillRunning(Conflict):
    """The first request with this idempotency key has not ended yet."""

    code = "idempotency_key_in_use"
    may_retry = True


class NotReplayable(Conflict):
    """The first answer was too large to be kept."""

    code = "not_replayable"


class TooLarge(CallerFault):
    """The body is over the limit."""

    status = 413
    code = "request_too_large"


class KeyReused(CallerFault):
    """The idempotency key was used for another request."""

    status = 422
    code = "idempotency_key_reused"


class Refused(CallerFault):
    """The vendor refused the order as it stands; its words are in the message, its own body's `detail` beside them."""

    status = 422
    code = "vendor_refused"

    def __init__(self, message: str, *, param: str | None = None, detail: object = None) -> None:
        super().__init__(message, param=param)
        self.detail = detail


class Moderated(Refused):
    """The vendor refused the order for its content."""

    code = "content_policy_violation"


class TooManyRequests(CallerFault):
    """The caller's own limit."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    may_retry = True


class NoChannel(Fault):
    """No channel serves this model."""

    status = 503
    code = "model_not_found"


class NoPrice(Fault):
    """The model has no price."""

    status = 503
    code = "model_price_missing"


class Draining(Fault):
    """The gateway is starting or stopping."""

    status = 503
    code = "not_ready"
    may_retry = True


class PictureNotReady(Fault):
    """The wait is over and the task goes on; ordering again would order another picture."""

    # Of all statuses that fit, one that no client repeats by itself: these repeat 408, 409, 425, 429 and 5xx.
    status = 424
    code = "picture_not_ready"


class AnswerUnusable(Fault):
    """The model ended its answer in a way that leaves nothing to be used; what its vendor counted is charged."""

    # Each repeat would be charged too: a status that no client repeats by itself, as above.
    status = 424
    code = "answer_unusable"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor said, or what befell the way to it. For the operator: callers read none of it."""

    status: int | None = None
    words: str = ""
    redirects_to: str | None = None


class VendorFault(Fault):
    """A vendor, or the way to it, failed."""

    status = 502
    code = "vendor_error"
    heard: Heard | None = None


class VendorUnreachable(VendorFault):
    """No connection was made, so nothing was sent."""

    status = 503
    code = "vendor_unreachable"
    may_retry = True


class VendorBusy(VendorFault):
    """The vendor's own rate limit."""

    status = 429
    type = "rate_limit_error"
    code = "vendor_rate_limited"
    may_retry = True


class VendorRejectsUs(VendorFault):
    """The vendor refuses the operator's credentials or has no credit of ours left."""

    status = 503
    code = "vendor_account_unusable"


class ModelNotOffered(VendorRejectsUs):
    """The vendor does not have this model, or not for the operator; of its others this says nothing."""


class VendorBroken(VendorFault):
    """The vendor answered that it failed; it did not take the order."""

    code = "vendor_failed"
    may_retry = True


class OutcomeUnknown(VendorFault):
    """The vendor may or may not have taken the order: it is not sent again."""

    code = "outcome_unknown"


class Internal(Fault):
    """Our own mistake; the request id finds it in the log."""
