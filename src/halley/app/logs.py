"""How the process logs: one event a line, JSON for machines or columns for people, our own and the libraries' alike.

For machines, `world.access.AccessLog` spells the line of an answer itself; its fields are few, and none is a secret.
"""

import contextlib
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from halley.settings import Settings
from halley.world.lines import LineHandler, Lines

_HIDDEN = ("key", "secret", "token", "authorization", "password", "credential")
"""A field so named is never printed; what our own code logs has none, this is the second lock."""
_ALLOWED = frozenset({"key_id"})


def configure_logs(settings: Settings) -> None:
    """Set up structlog and the standard library's loggers."""
    machine = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        hide_secrets,
    ]
    rendering: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()] if machine else [_for_people()]
    )
    handler = _handler(machine=machine)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for library in ("alembic", "asyncio", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _handler(*, machine: bool) -> logging.Handler:
    # People get each line as it comes, among what else is printed to their terminal.
    if machine:
        with contextlib.suppress(OSError, ValueError):  # a stderr that is no file, as in a test or a notebook
            return LineHandler(Lines(sys.stderr.fileno()))
    return logging.StreamHandler(sys.stderr)


def _for_people() -> structlog.dev.ConsoleRenderer:
    # Never the pretty kind: it prints the values of local variables, and among those are keys and bodies.
    colors = sys.stderr.isatty()
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace the values of fields that sound like secrets."""
    for name in event:
        if name not in _ALLOWED and any(word in name.lower() for word in _HIDDEN):
            event[name] = "…"
    return event
