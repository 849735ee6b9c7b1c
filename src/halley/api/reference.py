"""Writes the route table as OpenAPI 3.1. Each error is declared by asking the route's own renderer. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from halley.api.answer_bodies import body_of, success_of
from halley.api.body import TooSlow, UnsupportedType
from halley.api.call import Access, Entry
from halley.api.credentials import KEY_HEADERS
from halley.api.dispatch import is_part
from halley.api.problems import SHAPES, shape_of
from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.vendors.contract import Action, Answer, Route

REF = "#/components/schemas/{name}"
SERVED_AT = "/"
_SAMPLE_REQUEST_ID = "req_01kay0000000000000000000"


_ANY_CALL: tuple[Fault, ...] = (
    faults.BadRequest("The query has more than 64 fields"),
    faults.NotFound("There is no such thing"),
    faults.Internal("Something went wrong on our side; the operator finds it in the log by the request id"),
)
_WITH_KEY: tuple[Fault, ...] = (
    faults.Unauthenticated("The API key is unknown or was revoked"),
    faults.Forbidden("This key may not do this"),
)
_UNREADY: tuple[Fault, ...] = (faults.Draining("The gateway is starting or stopping"),)
_WITH_BODY: tuple[Fault, ...] = (
    faults.BadRequest("`prompt` is missing", param="prompt"),
    TooSlow("The body did not come in time"),
    faults.TooLarge("The body is too large"),
    UnsupportedType("The body is a form; send JSON"),
    faults.StillRunning("The first request with this `Idempotency-Key` has not ended yet"),
    faults.KeyReused("This `Idempotency-Key` was used for another request"),
)
_OF_VENDORS: tuple[Fault, ...] = (
    faults.VendorUnreachable("The vendor could not be reached"),
    faults.VendorBusy("The vendor takes no more at once"),
    faults.VendorBroken("The vendor failed"),
)
_OF_CANCELS: tuple[Fault, ...] = (
    faults.CancelNotSupported("The vendor cannot cancel"),
    faults.NotCancelled("The vendor did not cancel"),
)
_OF_ORDERS: tuple[Fault, ...] = (
    faults.OutOfFunds("This call needs $0.04, and $0.01 is left on the account"),
    faults.Refused("The vendor refused the order as it stands"),
    faults.TooManyRequests("Too many requests"),
    faults.NoChannel("No available channel for this model"),
    faults.NoPrice("The model has no price"),
)
_QUERY_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    "wait": {"type": "integer", "minimum": 0, "maximum": 60, "default": 0},
    "expires": {"type": "integer"},
    "expiry": {"type": "integer"},
}
_MODEL_ALONE = "/v1/{model}"
_SHAPED_BY_CLIENT = frozenset(("/v1/models", "/v1/models/{model}"))
"""Paths that formats share: the headers of the clients of Anthropic and of Google tell which shape they understand."""
_FORM = {
    "type": "object",
    "required": ["content"],
    "properties": {
        "content": {"type": "string", "format": "binary", "description": "The file"},
        "filename": {"type": "string", "maxLength": 255},
        "type": {"type": "string", "description": "Its media type"},
        "metadata": {"type": "object", "description": "Your own facts, kept with it"},
    },
}
_HEADERS = {
    "halley-request-id": {"description": "Finds this request in the log", "schema": {"type": "string"}},
    "halley-cost": {"description": "What it cost in US dollars, once known", "schema": {"type": "string"}},
}


def describe(entries: Sequence[Entry], version: str) -> dict[str, Any]:
    """Write the document."""
    listed = [entry for entry in entries if entry.listed]
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for entry in listed:
        paths.setdefault(entry.path, {})[entry.method.lower()] = _operation(entry, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Halley",
            "version": version,
            "description": "One key and one base URL for every model, each in the format that its SDK speaks.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": SERVED_AT}],
        "tags": [{"name": tag} for tag in dict.fromkeys(entry.tag for entry in listed)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": schemas.responses,
            "securitySchemes": _security_schemes(),
        },
    }


class _Schemas:
    """The schemas of all types in the table, under one set of names."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        named = [each for entry in entries for each in (entry.route.request, entry.route.reply) if each is not None]
        types = list(dict.fromkeys((*SHAPES, *named)))
        schemas, self.components = msgspec.json.schema_components(types, ref_template=REF)
        self._of = dict(zip(types, schemas, strict=True))
        self.responses: dict[str, Any] = {}

    def of(self, kind: type) -> dict[str, Any]:
        return self._of[kind]


def _operation(entry: Entry, schemas: _Schemas) -> dict[str, Any]:
    route = entry.route
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{entry.method.lower()}{entry.path}").strip("_") or "root",
        "summary": route.summary,
        "tags": [entry.tag],
        "security": _security(entry.access),
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": {str(route.status): _success(entry, schemas), **_failures(entry, schemas)},
    }
    body = _request_body(route, schemas)
    return operation if body is None else operation | {"requestBody": body}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    segments = route.path.split("/")
    examples = (route.example_path or "").split("/")
    found: list[dict[str, Any]] = []
    for place, segment in enumerate(segments):
        if not is_part(segment):
            continue
        name = segment[1:-1]
        schema: dict[str, Any] = {"type": "string"}
        if name == "model" and route.model_pattern is not None:
            schema["pattern"] = "^" + re.escape(route.model_pattern).replace(r"\*", ".*").replace(r"\-", "-") + "$"
        parameter: dict[str, Any] = {"name": name, "in": "path", "required": True, "schema": schema}
        if len(examples) == len(segments):
            parameter["example"] = examples[place]
        found.append(parameter)
    return found


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": name == "id",
            "description": text,
            "schema": _QUERY_SCHEMAS.get(name, {"type": "string"}),
        }
        for name, text in route.query.items()
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    wanted: dict[str, str] = {}
    if route.method == "POST":
        wanted["Idempotency-Key"] = "A repeat with the same key and body gives the first answer, for 24 hours"
    if route.action in (Action.SUBMIT, Action.ANSWER):
        wanted["Halley-Test"] = "With a test key: how it ends, e.g. `outcome=content_moderated; delay=0`"
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in wanted.items()
    ]


