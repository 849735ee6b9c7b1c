"""Fetches of URLs that others chose: no way into a private network, by name, redirect or a second look-up."""

import asyncio
import gzip
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from tests.upstream.conftest import Tls
from tests.upstream.servers import (
    Behaviour,
    Reader,
    Server,
    Writer,
    answering,
    deaf,
    endless,
    full_backlog,
    redirect,
    refused_port,
    reply,
    resetting,
    routing,
    serving,
    silent,
    stalling,
)

from halley.upstream import NotSent, OutcomeUnknown, Refused, ReplyTooLarge
from halley.upstream.address import FetchPolicy
from halley.upstream.exchange import Fetched, Progress
from halley.upstream.guard import REDIRECTS_MAX, Guard


async def fetch(guard: Guard, url: str, **changes: Any) -> Fetched:
    given: dict[str, Any] = {"bytes_max": 1_000, "timeout_s": 2.0}
    return await guard.fetch(url, **(given | changes))


class Names:
    """A resolver that answers from a table, one answer per question where there are several."""

    def __init__(self, table: dict[str, list[list[str]]]) -> None:
        self._table = table
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        del port
        self.asked.append(host)
        answers = self._table[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


async def test_a_permitted_url_is_fetched(open_guard: Guard):
    async with serving(answering(reply(b"png", headers="Content-Type: image/png\r\nX-A: 1\r\nx-a: 2\r\n"))) as server:
        got = await fetch(open_guard, f"{server.origin}/a%2Fb.png?x=%20+%7e#part")

    assert (got.status, got.body) == (200, b"png")
    assert got.headers == {"content-type": "image/png", "x-a": "1, 2", "content-length": "3"}
    assert got.final_url == f"{server.origin}/a%2Fb.png?x=%20+%7e"
    assert server.requests[0].startswith(b"GET /a%2Fb.png?x=%20+%7e HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in server.requests[0].lower()


async def test_a_private_address_is_refused_before_a_connection(guard: Guard):
    async with serving(answering(reply(b"secret"))) as server:
        with pytest.raises(Refused, match="HALLEY_FETCH_ALLOW"):
            await fetch(guard, f"{server.origin}/")

    assert server.connections == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://0x7f.1/", "ftp://a/", "nonsense"])
def test_check_refuses_without_a_look_up(url: str):
    with pytest.raises(Refused):
        Guard(FetchPolicy()).check(url)


@pytest.mark.parametrize("url", ["https://example.com/x", "http://127.0.0.1:9000/", "http://[::1]/"])
def test_check_lets_through_what_is_public_or_permitted(url: str):
    Guard(FetchPolicy(allow=("127.0.0.1:9000", "::1"))).check(url)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)
async def test_a_name_that_resolves_to_a_private_address_is_refused_without_telling_which(address: str):
    guard = Guard(FetchPolicy(), resolve=Names({"rebind.example": [[address]]}))
    with pytest.raises(Refused) as caught:
        await fetch(guard, "http://rebind.example/")

    assert address not in caught.value.message


async def test_the_private_one_among_a_names_addresses_is_never_connected_to():
    """The part of the public address is played by `::1`, where nobody listens, and which the operator permits."""
    async with serving(answering(reply(b"inner"))) as server:
        names = Names({"mixed.example": [["127.0.0.1", "::1"]]})
        guard = Guard(FetchPolicy(allow=("::1/128",)), resolve=names)
        with pytest.raises(NotSent):
            await fetch(guard, f"http://mixed.example:{server.port}/")

    assert server.connections == 0


async def test_the_name_is_looked_up_once_so_that_a_second_answer_changes_nothing():
    async with serving(answering(reply(b"checked"))) as server:
        names = Names({"rebind.example": [["127.0.0.1"], ["127.0.0.9"]]})
        guard = Guard(FetchPolicy(allow=("127.0.0.1/32",)), resolve=names)
        got = await fetch(guard, f"http://rebind.example:{server.port}/")

    assert (got.body, names.asked) == (b"checked", ["rebind.example"])
    assert f"host: rebind.example:{server.port}".encode() in server.requests[0].lower()


async def test_the_socket_gate_opens_for_checked_addresses_only():
    from halley.upstream.hop import Pin

    progress = Progress()
    pin = Pin(("8.8.8.8",), progress)
    with pytest.raises(Refused):
        pin.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    assert not progress.connected
    pin.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))).close()
    assert progress.connected


