"""What is kept of a response: as its caller saw it, what it was made from, and who else has it."""

from typing import Any

import msgspec

from halley.kernel.clock import MICROSECONDS

KEPT_US = 30 * 24 * 3600 * MICROSECONDS
"""As long as OpenAI keeps them."""
INLINE_BYTES_MAX = 64 * 1024
"""What is larger goes to the object store, not into the row."""
TURNS_MAX = 200
"""Of one conversation."""
HISTORY_BYTES_MAX = 32 * 1024 * 1024
"""Of all its turns together, when they are put before a new one."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A response that is kept. Each of its two bodies is in the row or in the object store."""

    id: str
    """Ours, of the row: what a vendor calls its responses need not be unique."""
    response_id: str
    """As the caller saw it."""
    account_id: str
    project_id: str
    livemode: bool
    model: str
    """The public id."""
    channel_id: str
    """Who made it."""
    at_vendor: bool
    """Whether the vendor keeps it too, under the same id."""
    previous: str | None
    """The row of the response that it goes on from."""
    response: bytes | None
    """The whole object, as it was shown."""
    response_object: str | None
    input: bytes | None
    """`input` as it was sent, without what was said before."""
    input_object: str | None
    bytes: int
    """Of both."""
    created_at: int
    expires_at: int


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One response of a conversation, read."""

    id: str
    channel_id: str
    input: tuple[Any, ...]
    output: tuple[Any, ...]


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """A response that is kept no longer, or that was deleted, and whose row is still there."""

    id: str
    objects: tuple[str, ...]
