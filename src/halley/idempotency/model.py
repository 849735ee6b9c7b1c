"""A request that carries an idempotency key, and what is known of an earlier one with the same key."""

import msgspec

Headers = tuple[tuple[str, str], ...]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A request about to be carried out. `boot_id` is the process that does it."""

    key_id: str
    value: str
    """The `Idempotency-Key` as the caller sent it."""
    fingerprint: str
    boot_id: str
    task_id: str | None
    now: int


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The key is new: carry the request out, then `finish` or `forget`."""


class Existing(msgspec.Struct, frozen=True, kw_only=True):
    """The key was used before."""

    same: bool
    """Whether it was with the same method, path and body."""
    finished: bool
    boot_id: str
    task_id: str | None
    status: int | None
    headers: Headers
    body: bytes | None
    too_large: bool
    """The answer was not kept for its size, so it cannot be given again."""
    created_at: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller was answered, to be given to each repeat."""

    status: int
    headers: Headers
    body: bytes
