"""The line that is logged for each answer. It goes past `logging`'s records where these would change nothing."""

import logging
import re
from collections.abc import Sequence
from functools import partial
from json.encoder import encode_basestring_ascii as quoted

from halley.kernel.clock import MICROSECONDS, Clock, rfc3339
from halley.world.lines import LineHandler, Lines

NAME = "halley.access"
KNOWN_MAX = 4_096
"""Of route, method and status: how many spellings are kept."""
LINE_BYTES = 320
"""About as long as a line is, for the bound of what waits."""
Answer = tuple[tuple[str, str, int], str, float, str | None, str | None, str | None]
"""(route, method, status), our id, its time in seconds, whose key it was, the caller's own id, and a fault's code."""
_CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
"""Theirs is printed when it is an id and nothing else."""


class AccessLog:
    """The logger `halley.access`, of which every request is told.

    Its fields are these few, and none is a secret: our ids, the template of a route, a method that we know, a status,
    a time, the caller's own id of its request where it has the shape of one, and the code of a request that failed.
    """

    def __init__(self, clock: Clock, log: logging.Logger | None = None) -> None:
        self._clock = clock
        self._log = log or logging.getLogger(NAME)
        self.known: dict[tuple[str, str, int], str] = {}
        """How (route, method, status) is spelled."""
        self._second = -1
        self._until_second = ""

    def note(self, *answers: Answer) -> None:
        """Tell of answers that were given just now."""
        if not self._log.isEnabledFor(logging.INFO):
            return
        lines = self._lines()
        if lines is not None:
            lines.put_unspelled(partial(self._spell, self._clock.now(), answers), LINE_BYTES * len(answers))
            return
        for (route, method, status), request_id, seconds, key_id, theirs, code in answers:
            facts = {
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": _milliseconds(seconds),
                "key_id": key_id,
                "client_request_id": _printed(theirs),
            }
            self._log.info("request", extra=facts if code is None else {**facts, "code": code})

    def _lines(self) -> Lines | None:
        """Where a line of JSON may go: the one handler of all, when nothing else listens, filters or stands between."""
        logger = self._log
        if logger.filters:
            return None
        while logger.parent is not None:
            if logger.handlers or not logger.propagate:
                return None
            logger = logger.parent
        handlers = logger.handlers
        if len(handlers) != 1 or type(handlers[0]) is not LineHandler or handlers[0].filters:
            return None
        return handlers[0].stream

    def _spell(self, at: int, answers: Sequence[Answer]) -> bytes:
        """Spell the same as lines of JSON: in the thread that writes them, one after the other."""
        begun = self._begun(at)
        return "".join([self._line(begun, answer) for answer in answers]).encode()

    def _line(self, begun: str, answer: Answer) -> str:
        what, request_id, seconds, key_id, theirs, code = answer
        key = "null" if key_id is None else quoted(key_id)
        client = f'"{theirs}"' if theirs and _printed(theirs) else "null"
        failed = "" if code is None else f', "code": {quoted(code)}'
        return (
            f'{begun}Z", "request_id": {quoted(request_id)}, {self.known.get(what) or self._spell_what(what)}, '
            f'"ms": {_milliseconds(seconds)}, "key_id": {key}, "client_request_id": {client}{failed}}}\n'
        )

    def _begun(self, at: int) -> str:
        """The line up to the end of its time, which is the same for a second but for the last digits."""
        second, microsecond = divmod(at, MICROSECONDS)
        if second != self._second:
            self._second = second
            name, time = quoted(self._log.name), rfc3339(second * MICROSECONDS, digits=0).removesuffix("Z")
            self._until_second = f'{{"event": "request", "logger": {name}, "level": "info", "timestamp": "{time}.'
        return f"{self._until_second}{microsecond:06d}"

    def _spell_what(self, what: tuple[str, str, int]) -> str:
        route, method, status = what
        if len(self.known) >= KNOWN_MAX:
            self.known.clear()
        spelled = self.known[what] = f'"method": {quoted(method)}, "route": {quoted(route)}, "status": {status}'
        return spelled


def _printed(theirs: str | None) -> str | None:
    return theirs if theirs and _CLIENT_REQUEST_ID.fullmatch(theirs) else None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000, 3)
