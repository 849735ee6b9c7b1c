"""How many files the process may have open, and how many of them may be callers' connections."""

import contextlib
import resource

CONNECTIONS_MAX = 20_000
"""Of callers at once. One that sends slowly what nobody has asked for yet takes up to 110 KB."""
CONNECTIONS_PART = 2
"""One in so many open files may be a caller's: a call may have another one to its vendor, and there are database and
outputs."""


def raise_file_limit() -> None:
    """Have as many open files as are of use, where the machine allows it: most start a process with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = CONNECTIONS_MAX * CONNECTIONS_PART
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with contextlib.suppress(ValueError, OSError):  # macOS may allow less than it says: then it stays as it was
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def connections_max() -> int:
    """Give how many callers may be connected at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else min(CONNECTIONS_MAX, soft // CONNECTIONS_PART)
