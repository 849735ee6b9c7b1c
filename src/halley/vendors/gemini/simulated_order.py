"""Reads an order for content, checked as the vendor checks it, into what an answer depends on."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.chat import ToolMode
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object
from halley.vendors.gemini.simulated_errors import invalid, problem
from halley.vendors.gemini.simulated_names import Fields
from halley.vendors.gemini.simulated_parts import Part, look_at
from halley.vendors.simulate import Refusal, SimulatorHost, ToolSpec, count

CONTENTS_MAX = 50_000
CANDIDATES_MAX = 8
STOPS_MAX = 5
TOKENS_MAX = 2**31 - 1

_ORDER = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "cachedContent",
        "model",
        "store",
        "serviceTier",
        "labels",
    }
)
_CONFIG = frozenset(
    {
        "audioTimestamp",
        "audioTranscriptionConfig",
        "candidateCount",
        "enableAffectiveDialog",
        "enableEnhancedCivicAnswers",
        "frequencyPenalty",
        "imageConfig",
        "logprobs",
        "maxOutputTokens",
        "mediaResolution",
        "modelSelectionConfig",
        "presencePenalty",
        "responseFormat",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "routingConfig",
        "seed",
        "speechConfig",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
        "translationConfig",
    }
)
_MODES: Mapping[str, ToolMode] = {
    "MODE_UNSPECIFIED": ToolMode.AUTO,
    "AUTO": ToolMode.AUTO,
    "ANY": ToolMode.REQUIRED,
    "NONE": ToolMode.NONE,
    "VALIDATED": ToolMode.AUTO,
}
_WORDS = {
    "any_of": "anyOf",
    "prefix_items": "prefixItems",
    "additional_properties": "additionalProperties",
    "property_ordering": "propertyOrdering",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
}
"""The other spelling of a schema's words."""
_MEDIA = ("text/plain", "application/json", "text/x.enum")
_ANSWERS_IN_PICTURES = re.compile(r"image|banana")
_THINKS = re.compile(r"gemini-(?:2\.5|[3-9]|flash|pro)(?!.*(?:lite|image|tts|transcribe))")
_WANTS_PROOF = re.compile(r"gemini-[3-9]")
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One content, looked at."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.kind == "text" and part.text)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked."""

    model: str
    lines: tuple[Line, ...]
    system: str
    tools: tuple[ToolSpec, ...]
    tool_tokens: int
    tool_mode: ToolMode
    tool_name: str | None
    config: dict[str, Any]
    """The generation's settings that only some models look at."""
    candidates: int
    tokens_max: int | None
    stop: tuple[str, ...]
    media: str
    schema: dict[str, Any] | None
    thinks: bool
    shows_thoughts: bool

    @property
    def draws(self) -> bool:
        """Whether the answer is a picture."""
        return "IMAGE" in self._modalities(["TEXT", "IMAGE"] if _ANSWERS_IN_PICTURES.search(self.model) else ["TEXT"])

    @property
    def speaks(self) -> bool:
        """Whether the answer is sound."""
        return "AUDIO" in self._modalities(["TEXT"])

    @property
    def prompt(self) -> str:
        """What the user said last."""
        return next((line.text for line in reversed(self.lines) if line.role == "user" and line.text), "")

    @property
    def results(self) -> tuple[str, ...]:
        """What called functions gave, if that is what the conversation ends with."""
        return tuple(part.text for part in self.lines[-1].parts if part.kind == "result")

    @property
    def seen(self) -> tuple[Part, ...]:
        """What the user showed last."""
        users = [line for line in self.lines if line.role == "user"]
        return tuple(part for part in users[-1].parts if part.note) if users else ()

    @property
    def turns(self) -> int:
        return max(1, sum(line.role == "user" and bool(line.text) for line in self.lines))

    @property
    def tokens(self) -> dict[str, int]:
        """Of all that is read, by modality."""
        counted = {"TEXT": count(self.system) + self.tool_tokens}
        for part in (part for line in self.lines for part in line.parts):
            counted[part.modality] = counted.get(part.modality, 0) + part.tokens
        return counted

    def _modalities(self, usual: list[str]) -> list[str]:
        return [str(each).upper() for each in as_list(self.config.get("responseModalities"))] or usual


async def read_order(host: SimulatorHost, model: str, body: Any) -> Order:
    """Read it. Raises `Refusal`."""
    fields = Fields(body, "", _ORDER)
    if fields.text("cachedContent"):
        raise Refusal(problem(403, "CachedContent not found (or permission denied)"))
    config = fields.inner("generationConfig", _CONFIG)
    tools, tool_tokens = _tools(fields.each("tools"))
    mode, allowed = _choice(fields.inner("toolConfig").inner("functionCallingConfig"))
    lines = await _lines(host, fields.each("contents"))
    _check_turns(lines)
    if _WANTS_PROOF.match(model):
        _check_proofs(lines)
    thinking = config.inner("thinkingConfig")
    media, schema = _format(config)
    return Order(
        model=model,
        lines=lines,
        system=await _system(host, fields),
        tools=tuple(tool for tool in tools if not allowed or tool.name in allowed),
        tool_tokens=tool_tokens,
        tool_mode=mode,
        tool_name=allowed[0] if len(allowed) == 1 and mode is ToolMode.REQUIRED else None,
        config={name: config.value(name) for name in ("responseModalities", "imageConfig", "speechConfig")},
        candidates=config.whole("candidateCount", 1, CANDIDATES_MAX) or 1,
        tokens_max=_limits(config),
        stop=_stop(config),
        media=media,
        schema=schema,
        thinks=bool(_THINKS.match(model)) and thinking.whole("thinkingBudget", -1, TOKENS_MAX) != 0,
        shows_thoughts=thinking.flag("includeThoughts"),
    )


