"""The router and the reading of requests, over a real socket."""

import asyncio
import io

import aiohttp
import pytest
from tests.simulate.conftest import StartSimulator, TickedClock

from halley.vendors.simulate import LinkState, Reply, Request, Router, SimulatorHost, json_reply
from halley.vendors.simulate.asgi import BODY_BYTES_MAX


def create_app(host: SimulatorHost) -> Router:
    async def echo(request: Request) -> Reply:
        return json_reply(
            {
                "params": request.params,
                "query": request.query_fields(),
                "token": request.headers.get("x-key"),
                "size": len(await request.body()),
            }
        )

    async def fixed(_: Request) -> Reply:
        return json_reply("fixed", headers=(("X-More", "yes"),))

    async def gone(_: Request) -> Reply:
        return Reply(status=204)

    async def signed(request: Request) -> Reply:
        return json_reply(host.link_state(request))

    router = host.router(error=lambda status, detail: json_reply({"title": detail}, status=status))
    router.add("POST", "/echo/{name}", echo)
    router.add("GET", "/files/{name}", echo)
    router.add("GET", "/files/fixed", fixed)
    router.add("GET", "/deep/{rest:path}", echo)
    router.add("GET", "/signed/{name}", signed)
    router.add("DELETE", "/files/{name}", gone)
    return router


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/files/a.png?b=1&b=&c=%C3%A4", {"params": {"name": "a.png"}}, id="param"),
        pytest.param("/files/a%2Fb", None, id="an-encoded-slash-is-a-slash"),
        pytest.param("/deep/a/b.png", {"params": {"rest": "a/b.png"}}, id="rest-of-the-path"),
        pytest.param("/files/", None, id="empty-segment"),
    ],
)
async def test_path_is_matched(start: StartSimulator, path: str, expected: dict[str, object] | None):
    server = await start(create_app)
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as reply:
        body = await reply.json()
    assert body.get("params") == (expected and expected["params"])


async def test_request_is_read_whole_with_query_and_headers(start: StartSimulator):
    server = await start(create_app)
    async with (
        aiohttp.ClientSession(headers={"X-Key": "k"}) as session,
        session.post(f"{server.url}/echo/me?b=1&b=&c=%C3%A4", data=io.BytesIO(bytes(3_000_000))) as reply,
    ):
        assert await reply.json() == {
            "params": {"name": "me"},
            "query": [["b", "1"], ["b", ""], ["c", "ä"]],
            "token": "k",
            "size": 3_000_000,
        }


async def test_path_without_params_wins_and_head_has_no_body(start: StartSimulator):
    server = await start(create_app)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/files/fixed") as reply:
            assert (await reply.json(), reply.headers["x-more"]) == ("fixed", "yes")
        async with session.head(f"{server.url}/files/fixed") as reply:
            assert (reply.status, reply.headers["content-length"], await reply.read()) == (200, "7", b"")
        async with session.delete(f"{server.url}/files/a") as reply:
            assert (reply.status, reply.headers.get("content-length")) == (204, None)


async def test_body_over_the_limit_is_refused_in_the_vendors_shape(start: StartSimulator):
    server = await start(create_app)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/echo/me", data=io.BytesIO(bytes(BODY_BYTES_MAX + 1))) as reply,
    ):
        assert (reply.status, await reply.json()) == (413, {"title": f"the body is over {BODY_BYTES_MAX} bytes"})


async def test_client_that_leaves_in_its_request_harms_nobody(start: StartSimulator):
    server = await start(create_app)
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /echo/me HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nhalf")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/files/a") as reply:
        assert reply.status == 200


@pytest.mark.parametrize("line", [b"GET", b"\x16\x03\x01\x00", b"GET / HTTP/9.9"], ids=["cut", "tls", "version"])
async def test_what_is_no_http_is_answered_400(start: StartSimulator, line: bytes):
    server = await start(create_app)
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(line + b"\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_signed_link_works_as_given_and_ends_in_time(start: StartSimulator, clock: TickedClock):
    server = await start(create_app)
    link = server.host.link("/signed/ä b.png", expires_us=clock.now() + 10_000_000)
    seen: list[object] = []
    async with aiohttp.ClientSession() as session:
        for seconds, changed in ((9, ""), (0, "0"), (1, "")):
            clock.tick(seconds)
            async with session.get(link + changed) as reply:
                seen.append(await reply.json())
    assert seen == [LinkState.VALID, LinkState.FORGED, LinkState.EXPIRED]
