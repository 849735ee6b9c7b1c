"""The whole gateway behind our protocol and behind uvicorn's own: the same calls get the same answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import House, chat_body, chunk, completion, opened, soon, usage_chunk
from tests.answers.vendor import answer, drip, events, stream
from tests.app.rigs import folder, journal_may_block
from tests.server.rig import END, Reply, Server, one, request, serving

from halley.api.app import Api

__all__ = ["folder", "journal_may_block"]

VARIES = frozenset(
    ("date", "server", "halley-request-id", "x-request-id", "request-id", "content-length", "transfer-encoding")
)
STREAM = (chunk("Hi"), chunk(finish="stop"), usage_chunk())


@pytest.fixture
async def house(folder: Path) -> AsyncIterator[House]:
    async with opened(folder) as running:
        yield running


def call(house: House, path: str, body: Any = None, *headers: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    kind = () if body is None else ("content-type: application/json",)
    line = f"{'GET' if body is None else 'POST'} {path}"
    return request(line, f"authorization: Bearer {house.rig.key}", *kind, *headers, body=data)


def steady(reply: Reply) -> tuple[int, set[tuple[str, str]]]:
    """Status and headers, but for those that differ from call to call or between servers."""
    shown = {pair for pair in reply.headers if pair[0] not in VARIES and not pair[0].startswith("x-ratelimit")}
    return reply.status, shown


async def test_calls_get_the_same_answers_from_both_servers(house: House) -> None:
    chat = "/v1/chat/completions"
    calls = [
        (call(house, chat, chat_body()), answer(completion())),
        (call(house, chat, chat_body(stream=True)), stream(*events(*STREAM))),
        (call(house, chat, chat_body(), "expect: 100-nothing"), answer(completion())),
        (call(house, chat, {"model": 7}), None),
        (call(house, chat, chat_body(model="no-such-model")), None),
        (call(house, "/v1/models"), None),
        (call(house, "/no/such/path"), None),
        (call(house, "/health/liveness"), None),
        (request("GET /v1/models"), None),
        (request("OPTIONS /v1/models", "origin: https://a.example"), None),
    ]
    api = Api(house.rig.world)
    async with serving(api, server_header=False) as own, serving(api, stock=True, server_header=False) as uvicorns:
        for raw, script in calls:
            got: list[Reply] = []
            for server in (own, uvicorns):
                if script is not None:
                    house.vendor.will(script)
                got.append(one(await server.talk(raw)))
            assert steady(got[0]) == steady(got[1])
            assert len(got[0].body) == len(got[1].body)
    await house.usage(6)


@pytest.mark.parametrize("stock", [False, True], ids=["own", "uvicorn"])
async def test_a_body_after_its_head_is_read_all_the_same(house: House, stock: bool) -> None:
    house.vendor.will(answer(completion()))
    async with serving(Api(house.rig.world), stock=stock) as server:
        client = await server.open()
        head, _, body = call(house, "/v1/chat/completions", chat_body(), "expect: 100-continue").partition(END)
        client.send(head + END)
        assert (await client.until(END)).startswith(b"HTTP/1.1 100 ")
        client.send(body)
        assert one(await client.rest()).status == 200
        await client.close()
    await house.usage()


@pytest.mark.parametrize("stock", [False, True], ids=["own", "uvicorn"])
async def test_a_caller_who_leaves_a_stream_ends_it_at_the_vendor(house: House, stock: bool) -> None:
    [frame] = events(chunk("Hi"), done=False)
    house.vendor.will(stream(frame, then=drip(frame, 0.005)))
    async with serving(Api(house.rig.world), stock=stock) as server:
        await _take_a_little_and_leave(server, call(house, "/v1/chat/completions", chat_body(stream=True)))

        async def ended() -> bool:
            return not server.state.tasks

        await soon(ended)
    assert (await house.usage()).outcome == "cut"


async def _take_a_little_and_leave(server: Server, raw: bytes) -> None:
    client = await server.open()
    client.send(raw)
    await client.until(b"data: ")
    await client.close()
