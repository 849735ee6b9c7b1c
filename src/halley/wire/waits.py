"""When to come again, from the headers of a reply. Pure, so dates in them are not read: there is no clock here."""

import re
from collections.abc import Mapping

WAIT_S_MAX = 86_400

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_DURATION = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_KINDS = ("requests", "tokens")


def wait_s(headers: Mapping[str, str]) -> int | None:
    """Give the whole seconds until the vendor wants to be asked again; None if it does not say."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    told = seconds_of(lower.get("retry-after-ms", ""), unit=0.001)
    if told is None:
        told = seconds_of(lower.get("retry-after", ""))
    return _reset(lower) if told is None else told


def seconds_of(text: str, unit: float = 1.0) -> int | None:
    """Read a number of units, with or without a fraction, as whole seconds, at the most a day."""
    return _whole(float(text) * unit) if _NUMBER.fullmatch(text) else None


def _reset(headers: Mapping[str, str]) -> int | None:
    """Give when what is used up comes back; where nothing is said to be used up, the sooner of both."""
    resets = {kind: _seconds(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in _KINDS}
    known = {kind: seconds for kind, seconds in resets.items() if seconds is not None}
    used_up = [seconds for kind, seconds in known.items() if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    if used_up:
        return _whole(max(used_up))
    return _whole(min(known.values())) if known else None


def _seconds(value: str) -> float | None:
    """Read `1h2m3s`, `6m0s`, `8.64s` or `20ms`; a bare number may be a date and is not read."""
    found = _DURATION.fullmatch(value)
    if not value or found is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _whole(seconds: float) -> int:
    return min(WAIT_S_MAX, max(1, -int(-seconds // 1)))
