"""The simulated audio endpoints over a real socket: speech in every format, and transcriptions of it."""

import base64
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from blockbuster import BlockBuster
from tests.vendors.sandboxes import Got, Sandbox, let_journal_block, simulated

from halley.vendors.openai.simulated_audio import chat_audio
from halley.vendors.openai.simulator import create_app
from halley.vendors.simulate.audio_files import FORMATS, TYPES, AudioFormat, read_audio
from halley.vendors.simulate.speech import duration_s, hidden_text

SPEECH = "/v1/audio/speech"
HEARING = "/v1/audio/transcriptions"
TEXT = "Hello from the sandbox. It is a fine day."


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    async with simulated("openai", create_app, {"authorization": "Bearer sk-1"}) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    let_journal_block(_loop_is_never_blocked)


async def spoken(sandbox: Sandbox, **body: Any) -> Got:
    order = {"model": "gpt-4o-mini-tts", "voice": "nova", "input": TEXT, "response_format": "wav"}
    return await sandbox.post(SPEECH, order | body)


async def heard(sandbox: Sandbox, **fields: Any) -> Got:
    return await sandbox.form(HEARING, {"model": "whisper-1", "file": (await spoken(sandbox)).body} | fields)


@pytest.mark.parametrize("audio_format", FORMATS)
async def test_speech_comes_in_every_format_and_is_transcribed_back(sandbox: Sandbox, audio_format: AudioFormat):
    got = await spoken(sandbox, response_format=audio_format)
    assert (got.status, got.headers["content-type"]) == (200, TYPES[audio_format])
    if audio_format == "pcm":
        assert hidden_text(got.body) == TEXT
        return
    reply = await sandbox.form(HEARING, {"model": "whisper-1", "file": got.body})
    seconds = -int(-read_audio(got.body).duration_s // 1)
    assert reply.json == {"text": TEXT, "usage": {"type": "duration", "seconds": seconds}}


async def test_mp3_is_what_comes_if_nothing_is_asked(sandbox: Sandbox):
    got = await sandbox.post(SPEECH, {"model": "tts-1", "voice": "alloy", "input": "hi"})
    assert (got.headers["content-type"], read_audio(got.body).container) == ("audio/mpeg", "mp3")


async def test_streamed_speech_is_the_same_sound_in_pieces(sandbox: Sandbox):
    whole, streamed = await spoken(sandbox), await spoken(sandbox, stream_format="sse")
    *pieces, done = streamed.frames
    joined = read_audio(b"".join(base64.b64decode(piece["audio"]) for piece in pieces))
    # A voice is not twice the same to the sample.
    assert (joined.text, joined.duration_s) == (TEXT, pytest.approx(read_audio(whole.body).duration_s, abs=0.1))
    assert {piece["type"] for piece in pieces} == {"speech.audio.delta"}
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        pytest.param({"model": None}, None, None, id="no model"),
        pytest.param({"input": None}, "input", "missing_required_parameter", id="no input"),
        pytest.param({"input": ""}, "input", "empty_string", id="empty input"),
        pytest.param({"input": "x" * 4097}, "input", "string_above_max_length", id="long input"),
        pytest.param({"voice": "bob"}, "voice", "invalid_value", id="unknown voice"),
        pytest.param({"speed": 5}, "speed", "decimal_above_max_value", id="too fast"),
        pytest.param({"response_format": "midi"}, "response_format", "invalid_value", id="unknown format"),
        pytest.param(
            {"model": "tts-1", "stream_format": "sse"}, "stream_format", "unsupported_value", id="old model streams"
        ),
        pytest.param({"input": "x [[halley outcome=refusal]]"}, "input", None, id="ending that means nothing"),
    ],
)
async def test_a_wrong_order_is_refused_by_name(
    sandbox: Sandbox, changes: dict[str, Any], param: str | None, code: str | None
):
    got = await spoken(sandbox, **changes)
    assert (got.status, got.json["error"]["param"], got.json["error"]["code"]) == (400, param, code)


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("request_moderated", 400, "content_policy_violation"),
        ("vendor_error", 500, None),
        ("error_frame", 500, None),
        ("invalid", 400, "invalid_value"),
        ("unauthorized", 401, "invalid_api_key"),
        ("out_of_credit", 429, "insufficient_quota"),
        ("rate_limited", 429, "rate_limit_exceeded"),
    ],
)
async def test_an_ordered_ending_is_answered(sandbox: Sandbox, outcome: str, status: int, code: str | None):
    by_prompt = await spoken(sandbox, input=f"hello [[halley outcome={outcome}]]")
    by_header = await heard(sandbox, prompt=f"[[halley outcome={outcome}]]")
    for got in (by_prompt, by_header):
        assert (got.status, got.json["error"]["code"]) == (status, code)


async def test_a_cut_sound_ends_too_early(sandbox: Sandbox):
    got = await spoken(sandbox, input=f"{TEXT} [[halley outcome=cut_stream]]")
    assert (got.status, got.is_whole) == (200, False)
    assert 0 < len(got.body) < int(got.headers["content-length"])


async def test_an_error_frame_ends_a_streamed_speech(sandbox: Sandbox):
    got = await spoken(sandbox, input=f"{TEXT} [[halley outcome=error_frame]]", stream_format="sse")
    assert [frame["type"] for frame in got.frames][-1] == "error"


