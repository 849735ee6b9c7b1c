"""The models that a key may use, in the shapes of OpenAI, Anthropic and Google."""

from typing import Any

import msgspec

from halley.api.asgi import Reply, json_reply
from halley.api.call import Call
from halley.api.endpoints.orders import models_of
from halley.api.errors import is_anthropics, is_googles
from halley.catalogue import Model
from halley.kernel.clock import MICROSECONDS, rfc3339
from halley.kernel.faults import BadRequest, NotFound
from halley.kernel.operation import Kind
from halley.vendors.contract import ModelView

MODELS_SINCE = 1_767_225_600
"""Clients want to know when a model was made; vendors do not say, so it is 2026-01-01 for all."""
PAGE_DEFAULT = 1_000
PAGE_MAX = 1_000
GEMINI_PAGE_DEFAULT = 50
_METHODS: dict[str, list[str]] = {
    Kind.CHAT: ["generateContent", "streamGenerateContent", "countTokens"],
    Kind.EMBEDDING: ["embedContent", "batchEmbedContents"],
}


class ModelNotFound(NotFound):
    """No model of this name, or not for this key."""

    code = "model_not_found"


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model, in OpenAI's shape."""

    id: str
    object: str = "model"
    created: int
    owned_by: str


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """The models that the key may use."""

    object: str = "list"
    data: list[ModelCard]


async def list_models(call: Call) -> Reply:
    """List the models, in Anthropic's or Google's shape for their SDKs, else in OpenAI's."""
    views = models_of(call)
    if is_anthropics(call.headers):
        return json_reply(_anthropic_page(call, views))
    if is_googles(call.headers):
        return json_reply(_gemini_page(call, views))
    return json_reply(ModelList(data=[_card(view.id) for view in views]))


async def get_model(call: Call) -> Reply:
    """Give one model, in the same shapes."""
    view = _wanted(call)
    if is_anthropics(call.headers):
        return json_reply(_anthropic_card(call, view.id))
    return json_reply(_gemini_card(call, view) if is_googles(call.headers) else _card(view.id))


async def list_gemini(call: Call) -> Reply:
    """List the models that chat or embed, in Google's shape."""
    return json_reply(_gemini_page(call, models_of(call)))


async def get_gemini(call: Call) -> Reply:
    """Give one model, in Google's shape."""
    return json_reply(_gemini_card(call, _wanted(call)))


def _wanted(call: Call) -> ModelView:
    named = call.params["model"]
    wanted = call.world.catalogue.public_id(named)
    found = next((view for view in models_of(call) if view.id == wanted), None)
    if found is None:
        raise ModelNotFound(f"There is no model `{named[:200]}`; `GET /v1/models` lists them", param="model")
    return found


def _card(model: str) -> ModelCard:
    return ModelCard(id=model, created=MODELS_SINCE, owned_by="halley")


def _anthropic_card(call: Call, model: str) -> dict[str, Any]:
    row = _row(call, model)
    return {
        "type": "model",
        "id": model,
        "display_name": model,
        "created_at": rfc3339(MODELS_SINCE * MICROSECONDS),
        # What is listed here can be called: models that ended leave the catalogue.
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": row.context_tokens if row else None,
        "max_tokens": row.output_tokens_max if row else None,
    }


def _anthropic_page(call: Call, views: tuple[ModelView, ...]) -> dict[str, Any]:
    ids = [view.id for view in views]
    after, before = call.query.get("after_id"), call.query.get("before_id")
    limit = min(_number(call, "limit", PAGE_DEFAULT), PAGE_MAX)
    if limit == 0:
        raise BadRequest("`limit` must be at least 1", param="limit")
    if after is not None:
        ids = [one for one in ids if one > after]
    if before is not None:
        ids = [one for one in ids if one < before][-limit:]
    page = ids[:limit]
    return {
        "data": [_anthropic_card(call, one) for one in page],
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
        "has_more": len(ids) > len(page),
    }


def _gemini_page(call: Call, models: tuple[ModelView, ...]) -> dict[str, Any]:
    views = [view for view in models if view.kind in _METHODS]
    size = min(_number(call, "pageSize", 0) or GEMINI_PAGE_DEFAULT, PAGE_MAX)
    start = _number(call, "pageToken", 0)
    page: dict[str, Any] = {"models": [_gemini_card(call, view) for view in views[start : start + size]]}
    if start + size < len(views):
        page["nextPageToken"] = str(start + size)
    return page


def _gemini_card(call: Call, view: ModelView) -> dict[str, Any]:
    row = _row(call, view.id)
    card: dict[str, Any] = {
        "name": f"models/{view.id}",
        "baseModelId": view.id,
        "version": "1",
        "displayName": view.id,
        "description": view.description,
        "supportedGenerationMethods": _METHODS.get(view.kind, []),
    }
    if row is not None and row.context_tokens:
        card["inputTokenLimit"] = row.context_tokens
    if row is not None and row.output_tokens_max:
        card["outputTokenLimit"] = row.output_tokens_max
    return card


def _row(call: Call, model: str) -> Model | None:
    rows = call.world.catalogue.models.get(model, {}).values()
    return next(iter(rows), None)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 - digits of any page there can be
        raise BadRequest(f"`{name}` must be a number", param=name)
    return int(text)
