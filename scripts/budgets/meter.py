"""Counts function calls by thread and statements by connection, through the interpreter's own hooks.

The tool's own code is not counted. What the standard library does to pass a job to another thread is counted as one
hop and not by its calls: how many there are depends on who is faster.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection
from types import CodeType, FrameType
from typing import Any

LOOP, WRITER, OTHER = "loop", "writer", "other"
_WRITER_THREAD = "halley-writer"
_UNCOUNTED_THREAD = "halley-checkpoint"
_OWN_FOLDER = str(Path(__file__).parent)
_HOPPING_FILES = ("/concurrent/futures/thread.py", "/concurrent/futures/_base.py", "/asyncio/futures.py")
_HOPPING_CLASSES = ("Semaphore.", "Condition.", "Event.")
_PARKED_IN = frozenset(("get", "acquire", "wait"))
"""C functions in which a thread with nothing to do waits."""
_LOOK_EVERY_S = 0.00005
_LOOKS = 3
_SETTLE_S_MAX = 2.0
Profile = Callable[[FrameType, str, Any], None]


class Node:
    """A function as it was called from one place in the tree of calls."""

    __slots__ = ("c_calls", "c_names", "calls", "code", "inner", "parent", "resumed")

    def __init__(self, code: CodeType | None, parent: "Node | None") -> None:
        self.code = code
        self.parent = parent
        self.inner: dict[int, Node] = {}
        self.calls = 0
        self.resumed = 0
        self.c_calls = 0
        self.c_names: Counter[str] = Counter()


class Lane:
    """What one thread, or several of a kind, did."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.muted = False
        """Whether its thread is at the tool's own work."""
        self.calls = 0
        self.c_calls = 0
        self.root = Node(None, None)
        self.statements: list[str] = []


class _Thread:
    """How far a thread is."""

    def __init__(self) -> None:
        self.events = 0
        self.parked = False


