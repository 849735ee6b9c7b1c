"""What a user of the PyPI package `openai` would write for chat and the older completions."""
# pyright: basic, reportMissingImports=false

import base64
import json
from pathlib import Path
from typing import Any

import openai
from openai_common import NO_PARAMETERS, WEATHER, Recipe, client, data_url, failure, kind_of
from pydantic import BaseModel  # noqa: TID251 - what this client takes
from steps import run

TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Looks it up", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now", "description": "The time", "parameters": NO_PARAMETERS}},
]


class Weather(BaseModel):
    """Looks up the weather."""

    city: str
    days: int


def ask(given: Any, **options: Any):
    sent = {"model": given["model"], "messages": messages(given), **options}
    return client(given).chat.completions.create(**sent)


def messages(given: Any):
    return [
        {"role": "system", "content": "You are a lighthouse keeper."},
        {"role": "user", "content": given.get("prompt", "Say hello.")},
    ]


def usage_of(reply: Any):
    usage = reply.usage
    return None if usage is None else [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]


def chat(given: Any):
    reply = ask(given)
    choice = reply.choices[0]
    return {
        "id": reply.id,
        "object": reply.object,
        "model": reply.model,
        "role": choice.message.role,
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": usage_of(reply),
    }


def many(given: Any):
    reply = ask(given, n=3, seed=7, temperature=0.5, logprobs=True, top_logprobs=2, stop=["nevermore"], user="somebody")
    logprobs = reply.choices[0].logprobs
    return {
        "indexes": [choice.index for choice in reply.choices],
        "texts": [choice.message.content for choice in reply.choices],
        "logprobs": None if logprobs is None else len(logprobs.content or []),
    }


def streamed(given: Any, **options: Any):
    text, chunks, finishes, usages, ids = "", 0, [], [], set()
    for chunk in ask(given, stream=True, **options):
        chunks += 1
        ids.add(chunk.id)
        if chunk.usage:
            usages.append({"choices": len(chunk.choices), "usage": usage_of(chunk)})
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
    return {"text": text, "chunks": chunks, "finishes": finishes, "usages": usages, "ids": len(ids)}


def stream(given: Any):
    return streamed(given)


def stream_with_usage(given: Any):
    return streamed(given, stream_options={"include_usage": True})


def stream_helper(given: Any):
    kinds = []
    with client(given).chat.completions.stream(model=given["model"], messages=messages(given)) as events:
        for event in events:
            kinds += [event.type] if event.type not in kinds else []
        final = events.get_final_completion()
    return {"kinds": kinds, "text": final.choices[0].message.content, "finish": final.choices[0].finish_reason}


def broken_stream(given: Any):
    """Read a stream that breaks, and tell what was read before."""
    read = {"text": "", "finishes": []}

    def through() -> None:
        for chunk in ask(given, stream=True):
            for choice in chunk.choices:
                read["text"] += choice.delta.content or ""
                read["finishes"] += [choice.finish_reason] if choice.finish_reason else []

    return {**failure(through), **read}


def tools(given: Any):
    """Call a tool, answer it, and read the text that follows."""
    first = ask(given, tools=TOOLS, parallel_tool_calls=True)
    message = first.choices[0].message
    call = message.tool_calls[0]
    arguments = json.loads(call.function.arguments)
    answers = [{"role": "tool", "tool_call_id": each.id, "content": "Sunny."} for each in message.tool_calls]
    second = ask(given, messages=[*messages(given), message, *answers], tools=TOOLS)
    return {
        "finish": first.choices[0].finish_reason,
        "id": call.id,
        "name": call.function.name,
        "arguments": arguments,
        "kinds": kind_of(arguments),
        "text": second.choices[0].message.content,
        "then": second.choices[0].finish_reason,
    }


def tools_parallel(given: Any):
    """Go on after two calls that were made at once."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate({"weather": '{"city": "Brest"}', "now": "{}"}.items())
    ]
    answers = [{"role": "tool", "tool_call_id": call["id"], "content": "Noted."} for call in calls]
    history = [*messages(given), {"role": "assistant", "content": None, "tool_calls": calls}, *answers]
    reply = ask(given, messages=history, tools=TOOLS)
    return {"text": reply.choices[0].message.content, "finish": reply.choices[0].finish_reason}


def tools_refused(given: Any):
    """Offer tools and forbid their use."""
    message = ask(given, tools=TOOLS, tool_choice="none").choices[0].message
    return {"text": message.content, "calls": len(message.tool_calls or [])}


def tools_named(given: Any):
    """Demand one tool by name."""
    choice = {"type": "function", "function": {"name": "now"}}
    call = ask(given, tools=TOOLS, tool_choice=choice).choices[0].message.tool_calls[0]
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}


def tools_streamed(given: Any):
    """The package puts the arguments together and reads them into the user's own class."""
    offered = [openai.pydantic_function_tool(Weather, name="weather")]
    kinds = []
    with client(given).chat.completions.stream(model=given["model"], messages=messages(given), tools=offered) as events:
        for event in events:
            kinds += [event.type] if event.type not in kinds else []
        final = events.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    return {
        "kinds": kinds,
        "finish": final.choices[0].finish_reason,
        "parsed": type(call.function.parsed_arguments).__name__,
        "arguments": json.loads(call.function.arguments),
    }


