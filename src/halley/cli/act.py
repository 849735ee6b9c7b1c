"""Runs a command where the data is: in the running server, through its local socket, else here."""

import asyncio
from typing import Any, TypeVar

import msgspec

from halley.cli.output import progress_bar
from halley.console.client import NobodyAnswers, call
from halley.console.lock import DataFolderInUse, DataLock
from halley.console.protocol import SOCKET_NAME, Progress, Request
from halley.console.schema import check_schema
from halley.console.services import database_mark, open_services
from halley.settings import Settings

T = TypeVar("T")


def act(settings: Settings, command: str, args: msgspec.Struct, result: type[T]) -> T:
    """Run a command and give its result, with a bar while it takes long."""
    request = Request(command=command, args=msgspec.Raw(msgspec.json.encode(args)), database=database_mark(settings))
    with progress_bar(command.replace(".", " ")) as progress:
        try:
            found = call(settings.data_dir / SOCKET_NAME, request, progress)
        except NobodyAnswers:
            found = _alone(settings, request, progress)
    return msgspec.convert(found, result)


def _alone(settings: Settings, request: Request, progress: Progress) -> Any:
    """Nobody serves this data folder: take the lock (SQLite has one writer) and do it here."""
    if settings.database_path is None:
        return asyncio.run(_run(settings, request, progress))
    lock = DataLock(settings.data_dir, f"halley {request.command.replace('.', ' ')}", settings.database_path)
    try:
        lock.acquire()
    except DataFolderInUse as error:
        raise BusyElsewhere(error) from error
    try:
        return asyncio.run(_run(settings, request, progress))
    finally:
        lock.release()


class BusyElsewhere(DataFolderInUse):
    """Somebody holds the lock and yet does not answer: it is starting, stopping, or another command."""

    def __init__(self, error: DataFolderInUse) -> None:
        Exception.__init__(self, f"{error.holder or 'Another process'} works on the data folder; try again in a moment")
        self.holder = error.holder


async def _run(settings: Settings, request: Request, progress: Progress) -> Any:
    from halley.console.commands import COMMANDS, run_command

    await asyncio.to_thread(check_schema, settings)
    command = COMMANDS.get(request.command)
    needs_world = command is not None and command.needs_world
    # What it imports reads files for a while.
    opened = await asyncio.to_thread(_open_world, settings) if needs_world else open_services(settings)
    async with opened as services:
        return msgspec.to_builtins(await run_command(services, request, progress))


def _open_world(settings: Settings) -> Any:
    from halley.app import open_world

    # Channels stay as the service wrote them: this shell may lack what the service's environment has.
    return open_world(settings, sync=False)