class Meter:
    """Counts while it is `on`. Made before any thread that is to be counted."""

    def __init__(self, *, detailed: bool = False) -> None:
        self.on = False
        self.detailed = detailed
        self.has_work: Callable[[], bool] = bool
        """Whether some thread has work that it may not have noticed yet."""
        self.lanes = {kind: Lane(kind) for kind in (LOOP, WRITER, OTHER)}
        self._threads: list[_Thread] = []
        self._mine: dict[int, tuple[bool, CodeType]] = {}
        self._starts: dict[int, int] = {}
        self._opening: list[tuple[int, Connection, Lane]] = []
        self._audited = False
        sys.addaudithook(self._audit)

    def install(self) -> None:
        """Count this thread as the event loop's, and all that begin from now on by their names."""
        self._audited = True
        threading.setprofile(self._begin)
        sys.setprofile(self._profile(self.lanes[LOOP], _Thread()))

    def remove(self) -> None:
        """Count nothing any more."""
        self._audited = False
        threading.setprofile(None)
        sys.setprofile(None)

    def clear(self) -> None:
        """Begin at nothing."""
        for lane in self.lanes.values():
            lane.calls = lane.c_calls = 0
            lane.root = Node(None, None)
            lane.statements.clear()

    def counts(self) -> dict[str, float]:
        """Give what was counted since it was cleared, but for what only the loop knows."""
        found: dict[str, float] = {}
        for kind, lane in self.lanes.items():
            found[f"{kind}_calls"], found[f"{kind}_c_calls"] = lane.calls, lane.c_calls
        written = [text for text in self.lanes[WRITER].statements if not text.startswith("--")]
        found["writer_statements"] = len(written)
        found["reader_statements"] = len(self.lanes[OTHER].statements) + len(self.lanes[LOOP].statements)
        found["commits"] = sum(text.startswith("COMMIT") for text in written)
        found["savepoints"] = sum(text.startswith("SAVEPOINT") for text in written)
        return found

    def settle(self) -> None:
        """Wait, holding the loop still, until all other threads have nothing to do."""
        self.lanes[LOOP].muted = True
        ends = time.monotonic() + _SETTLE_S_MAX
        quiet, seen = 0, -1
        while quiet < _LOOKS and time.monotonic() < ends:
            time.sleep(_LOOK_EVERY_S)  # noqa: TID251 - other threads run meanwhile; it is the machine's time they need
            now = sum(each.events for each in self._threads)
            still = now == seen and all(each.parked for each in self._threads) and not self.has_work()
            quiet, seen = quiet + 1 if still else 0, now
        self.lanes[LOOP].muted = False

    def _begin(self, _frame: FrameType, _event: str, _argument: Any) -> None:
        """Look at a new thread: who it is decides how it is counted."""
        name = threading.current_thread().name
        if name == _UNCOUNTED_THREAD:
            sys.setprofile(None)
            return
        thread = _Thread()
        self._threads.append(thread)
        sys.setprofile(self._profile(self.lanes[WRITER if name == _WRITER_THREAD else OTHER], thread))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "sqlite3.connect/handle" or not self._audited:
            return
        name = threading.current_thread().name
        if name != _UNCOUNTED_THREAD:
            kind = {_WRITER_THREAD: WRITER, threading.main_thread().name: LOOP}.get(name, OTHER)
            # It is not yet open; the next event of its thread is.
            self._opening.append((threading.get_ident(), arguments[0], self.lanes[kind]))

    def _trace(self) -> None:
        """Note the statements of a connection that this thread has just opened."""
        thread = threading.get_ident()
        mine = [each for each in self._opening if each[0] == thread]
        self._opening = [each for each in self._opening if each[0] != thread]
        for _, connection, lane in mine:
            # A method in C: it makes no event of its own.
            connection.set_trace_callback(lane.statements.append)

    def _start(self, code: CodeType, instruction: int) -> int:
        """Give where a function is entered first: a later instruction is that of a coroutine that goes on."""
        start = self._starts.get(id(code), sys.maxsize)
        if instruction < start:
            start = self._starts[id(code)] = instruction
        return start

    def _is_counted(self, code: CodeType) -> bool:
        known = self._mine.get(id(code))
        if known is None:
            # The code is kept, so that no other one gets its id.
            known = self._mine[id(code)] = (is_counted(code), code)
        return known[0]

    def _profile(self, lane: Lane, thread: _Thread) -> Profile:
        return self._detailed(lane, thread) if self.detailed else self._plain(lane, thread)

    def _plain(self, lane: Lane, thread: _Thread) -> Profile:
        verdicts, counted = self._mine, self._is_counted

        def note(frame: FrameType, event: str, argument: Any) -> None:
            thread.events += 1
            if self._opening and event == "c_return":
                self._trace()
            thread.parked = event == "c_call" and argument.__name__ in _PARKED_IN
            if not self.on or lane.muted or event not in ("call", "c_call"):
                return
            known = verdicts.get(id(frame.f_code))
            if not (counted(frame.f_code) if known is None else known[0]):
                return
            if event == "call":
                lane.calls += 1
            else:
                lane.c_calls += 1

        return note

    def _detailed(self, lane: Lane, thread: _Thread) -> Profile:
        here = root = lane.root

        def note(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal here, root
            thread.events += 1
            if self._opening and event == "c_return":
                self._trace()
            thread.parked = event == "c_call" and argument.__name__ in _PARKED_IN
            if lane.muted:
                return
            code = frame.f_code
            if root is not lane.root:
                here = root = lane.root
            if not self.on:
                here = root
            elif event == "call":
                here = _entered(here, code, resumed=frame.f_lasti > self._start(code, frame.f_lasti))
                lane.calls += self._is_counted(code)
            elif event == "return":
                here = here.parent if here.parent is not None and here.code is code else here
            elif event == "c_call" and self._is_counted(code):
                lane.c_calls += 1
                here.c_calls += 1
                here.c_names[_c_name(argument)] += 1

        return note


def _entered(here: Node, code: CodeType, *, resumed: bool) -> Node:
    node = here.inner.get(id(code))
    if node is None:
        node = here.inner[id(code)] = Node(code, here)
    node.calls += 1
    node.resumed += resumed
    return node


def _c_name(function: Any) -> str:
    owner = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", function.__name__)
    return f"{owner}.{name}" if owner and owner != "builtins" else name


def counted_files() -> tuple[str, ...]:
    """Files of the tool that stand for the gateway's own, and are counted like them."""
    return (f"{_OWN_FOLDER}/clock.py",)


def is_counted(code: CodeType) -> bool:
    """Whether calls of this function are the gateway's."""
    path = code.co_filename
    if path.startswith(_OWN_FOLDER):
        return path in counted_files()
    if path.endswith("/threading.py"):
        return not code.co_qualname.startswith(_HOPPING_CLASSES)
    return not path.endswith(_HOPPING_FILES)
