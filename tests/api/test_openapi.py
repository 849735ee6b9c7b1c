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


def test_orders_declare_what_can_go_wrong_and_have_an_example():
    orders = [operation for _, path, operation in _operations() if "requestBody" in operation and "files" not in path]

    assert len(orders) >= 3
    for operation in orders:
        wanted = {"400", "401", "402", "403", "404", "409", "413", "422", "429", "502", "503"}
        assert wanted <= operation["responses"].keys()
        media = operation["requestBody"]["content"]["application/json"]
        _check(media)


def test_open_routes_ask_for_no_key(world: World):
    del world
    assert DOCUMENT["paths"]["/health/liveness"]["get"]["security"] == []
    assert {"bearer": []} in DOCUMENT["paths"]["/v1/tasks"]["get"]["security"]
