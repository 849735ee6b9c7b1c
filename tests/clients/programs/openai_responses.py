"""What a user of the PyPI package `openai` would write for the Responses API."""
# pyright: basic, reportMissingImports=false

import json
from typing import Any

from openai_common import NO_PARAMETERS, WEATHER, Recipe, client, data_url, failure, kind_of
from steps import run

TOOLS = [
    {"type": "function", "name": "weather", "description": "Looks it up", "parameters": WEATHER, "strict": True},
    {"type": "function", "name": "now", "description": "The time", "parameters": NO_PARAMETERS, "strict": False},
]


def respond(given: Any, **options: Any):
    sent = {"model": given["model"], "input": given.get("prompt", "Say hello."), **options}
    return client(given).responses.create(**sent)


def usage_of(reply: Any):
    return [reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens]


def create(given: Any):
    reply = respond(given, instructions="You are a lighthouse keeper.", metadata={"a": "b"})
    return {
        "id": reply.id,
        "object": reply.object,
        "status": reply.status,
        "text": reply.output_text,
        "kinds": [item.type for item in reply.output],
        "instructions": reply.instructions,
        "metadata": reply.metadata,
        "usage": usage_of(reply),
    }


def items(given: Any):
    """A conversation as a list of items."""
    history = [
        {"role": "developer", "content": "You are a lighthouse keeper."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hello."}]},
        {"role": "assistant", "content": "Good evening."},
        {"type": "message", "role": "user", "content": "And now?"},
    ]
    return {"text": respond(given, input=history).output_text}


def stream(given: Any):
    events = list(respond(given, stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    return {
        "kinds": [event.type for n, event in enumerate(events) if n == 0 or events[n - 1].type != event.type],
        "numbers": [event.sequence_number for event in events] == list(range(len(events))),
        "text": "".join(deltas),
        "deltas": len(deltas),
        "final": last.response.output_text,
        "usage": usage_of(last.response),
    }


def stream_helper(given: Any):
    with client(given).responses.stream(model=given["model"], input="Say hello.") as events:
        kinds = {event.type for event in events}
        final = events.get_final_response()
    return {"kinds": sorted(kinds), "text": final.output_text, "status": final.status}


def broken_stream(given: Any):
    read = {"text": "", "kinds": [], "told": None}

    def through() -> None:
        for event in respond(given, stream=True):
            read["kinds"] += [event.type] if event.type not in read["kinds"] else []
            read["text"] += event.delta if event.type == "response.output_text.delta" else ""
            read["told"] = event.message if event.type == "error" else read["told"]

    return {**failure(through), **read}


def stored(given: Any):
    """Go on from a stored response, look both up, and delete the first."""
    used = client(given)
    first = respond(given)
    second = respond(given, previous_response_id=first.id, input="And then?")
    listed = used.responses.input_items.list(second.id, order="asc").data
    fetched = used.responses.retrieve(first.id)
    used.responses.delete(first.id)
    return {
        "previous": second.previous_response_id == first.id,
        "fetched": fetched.output_text == first.output_text,
        "listed": [item.type for item in listed],
        "words": json.dumps([item.model_dump() for item in listed]),
        "gone": failure(lambda: used.responses.retrieve(first.id)),
        "unknown": failure(lambda: respond(given, previous_response_id="resp_0000000000000000000000000000")),
    }


def not_stored(given: Any):
    reply = respond(given, store=False)
    return {"store": reply.id, "gone": failure(lambda: client(given).responses.retrieve(reply.id))}


def cancel(given: Any):
    """Only what runs in the background may be cancelled."""
    reply = respond(given)
    return failure(lambda: client(given).responses.cancel(reply.id))


def tools(given: Any):
    first = respond(given, tools=TOOLS)
    call = next(item for item in first.output if item.type == "function_call")
    arguments = json.loads(call.arguments)
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    stored_way = respond(given, previous_response_id=first.id, input=[answer], tools=TOOLS)
    whole = [{"role": "user", "content": "The weather?"}, call.model_dump(exclude_none=True), answer]
    return {
        "name": call.name,
        "arguments": arguments,
        "kinds": kind_of(arguments),
        "stored": stored_way.output_text,
        "whole": respond(given, input=whole, tools=TOOLS).output_text,
    }


def tools_streamed(given: Any):
    events = list(respond(given, tools=TOOLS, stream=True))
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    item = next(event.item for event in events if event.type == "response.output_item.done")
    return {
        "deltas": len(deltas),
        "joined": "".join(deltas) == done.arguments == item.arguments,
        "item": item.type,
        "name": item.name,
        "arguments": json.loads(done.arguments),
    }


def parse(given: Any):
    reply = client(given).responses.parse(model=given["model"], input="A recipe, please.", text_format=Recipe)
    return kind_of(reply.output_parsed.model_dump())


def vision(given: Any):
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": data_url(given["source"], "image/png"), "detail": "auto"},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": data_url(given["document"], "application/pdf"),
        },
    ]
    return {"text": respond(given, input=[{"role": "user", "content": parts}]).output_text}


def reasoning(given: Any):
    reply = respond(given, reasoning={"effort": "low", "summary": "auto"})
    summaries = [part.text for item in reply.output if item.type == "reasoning" for part in item.summary]
    return {
        "kinds": [item.type for item in reply.output],
        "summaries": summaries,
        "tokens": reply.usage.output_tokens_details.reasoning_tokens,
        "text": reply.output_text,
    }


def length(given: Any):
    reply = respond(given, max_output_tokens=16)
    return {"status": reply.status, "reason": reply.incomplete_details and reply.incomplete_details.reason}


def refusal(given: Any):
    reply = respond(given)
    return {"kinds": [part.type for item in reply.output if item.type == "message" for part in item.content]}


def fail(given: Any):
    sent = {"model": given["model"], "input": given.get("prompt", "Hello"), **given.get("body", {})}
    return failure(lambda: client(given).post("/responses", body=sent, cast_to=object))


if __name__ == "__main__":
    run(
        create,
        items,
        stream,
        stream_helper,
        broken_stream,
        stored,
        not_stored,
        cancel,
        tools,
        tools_streamed,
        parse,
        vision,
        reasoning,
        length,
        refusal,
        fail,
    )
