import re
from typing import Any

import pytest
from jsonschema import validate
from tests.api.client import Client

from halley.api.openapi import document
from halley.api.routes import table
from halley.vendors import load_vendors
from halley.world import World

DIALECTS = {vendor.dialect.name: vendor.dialect for vendor in load_vendors().values() if vendor.dialect is not None}
DOCUMENT = document(DIALECTS, "1.0")
ANSWERED = ("OpenAI", "Anthropic", "Gemini")


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def _resolved(value: Any) -> Any:
    while isinstance(value, dict) and "$ref" in value:
        target: Any = DOCUMENT
        for name in str(value["$ref"]).removeprefix("#/").split("/"):  # pyright: ignore[reportUnknownArgumentType]  (JSON)
            target = target[name]
        value = target
    return value  # pyright: ignore[reportUnknownVariableType]  (JSON)


def _check(media: dict[str, Any]) -> None:
    """Raise when the example is not what the schema says."""
    validate({**media["example"]}, {**media["schema"], "components": DOCUMENT["components"]})


def _refs(value: Any) -> set[str]:
    return set(re.findall(r"'\$ref': '([^']+)'", str(value)))


async def test_the_server_gives_the_same_document(client: Client):
    served = (await client.get("/openapi.json")).json

    assert served["paths"].keys() == DOCUMENT["paths"].keys()
    assert served["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere():
    for ref in _refs(DOCUMENT):
        assert _resolved({"$ref": ref}), ref


def test_every_operation_has_a_name_of_its_own():
    names = [operation["operationId"] for _, _, operation in _operations()]

    assert len(names) == len(set(names))


def test_every_listed_route_is_in_it():
    for entry in table(DIALECTS):
        assert (entry.method.lower() in DOCUMENT["paths"].get(entry.path, {})) is entry.listed


@pytest.mark.parametrize(("method", "path", "operation"), _operations(), ids=lambda value: str(value)[:60])
def test_each_path_parameter_is_declared(method: str, path: str, operation: dict[str, Any]):
    declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}

    assert declared == set(re.findall(r"{(\w+)}", path)), method


@pytest.mark.parametrize(("method", "path", "operation"), _operations(), ids=lambda value: str(value)[:60])
def test_every_error_example_conforms_to_its_schema(method: str, path: str, operation: dict[str, Any]):
    for response in operation["responses"].values():
        for media in _resolved(response).get("content", {}).values():
            if "example" in media:
                _check(media)
    assert "500" in operation["responses"], (method, path)


def _with_body(*, answered: bool) -> list[tuple[str, dict[str, Any]]]:
    return [
        (path, operation)
        for _, path, operation in _operations()
        if "requestBody" in operation and "files" not in path and (operation["tags"][0] in ANSWERED) is answered
    ]


def test_orders_declare_what_can_go_wrong_and_have_an_example():
    orders = _with_body(answered=False)

    assert len(orders) >= 3
    for path, operation in orders:
        wanted = {"400", "401", "402", "403", "404", "409", "413", "422", "429", "502", "503"}
        assert wanted <= operation["responses"].keys(), path
        _check(operation["requestBody"]["content"]["application/json"])


@pytest.mark.parametrize(("path", "operation"), _with_body(answered=True), ids=lambda value: str(value)[:40])
def test_calls_declare_what_can_go_wrong_and_have_an_example(path: str, operation: dict[str, Any]):
    assert {"400", "401", "403", "404", "409", "413", "429", "500", "503"} <= operation["responses"].keys(), path
    for media in operation["requestBody"]["content"].values():
        _check(media)


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/v1/chat/completions", "ProblemBody", {"error"}),
        ("/v1/messages", "AnthropicProblemBody", {"type", "error", "request_id"}),
        ("/v1beta/models/{call}", "GeminiProblemBody", {"error"}),
    ],
)
def test_each_format_declares_errors_in_its_own_shape(path: str, kind: str, words: set[str]):
    media = _resolved(DOCUMENT["paths"][path]["post"]["responses"]["401"])["content"]["application/json"]

    assert media["schema"]["$ref"].endswith(f"/{kind}")
    assert media["example"].keys() == words


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1beta/models/{call}"]
)
def test_what_can_be_streamed_is_declared_as_json_and_as_events(path: str):
    success = DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"]

    assert {"application/json", "text/event-stream"} <= success.keys()


def test_forms_and_sound_are_declared_as_what_they_are():
    paths = DOCUMENT["paths"]

    for path in ("/v1/images/edits", "/v1/images/variations", "/v1/audio/transcriptions", "/v1/audio/translations"):
        assert "multipart/form-data" in paths[path]["post"]["requestBody"]["content"]
    assert "audio/*" in paths["/v1/audio/speech"]["post"]["responses"]["200"]["content"]


def test_every_operation_says_what_it_does():
    assert all(operation["summary"].strip() for _, _, operation in _operations())


def test_open_routes_ask_for_no_key(world: World):
    del world
    assert DOCUMENT["paths"]["/health/liveness"]["get"]["security"] == []
    assert {"bearer": []} in DOCUMENT["paths"]["/v1/tasks"]["get"]["security"]
