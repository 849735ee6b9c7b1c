"""Names of HTTP headers, of which the same few come with every message. Pure."""

from functools import lru_cache

NAMES_REMEMBERED_MAX = 1_024
NAME_BYTES_REMEMBERED_MAX = 64


def header_name(name: bytes) -> str:
    """Give a header's name as text in lower case."""
    return _remembered(name) if len(name) <= NAME_BYTES_REMEMBERED_MAX else name.decode("latin-1").lower()


@lru_cache(maxsize=NAMES_REMEMBERED_MAX)
def _remembered(name: bytes) -> str:
    return name.decode("latin-1").lower()
