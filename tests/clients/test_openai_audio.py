"""The PyPI package `openai` at `/v1/audio`: speech in every format, and what was heard of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served

WORDS = ("lighthouse", "open", "sunday")


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[Program]:
    with program("sdks", "openai_audio.py", key=KEY, url=gateway.url) as running:
        yield running


def is_what_was_said_or_told_as_simulated(text: str) -> bool:
    """Our own speech is read back; where no voice is installed there is only a tone to be heard."""
    return all(word in text.lower() for word in WORDS) or "simulated" in text.lower()


@pytest.mark.parametrize(
    ("kind", "media_type", "starts"),
    [
        pytest.param("mp3", "audio/mpeg", (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"), id="mp3"),
        pytest.param("opus", "audio/", (b"OggS",), id="opus"),
        pytest.param("aac", "audio/aac", (b"\xff\xf1", b"\xff\xf9", b"ID3"), id="aac"),
        pytest.param("flac", "audio/", (b"fLaC",), id="flac"),
        pytest.param("wav", "audio/", (b"RIFF",), id="wav"),
        pytest.param("pcm", "", (b"",), id="pcm"),
    ],
)
def test_speech_comes_in_each_format(
    openai: Program, tmp_path: Path, kind: str, media_type: str, starts: tuple[bytes, ...]
):
    path = tmp_path / "out"
    given = {"model": "tts-1", "options": {"response_format": kind, "speed": 1.25}}
    ran = openai("speak", path=str(path), **given)["speak"]
    assert ran["type"].startswith(media_type)
    assert path.read_bytes().startswith(starts)
    assert ran["bytes"] > 1_000


def test_speech_is_taken_as_it_is_made(openai: Program, tmp_path: Path):
    path = tmp_path / "out"
    ran = openai("speak_streamed", "speak_events", path=str(path), model="gpt-4o-mini-tts")
    assert ran["speak_streamed"]["bytes"] > 1_000
    assert ran["speak_events"]["type"].startswith("text/event-stream")
    assert ran["speak_events"]["kinds"] == ["speech.audio.delta", "speech.audio.done"]
    assert ran["speak_events"]["usage"]["total_tokens"] > 0
    assert path.stat().st_size > 1_000


@pytest.mark.parametrize(
    ("options", "start"),
    [
        pytest.param({"response_format": "text"}, "", id="text"),
        pytest.param({"response_format": "srt"}, "1\n00:00:00,", id="srt"),
        pytest.param({"response_format": "vtt"}, "WEBVTT\n", id="vtt"),
    ],
)
def test_speech_is_read_back_as_text(openai: Program, tmp_path: Path, options: dict[str, object], start: str):
    path = tmp_path / "out.wav"
    own = {
        "speak": {"model": "tts-1", "options": {"response_format": "wav"}},
        "transcribe": {"model": "whisper-1", "options": options},
    }
    heard = openai("speak", "transcribe", path=str(path), own=own)["transcribe"]
    assert heard.startswith(start)
    assert is_what_was_said_or_told_as_simulated(heard)


def test_speech_is_read_back_with_the_times_of_its_words(openai: Program, tmp_path: Path):
    path = tmp_path / "out.wav"
    options = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"], "language": "en"}
    own = {
        "speak": {"model": "tts-1", "options": {"response_format": "wav"}},
        "transcribe": {"model": "whisper-1", "options": options},
    }
    heard = openai("speak", "transcribe", path=str(path), own=own)["transcribe"]
    assert is_what_was_said_or_told_as_simulated(heard["text"])
    assert heard["duration"] > 0
    assert heard["segments"][0]["end"] > heard["segments"][0]["start"] >= 0
    assert heard["words"][-1]["end"] <= heard["duration"] + 0.01


def test_speech_is_read_back_as_json_and_as_it_is_heard(openai: Program, tmp_path: Path):
    path = tmp_path / "out.wav"
    own = {"speak": {"model": "tts-1", "options": {"response_format": "wav"}}}
    given = {"model": "gpt-4o-transcribe", "options": {"prompt": "A lighthouse."}, "own": own}
    ran = openai("speak", "transcribe", "transcribe_streamed", path=str(path), **given)
    assert is_what_was_said_or_told_as_simulated(ran["transcribe"]["text"])
    assert ran["transcribe"]["usage"]["type"] == "tokens"
    assert ran["transcribe_streamed"]["last"] == "transcript.text.done"
    assert ran["transcribe_streamed"]["joined"] == ran["transcribe_streamed"]["text"]
    assert ran["transcribe_streamed"]["deltas"] > 1


@pytest.mark.parametrize("kind", ["json", "text", "verbose_json"])
def test_speech_is_translated(openai: Program, tmp_path: Path, kind: str):
    path = tmp_path / "out.wav"
    own = {"speak": {"model": "tts-1", "options": {"response_format": "wav"}}}
    given = {"model": "whisper-1", "options": {"response_format": kind}, "own": own}
    heard = openai("speak", "translate", path=str(path), **given)["translate"]
    assert is_what_was_said_or_told_as_simulated(heard if kind == "text" else heard["text"])


def test_a_file_without_sound_is_refused(openai: Program, tmp_path: Path):
    failed = openai("fail", path=str(tmp_path), model="whisper-1")["fail"]
    assert failed["error"] == "BadRequestError"
    assert failed["message"]
