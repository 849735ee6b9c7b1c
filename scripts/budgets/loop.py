"""The event loop of the gateway, which counts tasks, timers and jobs for other threads, and opens no connection."""

import asyncio
from collections.abc import Callable, Generator
from itertools import count
from typing import Any, Protocol

import uvloop

OWN = ("tasks", "timers", "hops")
"""What the loop counts."""
TURNS = 200
"""Turns of the loop after which whoever needs no other thread has come as far as it can."""
_STEP_S = 0.000_001
Callback = Callable[..., Any]


class Hosts(Protocol):
    """What answers in place of vendors."""

    def connect(self, protocol: asyncio.Protocol, raw: Any) -> asyncio.BaseTransport:
        """Give the transport of a new connection."""
        ...


class Timer:
    """A timer that does not ring while the loop is still."""

    def __init__(self, when: float, callback: Callback, args: tuple[Any, ...]) -> None:
        self._when = when
        self.job: tuple[Callback, tuple[Any, ...]] | None = (callback, args)

    def cancel(self) -> None:
        self.job = None

    def cancelled(self) -> bool:
        return self.job is None

    def when(self) -> float:
        return self._when


class Listening:
    """What stands for the server's socket: callers come by another way."""

    def __init__(self) -> None:
        self.sockets = ()

    def close(self) -> None:
        """Close nothing."""

    async def wait_closed(self) -> None:
        """Wait for nothing."""


class CountingLoop(uvloop.Loop):
    """uvloop, as the gateway runs on. While it is `still`, its time hardly moves and no timer rings."""

    serve: Callable[[], asyncio.Protocol]
    """Makes the server's end of a connection, once the server listens."""

    def prepare(self, hosts: Hosts) -> None:
        """Begin to count."""
        self.hosts = hosts
        self.is_still = self.counting = False
        self.counted = dict.fromkeys(OWN, 0)
        self.hopping: set[object] = set()
        """Jobs that another thread has not done yet."""
        self._waiting: list[Timer] = []
        self._now = count(super().time(), _STEP_S)
        self.set_task_factory(self._make_task)

    def hold_still(self) -> None:
        """From now on only what is asked of the gateway happens."""
        self._now = count(super().time(), _STEP_S)
        self.is_still = True

    def go_on(self) -> None:
        """Let all timers ring that were kept from it."""
        self.is_still = False
        for timer in self._waiting:
            if timer.job is not None:
                callback, args = timer.job
                self.call_soon(callback, *args)

    def time(self) -> float:
        return next(self._now) if self.is_still else super().time()

    def call_later(self, delay: float, callback: Callback, *args: Any, **context: Any) -> Any:
        return self._timer(self.time() + delay, delay, callback, args, context)

    def call_at(self, when: float, callback: Callback, *args: Any, **context: Any) -> Any:
        return self._timer(when, when - self.time(), callback, args, context)

    def run_in_executor(self, executor: Any, func: Callback, *args: Any) -> Any:
        self.counted["hops"] += self.counting
        job = object()
        self.hopping.add(job)

        def run() -> Any:
            try:
                return func(*args)
            finally:
                self.hopping.discard(job)

        return super().run_in_executor(executor, run)

    async def create_connection(self, protocol_factory: Callback, *_: Any, **options: Any) -> Any:
        """Connect to what answers in place of the vendor; the socket is there for its look only."""
        protocol = protocol_factory()
        transport = self.hosts.connect(protocol, options["sock"])
        protocol.connection_made(transport)
        return transport, protocol

    async def create_server(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        """Keep what makes the server's ends of connections."""
        self.serve = protocol_factory
        return Listening()

    def _timer(self, when: float, delay: float, callback: Callback, args: tuple[Any, ...], context: Any) -> Any:
        self.counted["timers"] += self.counting
        if self.is_still:
            timer = Timer(when, callback, args)
            self._waiting.append(timer)
            return timer
        return super().call_later(delay, self._ring, callback, args, **context)

    def _ring(self, callback: Callback, args: tuple[Any, ...]) -> None:
        if self.is_still:
            self._waiting.append(Timer(0.0, callback, args))
        else:
            callback(*args)

    def _make_task(self, _loop: Any, work: Any, **named: Any) -> "asyncio.Task[Any]":
        self.counted["tasks"] += self.counting
        return asyncio.Task(work, loop=self, **named)


class Turn:
    """Awaited, lets the loop turn once, and costs no call that is counted."""

    def __await__(self) -> Generator[None]:
        yield


async def turns(number: int = TURNS) -> None:
    """Let the loop turn."""
    for _ in range(number):
        await Turn()
