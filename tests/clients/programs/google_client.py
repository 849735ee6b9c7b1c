"""What a user of the PyPI package `google-genai` would write."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import math
from functools import cache
from pathlib import Path
from typing import Any

from google import genai
from google.genai import errors, types
from pydantic import BaseModel  # noqa: TID251 - what this client takes
from steps import run

TIMEOUT_MS = 60_000
NO_CALLS_BY_ITSELF = types.AutomaticFunctionCallingConfig(disable=True)
WEATHER = types.FunctionDeclaration(
    name="weather",
    description="Looks up the weather",
    parameters=types.Schema(
        type="OBJECT",
        properties={"city": types.Schema(type="STRING"), "days": types.Schema(type="INTEGER")},
        required=["city", "days"],
    ),
)


class Recipe(BaseModel):
    """What a user of structured output would ask for."""

    title: str
    minutes: int
    steps: list[str]


def client(given: Any):
    # Kept: the package closes its connections as soon as nobody holds the client.
    return client_of(given["url"], given["key"], given.get("version"))


@cache
def client_of(url: str, key: str, version: str | None):
    options = types.HttpOptions(base_url=url, api_version=version, timeout=TIMEOUT_MS)
    return genai.Client(api_key=key, http_options=options)


def ask(given: Any, contents: Any = None, **config: Any):
    return client(given).models.generate_content(
        model=given["model"],
        contents=contents or given.get("prompt", "Say hello."),
        config=types.GenerateContentConfig(**config),
    )


def usage_of(reply: Any):
    usage = reply.usage_metadata
    return [usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count]


def failure(call: Any):
    try:
        call()
    except errors.APIError as error:
        return {
            "error": type(error).__name__,
            "code": error.code,
            "status": error.status,
            "message": error.message,
            "details": error.details,
        }
    return {"error": None}


def generate(given: Any):
    reply = ask(given, system_instruction="You are a lighthouse keeper.", temperature=0.5)
    return {
        "text": reply.text,
        "finish": reply.candidates[0].finish_reason.name,
        "role": reply.candidates[0].content.role,
        "model": reply.model_version,
        "id": reply.response_id,
        "usage": usage_of(reply),
    }


def stream(given: Any):
    chunks = list(client(given).models.generate_content_stream(model=given["model"], contents="Say hello."))
    return {
        "chunks": len(chunks),
        "text": "".join(chunk.text or "" for chunk in chunks),
        "finish": chunks[-1].candidates[0].finish_reason.name,
        "usage": usage_of(chunks[-1]),
    }


def broken_stream(given: Any):
    read = {"text": "", "finishes": []}

    def through() -> None:
        for chunk in client(given).models.generate_content_stream(model=given["model"], contents=given["prompt"]):
            read["text"] += chunk.text or ""
            finish = chunk.candidates[0].finish_reason if chunk.candidates else None
            read["finishes"] += [finish.name] if finish else []

    return {**failure(through), **read}


def chat(given: Any):
    """The package keeps the history."""
    talk = client(given).chats.create(model=given["model"])
    first = talk.send_message("Say hello.").text
    second = "".join(chunk.text or "" for chunk in talk.send_message_stream("And again."))
    return {"first": first, "second": second, "turns": [turn.role for turn in talk.get_history()]}


def tools(given: Any):
    offered = {"tools": [types.Tool(function_declarations=[WEATHER])], "automatic_function_calling": NO_CALLS_BY_ITSELF}
    first = ask(given, **offered)
    call = first.function_calls[0]
    answer = types.Part.from_function_response(name=call.name, response={"sky": "clear"})
    turns = [
        types.Content(role="user", parts=[types.Part.from_text(text="The weather?")]),
        first.candidates[0].content,
        types.Content(role="user", parts=[answer]),
    ]
    second = ask(given, turns, **offered)
    return {"name": call.name, "args": call.args, "text": second.text}


def tools_by_itself(given: Any):
    """The package calls the user's own function and sends its result."""
    called = []

    def weather(city: str, days: int) -> str:
        """Look up the weather."""
        called.append([type(city).__name__, type(days).__name__])
        return "clear"

    return {"text": ask(given, tools=[weather]).text, "called": called}


def tools_streamed(given: Any):
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])], automatic_function_calling=NO_CALLS_BY_ITSELF
    )
    chunks = client(given).models.generate_content_stream(model=given["model"], contents="The weather?", config=config)
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    return {"names": [call.name for call in calls], "args": calls[0].args}


def parse(given: Any):
    """Structured output, read into the user's own class."""
    reply = ask(given, response_mime_type="application/json", response_schema=Recipe)
    return {name: type(value).__name__ for name, value in reply.parsed.model_dump().items()}


def parse_json_schema(given: Any):
    reply = ask(given, response_mime_type="application/json", response_json_schema=Recipe.model_json_schema())
    return {name: type(value).__name__ for name, value in Recipe.model_validate_json(reply.text).model_dump().items()}


def vision(given: Any):
    parts = [
        types.Part.from_bytes(data=Path(given["source"]).read_bytes(), mime_type="image/png"),
        types.Part.from_bytes(data=Path(given["document"]).read_bytes(), mime_type="application/pdf"),
        "What are these?",
    ]
    reply = ask(given, parts)
    return {"text": reply.text, "usage": usage_of(reply)}


def thinking(given: Any):
    reply = ask(given, thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=512))
    return {
        "thoughts": [bool(part.thought) for part in reply.candidates[0].content.parts],
        "tokens": reply.usage_metadata.thoughts_token_count,
        "text": reply.text,
    }


def stopped(given: Any):
    candidate = ask(given).candidates[0]
    return {"finish": candidate.finish_reason.name}


def count(given: Any):
    used = client(given)
    alone = used.models.count_tokens(model=given["model"], contents="Say hello.")
    more = used.models.count_tokens(
        model=given["model"], contents=["Say hello.", "And tell me of your day, at length."]
    )
    return {"alone": alone.total_tokens, "more": more.total_tokens}


def embed(given: Any):
    used = client(given)
    one = used.models.embed_content(model=given["model"], contents="A cat sat on a mat.")
    several = used.models.embed_content(
        model=given["model"],
        contents=[
            types.Content(parts=[types.Part(text=text)]) for text in ("A cat sat on a mat.", "Interest rates rose.")
        ],
        config=types.EmbedContentConfig(output_dimensionality=256, task_type=given.get("task_type")),
    )
    vector = one.embeddings[0].values
    return {
        "one": [len(each.values) for each in one.embeddings],
        "several": [len(each.values) for each in several.embeddings],
        "length": math.sqrt(sum(number * number for number in vector)),
    }


def models(given: Any):
    used = client(given)
    listed = [model.name for model in used.models.list(config={"page_size": 20, "query_base": True})]
    one = used.models.get(model=given["model"])
    return {
        "listed": listed,
        "one": [one.name, one.display_name, one.input_token_limit, one.supported_actions],
        "unknown": failure(lambda: used.models.get(model="no-such-model")),
    }


def fail(given: Any):
    config = given.get("config", {})
    return failure(
        lambda: client(given).models.generate_content(
            model=given["model"], contents=given.get("prompt", "Hello"), config=config
        )
    )


if __name__ == "__main__":
    run(
        generate,
        stream,
        broken_stream,
        chat,
        tools,
        tools_by_itself,
        tools_streamed,
        parse,
        parse_json_schema,
        vision,
        thinking,
        stopped,
        count,
        embed,
        models,
        fail,
    )
