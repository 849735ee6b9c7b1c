"""Answers that were soundly read and cannot be given: the model ended them without one, or the format has no word."""

from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import GEMINI, HELLO, PER_INPUT, PER_OUTPUT, House, opened, three
from tests.answers.odd import CHAT, GIVEN, MESSAGES, RESPONSES
from tests.answers.vendor import answer, events, stream

from halley.routing.health import FAILURES_MAX

COUNTED = {"promptTokenCount": 100, "thoughtsTokenCount": 900, "totalTokenCount": 1000}
TOLD = 100 * PER_INPUT + 900 * PER_OUTPUT
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HELLO},
    MESSAGES: {"messages": HELLO, "max_tokens": 99},
    RESPONSES: {"input": "Hello there"},
}
WORDS = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "NO_IMAGE", "A_WORD_OF_TOMORROW")


def reply(*parts: dict[str, Any], finish: str, usage: dict[str, int] | None = COUNTED) -> dict[str, Any]:
    one = {"index": 0, "content": {"role": "model", "parts": [*parts]}, "finishReason": finish}
    return {"candidates": [one], "responseId": "r", **({"usageMetadata": usage} if usage else {})}


async def asked(house: House, path: str, body: dict[str, Any], *, streams: bool) -> Any:
    house.vendor.will(stream(*events(body, done=False)) if streams else answer(body))
    return await house.post(path, {"model": GEMINI, "stream": streams, **BODIES[path]})


@pytest.mark.parametrize("word", WORDS)
async def test_a_model_that_ends_without_an_answer_is_charged_and_no_failure_of_its_vendor(
    folder: Path, word: str
) -> None:
    async with opened(folder, three) as house:
        for count in range(1, FAILURES_MAX + 2):
            refused = await asked(house, CHAT, reply(finish=word), streams=False)
            assert (refused.status, refused.headers["x-should-retry"]) == (424, "false")
            assert (refused.json["error"]["code"], word in refused.json["error"]["message"]) == (
                "answer_unusable",
                True,
            )
            usage = await house.usage(count)
            assert (usage.outcome, usage.price_nanos, usage.exposure_nanos) == ("cut", TOLD, 0)
        assert len(house.vendor.seen) == FAILURES_MAX + 1


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
async def test_a_stream_that_its_model_ends_without_an_answer_is_charged_as_it_was_told(
    folder: Path, path: str
) -> None:
    async with opened(folder, three) as house:
        told = await asked(house, path, reply({"text": "Hm"}, finish=WORDS[0]), streams=True)
        assert b"answer_unusable" in told.body
        assert b"Hm" in told.body
        usage = await house.usage()
        assert (usage.outcome, usage.price_nanos, usage.exposure_nanos) == ("cut", TOLD, 0)


async def test_what_a_model_ended_without_a_count_is_not_charged_but_exposed(folder: Path) -> None:
    async with opened(folder, three) as house:
        assert (await asked(house, CHAT, reply(finish=WORDS[0], usage=None), streams=False)).status == 424
        usage = await house.usage()
        assert (usage.outcome, usage.price_nanos, usage.exposure_nanos > 0) == ("lost", 0, True)


@pytest.mark.parametrize("usage", [COUNTED, None], ids=["counted", "not counted"])
async def test_in_the_vendors_own_format_such_an_end_is_one_like_any_other(
    folder: Path, usage: dict[str, int] | None
) -> None:
    async with opened(folder, three) as house:
        body = reply(finish=WORDS[0], usage=usage)
        house.vendor.will(answer(body))
        assert (await house.post(f"/v1beta/models/{GEMINI}:generateContent", GIVEN)).json == body
        row = await house.usage()
        assert (row.outcome, row.price_nanos > 0) == ("succeeded", True)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_an_answer_that_the_callers_format_cannot_show_is_the_operators_exposure(
    folder: Path, *, streams: bool
) -> None:
    async with opened(folder, three) as house:
        told = await asked(house, MESSAGES, reply(PICTURE, finish="STOP"), streams=streams)
        assert (told.status, b"not_conveyed" in told.body) == (200 if streams else 400, True)
        usage = await house.usage()
        assert (usage.outcome, usage.price_nanos, usage.exposure_nanos) == ("failed", 0, TOLD)
        assert usage.meters == {}
