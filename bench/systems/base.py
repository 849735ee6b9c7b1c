"""What every system has in common, and the requests that go to one which speaks OpenAI's format."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from bench import bodies
from bench.load.model import Target
from bench.process import Child, Cores


class Kind(StrEnum):
    """What is asked for."""

    CHAT = "chat"
    LARGE = "large"
    STREAM = "stream"
    HOLD = "hold"
    EMBEDDINGS = "embeddings"
    ORDER = "order"
    FETCH = "fetch"


ANSWERS: frozenset[Kind] = frozenset((Kind.CHAT, Kind.LARGE, Kind.STREAM, Kind.HOLD, Kind.EMBEDDINGS))
TASKS: frozenset[Kind] = frozenset((Kind.ORDER, Kind.FETCH))
_JSON = {"content-type": "application/json"}
_CHAT_PATH, _EMBEDDINGS_PATH = "/v1/chat/completions", "/v1/embeddings"
_REQUESTS: Mapping[Kind, tuple[str, Callable[[], bytes]]] = {
    Kind.CHAT: (_CHAT_PATH, bodies.chat_body),
    Kind.LARGE: (_CHAT_PATH, bodies.large_body),
    Kind.STREAM: (_CHAT_PATH, bodies.stream_body),
    Kind.HOLD: (_CHAT_PATH, bodies.hold_body),
    Kind.EMBEDDINGS: (_EMBEDDINGS_PATH, bodies.embedding_body),
}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a system may run: a folder of its own that is kept for a second start, and the vendor to call."""

    folder: Path
    vendor_port: int
    cores: Cores

    @property
    def vendor_url(self) -> str:
        return f"http://127.0.0.1:{self.vendor_port}"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What the books hold at the end."""

    sound: bool
    words: str
    usage_rows: int
    task_rows: int


class Running:
    """A system that serves."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self.port = port

    @property
    def roots(self) -> tuple[int, ...]:
        """The processes whose trees are measured."""
        return (self.child.pid,)

    @property
    def beside(self) -> tuple[int, ...]:
        """Those of the roots that are another's program, such as a database's."""
        return ()

    def prepare(self) -> None:
        """Do after a start what is needed before the first call; not timed."""

    def target(self, kind: Kind) -> Target:
        return answer_target(self.port, kind, {})

    def stop(self) -> None:
        self.child.stop()


class System(Protocol):
    """One of the rows."""

    name: str
    title: str
    kinds: frozenset[Kind]

    def install(self, cache: Path) -> str:
        """Bring it in and give its version. Raises `Unavailable`."""
        ...

    def start(self, place: Place) -> Running:
        """Start it and wait until it answers. Raises `Failed`."""
        ...

    def settings(self) -> dict[str, str]:
        """What a reader of the figures has to know of how it runs."""
        ...


def answer_target(port: int, kind: Kind, headers: Mapping[str, str]) -> Target:
    """A call in OpenAI's format."""
    path, body = _REQUESTS[kind]
    return Target(port=port, method="POST", paths=(path,), headers={**_JSON, **headers}, body=body())


def order_target(port: int, path: str, headers: Mapping[str, str]) -> Target:
    """An order of an image in the format of its vendor."""
    return Target(port=port, method="POST", paths=(path,), headers={**_JSON, **headers}, body=bodies.order_body())
