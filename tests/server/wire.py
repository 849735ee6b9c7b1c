"""A connection without a network: bytes in at exact boundaries, bytes out kept, time that the test moves."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn
from tests.server.rig import DATE, App
from uvicorn.server import ServerState

from halley.server import HttpProtocol


class Wire(asyncio.Transport):
    """Keeps what was written and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.aborted = self.ended = self.paused = False
        self.untaken = 0
        """How much of what was written the client has not taken."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        assert not self.ended
        self.written += bytes(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        for data in list_of_data:
            self.write(data)

    def get_write_buffer_size(self) -> int:
        return self.untaken

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        del protocol

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Timer:
    def __init__(self, when: float, ring: Callable[[], None], timers: "list[Timer]") -> None:
        self._when = when
        self.ring = ring
        self._timers = timers

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self._timers.remove(self)


class Loop:
    """The running loop with a clock of its own."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._timers: list[Timer] = []
        self.create_task = asyncio.get_running_loop().create_task

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, ring: Callable[[], None]) -> Timer:
        self._timers.append(Timer(when, ring, self._timers))
        return self._timers[-1]

    def call_later(self, seconds: float, ring: Callable[[], None]) -> Timer:
        return self.call_at(self._now + seconds, ring)

    def tick(self, seconds: float) -> None:
        """Let time pass, and ring what is due, in order."""
        until = self._now + seconds
        while due := [timer for timer in self._timers if timer.when() <= until]:
            first = min(due, key=Timer.when)
            self._timers.remove(first)
            self._now = max(self._now, first.when())
            first.ring()
        self._now = until

    @property
    def timers(self) -> int:
        return len(self._timers)


class Line:
    """A protocol on such a wire."""

    def __init__(self, app: App, *, make: Callable[..., HttpProtocol] = HttpProtocol, **options: Any) -> None:
        options = {"ws": "none", "lifespan": "off", "log_config": None, **options}
        config = uvicorn.Config(app, **options)
        self.loop = Loop()
        self.wire = Wire()
        self.state = ServerState()
        self.state.default_headers = [DATE]
        loop: Any = self.loop
        self.protocol = make(config=config, server_state=self.state, app_state={}, _loop=loop)
        self.protocol.connection_made(self.wire)

    async def feed(self, *pieces: bytes) -> None:
        """Receive these, and let the app work after each; what is sent while reading is paused waits, as it would."""
        for piece in pieces:
            for _ in range(100):
                if not self.wire.paused:
                    break
                await asyncio.sleep(0)
            if self.wire.closed:
                break
            self.protocol.data_received(piece)
            await asyncio.sleep(0)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(1_000):
            if not self.state.tasks:
                break
            await asyncio.sleep(0)

    def lose(self) -> None:
        self.wire.closed = True
        self.protocol.connection_lost(None)
