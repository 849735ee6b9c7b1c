"""What a user of the PyPI package `litellm` would write, as a client of the gateway in three formats."""
# pyright: basic, reportMissingImports=false

import json
import os
from typing import Any

# It would fetch its list of prices at import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from steps import run

TIMEOUT_S = 60
BASES = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta", "hosted_vllm": "/v1"}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Looks up the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}

litellm.telemetry = False
litellm.suppress_debug_info = True


def access(given: Any):
    """The first part of a model's name is the format, and says which base URL it wants."""
    base = given["url"] + BASES[given["model"].partition("/")[0]]
    return {
        "model": given["model"],
        "api_base": base,
        "api_key": given["key"],
        "timeout": TIMEOUT_S,
        "num_retries": 0,
        "max_retries": 0,
    }


def ask(given: Any, **options: Any):
    messages = [
        {"role": "system", "content": "You are a lighthouse keeper."},
        {"role": "user", "content": given.get("prompt", "Say hello.")},
    ]
    return litellm.completion(**{**access(given), "messages": messages, **options})


def complete(given: Any):
    reply = ask(given)
    return {
        "text": reply.choices[0].message.content,
        "finish": reply.choices[0].finish_reason,
        "usage": [reply.usage.prompt_tokens, reply.usage.completion_tokens],
    }


def stream(given: Any):
    chunks = list(ask(given, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks)
    return {
        "chunks": len(chunks),
        "text": whole.choices[0].message.content,
        "finish": whole.choices[0].finish_reason,
        "usage": [whole.usage.prompt_tokens, whole.usage.completion_tokens],
    }


def tools(given: Any):
    message = ask(given, tools=[TOOL]).choices[0].message
    call = message.tool_calls[0]
    answer = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
    history = [{"role": "user", "content": "The weather?"}, message.model_dump(exclude_none=True), answer]
    then = ask(given, messages=history, tools=[TOOL])
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "text": then.choices[0].message.content,
    }


def embed(given: Any):
    reply = litellm.embedding(**access(given), input=["A cat.", "A dog."])
    return {"dimensions": [len(record["embedding"]) for record in reply.data]}


def rerank(given: Any):
    used = access(given)
    reply = litellm.rerank(
        model=used["model"],
        query="When is the lighthouse open?",
        documents=["Bread is made of flour.", "The lighthouse is open on Sunday.", "It rains."],
        top_n=2,
        api_base=used["api_base"],
        api_key=used["api_key"],
    )
    return {"order": [result["index"] for result in reply.results]}


def draw(given: Any):
    reply = litellm.image_generation(prompt="a red teapot", size="1024x1024", **access(given))
    return {"count": len(reply.data), "b64": bool(reply.data[0].b64_json), "url": reply.data[0].url}


def speak(given: Any):
    reply = litellm.speech(**access(given), input="Hello.", voice="alloy", response_format="wav")
    return {"start": reply.content[:4].decode("latin-1"), "bytes": len(reply.content)}


def fail(given: Any):
    try:
        ask(given)
    except litellm.exceptions.APIError as error:
        return {"error": type(error).__name__, "status": error.status_code, "message": str(error)}
    except litellm.openai.APIStatusError as error:
        return {"error": type(error).__name__, "status": error.status_code, "message": str(error)}
    return {"error": None}


if __name__ == "__main__":
    run(complete, stream, tools, embed, rerank, draw, speak, fail)
