"""What a channel is."""

from collections.abc import Mapping
from typing import Literal

import msgspec


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One configured way to a vendor."""

    id: str
    name: str
    vendor: str
    base_url: str
    """Without a slash at its end."""
    credential: bytes | None
    """Sealed by the vault with the channel's id as context; None for a simulator."""
    models: tuple[str, ...]
    """Globs over public model ids."""
    model_map: Mapping[str, str] = {}
    """Public model id → the vendor's own name for it on this channel. Such a model is served whatever the globs say."""
    priority: int = 0
    """A higher one is tried first."""
    weight: int = 1
    """Share among channels of one priority; 0 takes it out of use."""
    at_once_max: int | None = None
    """The most calls that may run at the same time."""
    per_minute_max: int | None = None
    """The most calls that a full minute's worth has; what is used comes back evenly."""
    headers: bytes | None = None
    """Further headers for the vendor, sealed: see `open_headers`."""
    managed: Literal["file", "environment", "sandbox"]
    """Where it comes from: rows from the file or the environment are read-only elsewhere."""
    enabled: bool = True
    refused_url: str = ""
    """Of a simulator: an address that refuses connects, for the ending `connect_refused`."""

    @property
    def simulated(self) -> bool:
        """Whether a built-in simulator answers: the only channels that a test key may use."""
        return self.managed == "sandbox"
