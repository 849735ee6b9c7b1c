"""The settings of a realtime session: kept in the current shape, read and shown in the older beta shape too. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from halley.kernel.loose import as_list, as_object

Codec = Literal["pcm", "ulaw", "alaw"]

_FORMATS: Mapping[str, Codec] = {"audio/pcm": "pcm", "audio/pcmu": "ulaw", "audio/pcma": "alaw"}
_BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_TURN_DEFAULTS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}
TRANSCRIPTION = "transcription"
"""The type of a session that gives no responses."""
_SETTABLE = frozenset(
    {
        "type",
        "audio",
        "include",
        "instructions",
        "max_output_tokens",
        "model",
        "output_modalities",
        "parallel_tool_calls",
        "prompt",
        "reasoning",
        "tool_choice",
        "tools",
        "tracing",
        "truncation",
    }
)
# Where each beta field stands now.
_BETA_FIELDS: Mapping[str, tuple[str, ...]] = {
    "modalities": ("output_modalities",),
    "instructions": ("instructions",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "tools": ("tools",),
    "tool_choice": ("tool_choice",),
    "temperature": ("temperature",),
    "max_response_output_tokens": ("max_output_tokens",),
    "max_output_tokens": ("max_output_tokens",),
    "model": ("model",),
    "tracing": ("tracing",),
    "conversation": ("conversation",),
    "input": ("input",),
    "metadata": ("metadata",),
    "prompt": ("prompt",),
    "include": ("include",),
}


class BadEvent(Exception):
    """What a client sent cannot be done; told to it as an `error` event."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class TurnDetection(msgspec.Struct, frozen=True, kw_only=True):
    """How the end of what is said is found."""

    threshold: float
    prefix_ms: int
    silence_ms: int
    creates_response: bool
    interrupts: bool


def new_session(model: str, session_id: str, expires_at: int) -> dict[str, Any]:
    """The settings that a session begins with; one without a model only writes down what it hears."""
    pcm = {"type": "audio/pcm", "rate": 24_000}
    return {
        "type": "realtime" if model else TRANSCRIPTION,
        "object": "realtime.session",
        "id": session_id,
        "model": model or None,
        "output_modalities": ["audio"],
        "instructions": "You are a simulated voice; nothing you say was thought of by a model.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _TURN_DEFAULTS["server_vad"],
            },
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
    }


def updated(session: dict[str, Any], given: dict[str, Any], *, is_beta: bool) -> dict[str, Any]:
    """The settings after an update; fields that were not given stay. Raises `BadEvent`."""
    changes = _from_beta(given) if is_beta else given
    for name in changes:
        if name not in _SETTABLE and not (is_beta and name == "temperature"):
            raise BadEvent(f"Unknown parameter: 'session.{name}'.", param=f"session.{name}", code="unknown_parameter")
    _check(changes)
    return _merged(session, changes)


def for_response(session: dict[str, Any], given: dict[str, Any], *, is_beta: bool) -> dict[str, Any]:
    """The settings of one response, which may differ from the session's. Raises `BadEvent`."""
    changes = _from_beta(given) if is_beta else given
    _check(changes)
    return _merged({"conversation": "auto", "metadata": None, **session}, changes)


def shown(session: dict[str, Any], *, is_beta: bool) -> dict[str, Any]:
    """The session as an event tells it."""
    if not is_beta:
        return session
    audio_in, audio_out = session["audio"]["input"], session["audio"]["output"]
    return {
        "id": session["id"],
        "object": "realtime.session",
        "model": session["model"],
        "expires_at": session["expires_at"],
        "modalities": beta_modalities(session),
        "instructions": session["instructions"],
        "voice": audio_out["voice"],
        "input_audio_format": beta_format(audio_in),
        "output_audio_format": beta_format(audio_out),
        "input_audio_transcription": audio_in["transcription"],
        "turn_detection": audio_in["turn_detection"],
        "tools": session["tools"],
        "tool_choice": session["tool_choice"],
        "temperature": session.get("temperature", 0.8),
        "max_response_output_tokens": session["max_output_tokens"],
    }


