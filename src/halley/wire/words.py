"""A vendor's words, made fit for a caller: bounded, without addresses, keys and ids of accounts. Pure."""

import re
from typing import Any

REMOVED = "(removed)"
MESSAGE_CHARACTERS_MAX = 1_000
WORD_CHARACTERS_MAX = 100

_SECRETS = re.compile(
    r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s\"'<>]+"  # URLs
    r"|\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+\b"  # e-mail addresses
    # Hosts.
    r"|\b(?:[a-z0-9-]{1,63}\.)+(?:com|ai|net|org|io|dev|cloud|cn|co|app|eu|us|internal|local|svc)\b(?::\d{1,5})?"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"  # addresses
    r"|\b(?:sk|pk|rk|gsk|xai|org|proj|req|acct|tgp|nvapi|pplx|csk)[-_][\w*.-]{6,}"  # keys, accounts, requests
    r"|\bAIza[\w-]{10,}"
    r"|\bBearer\s+[\w.~+/-]+=*",
    re.IGNORECASE,
)
_WRAPPED = ("body", "query", "path")


def masked(text: str) -> str:
    """The same words without what tells whose they are."""
    clean = " ".join(_SECRETS.sub(REMOVED, text[: 4 * MESSAGE_CHARACTERS_MAX]).split())
    return clean if len(clean) <= MESSAGE_CHARACTERS_MAX else clean[: MESSAGE_CHARACTERS_MAX - 1] + "…"


def bounded(text: str) -> str:
    """One word of a vendor's."""
    return masked(text[:WORD_CHARACTERS_MAX])


def field_of(place: list[Any]) -> str | None:
    """Give the name of a field that a validator names by its steps: `["body", "messages", 0]` is `messages[0]`."""
    steps = place[1:] if place and place[0] in _WRAPPED else place
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps[:10])
    return bounded(name.lstrip(".")) or None
