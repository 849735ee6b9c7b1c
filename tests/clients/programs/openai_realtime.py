"""What a user of the PyPI package `openai` would write for the Realtime API."""
# pyright: basic, reportMissingImports=false

import base64
import json
import math
import struct
from typing import Any

from openai_common import WEATHER, client
from steps import run
from websockets.exceptions import InvalidStatus

EVENTS_MAX = 5_000
RATE_HZ = 24_000
TEXT = {"type": "realtime", "output_modalities": ["text"], "instructions": "You are a lighthouse keeper."}
AUDIO = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": RATE_HZ}, "turn_detection": None},
        "output": {"format": {"type": "audio/pcm", "rate": RATE_HZ}, "voice": "marin"},
    },
}
WEATHER_TOOL = {"type": "function", "name": "weather", "description": "Looks it up", "parameters": WEATHER}


def connect(given: Any):
    return client(given).realtime.connect(model=given["model"])


def until(connection: Any, kind: str):
    """Read events up to one of a kind; an error that the server tells ends it too."""
    events = []
    for _ in range(EVENTS_MAX):
        events.append(connection.recv())
        if events[-1].type == kind:
            return events
        assert events[-1].type != "error", events[-1]
    raise AssertionError([event.type for event in events[-20:]])


def started(connection: Any, session: Any):
    until(connection, "session.created")
    connection.session.update(session=session)
    return until(connection, "session.updated")[-1]


def say(connection: Any, text: str):
    content = [{"type": "input_text", "text": text}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    connection.response.create()


def kinds_of(events: Any):
    return list(dict.fromkeys(event.type for event in events))


def joined(events: Any, kind: str):
    return "".join(event.delta for event in events if event.type == kind)


def usage_of(done: Any):
    return done.response.usage.model_dump(exclude_none=True)


def session(given: Any):
    with connect(given) as connection:
        created = until(connection, "session.created")[-1]
        connection.session.update(session=TEXT)
        updated = until(connection, "session.updated")[-1]
    return {
        "model": created.session.model,
        "kind": created.session.type,
        "instructions": updated.session.instructions,
        "modalities": updated.session.output_modalities,
    }


def text_turn(given: Any):
    with connect(given) as connection:
        started(connection, TEXT)
        say(connection, "Say hello.")
        first = until(connection, "response.done")
        say(connection, "And again.")
        second = until(connection, "response.done")
    done = first[-1]
    return {
        "kinds": kinds_of(first),
        "text": joined(first, "response.output_text.delta"),
        "final": next(event.text for event in first if event.type == "response.output_text.done"),
        "status": done.response.status,
        "usage": usage_of(done),
        "again": second[-1].response.status,
        "other": second[-1].response.id != done.response.id,
    }


def tone(seconds: float):
    count = int(RATE_HZ * seconds)
    return struct.pack(f"<{count}h", *(int(9_000 * math.sin(n / 9)) for n in range(count)))


def audio_turn(given: Any):
    with connect(given) as connection:
        started(connection, AUDIO)
        sound = tone(0.6)
        for start in range(0, len(sound), 9_600):
            connection.input_audio_buffer.append(audio=base64.b64encode(sound[start : start + 9_600]).decode())
        connection.input_audio_buffer.commit()
        connection.response.create()
        events = until(connection, "response.done")
    heard = [base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta"]
    return {
        "kinds": kinds_of(events),
        "bytes": sum(map(len, heard)),
        "loudest": max(max(struct.unpack(f"<{len(piece) // 2}h", piece)) for piece in heard),
        "transcript": joined(events, "response.output_audio_transcript.delta"),
        "status": events[-1].response.status,
        "usage": usage_of(events[-1]),
    }


def function_call(given: Any):
    with connect(given) as connection:
        started(connection, {**TEXT, "tools": [WEATHER_TOOL], "tool_choice": "auto"})
        say(connection, "The weather in Brest?")
        events = until(connection, "response.done")
        call = next(event for event in events if event.type == "response.function_call_arguments.done")
        answer = {"type": "function_call_output", "call_id": call.call_id, "output": '{"sky": "clear"}'}
        connection.conversation.item.create(item=answer)
        connection.response.create()
        then = until(connection, "response.done")
    return {
        "kinds": kinds_of(events),
        "items": [item.type for item in events[-1].response.output],
        "arguments": json.loads(call.arguments),
        "joined": joined(events, "response.function_call_arguments.delta") == call.arguments,
        "text": joined(then, "response.output_text.delta"),
    }


def interruption(given: Any):
    """Stop an answer at its first sound, and cut the item to what was heard."""
    with connect(given) as connection:
        started(connection, AUDIO)
        # Slow enough that it is still being told when it is stopped.
        say(connection, "Tell me a long story. [[halley delay=30]]")
        first = until(connection, "response.output_audio.delta")[-1]
        connection.response.cancel()
        done = until(connection, "response.done")[-1]
        connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=20)
        truncated = until(connection, "conversation.item.truncated")[-1]
        say(connection, "Go on.")
        after = until(connection, "response.done")[-1]
    return {
        "status": done.response.status,
        "reason": done.response.status_details and done.response.status_details.reason,
        "cut": truncated.audio_end_ms,
        "after": after.response.status,
    }


def mistake(given: Any):
    """A mistake is told, and the session goes on."""
    with connect(given) as connection:
        started(connection, TEXT)
        connection.send({"type": "no.such.event", "event_id": "mine"})
        told = connection.recv()
        say(connection, "Say hello.")
        after = until(connection, "response.done")[-1]
    return {
        "type": told.type,
        "kind": told.error.type,
        "message": told.error.message,
        "event": told.error.event_id,
        "after": after.response.status,
    }


def transcription(given: Any):
    """A session without a model that only writes down what it hears."""
    heard = {"format": {"type": "audio/pcm", "rate": RATE_HZ}, "transcription": {"model": "gpt-4o-transcribe"}}
    with client(given).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        started(connection, {"type": "transcription", "audio": {"input": {**heard, "turn_detection": None}}})
        connection.input_audio_buffer.append(audio=base64.b64encode(tone(0.6)).decode())
        connection.input_audio_buffer.commit()
        done = until(connection, "conversation.item.input_audio_transcription.completed")[-1]
    return {"transcript": done.transcript, "tokens": done.usage.total_tokens}


def refused(given: Any):
    """The upgrade itself is refused."""
    try:
        with connect(given):
            return {"status": 101}
    except InvalidStatus as error:
        return {"status": error.response.status_code, "body": json.loads(error.response.body)}


if __name__ == "__main__":
    run(session, text_turn, audio_turn, function_call, interruption, mistake, transcription, refused)
