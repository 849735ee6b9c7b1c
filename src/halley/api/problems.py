"""The shapes in which errors are told, for the API reference. Pure."""

from typing import Any, Literal

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What an error says in the formats of tasks, in OpenAI's and in our own, whatever shape surrounds it."""

    type: str
    code: str | None
    message: str
    param: str | None
    request_id: str


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error. Formats with a shape of their own put their fields beside it."""

    error: Problem


class PlainProblem(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the balance query."""

    error: str
    code: str
    request_id: str


class AnthropicProblem(msgspec.Struct, frozen=True, kw_only=True):
    """What an error of Anthropic's routes says; `code` and `param` are our addition."""

    type: str
    message: str
    code: str
    param: str | msgspec.UnsetType = msgspec.UNSET


class AnthropicProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error of Anthropic's routes."""

    type: Literal["error"]
    error: AnthropicProblem
    request_id: str


class GeminiProblem(msgspec.Struct, frozen=True, kw_only=True):
    """What an error of Google's routes says (`google.rpc.Status`)."""

    code: int
    message: str
    status: str
    details: list[dict[str, Any]]


class GeminiProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """An error of Google's routes."""

    error: GeminiProblem


SHAPES: tuple[type, ...] = (ProblemBody, PlainProblem, AnthropicProblemBody, GeminiProblemBody)


def shape_of(body: dict[str, Any]) -> type:
    """Say which shape an error has."""
    error = body.get("error")
    if isinstance(error, str):
        return PlainProblem
    if body.get("type") == "error":
        return AnthropicProblemBody
    return GeminiProblemBody if isinstance(error, dict) and "status" in error else ProblemBody
