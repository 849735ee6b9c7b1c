"""The stale connection: a server closes a pooled connection, and the next paid order must neither fail nor go twice."""

import asyncio
import re
import time
from collections import Counter

import pytest
from tests.upstream.servers import Behaviour, Reader, Server, Writer, answering, reply, serving, serving_on_a_thread

from halley.kernel.clock import SystemClock
from halley.upstream import FastClient, OutcomeUnknown, UpstreamRequest
from halley.upstream.client import IDLE_S


def order(origin: str, number: int = 0) -> UpstreamRequest:
    return UpstreamRequest(
        method="POST",
        url=f"{origin}/",
        headers=(("x-number", str(number)),),
        body=b"x" * 100,
        connect_timeout_s=2.0,
        answer_timeout_s=5.0,
        reply_bytes_max=100,
    )


def closing_after(seconds: float, *, reset: bool = False):
    """Answer once, offer to keep the connection, and close it after that time."""

    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            await server.read(reader)
            writer.write(reply(b"ok"))
            await writer.drain()
            await asyncio.sleep(seconds)
            if reset:
                writer.transport.abort()

        return behave

    return make


def doubles(server: Server) -> list[bytes]:
    numbers = Counter(re.findall(rb"x-number: (\d+)", b"".join(server.requests).lower()))
    return [number for number, count in numbers.items() if count > 1]


async def test_a_connection_is_used_again(client: FastClient):
    async with serving(answering(reply(b"a"), reply(b"b"))) as server:
        await client.send(order(server.origin))
        await client.send(order(server.origin))

    assert server.connections == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_an_order_after_the_server_closed_an_idle_connection_goes_through_once(client: FastClient, reset: bool):
    async with serving(closing_after(0.0, reset=reset)) as server:
        for number in range(20):
            await client.send(order(server.origin, number))
            await asyncio.sleep(0.01)

    assert server.connections == 20
    assert doubles(server) == []


async def test_an_order_after_the_loop_was_busy_while_the_server_closed_goes_through_once(client: FastClient):
    """The case that a client on our own loop cannot see: the farewell waits in the kernel, unread."""
    with serving_on_a_thread(closing_after(0.001)) as server:
        for number in range(50):
            await client.send(order(server.origin, number))
            time.sleep(0.01)  # noqa: ASYNC251, TID251  the loop shall be blocked

    assert server.connections == 50
    assert doubles(server) == []


async def test_an_order_that_crosses_the_farewell_on_the_wire_is_unknown_and_never_sent_twice(client: FastClient):
    answered = unknown = 0
    with serving_on_a_thread(closing_after(0.0005)) as server:
        for number in range(300):
            try:
                await client.send(order(server.origin, number))
                answered += 1
            except OutcomeUnknown:
                unknown += 1

    assert (answered + unknown, len(server.requests)) == (300, answered)
    assert doubles(server) == []


async def test_a_connection_idle_for_longer_than_common_servers_keep_theirs_is_not_used_again():
    assert IDLE_S < 5.0  # Node and uvicorn close after 5 s
    client = FastClient(SystemClock(), idle_s=0.2)
    async with serving(answering(reply(b"a"), reply(b"b"))) as server:
        await client.send(order(server.origin))
        await asyncio.sleep(0.4)
        await client.send(order(server.origin))
    await client.aclose()

    assert server.connections == 2