async def test_a_trusted_origin_may_be_private(guard: Guard):
    async with serving(answering(reply(b"simulated"))) as server:
        got = await fetch(guard, f"{server.origin}/x", trusted_origins=frozenset({server.origin}))

    assert got.body == b"simulated"


async def test_trust_is_for_the_exact_origin(guard: Guard):
    async with serving(answering(reply(b""))) as server, serving(answering(reply(b""))) as other:
        trusted = frozenset({server.origin, f"https://127.0.0.1:{other.port}", f"http://localhost:{other.port}"})
        with pytest.raises(Refused):
            await fetch(guard, f"{other.origin}/", trusted_origins=trusted)

    assert other.connections == 0


async def test_trust_lasts_over_a_redirect_within_the_origin(guard: Guard):
    async with serving(routing({"/a": redirect("/b"), "/b": reply(b"b")})) as server:
        got = await fetch(guard, f"{server.origin}/a", trusted_origins=frozenset({server.origin}))

    assert (got.body, got.final_url) == (b"b", f"{server.origin}/b")


async def test_trust_ends_at_a_redirect_elsewhere_even_to_another_trusted_origin(guard: Guard):
    async with serving(answering(reply(b"inner"))) as inner, serving(answering(redirect(inner.origin))) as server:
        with pytest.raises(Refused):
            await fetch(guard, f"{server.origin}/", trusted_origins=frozenset({server.origin, inner.origin}))

    assert inner.connections == 0


async def test_trust_does_not_come_back_after_a_detour():
    guard = Guard(FetchPolicy(allow=("outside.example",)), resolve=Names({"outside.example": [["127.0.0.1"]]}))
    routes: dict[str, bytes] = {"/inner": reply(b"inner")}
    async with serving(routing(routes)) as inner, serving(answering(redirect(f"{inner.origin}/inner"))) as outside:
        routes["/"] = redirect(f"http://outside.example:{outside.port}/")
        with pytest.raises(Refused):
            await fetch(guard, f"{inner.origin}/", trusted_origins=frozenset({inner.origin}))

    assert (len(inner.requests), len(outside.requests)) == (1, 1)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://2130706433/",
        "//[::1]/",
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
        "http://127.0.0.1:22/",
        "gopher://127.0.0.1/",
    ],
)
async def test_a_redirect_into_a_private_place_is_refused(location: str):
    async with serving(answering(redirect(location))) as server:
        guard = Guard(FetchPolicy(allow=(f"127.0.0.1:{server.port}",)))
        with pytest.raises(Refused):
            await fetch(guard, f"{server.origin}/")


async def test_redirects_are_followed_up_to_a_bound(open_guard: Guard):
    routes = {f"/{n}": redirect(f"/{n - 1}") for n in range(1, REDIRECTS_MAX + 2)} | {"/0": reply(b"end")}
    async with serving(routing(routes)) as server:
        assert (await fetch(open_guard, f"{server.origin}/{REDIRECTS_MAX}")).body == b"end"
        with pytest.raises(Refused, match="redirects"):
            await fetch(open_guard, f"{server.origin}/{REDIRECTS_MAX + 1}")


async def test_headers_stay_within_the_origin(open_guard: Guard):
    key = (("Authorization", "Bearer secret"), ("Cookie", "a=b"))
    async with serving(routing({"/x": reply(b"x")})) as other:
        routes = {"/a": redirect("/b"), "/b": redirect(f"{other.origin}/x")}
        async with serving(routing(routes)) as server:
            got = await fetch(open_guard, f"{server.origin}/a", headers=key)

    assert got.body == b"x"
    assert all(b"Bearer secret" in one for one in server.requests)
    assert b"secret" not in other.requests[0]
    assert b"a=b" not in other.requests[0]


async def test_https_never_becomes_http(tls: Tls):
    async with (
        serving(answering(reply(b"plain"))) as plain,
        serving(answering(redirect(plain.origin)), tls.server) as s,
    ):
        guard = Guard(FetchPolicy(allow=("127.0.0.0/8",)), tls=tls.client)
        with pytest.raises(Refused, match="https"):
            await fetch(guard, f"{s.origin}/")

    assert plain.connections == 0


async def test_a_pinned_connection_still_checks_the_certificates_name(tls: Tls):
    async with serving(answering(reply(b"x")), tls.server) as server:
        names = Names({"other.example": [["127.0.0.1"]]})
        guard = Guard(FetchPolicy(allow=("other.example", "127.0.0.1")), resolve=names, tls=tls.client)
        assert (await fetch(guard, f"{server.origin}/")).body == b"x"
        with pytest.raises(NotSent, match="certificate"):
            await fetch(guard, f"https://other.example:{server.port}/")


