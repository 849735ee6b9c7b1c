"""Bounds the bytes of all bodies that are held at once, parted by key, and how many large ones are decoded at once."""

import asyncio
from collections import Counter, deque

from halley.kernel.faults import Draining

LARGE_FROM_BYTES = 256 * 1024
"""A body above this is decoded in a thread, and counts with the large ones."""
LARGE_BYTES_IN_ALL = 256 * 1024 * 1024
SMALL_BYTES_IN_ALL = 128 * 1024 * 1024
"""Of their own, so that a small order never waits for large ones."""
WAIT_S = 10.0
WAITING_MAX = 1_000
RETRY_S = 2
DECODES_MAX = 2
"""Of large bodies at once: each holds a thread, and several times its bytes."""
NOBODY = ""
"""All calls without a key have one share together: whoever sends them can be as many as it likes."""

_Place = tuple[int, asyncio.Future[None]]
"""How many bytes are waited for, and what is done once they are in."""


class Gate:
    """So many bytes and no more; who does not get in waits in a queue, for a while.

    No owner takes more than it leaves free: one has half, a second half of what is left, and so on. Who waits for more
    than that is passed over; who has nothing in and waits for room keeps its turn.
    """

    def __init__(self, bytes_max: int, wait_s: float = WAIT_S) -> None:
        self._bytes_max = bytes_max
        self._free = bytes_max
        self._wait_s = wait_s
        self._taken = Counter[str]()
        """By owner; what `take_now` lets in is nobody's."""
        self._waiting: dict[str, deque[_Place]] = {}
        """By owner, in the order of their turns."""
        self._closed = False
        """Whether somebody keeps its turn."""

    @property
    def free(self) -> int:
        """Bytes that may still come in."""
        return self._free

    def take_now(self, size: int) -> bool:
        """Get in with so many bytes of no owner; False where somebody keeps its turn or there is no room."""
        if self._closed or size > self._free:
            return False
        self._free -= size
        return True

    async def take(self, size: int, owner: str) -> int:
        """Get in with so many bytes, and give how many to give back. Raises `Draining` when it is too full."""
        size = min(size, self._bytes_max)  # a body larger than all is allowed by the settings: it comes in alone
        if not self._closed and owner not in self._waiting and self._has_room(size, owner):
            self._let_in(size, owner)
        else:
            await self._queue(size, owner)
        return size

    def give(self, size: int, owner: str | None = None) -> None:
        """Give bytes back that an owner took, or `take_now`, and let in who waits."""
        self._free += size
        assert self._free <= self._bytes_max
        if owner is not None:
            self._taken[owner] -= size
            assert self._taken[owner] >= 0
            if not self._taken[owner]:
                del self._taken[owner]
        if self._waiting:
            self._go_on()

    def _has_room(self, size: int, owner: str) -> bool:
        is_alone = self._free == self._bytes_max
        return is_alone or self._taken[owner] + size <= self._free - size

    def _let_in(self, size: int, owner: str) -> None:
        self._free -= size
        self._taken[owner] += size

    def _go_on(self) -> None:
        """Let in who waits, one of each owner in turn."""
        self._closed = False
        owners = deque(self._waiting)
        while owners and not self._closed:
            owner = owners.popleft()
            size, turn = self._waiting[owner][0]
            if self._has_room(size, owner):
                self._let_in(size, owner)
                turn.set_result(None)
                places = self._waiting.pop(owner)
                places.popleft()
                if places:
                    self._waiting[owner] = places
                    owners.append(owner)
            else:
                self._closed = owner not in self._taken

    async def _queue(self, size: int, owner: str) -> None:
        places = self._waiting.get(owner, deque[_Place]())
        if len(places) >= WAITING_MAX - sum(map(len, self._waiting.values())):
            raise _full()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        places.append((size, turn))
        self._waiting[owner] = places
        self._go_on()
        try:
            async with asyncio.timeout(self._wait_s):
                # `wait` leaves the future as it is when we are cancelled: whether we got in stays known.
                await asyncio.wait((turn,))
        except BaseException as error:
            if turn.done():
                self.give(size, owner)
            else:
                places.remove((size, turn))
                if not places:
                    del self._waiting[owner]
                self._go_on()
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

    owner: str = NOBODY
    """The id of the call's key."""

    def __init__(self, gates: BodyGates) -> None:
        self._gates = gates
        self._gate: Gate = gates.small
        self._size = 0
        self._taker: str | None = None
        """Who took it; None where it was taken at once."""

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
        size = await gate.take(size, self.owner)
        self.release()
        self._gate, self._size, self._taker = gate, size, self.owner

    def need_now(self, size: int) -> bool:
        """The same for a small body, where it needs no waiting; False, having taken nothing, where it does."""
        if self._size or size > LARGE_FROM_BYTES or not self._gates.small.take_now(size):
            return False
        self._size, self._taker = size, None
        return True

    def keep(self, size: int) -> None:
        """Give back what turned out not to be needed."""
        if size < self._size:
            spare, self._size = self._size - size, size
            self._gate.give(spare, self._taker)

    def release(self) -> None:
        """Give everything back."""
        size, self._size = self._size, 0
        if size:
            self._gate.give(size, self._taker)


def _full() -> Draining:
    message = (
        "More large requests are under way than there is memory for, or than one key may have;"
        " send fewer at once, or try again in a moment"
    )
    return Draining(message, retry_after_s=RETRY_S)
