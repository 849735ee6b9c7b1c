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


class Directive(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered ending; `delay_s` is how long the job takes, `None` means the sandbox's usual time."""

    outcome: Outcome = Outcome.SUCCESS
    delay_s: float | None = None

    def header(self) -> str:
        """The value of the header that orders this."""
        if self.delay_s is None:
            return f"outcome={self.outcome}"
        return f"outcome={self.outcome}; delay={self.delay_s:.6f}".rstrip("0").rstrip(".")


def directive_for(headers: Iterable[tuple[bytes, bytes]], prompt: str | None) -> Directive:
    """What a call orders, from its ASGI headers or else its prompt; without either, a plain success."""
    values = [value for name, value in headers if name.lower() == HEADER.encode()]
    if len(values) > 1:
        raise ValueError("the header `Halley-Test` is given more than once")
    if values:
        return parse_header(values[0].decode("latin-1"))
    return (find_in_prompt(prompt) if prompt else None) or Directive()


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