def json_schema(given: Any) -> Any:
    """A schema in the vendor's own words as a JSON schema: types in small letters, `nullable` as a type."""
    if isinstance(given, list):
        return [json_schema(each) for each in as_list(given)]
    if not isinstance(given, dict):
        return given
    words = {_WORDS.get(name, name): value for name, value in as_object(given).items()}
    made: dict[str, Any] = {
        name: {each: json_schema(below) for each, below in as_object(value).items()}
        if name == "properties"
        else json_schema(value)
        for name, value in words.items()
        if name != "propertyOrdering"
    }
    kind = made.get("type")
    if isinstance(kind, str):
        made["type"] = [kind.lower(), "null"] if made.pop("nullable", False) is True else kind.lower()
    for name in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"):
        if isinstance(made.get(name), str) and made[name].isdecimal():
            # 64-bit numbers come as strings.
            made[name] = int(made[name])
    return made


# settings


def _limits(config: Fields) -> int | None:
    config.number("temperature", 0, 2)
    config.number("topP", 0, 1)
    config.number("topK", 0, TOKENS_MAX)
    config.number("presencePenalty", -2, 2)
    config.number("frequencyPenalty", -2, 2)
    config.whole("seed", -(2**31), TOKENS_MAX)
    return config.whole("maxOutputTokens", 1, TOKENS_MAX)


def _stop(config: Fields) -> tuple[str, ...]:
    stop = config.texts("stopSequences")
    if len(stop) > STOPS_MAX:
        raise invalid(f"* GenerateContentRequest.generation_config.stop_sequences: at most {STOPS_MAX} are allowed\n")
    return tuple(stop)


def _format(config: Fields) -> tuple[str, dict[str, Any] | None]:
    media = config.text("responseMimeType") or "text/plain"
    if media not in _MEDIA:
        allowed = ", ".join(f"`{each}`" for each in _MEDIA)
        raise invalid(
            f"* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are {allowed}\n"
        )
    own, plain = config.value("responseSchema"), config.value("responseJsonSchema")
    if own is not None and plain is not None:
        raise invalid("Only one of response_schema and response_json_schema can be set.")
    if media == "text/plain" and (own is not None or plain is not None):
        raise invalid(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when "
            "`response_mime_type` is `application/json` or `text/x.enum`\n"
        )
    schema = json_schema(own) if own is not None else plain
    return media, as_object(schema) if schema is not None else None


def _tools(given: list[Fields]) -> tuple[list[ToolSpec], int]:
    specs: list[ToolSpec] = []
    tokens = 0
    for tool in given:
        for declared in tool.each("functionDeclarations"):
            name = declared.text("name") or ""
            if not _TOOL_NAME.fullmatch(name):
                raise invalid(
                    f"* GenerateContentRequest.{declared.where}.name: Invalid function name. "
                    "Must start with a letter or an underscore.\n"
                )
            schema = declared.value("parametersJsonSchema")
            if schema is None:
                schema = json_schema(declared.value("parameters"))
            specs.append(ToolSpec(name=name, schema=as_object(schema)))
            tokens += count(name) + count(declared.text("description") or "") + count(encode(schema).decode())
    names = [spec.name for spec in specs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise invalid(f"Duplicate function declaration found: {double}")
    return specs, tokens


def _choice(config: Fields) -> tuple[ToolMode, list[str]]:
    return config.one_of("mode", _MODES) or ToolMode.AUTO, config.texts("allowedFunctionNames")


# contents


async def _system(host: SimulatorHost, fields: Fields) -> str:
    given = fields.inner("systemInstruction")
    parts = [await look_at(host, part, f"{given.where}.parts") for part in _listed(given.value("parts"))]
    return "\n".join(part.text for part in parts)


async def _lines(host: SimulatorHost, contents: list[Fields]) -> tuple[Line, ...]:
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    if len(contents) > CONTENTS_MAX:
        raise invalid(f"* GenerateContentRequest.contents: at most {CONTENTS_MAX} contents are allowed\n")
    lines: list[Line] = []
    for content in contents:
        role = content.text("role") or "user"
        if role not in ("user", "model", "function"):
            raise invalid("Please use a valid role: user, model.")
        given = _listed(content.value("parts"))
        if not given:
            raise invalid(f"* GenerateContentRequest.{content.where}.parts: contents.parts must not be empty.\n")
        parts = [await look_at(host, part, f"{content.where}.parts[{place}]") for place, part in enumerate(given)]
        lines.append(Line(role="user" if role == "function" else role, parts=tuple(parts)))
    return tuple(lines)


def _listed(parts: Any) -> list[Any]:
    return [parts] if isinstance(parts, dict) else as_list(parts)


def _check_turns(lines: tuple[Line, ...]) -> None:
    """The results of calls stand in the very next turn, one for each."""
    if lines[-1].role == "model" and any(part.kind == "call" for part in lines[-1].parts):
        raise invalid(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )
    called = 0
    for line in lines:
        answered = sum(part.kind == "result" for part in line.parts)
        if line.role == "user" and answered != called and (answered or called):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        called = sum(part.kind == "call" for part in line.parts) if line.role == "model" else 0


def _check_proofs(lines: tuple[Line, ...]) -> None:
    """The first call of each step since the user spoke last must carry its signature."""
    last = max((place for place, line in enumerate(lines) if line.role == "user" and line.text), default=0)
    for place, line in enumerate(lines[last:], start=last + 1):
        first = next((part for part in line.parts if part.kind == "call"), None)
        if line.role == "model" and first is not None and not first.has_signature:
            raise invalid(
                f"Function call is missing a thought_signature in functionCall parts. Function call `{first.name}` , "
                f"position {place}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures."
            )
