"""A value that conforms to a JSON schema, always the same for the same schema and seed. Pure.

Where a schema cannot be fulfilled, or is stranger than models' vendors take, the value comes as near as it can.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from typing import Any, cast

from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.simulate.pattern import matching
from halley.vendors.simulate.schema_check import (
    fits,
    is_a,
    is_number,
    key_of,
    resolved,
    rules_of_member,
    types_of,
)
from halley.vendors.simulate.schema_merge import merged

LEAN_DEPTH = 3
"""From here on only what must be there is made, so that a schema that contains itself comes to an end."""
DEPTH_MAX = 24
NODES_MAX = 4_000
ITEMS_MAX = 200
MEMBERS_MAX = 200
TEXT_CHARACTERS_MAX = 10_000
CHARACTERS_MAX = 100_000
"""Of all texts in a value, tries included."""

_TRIES = 6
_NUMBERS_TRIED = 2_000
_FORMATS = {
    "date-time": "2026-11-22T19:08:00Z",
    "date": "2026-11-22",
    "time": "19:08:00Z",
    "duration": "PT42M",
    "email": "simulated@example.com",
    "idn-email": "simulated@example.com",
    "hostname": "simulated.example.com",
    "idn-hostname": "simulated.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/simulated",
    "iri": "https://example.com/simulated",
    "uri-reference": "/simulated",
    "iri-reference": "/simulated",
    "uri-template": "https://example.com/{simulated}",
    "uuid": "6f1c0de4-5e1e-4a11-8e1d-51a0a7ed0001",
    "json-pointer": "/simulated",
    "relative-json-pointer": "1/simulated",
    "regex": "^simulated$",
    "byte": "c2ltdWxhdGVk",
    "binary": "simulated",
}
_KEYWORDS_OF = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "propertyNames"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


class _Hopeless(Exception):
    """Nothing was found that conforms to this part of the schema."""


def conforming(schema: dict[str, Any], *, seed: str) -> Any:
    """Make a value that conforms to the schema."""
    maker = _Maker(schema, seed)
    try:
        return maker.make(schema, "", 0)
    except (_Hopeless, RecursionError):
        return {} if "object" in (types_of(schema) or ["object"]) else None


class _Maker:
    def __init__(self, root: Any, seed: str) -> None:
        self._root = root
        self._seed = seed
        self._nodes = 0
        self._characters = 0

    def make(self, schema: Any, path: str, depth: int) -> Any:
        """A value for this part of the schema. Raises `_Hopeless`."""
        self._nodes += 1
        if schema is False or depth > DEPTH_MAX or self._nodes > NODES_MAX:
            raise _Hopeless
        # An impossible value is only known for one when it is looked at, hence the tries.
        for attempt, rules in enumerate(itertools.islice(self._ways(as_object(schema), depth), _TRIES)):
            for again in range(2):
                value = self._tried(rules, f"{path}#{attempt}.{again}" if attempt or again else path, depth)
                if value is not _Maker and fits(value, schema, self._root):
                    return value
        raise _Hopeless

    def _tried(self, rules: dict[str, Any], path: str, depth: int) -> Any:
        try:
            return self._plain(rules, path, depth)
        except _Hopeless:
            return _Maker

    # choosing between branches

    def _ways(self, schema: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
        """The schema without its combinators, once for each way to fulfil them; the best way first."""
        rules = resolved(schema, self._root)
        parts, rules = as_list(rules.get("allOf")), _without(rules, "allOf")
        for each in parts:
            rules = merged(rules, resolved(as_object(each), self._root), self._root)
        for word in ("anyOf", "oneOf"):
            branches = as_list(rules.get(word))
            if branches:
                rest = _without(rules, word)
                for branch in self._ordered(branches, depth):
                    yield from self._ways(merged(rest, resolved(as_object(branch), self._root), self._root), depth)
                return
        if "allOf" in rules:
            yield from self._ways(rules, depth)
        elif "if" in rules:
            rest = _without(_without(_without(rules, "if"), "then"), "else")
            yield merged(rest, _and(rules["if"], rules.get("then")), self._root)
            yield merged(rest, as_object(rules.get("else")), self._root)
        else:
            yield rules

    def _ordered(self, branches: list[Any], depth: int) -> list[Any]:
        possible = [branch for branch in branches if branch is not False]
        return sorted(possible, key=self._weight) if depth >= LEAN_DEPTH else possible

    def _weight(self, branch: Any) -> int:
        """How much a branch would take: nothing, a plain value, or more."""
        rules = resolved(as_object(branch), self._root)
        types = types_of(rules)
        if "const" in rules or "enum" in rules or "null" in types:
            return 0
        return 2 if not types or set(types) & {"object", "array"} else 1

    # plain schemas

    def _plain(self, rules: dict[str, Any], path: str, depth: int) -> Any:
        if "const" in rules:
            return rules["const"]
        if isinstance(rules.get("enum"), list):
            return self._listed(rules, path)
        match self._kind(rules, depth):
            case "null":
                return None
            case "boolean":
                return self._dice(path, 2) == 1
            case "integer" | "number" as kind:
                return self._number(rules, path, is_whole=kind == "integer")
            case "array":
                return self._array(rules, path, depth)
            case "object":
                return self._object(rules, path, depth)
            case _:
                return self._within_bounds(self._text(rules, path))

    def _within_bounds(self, text: str) -> str:
        self._characters += len(text)
        if self._characters > CHARACTERS_MAX:
            raise _Hopeless
        return text

    def _listed(self, rules: dict[str, Any], path: str) -> Any:
        types = types_of(rules)
        allowed = [each for each in as_list(rules["enum"]) if not types or any(is_a(each, name) for name in types)]
        fitting = [each for each in allowed if fits(each, rules, self._root)]
        if not fitting:
            raise _Hopeless
        return fitting[self._dice(path, len(fitting))]

    def _kind(self, rules: dict[str, Any], depth: int) -> str:
        types = types_of(rules)
        if not types:
            return next((kind for kind, words in _KEYWORDS_OF.items() if any(word in rules for word in words)), "")
        if depth >= LEAN_DEPTH and "null" in types:
            return "null"
        return next((name for name in types if name != "null"), "null")

    def _text(self, rules: dict[str, Any], path: str) -> str:
        least, most = _size(rules, "minLength", 0), _size(rules, "maxLength", TEXT_CHARACTERS_MAX)
        pattern = as_text(rules.get("pattern"))
        if pattern:
            dice = _Dice(f"{self._seed}{path}")
            found = matching(pattern, dice.below, length_min=least, length_max=most)
            if found is not None:
                return found
        text = _FORMATS.get(as_text(rules.get("format"))) or f"simulated {_last_name(path)}".strip()
        if len(text) < least <= TEXT_CHARACTERS_MAX:
            text += " and so on" * (1 + (least - len(text)) // 10)
            text = text[:least]
        return text[:most]

    def _number(self, rules: dict[str, Any], path: str, *, is_whole: bool) -> float:
        low, high = _bounds(rules)
        step = rules.get("multipleOf") if is_number(rules.get("multipleOf")) else None
        if step is None and not is_whole:
            return self._fraction(rules, path, low, high)
        # Steps below one are gone through by whole numbers, where those are wanted.
        step = max(1, step or 1) if is_whole else step or 1
        first = math.ceil(low / step)
        span = max(1, min(100, math.floor(high / step) - first + 1))
        turn = self._dice(path, span)
        for place in range(_NUMBERS_TRIED):
            value = (first + (turn + place) % max(span, min(_NUMBERS_TRIED, span * 20))) * step
            number = int(value) if is_whole or float(value).is_integer() else value
            if fits(number, {**_number_rules(rules), "type": "integer" if is_whole else "number"}, self._root):
                return number
        raise _Hopeless

    def _fraction(self, rules: dict[str, Any], path: str, low: float, high: float) -> float:
        share = (self._dice(path, 99) + 0.37) / 100
        middle = low + (high - low) * share
        for value in (round(middle, 2), middle, low, high, (low + high) / 2):
            if fits(value, _number_rules(rules), self._root):
                return value
        raise _Hopeless

    def _array(self, rules: dict[str, Any], path: str, depth: int) -> list[Any]:
        head = as_list(rules.get("prefixItems"))
        least, most = _size(rules, "minItems", 0), _size(rules, "maxItems", ITEMS_MAX)
        wanted = min(most, max(least, len(head), 0 if depth >= LEAN_DEPTH else 2 - self._dice(path, 2)))
        if rules.get("items") is False:
            wanted = min(wanted, len(head))
        made: list[Any] = []
        for place in range(wanted):
            rule = head[place] if place < len(head) else rules.get("items", True)
            if place == 0 and not head and "contains" in rules:
                rule = _and(rule, rules["contains"])
            try:
                made.append(self._item(rule, f"{path}/{place}", depth, made if rules.get("uniqueItems") else []))
            except _Hopeless:
                if place < max(least, "contains" in rules):
                    raise
                break
        return made

    def _item(self, rule: Any, path: str, depth: int, others: list[Any]) -> Any:
        known = {key_of(other) for other in others}
        for attempt in range(30 if others else 1):
            value = self.make(rule, f"{path}~{attempt}" if attempt else path, depth + 1)
            if key_of(value) not in known:
                return value
            if isinstance(value, str) and fits(f"{value} {len(others) + 1}", rule, self._root):
                return f"{value} {len(others) + 1}"
        raise _Hopeless

    def _object(self, rules: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        required = self._required(rules)
        made: dict[str, Any] = {}
        for name in [*required, *self._optional(rules, required, depth)][:MEMBERS_MAX]:
            try:
                made[name] = self.make(_all_of(rules_of_member(name, rules)), f"{path}/{name}", depth + 1)
            except _Hopeless:
                if name in required:
                    raise
        least, most = _size(rules, "minProperties", 0), _size(rules, "maxProperties", MEMBERS_MAX)
        for name in [name for name in reversed(made) if name not in required][: max(0, len(made) - most)]:
            del made[name]
        is_map = not made and isinstance(rules.get("additionalProperties"), dict) and depth < LEAN_DEPTH and most > 0
        for name in self._further(rules, path, max(least, 1 if is_map else 0) - len(made)):
            made[name] = self.make(_all_of(rules_of_member(name, rules)), f"{path}/{name}", depth + 1)
        return made

    def _required(self, rules: dict[str, Any]) -> list[str]:
        names = [name for name in as_list(rules.get("required")) if isinstance(name, str)]
        for name in names:  # grows while it is gone through: what is required may require more
            more = as_list(as_object(rules.get("dependentRequired")).get(name))
            names += [other for other in more if other not in names]
        return list(dict.fromkeys(names))

    def _optional(self, rules: dict[str, Any], required: list[str], depth: int) -> list[str]:
        if depth >= LEAN_DEPTH:
            return []
        properties = as_object(rules.get("properties"))
        return [name for name, rule in properties.items() if name not in required and rule is not False]

    def _further(self, rules: dict[str, Any], path: str, number: int) -> Iterator[str]:
        """Names that no property has, for a map or for as many members as there must be."""
        names = as_object(rules.get("propertyNames"))
        for place in range(min(number, MEMBERS_MAX)):
            for pattern in as_object(rules.get("patternProperties")):
                found = matching(pattern, _Dice(f"{self._seed}{path}{place}").below)
                if found is not None:
                    yield found
                    break
            else:
                yield f"simulated_{place + 1}" if not names else self.make(names, f"{path}/name{place}", DEPTH_MAX - 1)

    def _dice(self, path: str, sides: int) -> int:
        return _Dice(f"{self._seed}{path}").below(sides)


class _Dice:
    """Numbers that follow from a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._thrown = 0

    def below(self, sides: int) -> int:
        self._thrown += 1
        digest = hashlib.sha256(f"{self._thrown}\n{self._text}".encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:8]) % sides


