"""The way of log lines to stderr: gathered for a moment and written together, never waited for, bounded."""

import logging
import os
import select
import threading
import time
from collections.abc import Callable

from halley.kernel.background import stand_back
from halley.kernel.forks import after_fork

GATHER_S = 0.15
"""How long a line of little weight may wait for others."""
GATHER_BYTES = 32 * 1024
"""From so many on they are written at once."""
WAITING_BYTES_MAX = 4 * 1024 * 1024
"""What waits when nobody reads; further lines are dropped and counted."""
CLOSE_S_MAX = 2.0
_log = logging.getLogger("halley.logs")


class Lines:
    """A file of lines, with a thread that writes them. `put` only gathers, `flush` writes what can be without waiting.

    Lines come out in the order in which they were put.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.close_s_max = CLOSE_S_MAX
        self._begin()
        after_fork(self._begin)
        self._thread = threading.Thread(target=self._work, name="log lines", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Take one line, with its end, to be written soon."""
        self._put(line, len(line))

    def put_unspelled(self, spell: Callable[[], bytes], size: int) -> None:
        """Take one, about so long, that is spelled when it is written: many in a row take less time than each alone.

        `spell` is called once, by any thread, and must not fail.
        """
        self._put(spell, size)

    def _put(self, line: bytes | Callable[[], bytes], length: int) -> None:
        self._acquire()  # half of what `with` costs
        try:
            before = self._size
            self._size = size = before + length
            if size > WAITING_BYTES_MAX:
                self._size = before
                self._dropped += 1
            else:
                self._waiting.append(line)
        finally:
            self._release()
        if not before:
            self._filled.set()
        elif size > GATHER_BYTES >= before:
            self._hurry.set()

    def write(self, text: str) -> None:
        """Take a line as `logging` gives it."""
        self.put(text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Write what waits, as far as the other end takes it now; the rest is left to the thread."""
        self._write_while_taken(0.0)

    def close(self) -> None:
        """Write what waits and end the thread; give up on an end that takes nothing."""
        self._closing = True
        self._filled.set()
        self._hurry.set()
        ends = time.monotonic() + self.close_s_max
        self._write_while_taken(self.close_s_max)
        # Who closes may close the descriptor next, and its number may soon be another file's.
        self._thread.join(max(0.0, ends - time.monotonic()))

    def _begin(self) -> None:
        # A forked child has no thread of ours, and what waits is its parent's to write: it writes its own in `flush`.
        self._lock = threading.Lock()
        """For the three that follow; held for a moment only."""
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._waiting: list[bytes | Callable[[], bytes]] = []
        self._size = 0
        self._dropped = 0
        self._writing = threading.Lock()
        """For what follows, and for the order of the lines; held while one writes."""
        self._rest = memoryview(b"")
        self._filled = threading.Event()
        self._hurry = threading.Event()
        self._closing = False

    def _work(self) -> None:
        stand_back()
        while not self._closing:
            self._filled.wait()
            self._hurry.wait(GATHER_S)
            self._filled.clear()
            self._hurry.clear()
            with self._writing:
                while self._take():
                    self._rest = self._rest[self._write(self._rest) :]
            self._tell_dropped()

    def _write_while_taken(self, patience_s: float) -> None:
        """Write in pieces that a pipe which is ready takes whole, so that this never blocks."""
        ends = time.monotonic() + patience_s
        if not self._writing.acquire(timeout=patience_s):
            return
        try:
            while self._take() and _ready(self._descriptor, ends - time.monotonic()):
                self._rest = self._rest[self._write(self._rest[: select.PIPE_BUF]) :]
        finally:
            self._writing.release()

    def _take(self) -> bool:
        """Take what waits when all before it is written. False when there is nothing."""
        if not self._rest:
            with self._lock:
                waiting, self._waiting, self._size = self._waiting, [], 0
            self._rest = memoryview(b"".join([line if isinstance(line, bytes) else line() for line in waiting]))
        return bool(self._rest)

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            # Whoever shares stderr with us made it so.
            _ready(self._descriptor, GATHER_S)
            return 0
        except OSError:
            # Nobody will ever read it: the other end is closed, or the disk is full.
            return len(data)

    def _tell_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _log.warning("log lines were dropped, as nobody read them in time", extra={"lines": dropped})


class LineHandler(logging.StreamHandler[Lines]):
    """What goes through `logging` is written at once, after all that was put before it."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(lines)

    def close(self) -> None:
        """Write what waits; `logging` calls this when the process ends."""
        super().close()
        self.stream.close()


def _ready(descriptor: int, patience_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(max(0.0, patience_s) * 1_000))
