"""A call of each kind that every vendor takes: its path, and its body as JSON or as a form."""

import io
import wave
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from halley.api.answer_routes import ANTHROPIC_PATHS, OPENAI_PATHS
from halley.catalogue.model import Model
from halley.kernel.operation import Operation
from halley.testing.conformance.answer_cells import Mode, billed_by_token
from halley.testing.conformance.drive import PNG

OUTPUT_TOKENS_MAX = 600
PROMPT = "Tell me in two sentences why a red teapot stands on the table."
PARTIAL_IMAGES = 1
"""So that a stream of pictures has a middle."""
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One call. A form is made anew for each, as it can be sent only once."""

    path: str
    json: dict[str, Any] | None = None
    form: dict[str, Any] | None = None

    def data(self) -> aiohttp.FormData | None:
        """Give the form, if it is one."""
        if self.form is None:
            return None
        made = aiohttp.FormData()
        for name, value in self.form.items():
            if isinstance(value, bytes):
                kind = "wav" if value.startswith(b"RIFF") else "png"
                type_ = "audio/wav" if kind == "wav" else "image/png"
                made.add_field(name, value, filename=f"input.{kind}", content_type=type_)
            else:
                made.add_field(name, str(value))
        return made


def answer_sample(operation: Operation, mode: Mode, row: Model, *, with_tools: bool) -> Sample:
    """Give a call in the operation's own format. Pictures are asked for in the reply: links are the vendor's own."""
    model = row.id
    if operation in _VERBS:
        verb = _VERBS[operation] if mode is Mode.WHOLE else "streamGenerateContent"
        query = "?alt=sse" if mode is Mode.STREAM else ""
        tools = _TOOLS[Operation.CONTENT] if with_tools else {}
        return Sample(path=f"/v1beta/models/{model}:{verb}{query}", json={**_BODIES[operation](model), **tools})
    path = OPENAI_PATHS.get(operation) or ANTHROPIC_PATHS[operation]
    streams = mode is not Mode.WHOLE
    if operation in _FORMS:
        return Sample(path=path, form={"model": model, **_form(operation, streams=streams)})
    body = {"model": model, **_BODIES[operation](model)}
    if operation is Operation.IMAGES and not billed_by_token(row):
        body["response_format"] = "b64_json"
    if with_tools:
        body |= _TOOLS[operation]
    if streams:
        body |= _STREAMS.get(operation, {"stream": True})
    return Sample(path=path, json=body)


def _chat(_model: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": PROMPT}], "max_completion_tokens": OUTPUT_TOKENS_MAX}


def _completion(_model: str) -> dict[str, Any]:
    return {"prompt": PROMPT, "max_tokens": OUTPUT_TOKENS_MAX}


def _responses(_model: str) -> dict[str, Any]:
    return {"input": PROMPT, "max_output_tokens": OUTPUT_TOKENS_MAX}


def _messages(_model: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": OUTPUT_TOKENS_MAX}


def _counted_messages(_model: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": PROMPT}]}


def _content(_model: str) -> dict[str, Any]:
    return {**_contents(_model), "generationConfig": {"maxOutputTokens": OUTPUT_TOKENS_MAX}}


def _contents(_model: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}


def _embed(_model: str) -> dict[str, Any]:
    return {"content": {"parts": [{"text": PROMPT}]}, "taskType": "RETRIEVAL_DOCUMENT"}


def _embed_batch(model: str) -> dict[str, Any]:
    return {"requests": [{"model": f"models/{model}", **_embed(model)} for _ in range(2)]}


def _form(operation: Operation, *, streams: bool) -> dict[str, Any]:
    if operation in (Operation.TRANSCRIPTION, Operation.TRANSLATION):
        return _transcription(streams=streams)
    return _edit(streams=streams) if operation is Operation.IMAGE_EDITS else {"image": PNG}


def _transcription(*, streams: bool) -> dict[str, Any]:
    return {"file": _sound(), **({"stream": "true"} if streams else {})}


def _edit(*, streams: bool) -> dict[str, Any]:
    more = {"stream": "true", "partial_images": str(PARTIAL_IMAGES)} if streams else {}
    return {"image": PNG, "prompt": PROMPT, **more}


def _sound() -> bytes:
    """Give half a second of silence."""
    with io.BytesIO() as file:
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8_000)
            sound.writeframes(bytes(8_000))
        return file.getvalue()


_BODIES: Mapping[Operation, Callable[[str], dict[str, Any]]] = {
    Operation.CHAT: _chat,
    Operation.COMPLETION: _completion,
    Operation.RESPONSES: _responses,
    Operation.MESSAGES: _messages,
    Operation.MESSAGES_COUNT: _counted_messages,
    Operation.CONTENT: _content,
    Operation.CONTENT_COUNT: _contents,
    Operation.EMBED_CONTENT: _embed,
    Operation.EMBED_CONTENTS: _embed_batch,
    Operation.EMBEDDINGS: lambda _: {"input": [PROMPT, "another text"]},
    Operation.IMAGES: lambda _: {"prompt": PROMPT},
    Operation.SPEECH: lambda _: {"input": PROMPT, "voice": "alloy", "response_format": "wav"},
    Operation.MODERATION: lambda _: {"input": PROMPT},
    Operation.RERANK: lambda _: {"query": PROMPT, "documents": ["a red teapot", "a blue cup"]},
}
_FORMS = frozenset((Operation.TRANSCRIPTION, Operation.TRANSLATION, Operation.IMAGE_EDITS, Operation.IMAGE_VARIATIONS))
_VERBS: Mapping[Operation, str] = {
    Operation.CONTENT: "generateContent",
    Operation.CONTENT_COUNT: "countTokens",
    Operation.EMBED_CONTENT: "embedContent",
    Operation.EMBED_CONTENTS: "batchEmbedContents",
}
_STREAMS: Mapping[Operation, dict[str, Any]] = {
    Operation.IMAGES: {"stream": True, "partial_images": PARTIAL_IMAGES},
    Operation.SPEECH: {"stream_format": "sse"},
}
_TOOLS: Mapping[Operation, dict[str, Any]] = {
    Operation.CHAT: {"tools": [{"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}]},
    Operation.RESPONSES: {"tools": [{"type": "function", "name": "weather", "parameters": _SCHEMA}]},
    Operation.MESSAGES: {"tools": [{"name": "weather", "input_schema": _SCHEMA}]},
    Operation.CONTENT: {"tools": [{"functionDeclarations": [{"name": "weather", "parameters": _SCHEMA}]}]},
}
