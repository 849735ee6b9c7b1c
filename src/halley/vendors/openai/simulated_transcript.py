"""Spells a simulated transcription in each of the vendor's formats; times are shared out by length of words. Pure."""

import re
import zlib
from typing import Any

import msgspec

from halley.vendors.simulate import count, pieces

LANGUAGE = "english"
AUDIO_TOKENS_PER_S = 10
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*\s*|[.!?\n]+")  # noqa: RUF001 - full-width marks end sentences too


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard."""

    text: str
    duration_s: float
    task: str = "transcribe"


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Some words and when they were said."""

    text: str
    start_s: float
    end_s: float


def sentences(transcript: Transcript) -> list[Stretch]:
    """The sentences, in their time."""
    return _timed(_SENTENCE.findall(transcript.text), transcript.duration_s)


def words(transcript: Transcript) -> list[Stretch]:
    """The words, in their time."""
    return _timed(transcript.text.split(), transcript.duration_s)


def duration_usage(transcript: Transcript) -> dict[str, Any]:
    """What a model billed by time reports: seconds, begun ones whole."""
    return {"type": "duration", "seconds": -int(-transcript.duration_s // 1)}


def token_usage(transcript: Transcript, *, prompt: str) -> dict[str, Any]:
    """What a model billed by tokens reports."""
    audio, text, output = round(transcript.duration_s * AUDIO_TOKENS_PER_S), count(prompt), count(transcript.text)
    return {
        "type": "tokens",
        "input_tokens": audio + text,
        "input_token_details": {"text_tokens": text, "audio_tokens": audio},
        "output_tokens": output,
        "total_tokens": audio + text + output,
    }


def verbose(transcript: Transcript, *, with_words: bool, with_segments: bool) -> dict[str, Any]:
    """The `verbose_json` of a whisper."""
    said: dict[str, Any] = {
        "task": transcript.task,
        "language": LANGUAGE,
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
    }
    if with_segments:
        said["segments"] = [_segment(place, stretch) for place, stretch in enumerate(sentences(transcript))]
    if with_words:
        said["words"] = [{"word": each.text, "start": each.start_s, "end": each.end_s} for each in words(transcript)]
    return said | {"usage": duration_usage(transcript)}


def diarized(transcript: Transcript, *, speaker: str) -> list[dict[str, Any]]:
    """Segments with the one speaker that a simulated voice is."""
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{place:03}",
            "start": stretch.start_s,
            "end": stretch.end_s,
            "text": stretch.text,
            "speaker": speaker,
        }
        for place, stretch in enumerate(sentences(transcript))
    ]


def logprobs(text: str) -> list[dict[str, Any]]:
    """A certainty for each token, made up but steady."""
    return [
        {"token": piece, "bytes": list(piece.encode()), "logprob": -(zlib.crc32(piece.encode()) % 1_000) / 10_000}
        for piece in pieces(text)
    ]


def srt(transcript: Transcript) -> str:
    """SubRip."""
    cues = [
        f"{place}\n{_clock(each.start_s, ',')} --> {_clock(each.end_s, ',')}\n{each.text}\n"
        for place, each in enumerate(sentences(transcript), start=1)
    ]
    return "\n".join(cues) + "\n"


def vtt(transcript: Transcript) -> str:
    """WebVTT."""
    cues = [
        f"{_clock(each.start_s, '.')} --> {_clock(each.end_s, '.')}\n{each.text}\n" for each in sentences(transcript)
    ]
    return "WEBVTT\n\n" + "\n".join(cues) + "\n"


def _timed(parts: list[str], duration_s: float) -> list[Stretch]:
    """Share the time out by the number of characters."""
    total = sum(map(len, parts)) or 1
    stretches: list[Stretch] = []
    passed = 0
    for part in parts:
        start, passed = passed, passed + len(part)
        if part.strip():
            stretches.append(
                Stretch(
                    text=part.strip(),
                    start_s=round(duration_s * start / total, 3),
                    end_s=round(duration_s * passed / total, 3),
                )
            )
    return stretches


def _segment(place: int, stretch: Stretch) -> dict[str, Any]:
    return {
        "id": place,
        "seek": round(stretch.start_s * 100),
        "start": stretch.start_s,
        "end": stretch.end_s,
        "text": f" {stretch.text}",
        "tokens": [zlib.crc32(piece.encode()) % 50_000 for piece in pieces(stretch.text)],
        "temperature": 0.0,
        "avg_logprob": -0.2,
        "compression_ratio": 1.2,
        "no_speech_prob": 0.01,
    }


def _clock(seconds: float, mark: str) -> str:
    ms = round(seconds * 1_000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1_000 % 60:02}{mark}{ms % 1_000:03}"
