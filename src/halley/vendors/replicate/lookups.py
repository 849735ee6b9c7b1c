"""What clients look up around a prediction: models, their versions with an input schema, and the account."""

from collections.abc import Callable
from typing import Any

from halley.kernel.faults import NotFound
from halley.vendors.contract import Answer, Incoming, ModelView
from halley.vendors.replicate.models import BY_NAME, Input, Model

VERSIONS_SINCE = "2026-11-22T00:00:00.000Z"
"""When our version digests were first given out."""
COG_VERSION = "0.16.0"
"""Clients read schemas of versions before 0.3.9 differently."""

LookUp = Callable[[Incoming, tuple[ModelView, ...], str], Answer]

_ACCOUNT = {"type": "organization", "username": "halley", "name": "Halley", "github_url": None}


def get_account(incoming: Incoming, models: tuple[ModelView, ...], base_url: str) -> Answer:
    """The account that all keys of this gateway share in this format."""
    del incoming, models, base_url
    return Answer(status=200, body=_ACCOUNT)


def list_models(incoming: Incoming, models: tuple[ModelView, ...], base_url: str) -> Answer:
    """Every model that has a name of this format."""
    del incoming
    named = [(name, view) for view in models for name in _names(view)[:1]]
    return _page([_model(name, view, base_url) for name, view in named])


def get_model(incoming: Incoming, models: tuple[ModelView, ...], base_url: str) -> Answer:
    """One model."""
    name, view = _found(incoming, models)
    return Answer(status=200, body=_model(name, view, base_url))


def list_versions(incoming: Incoming, models: tuple[ModelView, ...], base_url: str) -> Answer:
    """The versions of a model: one, if we know its inputs."""
    del base_url
    known = BY_NAME.get(_found(incoming, models)[0])
    return _page([] if known is None else [_version(known)])


def get_version(incoming: Incoming, models: tuple[ModelView, ...], base_url: str) -> Answer:
    """One version of a model."""
    del base_url
    known = BY_NAME.get(_found(incoming, models)[0])
    if known is None or known.version != incoming.path_params["version_id"]:
        message = f"The version `{incoming.path_params['version_id'][:64]}` does not exist"
        raise NotFound(message)
    return Answer(status=200, body=_version(known))


def _found(incoming: Incoming, models: tuple[ModelView, ...]) -> tuple[str, ModelView]:
    name = f"{incoming.path_params['owner']}/{incoming.path_params['name']}"
    for view in models:
        if name in _names(view):
            return name, view
    message = f"The model `{name[:200]}` does not exist; `GET /replicate/v1/models` lists those that do"
    raise NotFound(message)


def _names(view: ModelView) -> list[str]:
    return [name for name in (view.id, *view.aliases) if name.count("/") == 1]


def _page(results: list[dict[str, Any]]) -> Answer:
    return Answer(status=200, body={"next": None, "previous": None, "results": results})


def _model(name: str, view: ModelView, base_url: str) -> dict[str, Any]:
    owner, _, short = name.partition("/")
    known = BY_NAME.get(name)
    return {
        "url": f"{base_url}/replicate/v1/models/{name}",
        "owner": owner,
        "name": short,
        "description": view.description,
        "visibility": "public",
        "is_official": True,
        "run_count": 0,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": None if known is None else _version(known),
    }


def _version(model: Model) -> dict[str, Any]:
    return {
        "id": model.version,
        "created_at": VERSIONS_SINCE,
        "cog_version": COG_VERSION,
        "openapi_schema": openapi_schema(model),
    }


def openapi_schema(model: Model) -> dict[str, Any]:
    """The model's inputs and output as the vendor describes them."""
    uri = {"type": "string", "format": "uri"}
    output = {"type": "array", "items": uri} if model.is_array else uri
    schemas = {
        "Input": {
            "type": "object",
            "title": "Input",
            "required": list(model.required),
            "properties": {name: _property(name, given) for name, given in model.inputs.items()},
        },
        "Output": {"title": "Output", **output},
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": schemas},
    }


def _property(name: str, given: Input) -> dict[str, Any]:
    values = {
        "type": given.type,
        "title": name.replace("_", " ").capitalize(),
        "format": "uri" if given.is_file else None,
        "default": given.default,
        "minimum": given.minimum,
        "maximum": given.maximum,
        "multipleOf": given.multiple_of,
        "enum": list(given.choices) or None,
    }
    return {key: value for key, value in values.items() if value is not None}
