"""JSON pointers (RFC 6901), to rewrite a few places of a body that is otherwise forwarded untouched."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast


def get(document: Any, pointer: str) -> Any:
    """Read one place; None when it is not there."""
    for part in _parts(pointer):
        match document:
            case dict():
                document = cast("dict[str, Any]", document).get(part)  # JSON's names are strings
            case list() if part.isdecimal() and int(part) < len(cast("list[Any]", document)):  # whatever JSON holds
                document = cast("list[Any]", document)[int(part)]  # the same
            case _:
                return None
    return document


def replaced(document: Any, pointer: str, value: Any) -> Any:
    """Give a copy with one existing or new place set; the rest is shared with the original."""
    return _replaced(document, list(_parts(pointer)), value)


def rewritten(document: Any, change: Callable[[str], str]) -> Any:
    """Give a copy in which every string, at any depth, went through `change`."""
    match document:
        case str():
            return change(document)
        case list():
            return [rewritten(item, change) for item in cast("list[Any]", document)]  # whatever JSON holds
        case dict():
            fields = cast("Mapping[str, Any]", document)  # JSON's names are strings
            return {key: rewritten(item, change) for key, item in fields.items()}
        case _:
            return document


def strings(document: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Give every string, at any depth, with its place; `at` is where the document itself stands."""
    match document:
        case str():
            yield at, document
        case list():
            for place, item in enumerate(cast("list[Any]", document)):  # whatever JSON holds
                yield from strings(item, f"{at}/{place}")
        case dict():
            for name, item in cast("Mapping[str, Any]", document).items():  # JSON's names are strings
                yield from strings(item, f"{at}/{name.replace('~', '~0').replace('/', '~1')}")
        case _:
            pass


def _replaced(document: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    head, rest = parts[0], parts[1:]
    if isinstance(document, list):
        items = cast("list[Any]", document)  # whatever JSON holds
        return [_replaced(item, rest, value) if at == int(head) else item for at, item in enumerate(items)]
    base = cast("dict[str, Any]", document) if isinstance(document, dict) else {}  # JSON's names are strings
    return {**base, head: _replaced(base.get(head), rest, value)}


def _parts(pointer: str) -> Iterator[str]:
    assert not pointer or pointer.startswith("/")
    return (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
