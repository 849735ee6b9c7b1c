"""What a user of the PyPI package `anthropic` would write."""
# pyright: basic, reportMissingImports=false

import base64
from pathlib import Path
from typing import Any

import anthropic
from pydantic import BaseModel  # noqa: TID251 - what this client takes
from steps import run

TIMEOUT_S = 60
TOKENS_MAX = 2_048
THINKING = {"type": "enabled", "budget_tokens": 1_024}
TOOLS = [
    {
        "name": "weather",
        "description": "Looks up the weather",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
    {"name": "now", "description": "The time", "input_schema": {"type": "object", "properties": {}}},
]


class Recipe(BaseModel):
    """What a user of structured output would ask for."""

    title: str
    minutes: int
    steps: list[str]


def client(given: Any):
    return anthropic.Anthropic(
        api_key=given["key"],
        base_url=given["url"],
        max_retries=0,
        timeout=TIMEOUT_S,
        _strict_response_validation=True,
    )


def request(given: Any, **options: Any):
    messages = [{"role": "user", "content": given.get("prompt", "Say hello.")}]
    return {"model": given["model"], "max_tokens": TOKENS_MAX, "messages": messages, **options}


def ask(given: Any, **options: Any):
    return client(given).messages.create(**request(given, **options))


def text_of(message: Any):
    return "".join(block.text for block in message.content if block.type == "text")


def usage_of(message: Any):
    return [message.usage.input_tokens, message.usage.output_tokens]


def encoded(path: str):
    return base64.b64encode(Path(path).read_bytes()).decode()


def failure(call: Any):
    try:
        call()
    except anthropic.APIStatusError as error:
        told = error.body if isinstance(error.body, dict) else {}
        return {
            "error": type(error).__name__,
            "status": error.status_code,
            "outer": told.get("type"),
            "type": (told.get("error") or {}).get("type"),
            "message": (told.get("error") or {}).get("message"),
            "request_id": error.request_id,
            "retry_after": error.response.headers.get("retry-after"),
        }
    except anthropic.AnthropicError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": None}


def create(given: Any):
    message = ask(given, system="You are a lighthouse keeper.", metadata={"user_id": "somebody"})
    return {
        "id": message.id,
        "type": message.type,
        "role": message.role,
        "model": message.model,
        "text": text_of(message),
        "stop": message.stop_reason,
        "usage": usage_of(message),
        "request_id": message._request_id,
    }


def events(given: Any):
    """The events as they come."""
    kinds = [event.type for event in ask(given, stream=True)]
    return {"kinds": [kind for n, kind in enumerate(kinds) if n == 0 or kinds[n - 1] != kind], "count": len(kinds)}


def stream(given: Any):
    """The package puts the message together."""
    with client(given).messages.stream(**request(given)) as streamed:
        pieces = list(streamed.text_stream)
        final = streamed.get_final_message()
    return {
        "pieces": len(pieces),
        "text": "".join(pieces),
        "final": text_of(final),
        "stop": final.stop_reason,
        "usage": usage_of(final),
    }


def broken_stream(given: Any):
    read = {"text": "", "kinds": []}

    def through() -> None:
        for event in ask(given, stream=True):
            read["kinds"] += [event.type] if event.type not in read["kinds"] else []
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                read["text"] += event.delta.text

    return {**failure(through), **read}


def tools(given: Any):
    first = ask(given, tools=TOOLS, tool_choice={"type": "auto"})
    uses = [block for block in first.content if block.type == "tool_use"]
    answers = [{"type": "tool_result", "tool_use_id": use.id, "content": "Sunny."} for use in uses]
    turns = [
        {"role": "user", "content": "The weather in Brest?"},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": answers},
    ]
    second = ask(given, messages=turns, tools=TOOLS)
    return {
        "stop": first.stop_reason,
        "name": uses[0].name,
        "input": uses[0].input,
        "text": text_of(second),
        "then": second.stop_reason,
    }


def tools_streamed(given: Any):
    with client(given).messages.stream(**request(given, tools=TOOLS)) as streamed:
        pieces = [event.partial_json for event in streamed if event.type == "input_json"]
        final = streamed.get_final_message()
    use = next(block for block in final.content if block.type == "tool_use")
    return {"pieces": len(pieces), "name": use.name, "input": use.input, "stop": final.stop_reason}


def tools_parallel(given: Any):
    """Go on after two uses that were made at once; one of them failed and one gave a picture."""
    uses = [
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Brest", "days": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ]
    picture = {"type": "base64", "media_type": "image/png", "data": encoded(given["source"])}
    answers = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "image", "source": picture}]},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no clock", "is_error": True},
    ]
    turns = [
        {"role": "user", "content": "The weather, and the time?"},
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, *uses]},
        {"role": "user", "content": answers},
    ]
    return {"text": text_of(ask(given, messages=turns, tools=TOOLS))}


