"""What the tests of this vendor's simulator share: requests, replies, streams, small pictures."""

import io
from typing import Any

import aiohttp
import msgspec
from PIL import Image
from tests.simulate.conftest import TickedClock

from halley.kernel.sse import Splitter
from halley.vendors.simulate import SimulatorServer

KEY = "sk-test"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The frames of a stream that are JSON; the event's name must be its type."""
        found: list[dict[str, Any]] = []
        for _, frame in Splitter().feed(self.body):
            if frame is not None and frame.data != b"[DONE]":
                event = msgspec.json.decode(frame.data, type=dict[str, Any])
                assert not frame.event or frame.event == event["type"]
                found.append(event)
        return found


class Sandbox:
    """The simulator and a client of it."""

    def __init__(self, server: SimulatorServer, clock: TickedClock) -> None:
        self.server = server
        self.clock = clock

    async def send(
        self, method: str, path: str, *, key: str | None = KEY, outcome: str = "", data: Any = None
    ) -> Answer:
        """One request; `data` is JSON, or a form."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        headers |= {"halley-test": f"outcome={outcome}"} if outcome else {}
        if isinstance(data, dict):
            data, headers["content-type"] = msgspec.json.encode(data), "application/json"
        url = path if "://" in path else self.server.url + path
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, data=data, headers=headers) as reply,
        ):
            received = {name.lower(): text for name, text in reply.headers.items()}
            return Answer(status=reply.status, headers=received, body=await reply.read())

    async def get(self, path: str, *, key: str | None = KEY) -> Answer:
        return await self.send("GET", path, key=key)

    async def post(self, path: str, *, outcome: str = "", **body: Any) -> Answer:
        return await self.send("POST", path, outcome=outcome, data=body)

    async def chat(self, prompt: Any = "Hello", *, outcome: str = "", model: str = "gpt-4o", **fields: Any) -> Answer:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}
        return await self.send("POST", "/v1/chat/completions", outcome=outcome, data=body)

    async def respond(self, prompt: Any = "Hello", *, outcome: str = "", **fields: Any) -> Answer:
        body = {"model": "gpt-5.4", "input": prompt, **fields}
        return await self.send("POST", "/v1/responses", outcome=outcome, data=body)


def picture(width: int, height: int, image_format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 40, 40)).save(out, image_format)
    return out.getvalue()


def looked_at(data: bytes) -> tuple[tuple[int, int], str | None, str]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.size, image.format, image.mode


WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def function(name: str = "get_weather", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": WEATHER, **fields}}