@pytest.mark.parametrize(
    "behaviour", [answering(reply(b"x" * 1_001)), endless], ids=["length told", "chunked without an end"]
)
async def test_a_body_over_the_bound_is_cut(open_guard: Guard, behaviour: Any):
    async with serving(behaviour) as server:
        with pytest.raises(ReplyTooLarge):
            await fetch(open_guard, f"{server.origin}/")


async def test_a_compressed_body_is_not_unpacked(open_guard: Guard):
    bomb = reply(gzip.compress(bytes(100_000)), headers="Content-Encoding: gzip\r\n")
    async with serving(answering(bomb)) as server:
        with pytest.raises(OutcomeUnknown, match="compressed"):
            await fetch(open_guard, f"{server.origin}/")


BROKEN = {
    "closed": answering(b""),
    "reset": resetting,
    "silent": silent,
    "garbage": answering(b"\x00\x01 garbage\r\n\r\n"),
    "cut": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
    "stalled": stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN.keys())
async def test_a_reply_that_breaks_is_an_unknown_outcome(open_guard: Guard, behaviour: Any):
    async with serving(behaviour) as server:
        with pytest.raises(OutcomeUnknown) as caught:
            await fetch(open_guard, f"{server.origin}/?sig=secret", timeout_s=0.4)

    assert "secret" not in str(caught.value)


