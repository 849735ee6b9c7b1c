"""Which channel a session goes to, and what goes to it, seen by a vendor of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

import msgspec
import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from tests.app.rigs import Rig
from tests.realtime.talking import Door, Talk

from halley.routing.health import FAILURES_MAX
from halley.upstream.websocket import FRAME_BYTES_MAX
from halley.world import load_config

DONE = {
    "type": "response.done",
    "response": {"id": "resp_1", "status": "completed", "conversation_id": "conv_1", "usage": None},
}


class Vendor:
    """Answers an upgrade as told, notes what comes, and says what the test lets it say."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[web.Request] = []
        self.frames: list[str] = []
        self.script: list[str | tuple[int, str] | bytes] = []
        """Said after the first frame; a pair closes."""
        self.status = 101
        self.closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.status != 101:
            body = {"error": {"message": "No such sk-secret123 key"}}
            return web.json_response(body, status=self.status, headers={"location": f"{self.url}/v1/elsewhere"})
        opened = web.WebSocketResponse(max_msg_size=0)
        await opened.prepare(request)
        await opened.send_str('{"type":"session.created","session":{"id":"sess_1"}}')
        async for message in opened:
            if message.type is WSMsgType.TEXT:
                self.frames.append(message.data)
                with suppress(ConnectionError):  # the gateway has left, as a test wants it
                    await self._speak(opened)
        if not self.closed.done():
            self.closed.set_result(opened.close_code)
        return opened

    async def _speak(self, opened: web.WebSocketResponse) -> None:
        script, self.script = self.script, []
        for said in script:
            match said:
                case str():
                    await opened.send_str(said)
                case b"":
                    self.requests[-1].transport.abort()  # pyright: ignore[reportOptionalMemberAccess] - it is open
                case bytes():
                    await opened.send_bytes(said)
                case (code, reason):
                    await opened.close(code=code, message=reason.encode())


@pytest.fixture
async def vendor(rig: Rig) -> AsyncIterator[Vendor]:
    """A vendor that the test's channel leads to, with the same models as the simulator's."""
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    standing = Vendor("")
    app.router.add_get("/v1/{rest:.*}", standing.serve)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    standing.url = site.name
    await lead_to(rig, f"{site.name}/v1")
    yield standing
    await runner.cleanup()


async def lead_to(rig: Rig, *base_urls: str, managed: Literal["environment", "sandbox"] = "sandbox") -> None:
    """Let the models be served by these addresses, in turn; to live keys by channels from the environment."""
    world = rig.world
    (sandbox,) = [each for each in world.sandbox if each.vendor == "openai"]
    world.sandbox = tuple(
        msgspec.structs.replace(
            sandbox,
            id=f"sandbox-{place}",
            base_url=url,
            priority=-place,
            model_map={"gpt-realtime": "deployed-7"},
            managed=managed,
        )
        for place, url in enumerate(base_urls)
    )
    world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))


async def begun(talk: Talk) -> None:
    """Say something, so that the vendor says its part."""
    await talk.until("session.created")
    await talk.tell("response.create")


async def test_a_channel_that_cannot_be_reached_is_followed_by_the_next(door: Door, rig: Rig, vendor: Vendor):
    (sandbox,) = rig.world.sandbox
    await lead_to(rig, sandbox.refused_url, f"{vendor.url}/v1")
    async with door.talk() as talk:
        await talk.until("session.created")
    (row,) = await door.usage()
    assert (row["channel_id"], row["attempts"]) == ("sandbox-1", 2)


async def test_the_vendor_is_told_its_own_model_name_and_our_key_and_nothing_of_the_caller(door: Door, vendor: Vendor):
    headers = {"openai-beta": "realtime=v1", "x-secret": "mine", "cookie": "mine", "halley-test": "delay=1"}
    async with door.talk(headers=headers, query="&call_id=rtc_1") as talk:
        await talk.until("session.created")
    (request,) = vendor.requests
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert dict(request.query) == {"model": "deployed-7"}
    assert sent["authorization"] == "Bearer simulated"
    assert (sent["openai-beta"], sent["halley-test"], sent["user-agent"]) == ("realtime=v1", "delay=1", "halley")
    assert not {"x-secret", "cookie", "sec-websocket-protocol", "sec-websocket-extensions"} & sent.keys()
    assert door.rig.key not in str(sent)


async def test_only_the_models_name_is_changed_in_a_frame(door: Door, vendor: Vendor):
    update = '{"type": "session.update" ,"session":{"model":"gpt-realtime","x":1.0,"tools":[ ]}, "new":"\\u00fc"}'
    other = '{ "type":"conversation.item.create", "item" : {"model":"gpt-realtime"} }'
    async with door.talk() as talk:
        await talk.until("session.created")
        await talk.connection.send_str(update)
        await talk.connection.send_str(other)
        await talk.connection.close()
        await asyncio.wait_for(vendor.closed, 5)
    first = json.loads(vendor.frames[0])
    assert first == {**json.loads(update), "session": {**json.loads(update)["session"], "model": "deployed-7"}}
    assert '"x":1.0,"tools":[ ]' in vendor.frames[0]
    assert vendor.frames[1] == other


@pytest.mark.parametrize("status", [302, 401, 404])
async def test_a_vendor_that_answers_otherwise_is_not_followed_and_not_quoted(door: Door, vendor: Vendor, status: int):
    vendor.status = status
    told, body, _ = await door.refused("/v1/realtime?model=gpt-realtime", door.rig.key)
    assert (told, body["error"]["code"]) == (503, "vendor_account_unusable")
    assert "secret" not in str(body)
    assert len(vendor.requests) == 1


