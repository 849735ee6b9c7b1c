"""Opens many streams and holds them until standard input ends.

An `Opening` is its first line of standard input; once all were tried it prints an `Opened`.
"""

import asyncio
import sys
from time import monotonic

import msgspec
import uvloop

from bench.bodies import TIME_MARK
from bench.load.caller import Caller
from bench.load.model import Opened, Opening
from bench.load.wire import requests


class First:
    """Waits for the first chunk of one stream."""

    def __init__(self) -> None:
        self.came: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def sent(self) -> None:
        """It waits from the start."""

    def body(self, data: bytes) -> None:
        if TIME_MARK in data:
            self._tell(stands=True)

    def read(self) -> None:
        """Only the first chunk is waited for."""

    def ended(self, status: int) -> None:  # noqa: ARG002 - whatever it is, the stream does not stand
        self._tell(stands=False)

    def broke(self) -> None:
        self._tell(stands=False)

    def _tell(self, *, stands: bool) -> None:
        if not self.came.done():
            self.came.set_result(stands)


class Holder:
    """Opens streams, so many at a time."""

    def __init__(self, wanted: Opening) -> None:
        self._wanted = wanted
        self._requests = requests(wanted.target)
        self._room = asyncio.Semaphore(wanted.at_once)
        self._callers: list[Caller] = []
        self.stand = self.bad = 0

    async def open_all(self) -> None:
        try:
            async with asyncio.timeout(self._wanted.timeout_s), asyncio.TaskGroup() as group:
                for _ in range(self._wanted.streams):
                    group.create_task(self._open())
        except TimeoutError:
            return  # those that stand are counted

    async def _open(self) -> None:
        async with self._room:
            first = First()
            loop = asyncio.get_running_loop()
            try:
                _, caller = await loop.create_connection(
                    lambda: Caller(self._requests, first, until=0.0), "127.0.0.1", self._wanted.target.port
                )
            except OSError:
                return
            self._callers.append(caller)
            if await first.came:
                self.stand += 1
            else:
                self.bad += 1


async def run(wanted: Opening) -> None:
    holder = Holder(wanted)
    began = monotonic()
    await holder.open_all()
    broken = wanted.streams - holder.stand - holder.bad
    opened = Opened(streams=holder.stand, bad=holder.bad, broken=broken, seconds=monotonic() - began)
    sys.stdout.buffer.write(msgspec.json.encode(opened) + b"\n")
    sys.stdout.buffer.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.buffer.readline(), type=Opening)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(wanted))


if __name__ == "__main__":
    main()