def _request_body(route: Route, schemas: _Schemas) -> dict[str, Any] | None:
    if route.action is Action.FILE_CREATE:
        return {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    if route.action is Action.ANSWER:
        content = body_of(route.operation)
        example = {} if route.example is None else {"example": dict(route.example)}
        return {"required": True, "content": {kind: {**media, **example} for kind, media in content.items()}}
    if route.request is None:
        return None
    media: dict[str, Any] = {"schema": schemas.of(route.request)}
    if route.example is not None:
        media["example"] = dict(route.example)
    return {"required": True, "content": {"application/json": media}}


def _success(entry: Entry, schemas: _Schemas) -> dict[str, Any]:
    reply: dict[str, Any] = {"description": "Success", "headers": _HEADERS}
    if entry.route.action is Action.ANSWER:
        return reply | {"content": success_of(entry.route.operation)}
    if entry.reply_type != "application/json":
        return reply | {"content": {entry.reply_type: {"schema": {"type": "string", "format": "binary"}}}}
    if entry.route.reply is not None:
        schema = schemas.of(entry.route.reply)
        if entry.path in _SHAPED_BY_CLIENT:
            schema = {"anyOf": [schema, {"type": "object"}]}
        return reply | {"content": {"application/json": {"schema": schema}}}
    if entry.route.action is Action.FILE_DELETE:
        return reply
    return reply | {"content": {"application/json": {"schema": {"type": "object"}}}}


def _failures(entry: Entry, schemas: _Schemas) -> dict[str, Any]:
    """Refer to each error that this route can answer; its renderer says with which status."""
    found: dict[str, Any] = {}
    for fault in _faults(entry):
        answer = entry.render_fault(fault, _SAMPLE_REQUEST_ID)
        # A model that is none of this route's is no path of ours: whoever asks is told so in their own format.
        any_shape = entry.path in _SHAPED_BY_CLIENT or entry.path == _MODEL_ALONE
        name = f"{_format(entry)}_{'any_' if entry.path == _MODEL_ALONE else ''}{answer.status}"
        kinds = SHAPES if any_shape else (shape_of(answer.body),)
        schemas.responses.setdefault(name, _response(fault, answer, [schemas.of(kind) for kind in kinds]))
        found[str(answer.status)] = {"$ref": f"#/components/responses/{name}"}
    if entry.route.action is Action.FILE_DOWNLOAD:
        found |= {"206": {"description": "The part that was asked for"}, "304": {"description": "Unchanged"}}
        found["416"] = {"description": "The range lies outside"}
    return dict(sorted(found.items()))


def _response(fault: Fault, answer: Answer, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Declare an error; the first fault of a status is its example."""
    media = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}, "example": answer.body}
    return {"description": _words(fault), "headers": _ERROR_HEADERS, "content": {"application/json": media}}


def _format(entry: Entry) -> str:
    if entry.dialect is not None:
        return entry.dialect.name
    if entry.path in _SHAPED_BY_CLIENT:
        return "by_client"
    return getattr(entry.render_fault, "__name__", "errors").removeprefix("render_")


_ERROR_HEADERS = {"halley-request-id": _HEADERS["halley-request-id"]}


def _faults(entry: Entry) -> tuple[Fault, ...]:
    action = entry.route.action
    return (
        *_ANY_CALL,
        *(_WITH_KEY if entry.access in (Access.KEY, Access.KEY_OR_LINK) else ()),
        *(_WITH_KEY[1:] if entry.access is Access.LINK else ()),
        *(_UNREADY if not entry.while_draining or entry.path.endswith("/readiness") else ()),
        *(_WITH_BODY if entry.method == "POST" else ()),
        *(_OF_VENDORS if action in (Action.SUBMIT, Action.ANSWER) else ()),
        *(_OF_CANCELS if action in (Action.SUBMIT, Action.CANCEL) else ()),
        *(_OF_ORDERS if action in (Action.SUBMIT, Action.ANSWER) else ()),
        *(faults.BadRequest(f"`{name}` is not understood", param=name) for name in entry.route.query),
    )


def _words(fault: Fault) -> str:
    return (type(fault).__doc__ or "An error").strip().splitlines()[0]


def _security(access: Access) -> list[dict[str, list[str]]]:
    schemes: list[dict[str, list[str]]] = [{"bearer": []}, *({name: []} for name in sorted(KEY_HEADERS)), {"key": []}]
    match access:
        case Access.KEY:
            return schemes
        case Access.KEY_OR_LINK:
            return [*schemes, {}]
        case Access.LINK | Access.OPEN:
            return []


def _security_schemes() -> dict[str, Any]:
    headers = {name: {"type": "apiKey", "in": "header", "name": name} for name in sorted(KEY_HEADERS)}
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        **headers,
        "key": {"type": "apiKey", "in": "query", "name": "key", "description": "Never logged"},
    }
