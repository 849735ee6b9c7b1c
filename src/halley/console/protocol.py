"""What travels over the local socket: one line of JSON in, then lines of progress, then one result or error."""

from collections.abc import Callable
from typing import Any

import msgspec

SOCKET_NAME = "halley.sock"
REQUEST_BYTES_MAX = 64 * 1024
REPLY_BYTES_MAX = 16 * 1024 * 1024


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command to run."""

    command: str
    args: msgspec.Raw = msgspec.Raw(b"{}")
    database: str = ""
    """The mark of the database that is meant; empty for whichever the server has."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How far a command is."""

    done: int
    total: int
    text: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a command was not run."""

    code: str
    message: str
    param: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the answer: exactly one of `progress` and `error` is set, or else it is the result."""

    progress: Step | None = None
    error: Problem | None = None
    result: Any = None


class CommandFailed(Exception):
    """A command was refused or failed; the message names the value and the remedy."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


Progress = Callable[[Step], None]
"""Told from time to time how far a command is; may be called from any thread."""
