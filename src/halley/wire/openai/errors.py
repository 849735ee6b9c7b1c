"""Faults in OpenAI's shape, and what a vendor's error reply in that shape, or one like it, means. Pure."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.faults import (
    Fault,
    ModelNotOffered,
    Moderated,
    OutOfFunds,
    Refused,
    VendorBroken,
    VendorBusy,
    VendorRejectsUs,
)
from halley.kernel.loose import as_list, as_object, as_text
from halley.wire.refusals import read_object
from halley.wire.waits import wait_s
from halley.wire.words import bounded, field_of, masked

QUOTA_STATUS = 429
"""OpenAI's vocabulary has no 402: its SDKs know an empty account as 429 `insufficient_quota`."""
REFUSED_STATUS = 400
"""Nor a 422 for orders: a vendor of another format that refuses one answers 400 here. Its relatives keep their own."""
COMPLAINTS_MAX = 20

_MODERATED = re.compile(
    r"content[ _]?(?:filter|policy|management)|moderation[ _](?:blocked|policy|system)|(?:failed|requires) moderation|"
    r"safety (?:system|reasons|guidelines)|flagged|sensitive[ _](?:content|words?)|data_?inspection|"
    r"responsibleai|prompt_blocked|content exists risk|inappropriate content|\u654f\u611f",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient[ _](?:\w+[ _])?(?:quota|balance|credits?|funds)|billing|exceeded[ _](?:your )?current[ _]quota|"
    r"arrearage|credit balance|payment required",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"invalid[ _]api[ _]?key|api[ _]key not valid|api_key_invalid|incorrect api key", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model_not_found|model_decommissioned|invalid[ _]model\b|no endpoints found|deploymentnotfound|"
    r"\bmodel\b.{0,200}\b(?:not exist|not found|not available|decommissioned|do(?:es)? not have access)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_SERVED = "The vendor does not serve this model to this channel; the operator must mend it"
_REFUSALS = frozenset((400, 404, 405, 409, 413, 414, 415, 422))
_BUSY = frozenset((408, 425, 429, 498))
_REJECTIONS = frozenset((401, 402, 403, 407))
_MODERATIONS = frozenset((400, 403, 422, 451))


class VendorWords(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a vendor's refusal: its own status and words for the kind of mistake."""

    status: int
    type: str | None = None
    code: str | None = None


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    """An error reply of any shape, read."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    inner: str | None = None
    """Azure's closer word for the kind; its callers know the outer one."""
    param: str | None = None
    complaints: tuple[dict[str, Any], ...] = ()
    status: int | None = None

    @property
    def kind(self) -> str:
        """All words that tell the kind of mistake, and what is said of it."""
        return f"{self.code or ''} {self.inner or ''} {self.type or ''} {self.message}"


def render_fault(fault: Fault, request_id: str) -> tuple[int, dict[str, Any]]:
    """Write any fault in OpenAI's shape, as (status, body)."""
    words = fault.detail if isinstance(fault, Refused) and isinstance(fault.detail, VendorWords) else None
    error = {
        "message": fault.message,
        "type": (words and words.type) or fault.type,
        "param": fault.param,
        "code": (words and words.code) or fault.code,
        "request_id": request_id,
    }
    return (words.status if words else openai_status(type(fault))), {"error": error}


def openai_status(kind: type[Fault]) -> int:
    """Give a fault's status in OpenAI's vocabulary."""
    if issubclass(kind, Refused):
        return REFUSED_STATUS
    return QUOTA_STATUS if issubclass(kind, OutOfFunds) else kind.status


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Say what a vendor's error reply means: it produced nothing. Its words stay, its addresses and keys do not."""
    words = _words(read_object(body))
    return _fault(status, words, wait_s(headers))


def read_error(value: Any) -> Fault:
    """The same for an error inside a stream or a 2xx reply, which has no status but perhaps a code that is one."""
    words = _words({"error": value} if isinstance(value, str) else as_object(value))
    return _fault(words.status or _status_of(words), words, None)


def _fault(status: int, words: _Words, wait: int | None) -> Fault:
    if status in _MODERATIONS and _MODERATED.search(words.kind):
        return Moderated(
            _message(words, "The vendor refused the content"), param=words.param, detail=_detail(status, words)
        )
    if _is_no_model(status, words):
        return ModelNotOffered(_NOT_SERVED)
    if _is_ours(status, words):
        return VendorRejectsUs(_NOT_SERVED)
    if status in _BUSY:
        return VendorBusy("The vendor is as busy as it lets this channel make it; try again later", retry_after_s=wait)
    if status in _REFUSALS or 415 < status < 500:  # noqa: PLR2004  (all that is the order's mistake)
        message = _message(words, f"The vendor refused the request with HTTP {status}")
        return Refused(message, param=words.param, detail=_detail(status, words))
    return VendorBroken(f"The vendor failed to answer (HTTP {status})", retry_after_s=wait)


def _is_ours(status: int, words: _Words) -> bool:
    """Whether the operator's channel is at fault: its key, its credit or its address."""
    if status in _REJECTIONS:
        return True
    if status >= 500:  # noqa: PLR2004  (whatever it says, it failed)
        return False
    return bool(_NO_CREDIT.search(words.kind) or _BAD_KEY.search(words.kind))


def _is_no_model(status: int, words: _Words) -> bool:
    """Whether the vendor does not have the model, or not for this channel.

    A 404 that names no field is about the model or the path; one that does is about something in the order.
    """
    if status >= 500:  # noqa: PLR2004  (whatever it says, it failed)
        return False
    about_model = words.param in (None, "model")
    return about_model and (bool(_NO_MODEL.search(words.kind)) or (status == 404 and words.code is None))  # noqa: PLR2004  (as said above)


def _detail(status: int, words: _Words) -> object:
    """What stands beside a refusal: the validator's complaints for formats that list them, else the vendor's kind."""
    if words.complaints:
        return list(words.complaints)
    return VendorWords(status=status, type=words.type, code=words.code)


def _message(words: _Words, otherwise: str) -> str:
    return masked(words.message) or otherwise


def _status_of(words: _Words) -> int:
    """The status that the kind of error would have had outside a stream."""
    kind = f"{words.code or ''} {words.type or ''}".lower()
    if "rate_limit" in kind or "overloaded" in kind:
        return 429
    if "invalid_request" in kind or "invalid_prompt" in kind or _MODERATED.search(kind):
        return 400
    return 500


def _words(value: dict[str, Any]) -> _Words:
    """Read `{error: {…}}`, `{error: text}`, `{message}`, `{detail: text}` or `{detail: [complaints]}`."""
    error = value.get("error")
    fields = as_object(error) or value
    complaints = tuple(map(as_object, as_list(value.get("detail"))[:COMPLAINTS_MAX]))
    if complaints:
        return _of_complaints(complaints)
    code = fields.get("code")
    return _Words(
        message=as_text(fields.get("message")) or as_text(error) or _text_of(value.get("detail")),
        type=_word(fields.get("type")),
        code=_word(code),
        inner=_word(as_object(fields.get("innererror")).get("code")),
        param=_param(fields.get("param")),
        status=code if isinstance(code, int) and 400 <= code < 600 else None,  # noqa: PLR2004  (an HTTP status)
    )


def _of_complaints(complaints: tuple[dict[str, Any], ...]) -> _Words:
    """Read a validator's list of `loc`, `msg` and `type`."""
    kept: tuple[dict[str, Any], ...] = tuple(
        {"loc": as_list(one.get("loc")), "msg": masked(as_text(one.get("msg"))), "type": as_text(one.get("type"))}
        for one in complaints
    )
    param = field_of(as_list(complaints[0].get("loc")))
    return _Words(message=as_text(kept[0]["msg"]), type="invalid_request_error", param=param, complaints=kept)


def _text_of(value: Any) -> str:
    return as_text(value) or as_text(as_object(value).get("message")) or as_text(as_object(value).get("error"))


def _word(value: Any) -> str | None:
    """A word for the kind of an error; a number is a vendor's own and means nothing to a caller."""
    text = as_text(value)
    return None if not text or text.isdigit() else bounded(text)


def _param(value: Any) -> str | None:
    return bounded(as_text(value)) or None
