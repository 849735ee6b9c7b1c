"""What is kept of a file beside its bytes."""

import msgspec

from halley.kernel.ids import TaskId


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """An output of a task, mirrored into our store. `n` counts from 0 in the vendor's order."""

    task_id: TaskId
    n: int
    account_id: str
    project_id: str
    livemode: bool
    object_key: str
    sha256: str
    """Of the bytes, in hex."""
    bytes: int
    content_type: str
    """What the bytes are, not what the vendor called them."""
    width: int | None = None
    height: int | None = None
    created_at: int
    expires_at: int
    """When retention ends; links end no later."""
    deleted_at: int | None = None
    """When the bytes were deleted; the row stays as long as its task."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a caller uploaded, to be used as an input."""

    id: str
    account_id: str
    project_id: str
    livemode: bool
    name: str
    content_type: str
    """What the caller called it; it is only served as something harmless, see `rules.response_headers`."""
    object_key: str
    sha256: str
    bytes: int
    metadata: str
    """The caller's own JSON object."""
    created_at: int
    expires_at: int
