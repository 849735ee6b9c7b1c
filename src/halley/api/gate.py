"""Bounds the bytes of all bodies that are held at once, and how many large ones are decoded at once."""

import asyncio
from collections import deque

from halley.kernel.faults import Draining

LARGE_FROM_BYTES = 256 * 1024
"""A body above this is decoded in a thread, and counts with the large ones."""
LARGE_BYTES_IN_ALL = 192 * 1024 * 1024
SMALL_BYTES_IN_ALL = 64 * 1024 * 1024
"""Of their own, so that a small order never waits for large ones."""
WAIT_S = 10.0
WAITING_MAX = 1_000
RETRY_S = 2
DECODES_MAX = 2
"""Of large bodies at once: each holds a thread, and several times its bytes."""


class Gate:
    """So many bytes and no more; who does not get in waits in a queue, for a while."""

    def __init__(self, bytes_max: int, wait_s: float = WAIT_S) -> None:
        self._bytes_max = bytes_max
        self._free = bytes_max
        self._wait_s = wait_s
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """Bytes that may still come in."""
        return self._free

    def take_now(self, size: int) -> bool:
        """Get in with so many bytes; False where others wait or there is no room."""
        if self._waiting or size > self._free:
            return False
        self._free -= size
        return True

    async def take(self, size: int) -> int:
        """Get in with so many bytes, and give how many to give back. Raises `Draining` when it is too full."""
        size = min(size, self._bytes_max)  # a body larger than all is allowed by the settings: it comes in alone
        if self.take_now(size):
            return size
        if len(self._waiting) >= WAITING_MAX:
            raise _full()
        await self._queue(size)
        return size

    def give(self, size: int) -> None:
        """Give bytes back, and let in who waits."""
        self._free += size
        assert self._free <= self._bytes_max
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            self._free -= size
            turn.set_result(None)

    async def _queue(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (size, turn)
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._wait_s):
                # `wait` leaves the future as it is when we are cancelled: whether we got in stays known.
                await asyncio.wait((turn,))
        except BaseException as error:
            if turn.done():
                self.give(size)
            else:
                self._waiting.remove(place)
                self.give(0)
            if isinstance(error, TimeoutError):
                raise _full() from error
            raise


class BodyGates:
    """What all calls share."""

    def __init__(self, small: int = SMALL_BYTES_IN_ALL, large: int = LARGE_BYTES_IN_ALL) -> None:
        self.small = Gate(small)
        self.large = Gate(large)
        self.decoding = asyncio.Semaphore(DECODES_MAX)


class Share:
    """What one call holds of the gates, until it ends."""

    def __init__(self, gates: BodyGates) -> None:
        self._gates = gates
        self._gate: Gate = gates.small
        self._size = 0

    @property
    def decoding(self) -> asyncio.Semaphore:
        """To be held while a large body is unpacked or decoded."""
        return self._gates.decoding

    async def need(self, size: int) -> None:
        """Have room for a body of this size; never less than before. Raises `Draining`."""
        if size <= self._size:
            return
        gate = self._gates.small if size <= LARGE_FROM_BYTES else self._gates.large
        assert not self._size or gate is not self._gate, "who waits where it holds a part may wait for ever"
        size = await gate.take(size)
        self.release()
        self._gate, self._size = gate, size

    def need_now(self, size: int) -> bool:
        """The same for a small body, where it needs no waiting; False, having taken nothing, where it does."""
        if self._size or size > LARGE_FROM_BYTES or not self._gates.small.take_now(size):
            return False
        self._size = size
        return True

    def keep(self, size: int) -> None:
        """Give back what turned out not to be needed."""
        if size < self._size:
            spare, self._size = self._size - size, size
            self._gate.give(spare)

    def release(self) -> None:
        """Give everything back."""
        size, self._size = self._size, 0
        if size:
            self._gate.give(size)


def _full() -> Draining:
    message = "More large requests are under way than there is memory for; try again in a moment"
    return Draining(message, retry_after_s=RETRY_S)
