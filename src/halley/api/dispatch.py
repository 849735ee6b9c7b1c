"""Finds the route of a request: one dict for plain paths, a small tree of segments for the rest. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Generic, Protocol, TypeVar

import msgspec


class Routed(Protocol):
    """What can be found here."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def model_pattern(self) -> str | None: ...


E = TypeVar("E", bound=Routed)


class Match(msgspec.Struct, Generic[E], frozen=True):
    """A route, and what the `{names}` of its path stand for."""

    entry: E
    params: Mapping[str, str]


class _Leaf(msgspec.Struct, Generic[E], frozen=True):
    entry: E
    names: tuple[str, ...]


class _Node(Generic[E]):
    """What may follow a beginning of a path."""

    def __init__(self) -> None:
        self.literals: dict[str, _Node[E]] = {}
        self.part: _Node[E] | None = None
        self.leaves: list[_Leaf[E]] = []

    def child(self, segment: str) -> "_Node[E]":
        if not is_part(segment):
            return self.literals.setdefault(segment, _Node())
        if self.part is None:
            self.part = _Node()
        return self.part


class Dispatch(Generic[E]):
    """All routes. Two that could answer the same request are our own mistake."""

    def __init__(self, entries: Iterable[E]) -> None:
        self._plain: dict[tuple[str, str], Match[E]] = {}
        self._root: _Node[E] = _Node()
        for entry in entries:
            self._add(entry)

    def find(self, method: str, path: str) -> Match[E] | None:
        """Give the route of a method and a path; a literal segment wins over a `{part}` of the same place."""
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain
        return next((match for match in self._at(path) if match.entry.method == method), None)

    def entries(self, path: str) -> list[E]:
        """List what answers a path by any method, best first."""
        return [match.entry for match in self._at(path)]

    def _add(self, entry: E) -> None:
        segments = entry.path.split("/")[1:]
        names = tuple(segment[1:-1] for segment in segments if is_part(segment))
        node = self._root
        for segment in segments:
            node = node.child(segment)
        same = [leaf.entry for leaf in node.leaves if leaf.entry.method == entry.method]
        assert all(other.model_pattern != entry.model_pattern for other in same), f"two routes: {entry.path}"
        # The one with a pattern is asked first.
        node.leaves.append(_Leaf(entry, names))
        node.leaves.sort(key=lambda leaf: leaf.entry.model_pattern is None)
        if not names:
            self._plain[entry.method, entry.path] = Match(entry, {})

    def _at(self, path: str) -> list[Match[E]]:
        """Give the routes of the best place for a path: a method that it lacks is not looked for elsewhere."""
        for node, values in _walk(self._root, path.split("/")[1:], ()):
            matches = [Match(leaf.entry, dict(zip(leaf.names, values, strict=True))) for leaf in node.leaves]
            applying = [match for match in matches if _applies(match.entry, match.params)]
            if applying:
                return applying
        return []


def is_part(segment: str) -> bool:
    """Whether a segment of a route's path stands for any."""
    return segment.startswith("{")


def _walk(
    node: _Node[E], segments: Sequence[str], values: tuple[str, ...]
) -> Iterator[tuple[_Node[E], tuple[str, ...]]]:
    if not segments:
        yield node, values
        return
    segment, rest = segments[0], segments[1:]
    if segment in node.literals:
        yield from _walk(node.literals[segment], rest, values)
    if node.part is not None and segment:
        yield from _walk(node.part, rest, (*values, segment))


def _applies(entry: Routed, params: Mapping[str, str]) -> bool:
    return entry.model_pattern is None or fnmatchcase(params.get("model", ""), entry.model_pattern)