async def test_every_reply_names_its_request(sandbox: Sandbox):
    for got in (await spoken(sandbox), await spoken(sandbox, voice="bob")):
        assert got.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("key", ["", "Bearer bad-1", "Basic x"])
async def test_a_caller_without_a_good_key_is_refused(sandbox: Sandbox, key: str):
    got = await sandbox.post(SPEECH, {"model": "tts-1", "voice": "nova", "input": "hi"}, authorization=key)
    assert got.status == 401


@pytest.mark.parametrize(
    ("audio_format", "begins"),
    [("text", "Hello from"), ("srt", "1\n00:00:00,000 --> 00:00:0"), ("vtt", "WEBVTT\n\n00:00:00.000 --> ")],
)
async def test_a_transcript_comes_as_plain_text_too(sandbox: Sandbox, audio_format: str, begins: str):
    got = await heard(sandbox, response_format=audio_format)
    assert got.headers["content-type"].startswith("text/plain")
    assert got.body.decode().startswith(begins)


async def test_a_verbose_transcript_has_segments_and_words_in_time(sandbox: Sandbox):
    asked = {"timestamp_granularities[]": ["word", "segment"]}
    said = (await heard(sandbox, response_format="verbose_json", **asked)).json
    assert [segment["text"].strip() for segment in said["segments"]] == [
        "Hello from the sandbox.",
        "It is a fine day.",
    ]
    assert [word["word"] for word in said["words"]] == TEXT.split()
    assert said["words"][-1]["end"] == pytest.approx(said["duration"], abs=0.01)
    times = [word[end] for word in said["words"] for end in ("start", "end")]
    assert times == sorted(times)


async def test_a_verbose_transcript_without_granularities_has_segments_only(sandbox: Sandbox):
    said = (await heard(sandbox, response_format="verbose_json")).json
    assert ("segments" in said, "words" in said) == (True, False)


async def test_newer_models_count_tokens_and_give_logprobs(sandbox: Sandbox):
    asked: dict[str, Any] = {"include[]": ["logprobs"]}
    said = (await heard(sandbox, model="gpt-4o-transcribe", prompt="a hint", **asked)).json
    usage = said["usage"]
    assert usage["type"] == "tokens"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert "".join(each["token"] for each in said["logprobs"]) == TEXT


async def test_a_transcript_is_streamed_piece_by_piece(sandbox: Sandbox):
    *deltas, done = (await heard(sandbox, model="gpt-4o-mini-transcribe", stream="true")).frames
    assert "".join(delta["delta"] for delta in deltas) == done["text"] == TEXT
    assert done["type"] == "transcript.text.done"


async def test_speakers_are_told_apart_as_far_as_there_is_one(sandbox: Sandbox):
    said = (await heard(sandbox, model="gpt-4o-transcribe-diarize", response_format="diarized_json")).json
    assert {segment["speaker"] for segment in said["segments"]} == {"A"}


async def test_a_translation_reads_back_too(sandbox: Sandbox):
    got = await sandbox.form("/v1/audio/translations", {"model": "whisper-1", "file": (await spoken(sandbox)).body})
    assert got.json["text"] == TEXT


async def test_a_sound_of_others_is_said_to_be_simulated_and_measured(sandbox: Sandbox):
    quiet = (await spoken(sandbox, input="x")).body[:44] + b"data" + (96_000).to_bytes(4, "little") + bytes(96_000)
    header = quiet[:12] + b"fmt " + (16).to_bytes(4, "little") + b"\1\0\1\0\xc0\x5d\0\0\x80\xbb\0\0\2\0\x10\0"
    got = await sandbox.form(HEARING, {"model": "whisper-1", "file": header + quiet[44:]})
    assert "simulated transcription" in got.json["text"]
    assert got.json["usage"]["seconds"] == 2


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        pytest.param({"model": "whisper-1"}, 400, "file", id="no file"),
        pytest.param({"file": b"x" * 20}, 400, None, id="no model"),
        pytest.param({"model": "whisper-1", "file": b"x" * 20}, 400, "file", id="no sound"),
        pytest.param(
            {"model": "gpt-4o-transcribe", "file": b"x", "response_format": "srt"}, 400, "response_format", id="format"
        ),
    ],
)
async def test_a_wrong_upload_is_refused(sandbox: Sandbox, fields: dict[str, Any], status: int, param: str | None):
    got = await sandbox.form(HEARING, fields)
    assert (got.status, got.json["error"]["param"]) == (status, param)


async def test_a_file_over_25_megabytes_is_refused(sandbox: Sandbox):
    got = await sandbox.form(HEARING, {"model": "whisper-1", "file": bytes(25 * 1024 * 1024 + 1)})
    assert (got.status, "26214401 bytes read" in got.json["error"]["message"]) == (413, True)


async def test_audio_of_a_chat_is_a_wav_that_says_its_transcript():
    data, transcript = await chat_audio("Good morning [[halley outcome=success]]")
    heard_back = read_audio(base64.b64decode(data))
    assert (transcript, heard_back.text, heard_back.container) == ("Good morning", "Good morning", "wav")
    samples, _ = await chat_audio("Good morning", audio_format="pcm16")
    assert duration_s(base64.b64decode(samples)) == pytest.approx(heard_back.duration_s, abs=0.1)