async def test_what_the_vendor_says_to_its_own_customer_is_not_passed_on(door: Door, vendor: Vendor):
    words = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota"}
    vendor.script = [json.dumps({"type": "error", "error": words})]
    async with door.talk() as talk:
        await begun(talk)
        error = (await talk.until("error"))["error"]
    assert error["code"] == "vendor_account_unusable"
    assert "quota" not in str(error)


@pytest.mark.parametrize(
    ("closing", "code", "reason"),
    [
        pytest.param((1000, "done"), 1000, "done", id="well"),
        pytest.param((4321, "see api.example.com/x"), 4321, "see (removed)/x", id="its own code"),
        pytest.param((1011, ""), 1011, "", id="failed"),
        pytest.param((3000, "invalid_request_error.invalid_api_key"), 1011, "vendor_account_unusable", id="our key"),
    ],
)
async def test_a_vendor_that_closes_closes_the_session(
    door: Door, vendor: Vendor, closing: tuple[int, str], code: int, reason: str
):
    vendor.script = [closing]
    async with door.talk() as talk:
        await begun(talk)
        end = await talk.ended()
    assert (end.code, end.reason) == (code, reason)


async def test_a_caller_who_closes_closes_the_vendor_with_the_same_code(door: Door, vendor: Vendor):
    async with door.talk() as talk:
        await talk.until("session.created")
        await talk.connection.close(code=WSCloseCode.GOING_AWAY)
        assert await asyncio.wait_for(vendor.closed, 5) == WSCloseCode.GOING_AWAY


async def test_an_answer_whose_usage_is_not_told_is_counted(door: Door, vendor: Vendor):
    vendor.script = [
        '{"type":"response.created","response":{"id":"resp_1"}}',
        '{"type":"response.output_text.delta","response_id":"resp_1","delta":"one two three"}',
        json.dumps(DONE),
    ]
    async with door.talk() as talk:
        await begun(talk)
        await talk.until("response.done")
    (row,) = await door.charged()
    assert (row["meters"]["output_token"], row["outcome"]) == (3, "succeeded")


async def test_a_frame_that_is_no_text_ends_the_session(door: Door, vendor: Vendor):
    vendor.script = [b"\x00"]
    async with door.talk() as talk:
        await begun(talk)
        end = await talk.ended()
    assert (end.code, end.reason) == (1011, "vendor_failed")


async def test_an_answer_of_many_large_frames_comes_whole(door: Door, vendor: Vendor):
    piece = "A" * 500_000
    frame = json.dumps({"type": "response.output_audio.delta", "response_id": "resp_1", "delta": piece})
    vendor.script = ['{"type":"response.created","response":{"id":"resp_1"}}', *[frame] * 40, json.dumps(DONE)]
    async with door.talk() as talk:
        await begun(talk)
        await talk.until("response.done")
    pieces = [event for event in talk.seen if event["type"] == "response.output_audio.delta"]
    assert (len(pieces), {len(each["delta"]) for each in pieces}) == (40, {500_000})
    assert (await door.charged())[0]["meters"]["audio_output_token"] > 0


async def dropped(door: Door, vendor: Vendor, key: str, *before: str) -> None:
    """Open a session that the vendor drops without a word after so many events."""
    async with door.talk(key=key) as talk:
        vendor.script = [*before, b""]
        await begun(talk)
        await talk.ended()


async def test_a_vendor_that_drops_each_session_before_its_first_answer_rests(door: Door, rig: Rig, vendor: Vendor):
    await lead_to(rig, f"{vendor.url}/v1", managed="environment")
    key = await rig.make_key(livemode=True)
    for _ in range(FAILURES_MAX - 1):
        await dropped(door, vendor, key)
    await dropped(door, vendor, key, json.dumps(DONE))
    for _ in range(FAILURES_MAX):
        await dropped(door, vendor, key)
    status, body, _ = await door.refused("/v1/realtime?model=gpt-realtime", key)
    assert (status, body["error"]["code"]) == (503, "vendor_unreachable")
    assert len(vendor.requests) == 2 * FAILURES_MAX


async def test_fifteen_mebibytes_of_sound_in_one_event_pass_both_ways(door: Door, vendor: Vendor):
    sound = "A" * (20 * 1024 * 1024)
    said = json.dumps({"type": "response.output_audio.delta", "response_id": "resp_1", "delta": sound})
    async with door.talk(size_max=0) as talk:
        await talk.until("session.created")
        vendor.script = [said]
        await talk.tell("input_audio_buffer.append", audio=sound)
        event = await talk.until("response.output_audio.delta")
    assert len(event["delta"]) == len(sound)
    assert json.loads(vendor.frames[0])["audio"] == sound


async def test_a_vendors_event_that_is_too_large_ends_the_session_with_its_code(door: Door, vendor: Vendor):
    vendor.script = ["x" * (FRAME_BYTES_MAX + 1)]
    async with door.talk() as talk:
        await begun(talk)
        end = await talk.ended()
    assert (end.code, str(FRAME_BYTES_MAX) in end.reason) == (1009, True)


async def test_a_caller_who_vanishes_while_the_vendor_speaks_is_noticed(door: Door, vendor: Vendor):
    vendor.script = [json.dumps({"type": "response.output_text.delta", "delta": "x" * 100_000})] * 100
    with suppress(OSError):  # our own end is gone when we close it
        async with door.talk() as talk:
            await begun(talk)
            transport = talk.connection._response.connection  # pyright: ignore[reportPrivateUsage] - there is no public way to drop one
            assert transport is not None
            assert transport.transport is not None
            transport.transport.abort()
    assert await asyncio.wait_for(vendor.closed, 5) is not None
