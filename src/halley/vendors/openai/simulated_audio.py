"""The vendor's audio endpoints: speech that is audible, and transcription that hears what our own speech said."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from halley.kernel.codec import encode
from halley.kernel.loose import as_object
from halley.kernel.sse import frame
from halley.vendors.openai.simulated_call import Call, model_of, served, with_headers
from halley.vendors.openai.simulated_errors import (
    error_object,
    invalid,
    missing,
    problem,
    refused_by_order,
    unsupported,
)
from halley.vendors.openai.simulated_transcript import (
    Transcript,
    diarized,
    duration_usage,
    logprobs,
    srt,
    token_usage,
    verbose,
    vtt,
)
from halley.vendors.simulate import (
    TASK_ONLY,
    Directive,
    Outcome,
    Refusal,
    Reply,
    Router,
    SimulatorHost,
    count,
    directive_for,
    json_reply,
    pieces,
    send_whole,
    without_marker,
)
from halley.vendors.simulate.audio_files import FORMATS, TYPES, AudioFormat, SandboxMissing, read_audio, write_audio
from halley.vendors.simulate.audio_probe import BadAudio
from halley.vendors.simulate.forms import Form, Part, read_form
from halley.vendors.simulate.speech import SPEED_MAX, SPEED_MIN, duration_s, speak

VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
INPUT_CHARACTERS_MAX = 4_096
FILE_BYTES_MAX = 25 * 1024 * 1024
SPEECH_TOKENS_PER_S = 20
SPEECH_PIECE_BYTES = 16 * 1024
SPEAKING_AT_ONCE = 2
TRANSCRIPT_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
NO_MEANING = TASK_ONLY | {Outcome.TOOL_CALL, Outcome.REFUSAL, Outcome.LENGTH, Outcome.REASONING}
"""Endings that no audio call has."""

_FILE_TYPES = "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav, webm"
_ERROR_FRAME = frame(
    encode({"type": "error", "error": error_object("The server had an error in mid-stream.", kind="server_error")})
)

T = TypeVar("T")


def add_routes(router: Router, host: SimulatorHost) -> None:
    """Serve `/v1/audio/*`."""
    audio = _Audio(host)
    router.add("POST", "/v1/audio/speech", served(host, audio.speech))
    router.add("POST", "/v1/audio/transcriptions", served(host, audio.transcription))
    router.add("POST", "/v1/audio/translations", served(host, audio.translation))


async def chat_audio(text: str, *, voice: str = "alloy", audio_format: str = "wav") -> tuple[str, str]:
    """For a chat's audio modality: the spoken text as base64, and the transcript of it. Raises `SandboxMissing`."""
    made: AudioFormat = "pcm" if audio_format == "pcm16" else cast("AudioFormat", audio_format)  # checked by the caller
    said = without_marker(text)
    data = await asyncio.to_thread(lambda: write_audio(speak(said, voice=voice), made, text=said))
    return base64.b64encode(data).decode(), said


class _Speech(msgspec.Struct, frozen=True, kw_only=True):
    """An order for speech, checked."""

    model: str
    text: str
    instructions: str
    voice: str
    format: AudioFormat
    speed: float
    is_stream: bool


