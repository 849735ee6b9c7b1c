"""Bodies that are forwarded as they came: single fields are read or replaced, the rest stays the caller's bytes."""

from collections.abc import KeysView, Mapping
from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.faults import BadRequest

_top = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INTERPRETED = frozenset(
    (
        *("model", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens"),
        *("max_output_tokens", "background", "store", "service_tier", "previous_response_id"),
    )
)
"""Fields that decide what a call may do and what it costs."""
NAMES_REMEMBERED_MAX = 1_024
NAME_REMEMBERED_MAX = 64
"""Characters of a name."""
_good_names: set[str] = set()
"""Names of fields that were looked at and may be there."""
_string_or_null = msgspec.json.Decoder(str | None)


class JsonBody:
    """A JSON object: its bytes, its fields undecoded, and the whole once somebody needs it."""

    def __init__(self, data: bytes) -> None:
        """Raises `BadRequest` for what is no JSON object, or too deep."""
        if codec.too_deep(data) or (data[:1] != b"{" and data.lstrip()[:1] != b"{"):
            codec.decode_object(data)
        try:
            self.fields: dict[str, msgspec.Raw] = _top.decode(data)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The body is not valid JSON: {error}") from error
        _check_names(self.fields.keys())
        self.data = data
        self._whole: dict[str, Any] | None = None

    def get(self, name: str) -> Any:
        """Decode one field; None when it is missing. Raises `BadRequest` for what only looks like JSON from outside."""
        raw = self.fields.get(name)
        if raw is None:
            return None
        try:
            return codec.decode_part(bytes(raw))
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"`{name[:40]}` is not valid JSON: {error}", param=name[:40]) from error

    def text(self, name: str) -> str | None:
        """Give a text field. Raises `BadRequest` when it is something else; null is as if it were missing."""
        raw = self.fields.get(name)
        if raw is None:
            return None
        try:
            return _string_or_null.decode(raw)
        except ValueError as error:
            raise BadRequest(f"`{name}` must be a string", param=name) from error

    def flag(self, name: str) -> bool:
        """Give a boolean field, false when it is missing or null. Raises `BadRequest` when it is something else."""
        raw = self.fields.get(name)
        if raw is None:
            return False
        match bytes(raw):
            case b"true":
                return True
            case b"false" | b"null":
                return False
            case _:
                raise BadRequest(f"`{name}` must be true or false", param=name)

    def some(self, names: frozenset[str]) -> dict[str, Any]:
        """Decode those of these fields that are there. Raises `BadRequest` as `get` does."""
        if names.isdisjoint(self.fields):
            return {}
        return {name: self.get(name) for name in names if name in self.fields}

    def whole(self) -> dict[str, Any]:
        """Decode everything, once."""
        if self._whole is None:
            self._whole = codec.decode_object(self.data)
        return self._whole

    def patched(self, changes: Mapping[str, Any]) -> bytes:
        """Give the bytes with some fields replaced; one that is to be None is left out."""
        fields: dict[str, Any] = {**self.fields}
        for name, value in changes.items():
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        return codec.encode(fields)


def _check_names(names: KeysView[str]) -> None:
    """Refuse what some servers take for a field that we interpret: they do not care for case, and we would differ."""
    if names <= _good_names:
        return
    for name in names:
        if not name.islower() and name not in _INTERPRETED and name.lower() in _INTERPRETED:
            raise BadRequest(f"`{name[:40]}` must be written `{name.lower()}`", param=name[:40])
        if len(_good_names) < NAMES_REMEMBERED_MAX and len(name) <= NAME_REMEMBERED_MAX:
            _good_names.add(name)


class FormPart(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a form; a file has a file name."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


class FormBody:
    """A form (`multipart/form-data`), its parts in their order."""

    def __init__(self, parts: tuple[FormPart, ...]) -> None:
        self.parts = parts

    def text(self, name: str) -> str | None:
        """Give a text field, the last of that name; None when it is missing or empty."""
        found = [part for part in self.parts if part.name == name and part.filename is None]
        try:
            return found[-1].data.decode() or None if found else None
        except UnicodeDecodeError as error:
            raise BadRequest(f"`{name}` is not UTF-8", param=name) from error

    def some(self, names: frozenset[str]) -> dict[str, Any]:
        """Give those of these text fields that are there. Raises `BadRequest` as `text` does."""
        return {name: text for name in names if (text := self.text(name)) is not None}

    def files(self, *names: str) -> tuple[FormPart, ...]:
        """Give the files of these names, in their order."""
        return tuple(part for part in self.parts if part.name in names and part.filename is not None)

    def patched(self, changes: Mapping[str, str], *, boundary: str) -> bytes:
        """Write the form (RFC 7578) with some text fields replaced or added."""
        kept = [part for part in self.parts if part.name not in changes]
        added = [FormPart(name=name, data=value.encode()) for name, value in changes.items()]
        written = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), _head(part), part.data) for part in added + kept]
        return b"".join((*written, b"--%b--\r\n" % boundary.encode()))


def _head(part: FormPart) -> bytes:
    head = f'content-disposition: form-data; name="{_quoted(part.name)}"'
    if part.filename is not None:
        head += f'; filename="{_quoted(part.filename)}"'
    if part.content_type is not None:
        head += f"\r\ncontent-type: {_quoted(part.content_type)}"
    return head.encode()


def _quoted(text: str) -> str:
    """Escape as browsers do, so that no value ends its header."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
