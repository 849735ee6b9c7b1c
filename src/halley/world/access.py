"""The line that is logged for each answer. It goes past `logging`'s records where these would change nothing."""

import logging
import re
from functools import partial
from json.encoder import encode_basestring_ascii as quoted

from halley.kernel.clock import MICROSECONDS, Clock, rfc3339
from halley.world.lines import LineHandler, Lines

NAME = "halley.access"
KNOWN_MAX = 4_096
"""Of route, method and status: how many spellings are kept."""
LINE_BYTES = 320
"""About as long as a line is, for the bound of what waits."""
_CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
"""Theirs is printed when it is an id and nothing else."""


class AccessLog:
    """The logger `halley.access`, of which every request is told.

    Its fields are these few, and none is a secret: our ids, the template of a route, a method that we know, a status,
    a time, and the caller's own id of its request where it has the shape of one.
    """

    def __init__(self, clock: Clock, log: logging.Logger | None = None) -> None:
        self._clock = clock
        self._log = log or logging.getLogger(NAME)
        self.known: dict[tuple[str, str, int], str] = {}
        """How (route, method, status) is spelled."""
        self._second = -1
        self._until_second = ""

    def note(
        self, what: tuple[str, str, int], request_id: str, seconds: float, key_id: str | None, theirs: str | None
    ) -> None:
        """Tell of one answer: (route, method, status), our id and theirs, its time, and whose key it was."""
        if not self._log.isEnabledFor(logging.INFO):
            return
        if not theirs or _CLIENT_REQUEST_ID.fullmatch(theirs) is None:
            theirs = None
        lines = self._lines()
        if lines is not None:
            at = self._clock.now()
            lines.put_unspelled(partial(self._line, at, what, request_id, seconds, key_id, theirs), LINE_BYTES)
            return
        route, method, status = what
        facts = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": _milliseconds(seconds),
            "key_id": key_id,
            "client_request_id": theirs,
        }
        self._log.info("request", extra=facts)

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

    def _line(
        self,
        at: int,
        what: tuple[str, str, int],
        request_id: str,
        seconds: float,
        key_id: str | None,
        theirs: str | None,
    ) -> bytes:
        """Spell the same as a line of JSON: in the thread that writes it, one by one."""
        key = "null" if key_id is None else quoted(key_id)
        client = f'"{theirs}"' if theirs else "null"
        return (
            f'{self._begun(at)}Z", "request_id": {quoted(request_id)}, {self.known.get(what) or self._spell(what)}, '
            f'"ms": {_milliseconds(seconds)}, "key_id": {key}, "client_request_id": {client}}}\n'
        ).encode()

    def _begun(self, at: int) -> str:
        """The line up to the end of its time, which is the same for a second but for the last digits."""
        second, microsecond = divmod(at, MICROSECONDS)
        if second != self._second:
            self._second = second
            name, time = quoted(self._log.name), rfc3339(second * MICROSECONDS, digits=0).removesuffix("Z")
            self._until_second = f'{{"event": "request", "logger": {name}, "level": "info", "timestamp": "{time}.'
        return f"{self._until_second}{microsecond:06d}"

    def _spell(self, what: tuple[str, str, int]) -> str:
        route, method, status = what
        if len(self.known) >= KNOWN_MAX:
            self.known.clear()
        spelled = self.known[what] = f'"method": {quoted(method)}, "route": {quoted(route)}, "status": {status}'
        return spelled


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000, 3)
