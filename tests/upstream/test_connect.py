"""Names and their addresses: asked once, remembered a while, each address tried in turn."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from tests.upstream.servers import Peer, full_backlog, handing, refused_port, serving

from halley.upstream import NotSent
from halley.upstream.connect import Connector, Found
from halley.upstream.head import Origin
from halley.upstream.pool import Pool


class Directory:
    """A fake of the system's resolver."""

    def __init__(self, *ports: int) -> None:
        self.found = [Found(socket.AF_INET, ("127.0.0.1", port)) for port in ports]
        self.asked = 0

    async def resolve(self, host: str, port: int) -> list[Found]:
        del port
        self.asked += 1
        await asyncio.sleep(0)
        if not self.found:
            raise socket.gaierror(f"{host} is unknown")
        return list(self.found)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    async with serving(handing(peers, read=False)) as server:
        yield server.port


def pool(directory: Directory) -> Pool:
    return Pool(Connector(None, directory.resolve), inflight_max=9, idle_s=1.0)


VENDOR = Origin("http", "vendor.example", 80)


async def test_the_next_address_is_tried_and_from_then_on_the_first(port: int):
    with refused_port() as refused:
        directory = Directory(refused, port)
        connections = pool(directory)
        for _ in range(3):
            await connections.connect(VENDOR, 2.0)
    await connections.aclose()

    assert directory.asked == 1


async def test_an_address_that_does_not_answer_leaves_time_for_the_next(port: int):
    with full_backlog() as hanging:
        connections = pool(Directory(hanging, port))
        await connections.connect(VENDOR, 2.0)
    await connections.aclose()


async def test_if_no_address_answers_it_is_not_sent():
    with refused_port() as one, refused_port() as other, pytest.raises(NotSent, match="refused"):
        await pool(Directory(one, other)).connect(VENDOR, 2.0)


async def test_many_who_need_a_name_at_once_ask_once(port: int):
    directory = Directory(port)
    connections = pool(directory)
    await asyncio.gather(*(connections.connect(VENDOR, 2.0) for _ in range(20)))
    await connections.aclose()

    assert directory.asked == 1


async def test_a_name_that_was_not_found_is_asked_again(port: int):
    directory = Directory()
    connections = pool(directory)
    for _ in range(2):
        with pytest.raises(NotSent, match="cannot be resolved"):
            await connections.connect(VENDOR, 2.0)
    directory.found = Directory(port).found
    await connections.connect(VENDOR, 2.0)
    await connections.aclose()

    assert directory.asked == 3


async def test_who_gives_up_while_asking_does_not_spoil_it_for_others(port: int):
    directory = Directory(port)
    connections = pool(directory)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(connections.connect(VENDOR, 2.0))
        second = group.create_task(connections.connect(VENDOR, 2.0))
        await asyncio.sleep(0)
        first.cancel()
    assert (await second).is_silent()
    await connections.aclose()

    assert directory.asked == 2
