"""Values made for JSON schemas, judged by a validator that is not ours."""

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halley.vendors.simulate import conforming
from halley.vendors.simulate.pattern import matching
from halley.vendors.simulate.schema_check import fits

TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "parent"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
SHAPES: dict[str, dict[str, Any]] = {
    "empty": {},
    "recursive": TREE,
    "root-recursive": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
    "strict": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["c", "f"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
            "note": {"type": ["string", "null"]},
        },
        "required": ["city", "unit", "days", "note"],
        "additionalProperties": False,
    },
    "all-of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 4}, "b": {"const": "x"}}, "required": ["b"]},
        ]
    },
    "discriminated": {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in ("cat", "dog")
        ]
    },
    "one-of-overlapping": {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 2}]},
    "map": {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 2},
    "map-by-pattern": {
        "type": "object",
        "patternProperties": {"^id_[0-9]+$": {"type": "boolean"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "named": {"type": "object", "propertyNames": {"pattern": "^[A-Z]{3}$"}, "minProperties": 1},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 2},
    "unique": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3},
    "unique-texts": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 5},
    "contains": {"type": "array", "contains": {"const": 7}, "items": {"type": "integer"}},
    "not": {"type": "string", "not": {"const": "simulated text"}, "enum": ["simulated text", "other"]},
    "if-then": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["extra"], "properties": {"extra": {"type": "integer"}}},
    },
    "dependent": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "dependentRequired": {"a": ["b"]},
    },
    "multiple": {"type": "number", "multipleOf": 0.1, "minimum": 0.25, "maximum": 0.95},
    "whole-multiple": {"type": "integer", "multipleOf": 7, "exclusiveMinimum": 14, "maximum": 21},
    "open-interval": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    "long": {"type": "string", "minLength": 300, "maxLength": 301},
    "short": {"type": "string", "maxLength": 3},
    "email": {"type": "string", "format": "email"},
    "const-null": {"const": None},
    "mixed-enum": {"enum": [1, "1", True, None, {"a": 1}]},
    "deep-arrays": {"type": "array", "items": {"type": "array", "items": {"type": "array", "minItems": 1}}},
}


def check(value: Any, schema: dict[str, Any]) -> None:
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator, format_checker=jsonschema.FormatChecker())


def is_valid(value: Any, schema: dict[str, Any]) -> bool:
    try:
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
    except jsonschema.ValidationError:
        return False
    return True


@pytest.mark.parametrize("schema", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("seed", ["", "a", "b"])
def test_a_made_value_conforms(schema: dict[str, Any], seed: str):
    check(conforming(schema, seed=seed), schema)


def test_the_same_seed_makes_the_same_value_and_another_another():
    schema = SHAPES["strict"]
    made = [conforming(schema, seed=str(seed)) for seed in range(10)]
    assert made == [conforming(schema, seed=str(seed)) for seed in range(10)]
    assert len({str(value) for value in made}) > 3


def test_types_of_another_spelling_and_nullable_are_understood():
    made = conforming(
        {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": True}}, "required": ["n"]}, seed="x"
    )
    assert isinstance(made["n"], int)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["self"], "properties": {"self": {"$ref": "#"}}},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"type": "string", "pattern": "(?=a)b", "minLength": 3},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"enum": []},
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": 5, "properties": [], "required": "a", "enum": "x", "anyOf": {}},
    ],
    ids=str,
)
def test_what_cannot_be_fulfilled_or_read_still_comes_to_an_end(schema: dict[str, Any]):
    conforming(schema, seed="x")


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z]{3,5}$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^\+?[1-9]\d{1,14}$",
        "^(?:cat|dog)s?$",
        r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
        "^#([A-Fa-f0-9]{6}|[A-Fa-f0-9]{3})$",
        r"^[^\s,]+,[^\s,]+$",
        "abc",
        r"^\$[0-9]+(\.[0-9]{2})?$",
        "^[A-Z]{2}-[0-9]+$",
        r"^(?P<year>\d{4})$",
    ],
)
def test_usual_patterns_are_matched(pattern: str):
    schema = {"type": "string", "pattern": pattern}
    check(conforming(schema, seed="x"), schema)


@given(st.text(alphabet="ab[](){}|*+?\\d^$.-,1", max_size=30))
def test_no_pattern_breaks_the_maker(pattern: str):
    matching(pattern, lambda sides: sides - 1, length_max=50)


Schema = dict[str, Any]


def whole(low: int, more: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": low + more}


def above(low: int) -> Schema:
    return {"type": "number", "exclusiveMinimum": low}


def text(least: int, more: int) -> Schema:
    return {"type": "string", "minLength": least, "maxLength": least + more}


def listed(values: list[int | str]) -> Schema:
    return {"enum": values}


def members(properties: dict[str, Schema], closed: bool) -> Schema:
    required = sorted(properties)[::2]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": not closed}


def array(items: Schema, least: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": least + 2}


def any_of(branches: list[Schema]) -> Schema:
    return {"anyOf": branches}


def all_of(one: Schema) -> Schema:
    return {"description": "x", "allOf": [one, {}]}


def tuples(head: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": head}


def compounds(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        st.builds(members, st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4), st.booleans()),
        st.builds(array, inner, st.integers(0, 3)),
        st.builds(any_of, st.lists(inner, min_size=1, max_size=3)),
        st.builds(all_of, inner),
        st.builds(tuples, st.lists(inner, min_size=1, max_size=3)),
    )


BOUNDS = st.integers(-50, 50)
FIXED: list[Schema] = [
    *({"type": "string", "format": name} for name in ("date", "uuid", "email", "ipv4")),
    {"type": ["string", "null"]},
    {"type": "integer", "multipleOf": 3},
    {"type": "boolean"},
    {"type": "null"},
    {},
]
SCALARS = st.one_of(
    st.sampled_from(FIXED),
    st.builds(whole, BOUNDS, st.integers(0, 9)),
    st.builds(above, BOUNDS),
    st.builds(text, st.integers(0, 30), st.integers(0, 9)),
    st.builds(listed, st.lists(BOUNDS | st.text(max_size=4), min_size=1, max_size=4)),
)
SCHEMAS = st.recursive(SCALARS, compounds, max_leaves=8)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(SCHEMAS, st.text(max_size=3))
def test_a_value_for_any_schema_conforms(schema: dict[str, Any], seed: str):
    check(conforming(schema, seed=seed), schema)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-60, 60) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=3),
    max_leaves=6,
)


@given(SCHEMAS, JSON)
def test_our_own_judgement_is_that_of_the_validator(schema: dict[str, Any], value: Any):
    assert fits(value, schema, schema) == is_valid(value, schema)