def tool_forced(given: Any):
    choice = {"type": "tool", "name": "now", "disable_parallel_tool_use": True}
    return {"names": [b.name for b in ask(given, tools=TOOLS, tool_choice=choice).content if b.type == "tool_use"]}


def parse(given: Any):
    """Structured output, read into the user's own class."""
    message = client(given).messages.parse(**request(given, output_format=Recipe))
    return {name: type(value).__name__ for name, value in message.parsed_output.model_dump().items()}


def thinking(given: Any):
    """Thoughts come first and go back with the history."""
    first = ask(given, thinking=THINKING)
    turns = [
        {"role": "user", "content": "Say hello."},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "And again."},
    ]
    second = ask(given, messages=turns, thinking=THINKING)
    return {
        "kinds": [block.type for block in first.content],
        "thoughts": first.content[0].thinking,
        "signed": bool(first.content[0].signature),
        "text": text_of(first),
        "again": text_of(second),
    }


def thinking_streamed(given: Any):
    kinds, thoughts = [], ""
    with client(given).messages.stream(**request(given, thinking=THINKING)) as streamed:
        for event in streamed:
            kinds += [event.type] if event.type not in kinds else []
            thoughts += event.thinking if event.type == "thinking" else ""
        final = streamed.get_final_message()
    return {
        "kinds": kinds,
        "joined": thoughts == final.content[0].thinking,
        "signed": bool(final.content[0].signature),
        "blocks": [block.type for block in final.content],
    }


def vision(given: Any):
    picture = {"type": "base64", "media_type": "image/png", "data": encoded(given["source"])}
    parts = [{"type": "image", "source": picture}, {"type": "text", "text": "What is this?"}]
    message = ask(given, messages=[{"role": "user", "content": parts}])
    return {"text": text_of(message), "usage": usage_of(message)}


def documents(given: Any):
    paper = {"type": "base64", "media_type": "application/pdf", "data": encoded(given["document"])}
    note = {"type": "text", "media_type": "text/plain", "data": "The lamp is out."}
    parts = [
        {"type": "document", "source": paper, "title": "A paper"},
        {"type": "document", "source": note, "citations": {"enabled": False}},
        {"type": "text", "text": "Sum them up."},
    ]
    return {"text": text_of(ask(given, messages=[{"role": "user", "content": parts}]))}


def cached(given: Any):
    """A long system prompt that is to be kept."""
    kept = {"type": "text", "text": "The rules of the lighthouse. " * 400, "cache_control": {"type": "ephemeral"}}
    first, second = (ask(given, system=[kept]).usage for _ in range(2))
    return {
        "written": first.cache_creation_input_tokens,
        "read": second.cache_read_input_tokens,
        "inputs": [first.input_tokens, second.input_tokens],
    }


def stopped(given: Any):
    message = ask(given)
    return {"stop": message.stop_reason, "sequence": message.stop_sequence, "usage": usage_of(message)}


def count(given: Any):
    used = client(given)
    sent = {"model": given["model"], "messages": [{"role": "user", "content": "Say hello."}]}
    alone = used.messages.count_tokens(**sent).input_tokens
    more = used.messages.count_tokens(**sent, system="You are a lighthouse keeper.", tools=TOOLS).input_tokens
    return {"alone": alone, "more": more}


def models(given: Any):
    used = client(given)
    listed = [model.id for model in used.models.list(limit=5)]
    one = used.models.retrieve(given["model"])
    return {
        "listed": listed,
        "one": [one.id, one.type, one.display_name, one.created_at.isoformat()],
        "unknown": failure(lambda: used.models.retrieve("no-such-model")),
    }


def fail(given: Any):
    return failure(
        lambda: client(given).post("/v1/messages", body=request(given, **given.get("body", {})), cast_to=object)
    )


if __name__ == "__main__":
    run(
        create,
        events,
        stream,
        broken_stream,
        tools,
        tools_streamed,
        tools_parallel,
        tool_forced,
        parse,
        thinking,
        thinking_streamed,
        vision,
        documents,
        cached,
        stopped,
        count,
        models,
        fail,
    )
