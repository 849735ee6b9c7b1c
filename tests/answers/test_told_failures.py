"""What the operator reads of vendors that fail: which channel, why, and in whose words; and no secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.answers.house import MODEL, channel, chunk, completion, one, opened, two
from tests.answers.vendor import Script, Vendor, answer, cut, events, refuse, stream

from halley.routing.health import FAILURES_MAX, REST_S
from halley.settings import ChannelConfig, Secret


def told(lines: list[Any], event: str = "vendor_call_failed") -> list[dict[str, Any]]:
    """The lines of an event."""
    return [dict(line) for line in lines if line["event"] == event]


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "once"}], ids=["straight", "general"])
async def test_a_dead_key_is_told_though_another_channel_answers(folder: Path, headers: dict[str, str]) -> None:
    async with opened(folder, two) as house:
        house.vendor.will(refuse(401, "Incorrect API key provided: sk-dead1234. You sent key-of-first"))
        house.second.will(answer(completion()))
        with capture_logs() as lines:
            reply = await house.chat(headers=headers)
        assert told(lines) == [
            {
                "event": "vendor_call_failed",
                "log_level": "warning",
                "request_id": reply.headers["halley-request-id"],
                "channel": "first",
                "vendor": "openai",
                "model": MODEL,
                "operation": "openai.chat",
                "code": "vendor_account_unusable",
                "reason": "The vendor does not serve this model to this channel; the operator must mend it",
                "status": 401,
                "words": "Incorrect API key provided: (removed) You sent (removed)",
            }
        ]
        usage = await house.usage()
        assert usage.attempts == 2


PAGE = b"<html><head><title>502 Bad\nGateway</title></head><body>Hello there</body></html>"
WORDS: dict[str, tuple[Script, int | None, str]] = {
    "OpenAI's": (refuse(500, "The server had an error"), 500, "The server had an error"),
    "a text for an error": (answer({"error": "overloaded"}, status=503), 503, "overloaded"),
    "a detail": (answer({"detail": "Out of workers"}, status=500), 500, "Out of workers"),
    "other JSON": (answer({"body": "Hello there"}, status=500), 500, ""),
    "a page": (answer(PAGE, status=502, content_type="text/html"), 502, "502 Bad Gateway"),
    "a line": (answer(b"upstream connect error\nHello there", status=503), 503, "upstream connect error"),
    "a long text": (refuse(500, "x" * 5_000), 500, "x" * 299 + "…"),
    "nothing": (answer(b"", status=500), 500, ""),
    "a lost reply": (cut, None, "the server closed the connection before it answered"),
    "a reply that cannot be read": (answer(b'{"choices": ["Hello there'), None, ""),
}


@pytest.mark.parametrize("name", WORDS)
async def test_a_vendors_status_and_words_are_told(folder: Path, name: str) -> None:
    script, status, words = WORDS[name]
    async with opened(folder, two) as house:
        house.vendor.will(script)
        house.second.will(answer(completion()))
        with capture_logs() as lines:
            assert (await house.chat()).status == 200
        [line] = told(lines)
        assert (line.get("status"), line.get("words", "")) == (status, words)
        assert "Hello there" not in json.dumps(line)


async def test_a_stream_that_breaks_off_is_told_with_its_request(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(stream(*events(chunk("Hi"), done=False), then=cut))
        with capture_logs() as lines:
            reply = await house.chat(stream=True)
            await house.usage()
        [line] = told(lines)
        assert (line["request_id"], line["code"]) == (reply.headers["halley-request-id"], "outcome_unknown")


async def test_what_is_the_callers_own_mistake_is_not_told(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(400, "`temperature` is too high"))
        with capture_logs() as lines:
            assert (await house.chat()).status == 400
        assert told(lines) == []


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("https://user:secret@api.example.com:8443/v1/chat?key=secret", "https://api.example.com"),
        ("/v2/chat?key=secret", "another path of the same host"),
        ("http://[secret", "an address that cannot be read"),
        (None, "nowhere"),
    ],
    ids=["elsewhere", "same host", "unreadable", "nowhere"],
)
async def test_a_base_url_that_redirects_is_told_and_where_to(folder: Path, location: str | None, place: str) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(307, **({} if location is None else {"location": location})))
        with capture_logs() as lines:
            refused = await house.chat()
        assert refused.status == 503
        assert "the channel's base URL redirects" in refused.json["error"]["message"]
        [line] = told(lines)
        assert (line["status"], line["redirects_to"]) == (307, place)
        assert "secret" not in json.dumps(line)


async def test_headers_of_the_operators_own_are_not_told(folder: Path) -> None:
    sent = one(headers={"x-gateway-pass": Secret("open-sesame"), "x-region": Secret("eu")})
    async with opened(folder, sent) as house:
        house.vendor.will(refuse(403, "no entry in eu with open-sesame"))
        with capture_logs() as lines:
            await house.chat()
        assert told(lines)[0]["words"] == "no entry in eu with (removed)"


async def test_a_vendor_that_is_out_fills_no_log_and_its_rest_is_told(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(500))
        with capture_logs() as lines:
            for _ in range(FAILURES_MAX + 3):
                await house.chat()
        assert len(told(lines)) < FAILURES_MAX
        [line] = told(lines, "channel_rests")
        assert line == {
            "event": "channel_rests",
            "log_level": "warning",
            "channel": "first",
            "vendor": "openai",
            "operation": "openai.chat",
            "seconds": REST_S,
            "code": "vendor_failed",
        }


async def test_a_rest_that_a_vendor_asks_for_one_model_is_told(folder: Path) -> None:
    async with opened(folder) as house:
        house.vendor.will(refuse(429, retry_after="30"))
        with capture_logs() as lines:
            await house.chat()
        [line] = told(lines, "channel_rests")
        assert (line["model"], line["seconds"], line["code"]) == (MODEL, 30, "vendor_rate_limited")


async def test_keys_of_one_vendor_are_counted_apart(folder: Path) -> None:
    def channels(first: Vendor, second: Vendor) -> tuple[ChannelConfig, ...]:
        return channel(first, "dead", priority=1), channel(second, "well")

    async with opened(folder, channels) as house:
        house.vendor.will(refuse(401))
        house.second.will(answer(completion()))
        await house.chat()
        async with house.session.get(house.rig.gateway.url + "/metrics") as response:
            text = await response.text()
        beside = 'operation="openai.chat",outcome='
        assert (
            f'halley_vendor_calls_total{{channel="dead",{beside}"vendor_account_unusable",vendor="openai"}} 1.0' in text
        )
        assert f'halley_vendor_calls_total{{channel="well",{beside}"ok",vendor="openai"}} 1.0' in text
        assert 'halley_vendor_call_seconds_count{channel="well",operation="openai.chat",vendor="openai"} 1.0' in text