def beta_modalities(settings: dict[str, Any]) -> list[str]:
    """Audio came with its text in those days."""
    return ["audio", "text"] if speaks(settings) else ["text"]


def beta_format(half: dict[str, Any]) -> str:
    """The older name of an audio format."""
    return next(old for old, new in _BETA_FORMATS.items() if new == half["format"]["type"])


def speaks(settings: dict[str, Any]) -> bool:
    """Whether an answer is audio."""
    return "audio" in settings["output_modalities"]


def codec_of(settings: dict[str, Any], half: Literal["input", "output"]) -> Codec:
    """How audio is encoded on its way in or out."""
    return _FORMATS[settings["audio"][half]["format"]["type"]]


def turn_detection(session: dict[str, Any]) -> TurnDetection | None:
    """How turns are found; `None` if the client says when."""
    given = session["audio"]["input"]["turn_detection"]
    if given is None:
        return None
    eager = {"low": 800, "high": 200}.get(given.get("eagerness", ""), 500)
    return TurnDetection(
        threshold=given.get("threshold") or 0.5,
        prefix_ms=given.get("prefix_padding_ms") or 300,
        silence_ms=given.get("silence_duration_ms") or eager,
        creates_response=given.get("create_response") is not False,
        interrupts=given.get("interrupt_response") is not False,
    )


def _from_beta(given: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in given.items():
        path = _BETA_FIELDS.get(name)
        if path is None:
            raise BadEvent(f"Unknown parameter: 'session.{name}'.", param=f"session.{name}", code="unknown_parameter")
        inner = changes
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = _beta_value(name, value)
    return changes


def _beta_value(name: str, value: Any) -> Any:
    match name:
        case "modalities":
            return ["audio"] if "audio" in as_list(value) else ["text"]
        case "input_audio_format" | "output_audio_format":
            return {"type": _BETA_FORMATS.get(str(value), str(value))}
        case _:
            return value


def _check(changes: dict[str, Any]) -> None:
    modalities = changes.get("output_modalities", ["audio"])
    if modalities not in (["audio"], ["text"]):
        raise BadEvent(
            f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and ['audio'].",
            param="session.output_modalities",
        )
    audio = as_object(changes.get("audio"))
    for half in ("input", "output"):
        named = as_object(as_object(audio.get(half)).get("format")).get("type", "audio/pcm")
        if named not in _FORMATS:
            raise BadEvent(f"Invalid value: '{named}'.", param=f"session.audio.{half}.format.type")
    detection = as_object(as_object(audio.get("input")).get("turn_detection"))
    if detection and detection.get("type") not in _TURN_DEFAULTS:
        raise BadEvent(
            f"Invalid value: '{detection.get('type')}'. Supported values are: 'server_vad' and 'semantic_vad'.",
            param="session.audio.input.turn_detection.type",
        )
    _check_tools(changes.get("tools"))
    most = changes.get("max_output_tokens", "inf")
    if most not in (None, "inf") and not (isinstance(most, int) and most >= 1):
        raise BadEvent("Invalid value for 'max_output_tokens'.", param="session.max_output_tokens")


def _check_tools(tools: Any) -> None:
    if tools is not None and not isinstance(tools, list):
        raise BadEvent(
            "Invalid type for 'session.tools': expected an array.", param="session.tools", code="invalid_type"
        )
    for place, tool in enumerate(as_list(tools)):
        described = as_object(tool)
        if described.get("type") == "function" and not isinstance(described.get("name"), str):
            param = f"session.tools[{place}].name"
            raise BadEvent(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _merged(old: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    made = dict(old)
    for name, value in changes.items():
        if name == "turn_detection" and isinstance(value, dict):
            made[name] = _TURN_DEFAULTS[as_object(value)["type"]] | as_object(value)
        elif name in ("audio", "input", "output") and isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = _merged(as_object(made[name]), as_object(value))
        elif name == "format":
            made[name] = {"rate": 24_000, "type": "audio/pcm"} | as_object(value)
        elif name == "tools":
            made[name] = as_list(value)
        else:
            made[name] = value
    return made
