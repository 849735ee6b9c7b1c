"""What the peers have in common: a process of theirs on the gateway's core, waited for until it is healthy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.ask import answers
from bench.load.model import Target
from bench.process import Child, spawn, wait_until
from bench.systems.base import Kind, Place, Running, answer_target

_NONE: Mapping[str, str] = {}


class Peer(Running):
    """A peer that speaks OpenAI's format; it may want headers, a prefix of paths, and models by a longer name."""

    def __init__(
        self,
        child: Child,
        port: int,
        *,
        headers: Mapping[str, str] = _NONE,
        prefix: str = "",
        models: Mapping[str, str] = _NONE,
    ) -> None:
        super().__init__(child, port)
        self._headers = headers
        self._prefix = prefix
        self._models = models

    def target(self, kind: Kind) -> Target:
        target = answer_target(self.port, kind, self._headers)
        body = target.body
        for ours, theirs in self._models.items():
            body = body.replace(b'"model":"%b"' % ours.encode(), b'"model":"%b"' % theirs.encode())
        paths = tuple(self._prefix + path for path in target.paths)
        return msgspec.structs.replace(target, paths=paths, body=body)


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How a peer is started, and how it is seen that it has."""

    command: Sequence[str]
    environ: Mapping[str, str]
    port: int
    health_path: str
    start_s_max: float


def launch(wanted: Launch, place: Place) -> Child:
    """Start it and wait. Raises `Failed`."""
    log = place.folder / "log"
    child = spawn(wanted.command, core=place.cores.gateway, log=log, cwd=place.folder, environ=wanted.environ)
    try:
        wait_until(lambda: answers(wanted.port, wanted.health_path), child=child, within_s=wanted.start_s_max)
    except BaseException:
        child.stop()
        raise
    return child


def folder_of(place: Place) -> Path:
    place.folder.mkdir(parents=True, exist_ok=True)
    return place.folder
