"""What is asked for on the command line."""

import msgspec

QUICK_SECONDS, QUICK_ROUNDS = 1.0, 1
SECONDS, ROUNDS = 5.0, 3


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    cases: tuple[str, ...]
    systems: tuple[str, ...]
    """Only these; all if empty."""
    peers: bool
    rounds: int
    seconds: float
    quick: bool
    wrk: bool
    """Whether whole calls come from `wrk`, or from our own loop, which needs nothing and takes more CPU."""
    database_url: str | None
    against: str | None
    """A commit that is measured beside the tree."""
    idle_streams: int