class _Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An order for a transcription, checked."""

    model: str
    file: Part
    prompt: str
    format: str
    is_stream: bool
    form: Form


class _Audio:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host
        self._speaking = asyncio.Semaphore(SPEAKING_AT_ONCE)

    # speech

    async def speech(self, call: Call) -> None:
        body = await call.body()
        directive = _directive(call, body.get("input"))
        order = _speech_order(body)
        try:
            pcm, data = await self._beside_loop(lambda: _made(order))
        except SandboxMissing as error:
            raise invalid(f"Invalid value: '{order.format}': {error}.", "response_format", "invalid_value") from error
        if order.is_stream:
            await call.stream(_speech_frames(data, _speech_usage(order, pcm)), directive, error_frame=_ERROR_FRAME)
        else:
            await self._send_whole(call, Reply(body=data, type=TYPES[order.format]), directive)

    # transcription

    async def transcription(self, call: Call) -> None:
        await self._heard(call, "transcribe")

    async def translation(self, call: Call) -> None:
        await self._heard(call, "translate")

    async def _heard(self, call: Call, task: str) -> None:
        try:
            form = read_form(call.request.headers.get("content-type", ""), await call.request.body())
        except ValueError as error:
            raise invalid(f"Could not parse multipart form: {error}", None) from error
        directive = _directive(call, form.field("prompt"))
        upload = _upload(form, task)
        transcript = await self._transcript(upload, task, directive)
        if upload.is_stream:
            await call.stream(_transcript_frames(upload, transcript), directive, error_frame=_ERROR_FRAME)
        else:
            await self._send_whole(call, _transcript_reply(upload, transcript), directive)

    async def _transcript(self, upload: _Upload, task: str, directive: Directive) -> Transcript:
        try:
            heard = await self._beside_loop(lambda: read_audio(upload.file.data))
        except BadAudio as error:
            message = f"Invalid file format. Supported formats: {_FILE_TYPES}. ({error})"
            raise invalid(message, "file") from error
        # The words of our own speech may order an ending too.
        if heard.text and directive == Directive():
            _refuse_if_ordered(_found(lambda: directive_for((), heard.text, without=NO_MEANING), "file"))
        text = without_marker(heard.text) if heard.text is not None else None
        if text is None:
            text = f"This is a simulated transcription: no model listened to these {heard.duration_s:.1f} seconds."
        return Transcript(text=text, duration_s=heard.duration_s, task=task)

    # both

    async def _beside_loop(self, work: Callable[[], T]) -> T:
        async with self._speaking:
            return await asyncio.to_thread(work)

    async def _send_whole(self, call: Call, reply: Reply, directive: Directive) -> None:
        if directive.outcome is Outcome.ERROR_FRAME:
            reply = problem(500, "The server had an error while processing your request.", kind="server_error")
        await send_whole(call.request, with_headers(reply, call.headers()), directive, self._host)


# reading orders


def _directive(call: Call, prompt: object) -> Directive:
    text = prompt if isinstance(prompt, str) else None
    directive = _found(lambda: directive_for(call.request.raw_headers, text, without=NO_MEANING), "input")
    _refuse_if_ordered(directive)
    return directive


def _found(find: Callable[[], Directive], param: str) -> Directive:
    try:
        return find()
    except ValueError as error:
        raise invalid(str(error), param) from error


def _refuse_if_ordered(directive: Directive) -> None:
    refused = refused_by_order(directive)
    if refused is not None:
        raise Refusal(refused)


def _speech_order(body: dict[str, Any]) -> _Speech:
    model, text = model_of(body, "audio"), _required(body, "input")
    if len(text) > INPUT_CHARACTERS_MAX:
        message = (
            f"Invalid 'input': string too long. Expected a string with maximum length {INPUT_CHARACTERS_MAX}, "
            f"but got a string with length {len(text)} instead."
        )
        raise invalid(message, "input", "string_above_max_length")
    audio_format = body.get("response_format") or "mp3"
    if audio_format not in FORMATS:
        raise unsupported(audio_format, "response_format", FORMATS)
    stream_format = body.get("stream_format") or "audio"
    if stream_format not in ("audio", "sse"):
        raise unsupported(stream_format, "stream_format", ("sse", "audio"))
    if stream_format == "sse" and model.startswith("tts-1"):
        raise invalid(f"'sse' is not supported with '{model}'.", "stream_format", "unsupported_value")
    instructions = body.get("instructions")
    return _Speech(
        model=model,
        text=without_marker(text),
        instructions=instructions if isinstance(instructions, str) else "",
        voice=_voice(body),
        format=audio_format,
        speed=_speed(body.get("speed")),
        is_stream=stream_format == "sse",
    )


def _required(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise invalid(f"Invalid type for '{name}': expected a string.", name, "invalid_type")
    if not value:
        message = f"Invalid '{name}': empty string. Expected a string with minimum length 1."
        raise invalid(message, name, "empty_string")
    return value


def _voice(body: dict[str, Any]) -> str:
    voice = body.get("voice")
    if voice is None:
        raise missing("voice")
    own = as_object(voice).get("id")
    if isinstance(own, str):
        return own
    if voice not in VOICES:
        raise unsupported(voice, "voice", VOICES)
    return voice


def _speed(speed: object) -> float:
    if speed is None:
        return 1.0
    if not isinstance(speed, int | float) or isinstance(speed, bool):
        raise invalid("Invalid type for 'speed': expected a decimal.", "speed", "invalid_type")
    if not SPEED_MIN <= speed <= SPEED_MAX:
        side = "minimum" if speed < SPEED_MIN else "maximum"
        bound, word = (SPEED_MIN, "below_min") if side == "minimum" else (SPEED_MAX, "above_max")
        message = f"Invalid 'speed': decimal out of bounds. Expected a {side} of {bound}, but got {speed} instead."
        raise invalid(message, "speed", f"decimal_{word}_value")
    return float(speed)


def _upload(form: Form, task: str) -> _Upload:
    files = form.files("file")
    if not files:
        raise missing("file")
    model = model_of({"model": form.field("model")}, "audio")
    if len(files[0].data) > FILE_BYTES_MAX:
        message = f"Maximum content size limit ({FILE_BYTES_MAX}) exceeded ({len(files[0].data)} bytes read)"
        raise Refusal(problem(413, message))
    asked = form.field("response_format") or "json"
    allowed = formats_of(model)
    if asked not in allowed:
        known = asked in TRANSCRIPT_FORMATS
        message = f"response_format '{asked}' is not compatible with model '{model}'. Use one of: {', '.join(allowed)}."
        raise invalid(message, "response_format", "unsupported_value" if known else "invalid_value")
    granularities = form.fields("timestamp_granularities")
    if granularities and asked != "verbose_json":
        message = "timestamp_granularities are only supported with response_format 'verbose_json'."
        raise invalid(message, "timestamp_granularities")
    # Whispers know no streams and let the flag pass.
    streams = task == "transcribe" and "whisper" not in model and form.field("stream") in ("true", "True", "1")
    return _Upload(
        model=model, file=files[0], prompt=form.field("prompt") or "", format=asked, is_stream=streams, form=form
    )


def formats_of(model: str) -> tuple[str, ...]:
    """Which formats a transcribing model can answer in."""
    if "diarize" in model:
        return ("json", "text", "diarized_json")
    return ("json", "text") if "transcribe" in model else TRANSCRIPT_FORMATS


# answering


def _made(order: _Speech) -> tuple[bytes, bytes]:
    pcm = speak(order.text, voice=order.voice, speed=order.speed)
    return pcm, write_audio(pcm, order.format, text=order.text)


def _speech_usage(order: _Speech, pcm: bytes) -> dict[str, int]:
    spoken, read = round(duration_s(pcm) * SPEECH_TOKENS_PER_S), count(order.text) + count(order.instructions)
    return {"input_tokens": read, "output_tokens": spoken, "total_tokens": read + spoken}


def _speech_frames(data: bytes, usage: dict[str, int]) -> list[bytes]:
    frames = [
        frame(
            encode(
                {
                    "type": "speech.audio.delta",
                    "audio": base64.b64encode(data[start : start + SPEECH_PIECE_BYTES]).decode(),
                }
            )
        )
        for start in range(0, len(data), SPEECH_PIECE_BYTES)
    ]
    return [*frames, frame(encode({"type": "speech.audio.done", "usage": usage}))]


def _transcript_reply(upload: _Upload, transcript: Transcript) -> Reply:
    match upload.format:
        case "text":
            return Reply(body=f"{transcript.text}\n".encode(), type="text/plain; charset=utf-8")
        case "srt":
            return Reply(body=srt(transcript).encode(), type="text/plain; charset=utf-8")
        case "vtt":
            return Reply(body=vtt(transcript).encode(), type="text/plain; charset=utf-8")
        case "verbose_json":
            asked = upload.form.fields("timestamp_granularities")
            return json_reply(
                verbose(transcript, with_words="word" in asked, with_segments=not asked or "segment" in asked)
            )
        case "diarized_json":
            said = {"task": "transcribe", "duration": round(transcript.duration_s, 3), "text": transcript.text}
            segments = diarized(transcript, speaker=_speaker(upload))
            return json_reply(said | {"segments": segments, "usage": _usage(upload, transcript)})
        case _:
            said: dict[str, Any] = {"text": transcript.text, "usage": _usage(upload, transcript)}
            if _wants_logprobs(upload):
                said["logprobs"] = logprobs(transcript.text)
            return json_reply(said)


def _transcript_frames(upload: _Upload, transcript: Transcript) -> list[bytes]:
    events: list[dict[str, Any]] = []
    if upload.format == "diarized_json":
        events += diarized(transcript, speaker=_speaker(upload))
    for piece in pieces(transcript.text):
        event: dict[str, Any] = {"type": "transcript.text.delta", "delta": piece}
        events.append(event | ({"logprobs": logprobs(piece)} if _wants_logprobs(upload) else {}))
    done = {"type": "transcript.text.done", "text": transcript.text, "usage": _usage(upload, transcript)}
    return [frame(encode(event)) for event in (*events, done)]


def _usage(upload: _Upload, transcript: Transcript) -> dict[str, Any]:
    if "transcribe" in upload.model:
        return token_usage(transcript, prompt=upload.prompt)
    return duration_usage(transcript)


def _wants_logprobs(upload: _Upload) -> bool:
    return "logprobs" in upload.form.fields("include")


def _speaker(upload: _Upload) -> str:
    return (*upload.form.fields("known_speaker_names"), "A")[0]
