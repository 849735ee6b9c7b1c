"""Chats as callers send them, streamed and not, and how far each of them heard its answer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import msgspec

CHAT = "/v1/chat/completions"
MODEL = "gpt-4.1-nano"
ANSWER_S_MAX = 40
END = "data: [DONE]"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one chat; of a connection that was cut or refused the status is 0."""

    tag: str
    status: int
    text: str
    whole: bool
    """Whether the answer came to its end."""
    replayed: bool = False


class Chats:
    """Sends chats and keeps what was heard."""

    def __init__(self, key: str) -> None:
        self.heard: list[Heard] = []
        self._key = key
        self._numbers = count(1)

    def new_tag(self) -> str:
        """Name a new chat; as its `Idempotency-Key` and in its prompt."""
        return f"chat-{next(self._numbers):06}"

    async def send(
        self, url: str, tag: str, *, stream: bool = False, keyed: bool = False, key: str | None = None, words: str = ""
    ) -> Heard:
        """Send one, for the first time or again; `words` are added to the prompt."""
        headers = {"authorization": f"Bearer {key or self._key}"} | ({"idempotency-key": tag} if keyed else {})
        status, text, whole, replayed = 0, bytearray(), False, False
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            try:
                async with session.post(url + CHAT, json=_body(tag, words, stream=stream)) as reply:
                    status, replayed = reply.status, "idempotency-replayed" in reply.headers
                    async for piece in reply.content.iter_any():
                        text += piece
                whole = END in text.decode() if stream else status == 200
            except aiohttp.ClientError:
                pass
        heard = Heard(tag=tag, status=status, text=text.decode(), whole=whole, replayed=replayed)
        self.heard.append(heard)
        return heard

    @asynccontextmanager
    async def begun(self, url: str, tag: str, *, words: str) -> AsyncGenerator[None]:
        """Have a stream that has begun, and leave it where it is."""
        headers = {"authorization": f"Bearer {self._key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url + CHAT, json=_body(tag, words, stream=True)) as reply,
        ):
            text = await reply.content.readany()
            self.heard.append(Heard(tag=tag, status=reply.status, text=text.decode(), whole=False))
            yield


def _body(tag: str, words: str, *, stream: bool) -> dict[str, Any]:
    prompt = f"{tag} Tell of a lighthouse {words}".strip()
    return {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": prompt}]}
