"""The signature of webhooks in this format (the scheme of Standard Webhooks), made and checked."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

TOLERANCE_S = 300
SIGNATURES_MAX = 16
_PREFIX = "whsec_"


def signed_headers(secret: str, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Headers of one webhook. Raises `ValueError` for a secret that is not base64."""
    key = _key(secret)
    if not key:
        message = "The webhook secret is empty or not base64 after `whsec_`"
        raise ValueError(message)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{_signature(key, message_id, str(timestamp_s), body)}",
    }


def verified(headers: Mapping[str, str], body: bytes, secret: str, now_s: int) -> bool:
    """Whether one of the signatures is right and the time is within five minutes. No secret, no trust."""
    key = _key(secret)
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not key or not message_id or not _is_recent(timestamp, now_s):
        return False
    expected = f"v1,{_signature(key, message_id, timestamp, body)}".encode()
    given = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
    # All are compared, so that the time taken does not tell which one was right.
    return sum(hmac.compare_digest(expected, one.encode()) for one in given) > 0


def _is_recent(timestamp: str, now_s: int) -> bool:
    if not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > len("9999999999"):
        return False
    return abs(int(timestamp) - now_s) <= TOLERANCE_S


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