async def test_a_slow_drip_ends_at_the_total_time(open_guard: Guard):
    def make(server: Server) -> Behaviour:
        async def behave(reader: Reader, writer: Writer) -> None:
            await server.read(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        return behave

    async with serving(make) as server, asyncio.timeout(1.5):
        with pytest.raises(OutcomeUnknown, match="not done within"):
            await fetch(open_guard, f"{server.origin}/", timeout_s=0.3)


async def test_no_connection_is_not_sent(open_guard: Guard):
    with refused_port() as port, pytest.raises(NotSent, match="refused"):
        await fetch(open_guard, f"http://127.0.0.1:{port}/")


async def test_no_connection_in_time_ends_at_the_total_time(open_guard: Guard):
    with full_backlog() as port, pytest.raises((NotSent, OutcomeUnknown)):
        await fetch(open_guard, f"http://127.0.0.1:{port}/", timeout_s=0.3)


async def test_no_tls_in_time_ends_at_the_total_time(open_guard: Guard):
    async with serving(deaf) as server:
        with pytest.raises((NotSent, OutcomeUnknown)):
            await fetch(open_guard, f"https://127.0.0.1:{server.port}/", timeout_s=0.3)


async def test_a_name_that_does_not_resolve_is_not_sent(guard: Guard):
    with pytest.raises(NotSent, match=r"nowhere\.invalid"):
        await fetch(guard, "https://nowhere.invalid/", timeout_s=10.0)


async def test_a_resolver_that_hangs_is_not_sent():
    async def never(host: str, port: int) -> Sequence[str]:
        del host, port
        await asyncio.Event().wait()
        return []

    with pytest.raises(NotSent, match="not done within"):
        await fetch(Guard(FetchPolicy(), resolve=never), "https://slow.example/", timeout_s=0.1)


async def test_a_name_without_an_address_is_not_sent():
    with pytest.raises(NotSent):
        await fetch(Guard(FetchPolicy(), resolve=Names({"none.example": [[]]})), "https://none.example/")


async def test_a_download_comes_in_chunks(open_guard: Guard):
    body = bytes(range(256)) * 1_000
    async with serving(answering(reply(body, headers="Content-Type: image/png\r\n"))) as server:
        url = f"{server.origin}/"
        async with open_guard.download(url, bytes_max=300_000, timeout_s=5.0) as reading:
            chunks = [chunk async for chunk in reading.chunks]

    assert (reading.status, reading.headers["content-type"]) == (200, "image/png")
    assert len(chunks) > 1
    assert b"".join(chunks) == body


async def test_a_download_is_bounded_while_it_runs(open_guard: Guard):
    received: list[int] = []

    async def read(url: str) -> None:
        async with open_guard.download(url, bytes_max=200_000, timeout_s=5.0) as reading:
            received.extend([len(chunk) async for chunk in reading.chunks])

    async with serving(endless) as server:
        with pytest.raises(ReplyTooLarge):
            await read(f"{server.origin}/")

    assert sum(received) <= 200_000


async def test_a_reader_that_is_too_slow_is_stopped_by_the_total_time(open_guard: Guard):
    async with serving(answering(reply(b"x"))) as server:
        with pytest.raises(OutcomeUnknown):
            async with open_guard.download(f"{server.origin}/", bytes_max=10, timeout_s=0.2):
                await asyncio.sleep(5)


async def test_a_time_out_of_the_readers_own_stays_its_own(open_guard: Guard):
    async with serving(answering(reply(b"x"))) as server:
        with pytest.raises(TimeoutError, match="mine"):
            async with open_guard.download(f"{server.origin}/", bytes_max=10, timeout_s=5.0):
                raise TimeoutError("mine")


async def test_a_webhook_is_posted_once_and_its_redirect_is_the_answer(open_guard: Guard):
    headers = (("Content-Type", "application/json"), ("webhook-id", "1"), ("Host", "evil"), ("Content-Length", "1"))
    async with serving(routing({"/hook": redirect("/elsewhere")})) as server:
        got = await open_guard.post(
            f"{server.origin}/hook", body=b'{"id":1}', headers=headers, timeout_s=2.0, bytes_max=100
        )

    assert (got.status, len(server.requests)) == (302, 1)
    sent = server.requests[0].lower()
    assert sent.startswith(b"post /hook http/1.1\r\n")
    assert sent.endswith(b'\r\n\r\n{"id":1}')
    assert b"content-type: application/json" in sent
    assert b"evil" not in sent


ANSWERED_ALL_THE_SAME = {
    "too large": answering(reply(b"x" * 1_001, headers="X-Head: came\r\n")),
    "packed": answering(reply(gzip.compress(b"ok"), headers="Content-Encoding: gzip\r\nX-Head: came\r\n")),
    "cut": answering(b"HTTP/1.1 200 OK\r\nX-Head: came\r\nContent-Length: 50\r\n\r\nhello"),
    "slow": stalling(b"HTTP/1.1 200 OK\r\nX-Head: came\r\nContent-Length: 50\r\n\r\nhello"),
}


@pytest.mark.parametrize("behaviour", ANSWERED_ALL_THE_SAME.values(), ids=ANSWERED_ALL_THE_SAME.keys())
async def test_a_webhook_is_answered_by_the_head_whatever_becomes_of_the_body(open_guard: Guard, behaviour: Any):
    async with serving(behaviour) as server:
        got = await open_guard.post(f"{server.origin}/", body=b"{}", headers=(), timeout_s=0.5, bytes_max=100)

    assert (got.status, got.headers["x-head"], len(server.requests)) == (200, "came", 1)
    assert len(got.body) <= 100


async def test_a_webhook_that_is_reset_is_not_posted_again(open_guard: Guard):
    async with serving(resetting) as server:
        with pytest.raises(OutcomeUnknown):
            await open_guard.post(f"{server.origin}/", body=b"{}", headers=(), timeout_s=2.0, bytes_max=100)

    assert len(server.requests) == 1


async def test_a_webhook_into_a_private_place_is_refused(guard: Guard):
    with pytest.raises(Refused):
        await guard.post("http://10.0.0.1/", body=b"{}", headers=(), timeout_s=1.0, bytes_max=100)


async def test_a_header_that_is_none_is_refused(open_guard: Guard):
    async with serving(answering(reply(b""))) as server:
        with pytest.raises(Refused, match="header"):
            await fetch(open_guard, f"{server.origin}/", headers=(("x", "a\r\ny: b"),))

    assert server.requests == []


async def test_proxies_and_cookies_play_no_part(open_guard: Guard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    routes = {
        "/a": reply(b"", status="302 Found", headers="Set-Cookie: a=b; Path=/\r\nLocation: /b\r\n"),
        "/b": reply(b"b"),
    }
    async with serving(routing(routes)) as server:
        got = await fetch(open_guard, f"{server.origin}/a")

    assert got.body == b"b"
    assert b"cookie" not in server.requests[1].lower()


async def test_a_closed_guard_fetches_nothing(open_guard: Guard):
    await open_guard.aclose()
    with pytest.raises(NotSent):
        await fetch(open_guard, "http://127.0.0.1:9/")


def test_an_idle_gateway_does_not_load_aiohttp():
    code = "import sys, halley.upstream.guard; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
