"""The socket's path in a form that the kernel takes: a path of a socket is at most 107 bytes, of a folder 4,096."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PATH_BYTES_MAX = 103
"""The smallest limit among the systems we run on."""


class PathTooLong(Exception):
    """The data folder's path is too long for a local socket on this system."""


@contextmanager
def address(path: Path) -> Generator[str]:
    """Give an address for `bind` or `connect` that is good while the context is open."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    if not sys.platform.startswith("linux"):
        raise PathTooLong(f"`{path}` is longer than {PATH_BYTES_MAX} bytes; choose a shorter `HALLEY_DATA_DIR`")
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
