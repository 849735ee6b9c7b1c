"""Reads a whole form into memory, for calls that forward it."""

from collections.abc import AsyncIterator

from halley.api.body import BodyReader
from halley.api.multipart import Multipart
from halley.kernel.body import FormBody, FormPart

PARTS_MAX = 64
"""Sixteen pictures, their mask, and every field there is."""


async def read_form(body: BodyReader, content_type: str) -> FormBody:
    """Read it. Raises `BadRequest`, `TooLarge`, `ClientLeft`."""
    data = await body.read()
    form = Multipart(_once(data), content_type, parts_max=PARTS_MAX)
    parts: list[FormPart] = []
    while (head := await form.next_part()) is not None:
        content = b"".join([piece async for piece in form.content()])
        parts.append(FormPart(name=head.name, data=content, filename=head.filename, content_type=head.content_type))
    return FormBody(tuple(parts))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
