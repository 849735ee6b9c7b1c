"""The calling side of the local socket: blocking, for the command line."""

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from halley.console.address import address
from halley.console.protocol import REPLY_BYTES_MAX, REQUEST_BYTES_MAX, CommandFailed, Line, Problem, Progress, Request

CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 120.0
"""Between two lines: a long command tells its progress more often than this."""
_CHUNK = 64 * 1024
_line = msgspec.json.Decoder(Line)


class NobodyAnswers(Exception):
    """No server listens at the local socket."""


class ConnectionCut(Exception):
    """The server went away before it answered: the command may or may not have been done."""


def call(path: Path, request: Request, progress: Progress) -> Any:
    """Run a command in the server. Raises `NobodyAnswers`, `CommandFailed` or `ConnectionCut`."""
    line = msgspec.json.encode(request) + b"\n"
    if len(line) > REQUEST_BYTES_MAX:
        message = f"The arguments are larger than {REQUEST_BYTES_MAX} bytes"
        raise CommandFailed(Problem(code="request_too_large", message=message))
    with _connected(path) as connection:
        try:
            connection.sendall(line)
            return _answer(connection, progress)
        except OSError as error:
            message = f"The server's answer to `{request.command}` was lost ({error}); look before you repeat"
            raise ConnectionCut(message) from error


@contextmanager
def _connected(path: Path) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            with address(path) as where:
                connection.connect(where)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyAnswers(str(path)) from error
        connection.settimeout(REPLY_TIMEOUT_S)
        yield connection


def _answer(connection: socket.socket, progress: Progress) -> Any:
    for text in _lines(connection):
        line = _line.decode(text)
        if line.error is not None:
            raise CommandFailed(line.error)
        if line.progress is None:
            return line.result
        progress(line.progress)
    raise ConnectionResetError("it closed the connection")


def _lines(connection: socket.socket) -> Iterator[bytes]:
    held = b""
    while chunk := connection.recv(_CHUNK):
        *whole, held = (held + chunk).split(b"\n")
        yield from whole
        if len(held) > REPLY_BYTES_MAX:
            raise ConnectionResetError("its answer has no end")
