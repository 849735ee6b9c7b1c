"""A gateway behind a gateway: text in three formats and pictures in two, by one channel, charged once on each side."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.app.rigs import Rig, opened_gateway

from halley.pipeline.vendor import origin_of, same_site
from halley.settings import ChannelConfig, Secret
from halley.testing.gateway import settings_for
from halley.upstream.address import parse_target

LIVE = "sk-a-live-key-of-the-first-start"
CALLS = {
    "chat": ("/v1/chat/completions", {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "hi"}]}),
    "messages": (
        "/v1/messages",
        {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "content": (
        "/v1beta/models/gemini-2.5-flash:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
    "embeddings": ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "a red fox"}),
}
STREAMED = ("chat", "messages", "content")


@pytest.fixture
async def behind(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Rig, Rig]]:
    """(the one that is called, the one behind it); a parameter is how the channels spell the host of the latter."""
    async with opened_gateway(settings_for(tmp_path / "b")) as second:
        url = second.gateway.url.replace("127.0.0.1", getattr(request, "param", "127.0.0.1"))
        channels = tuple(
            ChannelConfig(name=vendor, vendor=vendor, base_url=url, api_key=Secret(second.key), models=("*",))
            for vendor in ("gateway", "gateway_replicate")
        )
        settings = settings_for(tmp_path / "a", channels=channels, bootstrap_key=Secret(LIVE))
        async with opened_gateway(settings, clock=second.clock, key=LIVE) as first:
            yield first, second
            assert await first.differences() == () == await second.differences()


async def _booked(rig: Rig) -> None:
    """A stream is booked just after its last piece."""

    async def booked() -> bool:
        return await rig.open_holds() == 0

    await rig.settle(booked)


@pytest.mark.parametrize(
    ("name", "stream"), [(name, stream) for name in CALLS for stream in (False, True) if not stream or name in STREAMED]
)
async def test_text_goes_through_both(behind: tuple[Rig, Rig], name: str, *, stream: bool) -> None:
    first, second = behind
    path, body = CALLS[name]
    if stream and name == "content":
        path = path.replace("generateContent", "streamGenerateContent?alt=sse")
    elif stream:
        body = {**body, "stream": True}
    reply = await first.client.call("POST", path, body)
    assert reply.status == 200, reply.text
    for rig in behind:
        await _booked(rig)
        [outcome] = await rig.world.db.read(lambda tx: tx.all("SELECT outcome, price_nanos FROM usage"))
        assert outcome["outcome"] == "succeeded"
        assert outcome["price_nanos"] > 0
    assert second.gateway.url not in reply.text


@pytest.mark.parametrize(("form", "vendor"), [("flux", "gateway"), ("replicate", "gateway_replicate")])
async def test_a_picture_goes_through_both(behind: tuple[Rig, Rig], form: str, vendor: str) -> None:
    first, second = behind
    reply = await (first.client.flux() if form == "flux" else first.client.replicate())
    assert reply.status in (200, 201), reply.text
    task = await first.ended((await first.last_task()).id)
    assert (task.state, task.livemode) == ("succeeded", True)
    assert await first.posted(task) > 0
    channel = first.world.channel(task.channel_id)
    assert channel is not None
    assert channel.vendor == vendor
    assert (await second.last_task()).state == "succeeded"


@pytest.mark.parametrize("behind", ["LocalHost"], indirect=True)
async def test_an_output_is_fetched_from_a_private_vendor_however_its_host_is_spelled(behind: tuple[Rig, Rig]) -> None:
    first, _ = behind
    reply = await first.client.flux()
    assert reply.status == 200, reply.text
    assert (await first.ended((await first.last_task()).id)).state == "succeeded"


@pytest.mark.parametrize(
    ("base_url", "link"),
    [
        pytest.param("http://10.0.0.7", "http://10.0.0.7/a.png", id="default port left out"),
        pytest.param("http://10.0.0.7", "http://10.0.0.7:80/a.png", id="default port in the link"),
        pytest.param("https://Vendor.Internal:443/v1", "https://vendor.internal/a.png", id="default port in the base"),
        pytest.param("http://[fd00::7]:80", "http://[fd00::7]/a.png", id="IPv6"),
    ],
)
def test_a_vendors_own_address_is_known_however_it_is_spelled(base_url: str, link: str) -> None:
    assert origin_of(base_url) == parse_target(link).origin
    assert same_site(base_url, link)


@pytest.mark.parametrize("link", ["http://10.0.0.7:8080/a.png", "https://10.0.0.7/a.png", "http://a@10.0.0.7/a.png"])
def test_another_port_scheme_or_user_is_another_site(link: str) -> None:
    assert not same_site("http://10.0.0.7", link)