def parse(given: Any):
    """Structured output, read into the user's own class."""
    reply = client(given).chat.completions.parse(model=given["model"], messages=messages(given), response_format=Recipe)
    return kind_of(reply.choices[0].message.parsed.model_dump())


def json_object(given: Any):
    reply = ask({**given, "prompt": "Say hello as JSON."}, response_format={"type": "json_object"})
    return {"kind": type(json.loads(reply.choices[0].message.content)).__name__}


def vision(given: Any):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": data_url(given["source"], "image/png"), "detail": "low"}},
    ]
    reply = ask(given, messages=[{"role": "user", "content": parts}])
    return {"text": reply.choices[0].message.content, "usage": usage_of(reply)}


def document(given: Any):
    parts = [
        {"type": "text", "text": "Sum it up."},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": data_url(given["document"], "application/pdf")},
        },
    ]
    reply = ask(given, messages=[{"role": "user", "content": parts}])
    return {"text": reply.choices[0].message.content}


def spoken(given: Any):
    """Sound in and sound out."""
    sound = {"data": base64.b64encode(Path(given["sound"]).read_bytes()).decode(), "format": "wav"}
    parts = [{"type": "text", "text": "Answer aloud."}, {"type": "input_audio", "input_audio": sound}]
    reply = ask(
        given,
        messages=[{"role": "user", "content": parts}],
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
    )
    audio = reply.choices[0].message.audio
    Path(given["path"]).write_bytes(base64.b64decode(audio.data))
    return {"transcript": audio.transcript, "tokens": reply.usage.completion_tokens_details.audio_tokens}


def reasoning(given: Any):
    reply = ask(given, reasoning_effort="low", max_completion_tokens=2_000)
    details = reply.usage.completion_tokens_details
    return {"text": reply.choices[0].message.content, "tokens": details.reasoning_tokens, "usage": usage_of(reply)}


def refusal(given: Any):
    choice = ask(given).choices[0]
    return {"refusal": choice.message.refusal, "finish": choice.finish_reason, "text": choice.message.content}


def raw(given: Any):
    """The headers, which the package shows to those who ask."""
    reply = client(given).chat.completions.with_raw_response.create(model=given["model"], messages=messages(given))
    return {"headers": dict(reply.headers), "status": reply.status_code, "request_id": reply.parse()._request_id}


def unknown_field(given: Any):
    """A field that no version of the package knows reaches the vendor, who then says what it thinks of it."""
    return failure(lambda: ask(given, extra_body={"some_new_field": {"a": [1]}}))


def complete(given: Any):
    used = client(given)
    reply = used.completions.create(model=given["model"], prompt="Once upon a time", max_tokens=32)
    several = used.completions.create(model=given["model"], prompt=["One", "Two"], max_tokens=16, echo=True)
    return {
        "object": reply.object,
        "text": reply.choices[0].text,
        "finish": reply.choices[0].finish_reason,
        "usage": usage_of(reply),
        "indexes": [choice.index for choice in several.choices],
    }


def complete_streamed(given: Any):
    # The package's type knows no chunk without a finish reason, though OpenAI itself sends those.
    chunks = client(given, strict=False).completions.create(
        model=given["model"], prompt="Once upon a time", stream=True, stream_options={"include_usage": True}
    )
    read = [(chunk.choices, chunk.usage) for chunk in chunks]
    return {
        "text": "".join(choice.text for choices, _ in read for choice in choices),
        "finishes": [choice.finish_reason for choices, _ in read for choice in choices if choice.finish_reason],
        "usages": sum(1 for _, usage in read if usage),
    }


def fail(given: Any):
    sent = {"model": given["model"], "messages": messages(given), **given.get("body", {})}
    return failure(lambda: client(given).post("/chat/completions", body=sent, cast_to=object))


if __name__ == "__main__":
    run(
        chat,
        many,
        stream,
        stream_with_usage,
        stream_helper,
        broken_stream,
        tools,
        tools_parallel,
        tools_refused,
        tools_named,
        tools_streamed,
        parse,
        json_object,
        vision,
        document,
        spoken,
        reasoning,
        refusal,
        raw,
        unknown_field,
        complete,
        complete_streamed,
        fail,
    )
