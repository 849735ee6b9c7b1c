"""How a test orders an ending from a simulated vendor: by the header `Halley-Test` or by a marker in the prompt.

Pure; what each ending means on the wire is said by the vendor's own simulator.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

HEADER = "halley-test"
DELAY_S_MAX = 86_400
MARKER_CHARACTERS_MAX = 200

_MARKER_OPEN = re.compile(r"\[\[halley\b")
_MARKER = re.compile(rf"\[\[halley\b([^\[\]]{{0,{MARKER_CHARACTERS_MAX}}})\]\]")
_SEPARATORS = re.compile(r"[;,\s]+")
_SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,6})?")


class Outcome(StrEnum):
    """How a simulated job, or the call that makes it, ends."""

    SUCCESS = "success"
    REQUEST_MODERATED = "request_moderated"
    CONTENT_MODERATED = "content_moderated"
    VENDOR_ERROR = "vendor_error"
    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    OUT_OF_CREDIT = "out_of_credit"
    RATE_LIMITED = "rate_limited"
    CONNECT_REFUSED = "connect_refused"
    TIMEOUT_AFTER_SEND = "timeout_after_send"
    RESET_AFTER_SEND = "reset_after_send"
    GARBAGE = "garbage"
    NEVER_FINISHES = "never_finishes"
    UNKNOWN_STATE = "unknown_state"
    NOT_FOUND_LATER = "not_found_later"
    EXPIRED_LINK = "expired_link"
    CALLBACK_LOST = "callback_lost"
    CALLBACK_TWICE = "callback_twice"
    CUT_STREAM = "cut_stream"
    STALL_STREAM = "stall_stream"
    MALFORMED_FRAME = "malformed_frame"
    ERROR_FRAME = "error_frame"
    SLOW_FIRST_BYTE = "slow_first_byte"
    TOOL_CALL = "tool_call"
    REFUSAL = "refusal"
    LENGTH = "length"
    REASONING = "reasoning"


ANSWER_ONLY: frozenset[Outcome] = frozenset(
    {
        Outcome.CUT_STREAM,
        Outcome.STALL_STREAM,
        Outcome.MALFORMED_FRAME,
        Outcome.ERROR_FRAME,
        Outcome.SLOW_FIRST_BYTE,
        Outcome.TOOL_CALL,
        Outcome.REFUSAL,
        Outcome.LENGTH,
        Outcome.REASONING,
    }
)
"""Endings of an answer that comes within the call; a task has none of them."""

TASK_ONLY: frozenset[Outcome] = frozenset(
    {
        Outcome.NEVER_FINISHES,
        Outcome.UNKNOWN_STATE,
        Outcome.NOT_FOUND_LATER,
        Outcome.EXPIRED_LINK,
        Outcome.CALLBACK_LOST,
        Outcome.CALLBACK_TWICE,
    }
)
"""Endings of a task that is fetched later; an answer has none of them, but that a link in it may have ended."""


class Directive(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered ending; `delay_s` is how long the job takes, `None` means the sandbox's usual time."""

    outcome: Outcome = Outcome.SUCCESS
    delay_s: float | None = None

    def header(self) -> str:
        """The value of the header that orders this."""
        if self.delay_s is None:
            return f"outcome={self.outcome}"
        return f"outcome={self.outcome}; delay={self.delay_s:.6f}".rstrip("0").rstrip(".")


def directive_for(
    headers: Iterable[tuple[bytes, bytes]], prompt: str | None, *, without: frozenset[Outcome] = frozenset()
) -> Directive:
    """What a call orders, from its ASGI headers or else its prompt; without either, a plain success.

    Raises `ValueError` for what cannot be read, and for an outcome in `without`, which means nothing to this call.
    """
    directive = _ordered(headers, prompt)
    if directive.outcome in without:
        raise ValueError(f"the test outcome `{directive.outcome}` has no meaning for this call")
    return directive


def parse_header(text: str) -> Directive:
    """Read `outcome=content_moderated; delay=0.5`. Raises `ValueError` that names what is allowed."""
    fields: dict[str, str] = {}
    for part in _SEPARATORS.split(text.strip()):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals or key not in ("outcome", "delay"):
            raise ValueError(f"`{part[:40]}` is not a test directive; write `outcome=…` and, if wished, `delay=…`")
        if key in fields:
            raise ValueError(f"the test directive `{key}` is given more than once")
        fields[key] = value
    if not fields:
        raise ValueError("the test directive is empty; write `outcome=…` and, if wished, `delay=…`")
    delay = fields.get("delay")
    return Directive(
        outcome=_outcome(fields.get("outcome", Outcome.SUCCESS)), delay_s=None if delay is None else _delay_s(delay)
    )


def find_in_prompt(text: str) -> Directive | None:
    """The directive in `[[halley outcome=… delay=…]]`, or `None`. Raises `ValueError` for one that cannot be read."""
    opened = len(_MARKER_OPEN.findall(text))
    if opened == 0:
        return None
    if opened > 1:
        raise ValueError("the prompt holds more than one `[[halley …]]`")
    found = _MARKER.search(text)
    if found is None:
        raise ValueError(f"`[[halley` is not closed by `]]` within {MARKER_CHARACTERS_MAX} characters")
    return parse_header(found[1])


def without_marker(text: str) -> str:
    """The prompt as a person meant it, the marker cut out."""
    found = _MARKER.search(text)
    if found is None:
        return text
    return f"{text[: found.start()].rstrip()} {text[found.end() :].lstrip()}".strip()


def _ordered(headers: Iterable[tuple[bytes, bytes]], prompt: str | None) -> Directive:
    values = [value for name, value in headers if name.lower() == HEADER.encode()]
    if len(values) > 1:
        raise ValueError("the header `Halley-Test` is given more than once")
    if values:
        return parse_header(values[0].decode("latin-1"))
    return (find_in_prompt(prompt) if prompt else None) or Directive()


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError:
        allowed = ", ".join(f"`{outcome}`" for outcome in Outcome)
        raise ValueError(f"unknown test outcome `{text[:40]}`; it is one of {allowed}") from None


def _delay_s(text: str) -> float:
    if not _SECONDS.fullmatch(text) or float(text) > DELAY_S_MAX:
        raise ValueError(f"the test delay `{text[:40]}` is not a number of seconds from 0 to {DELAY_S_MAX}")
    return float(text)
