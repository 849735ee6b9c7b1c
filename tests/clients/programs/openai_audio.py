"""What a user of the PyPI package `openai` would write for speech and its transcription."""
# pyright: basic, reportMissingImports=false

import base64
import json
from pathlib import Path
from typing import Any

from openai_common import client, failure
from steps import run

WORDS = "The lighthouse is open on Sunday."


def speak(given: Any):
    """Speech as a file, in the format that is asked for."""
    reply = client(given).audio.speech.create(
        model=given["model"], voice="alloy", input=WORDS, **given.get("options", {})
    )
    Path(given["path"]).write_bytes(reply.content)
    return {"type": reply.response.headers["content-type"], "bytes": len(reply.content)}


def speak_streamed(given: Any):
    """Speech as it is made, straight into a file."""
    used = client(given).audio.speech.with_streaming_response
    with used.create(model=given["model"], voice="coral", input=WORDS, response_format="wav") as reply:
        reply.stream_to_file(given["path"])
    return {"type": reply.headers["content-type"], "bytes": Path(given["path"]).stat().st_size}


def speak_events(given: Any):
    """Speech as server-sent events."""
    used = client(given).audio.speech.with_streaming_response
    sent = {"model": given["model"], "voice": "coral", "input": WORDS, "response_format": "pcm", "stream_format": "sse"}
    with used.create(**sent) as reply:
        lines = [line.removeprefix("data:").strip() for line in reply.iter_lines() if line.startswith("data:")]
        kind = reply.headers["content-type"]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events if event["type"] == "speech.audio.delta")
    Path(given["path"]).write_bytes(audio)
    return {"type": kind, "kinds": sorted({event["type"] for event in events}), "usage": events[-1].get("usage")}


def transcribe(given: Any):
    """Read back what was spoken. A text format comes as text, the others as objects."""
    with Path(given["path"]).open("rb") as spoken:
        reply = client(given).audio.transcriptions.create(model=given["model"], file=spoken, **given.get("options", {}))
    return reply if isinstance(reply, str) else reply.model_dump()


def transcribe_streamed(given: Any):
    with Path(given["path"]).open("rb") as spoken:
        events = list(client(given).audio.transcriptions.create(model=given["model"], file=spoken, stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    return {"last": events[-1].type, "text": events[-1].text, "joined": "".join(deltas), "deltas": len(deltas)}


def translate(given: Any):
    with Path(given["path"]).open("rb") as spoken:
        reply = client(given).audio.translations.create(model=given["model"], file=spoken, **given.get("options", {}))
    return reply if isinstance(reply, str) else reply.model_dump()


def fail(given: Any):
    def call() -> None:
        client(given).audio.transcriptions.create(model=given["model"], file=("a.wav", b"no sound", "audio/wav"))

    return failure(call)


if __name__ == "__main__":
    run(speak, speak_streamed, speak_events, transcribe, transcribe_streamed, translate, fail)