def _without(rules: dict[str, Any], word: str) -> dict[str, Any]:
    return {name: rule for name, rule in rules.items() if name != word}


def _and(first: Any, second: Any) -> dict[str, Any]:
    return {"allOf": [rule for rule in (first, second) if isinstance(rule, dict)]}


def _all_of(rules: list[Any]) -> Any:
    if False in rules:
        return False
    return rules[0] if len(rules) == 1 else {"allOf": rules} if rules else {}


def _size(rules: dict[str, Any], word: str, otherwise: int) -> int:
    given = rules.get(word)
    return int(cast("float", given)) if is_number(given) else otherwise


def _number_rules(rules: dict[str, Any]) -> dict[str, Any]:
    return {word: rules[word] for word in _KEYWORDS_OF["number"] if word in rules}


def _bounds(rules: dict[str, Any]) -> tuple[float, float]:
    """The least and the greatest number to try."""
    lows = [rules[word] for word in ("minimum", "exclusiveMinimum") if is_number(rules.get(word))]
    highs = [rules[word] for word in ("maximum", "exclusiveMaximum") if is_number(rules.get(word))]
    if lows and highs:
        return max(lows), min(highs)
    if lows:
        return max(lows), max(lows) + 100
    if highs:
        return min(0, min(highs) - 100), min(highs)
    return 0, 100


def _last_name(path: str) -> str:
    names = [part.partition("#")[0].partition("~")[0] for part in path.split("/")]
    return next((name.replace("_", " ") for name in reversed(names) if name and not name.isdecimal()), "text")
