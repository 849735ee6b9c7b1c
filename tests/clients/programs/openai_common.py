"""What the programs of the PyPI package `openai` share: the client, and how an error of its is told."""
# pyright: basic, reportMissingImports=false

import base64
from pathlib import Path
from typing import Any

import openai
from pydantic import BaseModel  # noqa: TID251 - what this client takes

TIMEOUT_S = 60

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


class Recipe(BaseModel):
    """What a user of structured output would ask for."""

    title: str
    minutes: int
    vegetarian: bool
    steps: list[str]


def client(given: Any, *, strict: bool = True):
    """Strictly, replies are held against the package's own types, fields that are required included."""
    return openai.OpenAI(
        api_key=given["key"],
        base_url=given["url"] + "/v1",
        max_retries=0,
        timeout=TIMEOUT_S,
        _strict_response_validation=strict,
    )


def data_url(path: str, media_type: str):
    return f"data:{media_type};base64," + base64.b64encode(Path(path).read_bytes()).decode()


def kind_of(value: Any):
    """How the types of a JSON object's values are called, to compare with what was asked."""
    return {name: type(each).__name__ for name, each in value.items()}


def failure(call: Any):
    """Make a call that fails and tell how."""
    try:
        call()
    except openai.APIStatusError as error:
        return {
            "error": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "type": error.type,
            "message": error.message,
            "request_id": error.request_id,
            "retry_after": error.response.headers.get("retry-after"),
        }
    except openai.OpenAIError as error:
        return {"error": type(error).__name__, "message": str(error), "code": getattr(error, "code", None)}
    return {"error": None}
