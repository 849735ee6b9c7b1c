from typing import Any

import pytest
from tests.wire.talk import FACTS, reply_of

from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatReply,
    ChatUsage,
    Choice,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from halley.kernel.codec import encode
from halley.wire.contract import Unusable
from halley.wire.gemini import CONTENT

USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 20,
    "toolUsePromptTokenCount": 5,
    "totalTokenCount": 132,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "IMAGE", "tokenCount": 30}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}],
}
COUNTED = ChatUsage(input=105, output=27, cached=40, reasoning=20, image_input=30, audio_output=3)


def candidate(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP", "index": 0, **fields}


def body(*candidates: Any, **fields: Any) -> dict[str, Any]:
    told = {"responseId": "rEply-id_12345678", "modelVersion": "gemini-3-pro-002", "usageMetadata": USAGE}
    return {"candidates": list(candidates), **told, **fields}


def test_a_reply_is_read():
    read = CONTENT.read_reply(
        body(
            candidate(
                {"text": "hm", "thought": True},
                {"text": "Hi"},
                {"text": " there", "thoughtSignature": "s"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            )
        )
    )
    assert read.choices[0].parts == (
        Thinking(text="hm"),
        Text(text="Hi there"),
        Thinking(signature="s"),
        Blob(kind=BlobKind.IMAGE, media_type="image/png", data="AAAA"),
    )
    assert (read.id, read.model, read.usage) == ("rEply-id_12345678", "gemini-3-pro-002", COUNTED)
    assert read.choices[0].stop is StopReason.END


def test_a_stop_behind_calls_is_theirs_and_calls_get_ids():
    read = CONTENT.read_reply(
        body(
            candidate(
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
                {"functionCall": {"name": "my.g", "args": {}}},
                {"functionCall": {"id": "own", "name": "f"}},
            )
        )
    )
    assert read.choices[0].parts == (
        ToolCall(id="call_0_f_12345678", name="f", arguments='{"a":1}', signature="s"),
        ToolCall(id="call_1_my_g_12345678", name="my.g", arguments="{}"),
        ToolCall(id="own", name="f", arguments="{}"),
    )
    assert read.choices[0].stop is StopReason.TOOLS
    written = CONTENT.write_reply(read, FACTS)["candidates"][0]["content"]["parts"]
    assert [part["functionCall"].get("id") for part in written] == [None, None, "own"]


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("STOP", StopReason.END),
        ("MAX_TOKENS", StopReason.LENGTH),
        ("SAFETY", StopReason.FILTERED),
        ("RECITATION", StopReason.FILTERED),
        ("PROHIBITED_CONTENT", StopReason.FILTERED),
        ("BLOCKLIST", StopReason.FILTERED),
        ("SPII", StopReason.FILTERED),
        ("IMAGE_SAFETY", StopReason.FILTERED),
    ],
)
def test_a_stop_word_is_read(word: str, stop: StopReason):
    assert CONTENT.read_reply(body(candidate({"text": "a"}, finishReason=word))).choices[0].stop is stop


@pytest.mark.parametrize(
    "bad",
    [
        body(candidate({"text": "a"}, finishReason=None)),
        body(candidate({"text": "a"}, finishReason="FINISH_REASON_UNSPECIFIED")),
        body(candidate({"text": "a"}, finishReason=1)),
        body(candidate({"executableCode": {}})),
        body(),
    ],
    ids=["no end", "an end that is none", "an end that is no word", "part", "empty"],
)
def test_what_cannot_be_read_passes_for_no_answer(bad: dict[str, Any]):
    with pytest.raises(ValueError) as caught:
        CONTENT.read_reply(bad)
    assert not isinstance(caught.value, Unusable)


def test_an_end_without_an_answer_is_told_apart():
    with pytest.raises(Unusable, match="MALFORMED_FUNCTION_CALL"):
        CONTENT.read_reply(body(candidate({"text": "a"}, finishReason="MALFORMED_FUNCTION_CALL")))


def test_a_blocked_prompt_is_a_filtered_answer_that_is_still_counted():
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "Not this."}
    read = CONTENT.read_reply(body(promptFeedback=feedback))
    assert read.choices == (Choice(parts=(Refusal(text="Not this."),), stop=StopReason.FILTERED),)
    assert read.usage == COUNTED


def test_a_reply_is_written_in_our_name():
    written = CONTENT.write_reply(
        ChatReply(
            id="r",
            model="m",
            choices=(
                Choice(parts=(Thinking(text="hm"), Text(text="Hi"), Thinking(signature="s")), stop=StopReason.LENGTH),
                Choice(index=1, parts=(Refusal(text="no"),), stop=StopReason.REFUSED),
            ),
            usage=ChatUsage(input=105, output=27, cached=40, reasoning=20, image_input=30),
        ),
        FACTS,
    )
    assert written == {
        "candidates": [
            candidate(
                {"text": "hm", "thought": True},
                {"text": "Hi", "thoughtSignature": "s"},
                finishReason="MAX_TOKENS",
            ),
            candidate({"text": "no"}, finishReason="SAFETY", index=1),
        ],
        "usageMetadata": {
            "promptTokenCount": 105,
            "candidatesTokenCount": 7,
            "totalTokenCount": 132,
            "cachedContentTokenCount": 40,
            "thoughtsTokenCount": 20,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 75},
                {"modality": "IMAGE", "tokenCount": 30},
            ],
        },
        "modelVersion": "alias",
        "responseId": "abc",
    }


def test_a_call_of_another_format_keeps_its_id():
    written = CONTENT.write_reply(reply_of(ToolCall(id="toolu_1", name="f", arguments="")), FACTS)
    assert written["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "toolu_1", "name": "f", "args": {}}}
    ]


def test_arguments_that_are_no_object_are_no_answer():
    with pytest.raises(ValueError):
        CONTENT.write_reply(reply_of(ToolCall(id="t", name="f", arguments='{"a":')), FACTS)


@pytest.mark.parametrize(
    ("data", "usage"),
    [
        (encode(body(candidate({"text": "a"}))), COUNTED),
        (b'{"candidates":[]}', None),
        (b'{"usageMetadata"', None),
        (b'{"usageMetadata":null}', None),
        (b'{"usageMetadata":{"promptTokenCount":4}}', ChatUsage(input=4, output=0)),
        (b'{"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":"9"}}', ChatUsage(input=4, output=0)),
        (b'{"usageMetadata":{"promptTokenCount":-4,"candidatesTokenCount":9}}', ChatUsage(input=0, output=9)),
        (b'{"usageMetadata":"nonsense"}', ChatUsage(input=0, output=0)),
        (b'{"usageMetadata":{"promptTokenCount":"4"},"x":' + b"[" * 99 + b"]" * 99 + b"}", None),
    ],
    ids=["reply", "none", "cut", "null", "prompt", "text", "less than none", "nonsense", "too deep"],
)
def test_usage_is_read_alone(data: bytes, usage: ChatUsage | None):
    assert CONTENT.read_usage(data) == usage


def test_linked_files_are_told_both_ways():
    part = {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a"}}
    read = CONTENT.read_reply(body(candidate(part)))
    picture = Blob(kind=BlobKind.IMAGE, media_type="image/png", url="https://x.example/a")
    assert read.choices[0].parts == (picture,)
    assert CONTENT.write_reply(read, FACTS)["candidates"][0]["content"]["parts"] == [part]
