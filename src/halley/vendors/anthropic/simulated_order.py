"""Reads an order for a message, checked as the vendor checks it, into what an answer depends on."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from halley.kernel.chat import ToolMode
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.anthropic.simulated_blocks import BLOCKS_MAX, Block, look_at
from halley.vendors.anthropic.simulated_cache import HOUR_S, MARKS_MAX, USUAL_S, Segment
from halley.vendors.anthropic.simulated_errors import invalid, missing, problem
from halley.vendors.simulate import Refusal, SimulatorHost, ToolSpec, count

MESSAGES_MAX = 100_000
TOOLS_MAX = 1_000
BUDGET_TOKENS_MIN = 1_024
MESSAGE_TOKENS = 3
UNKNOWN_MODEL = "does-not-exist"
"""A model whose name holds this is not known; every other is."""

_NUMBER, _BOOL, _STR, _LIST, _OBJECT = "number", "boolean", "string", "list", "dictionary"
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    _NUMBER: (int, float), _BOOL: bool, _STR: str, _LIST: list, _OBJECT: dict, "integer": int,
}  # fmt: skip
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": (_STR,),
    "messages": (_LIST,),
    "max_tokens": ("integer",),
    "system": (_STR, _LIST),
    "stream": (_BOOL,),
    "temperature": (_NUMBER,),
    "top_p": (_NUMBER,),
    "top_k": ("integer",),
    "stop_sequences": (_LIST,),
    "tools": (_LIST,),
    "tool_choice": (_OBJECT,),
    "thinking": (_OBJECT,),
    "metadata": (_OBJECT,),
    "service_tier": (_STR,),
    "cache_control": (_OBJECT,),
    "output_config": (_OBJECT,),
    "output_format": (_OBJECT,),
    "billing_policy": (_OBJECT,),
    "compaction": (_OBJECT,),
    "container": (_STR, _OBJECT),
    "context_management": (_OBJECT,),
    "diagnostics": (_OBJECT,),
    "fallback_credit_token": (_STR, _OBJECT),
    "fallbacks": (_LIST, _OBJECT, _STR),
    "inference_geo": (_STR,),
    "mcp_servers": (_LIST,),
    "speed": (_STR,),
    "thread": (_OBJECT,),
    "user_profile_id": (_STR,),
    "workspace_id": (_STR,),
}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES: Mapping[str, ToolMode] = {
    "auto": ToolMode.AUTO,
    "any": ToolMode.REQUIRED,
    "tool": ToolMode.REQUIRED,
    "none": ToolMode.NONE,
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message, looked at."""

    role: str
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        return "\n".join(block.text for block in self.blocks if block.kind == "text")

    def ids(self, kind: str) -> list[str]:
        """The ids of its calls or results."""
        return [block.id for block in self.blocks if block.kind == kind]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked."""

    model: str
    lines: tuple[Line, ...]
    segments: tuple[Segment, ...]
    tools: tuple[ToolSpec, ...]
    tool_mode: ToolMode
    tool_name: str | None
    allows_parallel: bool
    thinks: bool
    shows_thoughts: bool
    stop: tuple[str, ...]
    max_tokens: int | None
    schema: dict[str, Any] | None
    is_stream: bool
    tier: str

    @property
    def tokens(self) -> int:
        """Of all that is read."""
        return sum(segment.tokens for segment in self.segments)

    @property
    def prompt(self) -> str:
        """What the user said last."""
        return next((line.text for line in reversed(self.lines) if line.role == "user" and line.text), "")

    @property
    def results(self) -> tuple[str, ...]:
        """What called functions gave, if that is what the conversation ends with."""
        last = self.lines[-1]
        return tuple(block.text for block in last.blocks if block.kind == "tool_result")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was seen in what the user said last."""
        users = [line for line in self.lines if line.role == "user"]
        return tuple(block.note for block in users[-1].blocks if block.note) if users else ()


async def read_order(host: SimulatorHost, body: dict[str, Any], *, only_counts: bool) -> Order:
    """Read it. Raises `Refusal`."""
    _check_fields(body, ("model", "messages") if only_counts else ("model", "messages", "max_tokens"))
    model = body["model"]
    if UNKNOWN_MODEL in model:
        raise Refusal(problem(404, f"model: {model[:200]}"))
    tools = _tools(as_list(body.get("tools")))
    mode, name, parallel = _choice(body)
    thinks, shows = _thinking(body, mode)
    lines, from_messages = await _messages(host, body["messages"])
    if as_object(body.get("thinking")).get("type") == "enabled":
        _check_thought(lines)
    segments = (*_tool_segments(body), *_system_segments(body.get("system")), *from_messages)
    return Order(
        model=model,
        lines=lines,
        segments=_with_marks(body, segments),
        tools=tools,
        tool_mode=mode,
        tool_name=name,
        allows_parallel=parallel,
        thinks=thinks,
        shows_thoughts=shows,
        stop=_stop(as_list(body.get("stop_sequences"))),
        max_tokens=body.get("max_tokens"),
        schema=_schema(body),
        is_stream=body.get("stream") is True,
        tier="priority" if body.get("service_tier") == "priority" else "standard",
    )


# fields


def _check_fields(body: dict[str, Any], required: tuple[str, ...]) -> None:
    for name in required:
        if body.get(name) is None:
            raise missing(name)
    for name, value in body.items():
        if name not in _FIELDS:
            raise invalid(f"{name[:80]}: Extra inputs are not permitted")
        if value is not None and not any(_is(value, kind) for kind in _FIELDS[name]):
            raise invalid(f"{name}: Input should be a valid {_FIELDS[name][0]}")
    if not body["model"]:
        raise invalid("model: String should have at least 1 character")
    if "max_tokens" in required and body["max_tokens"] < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        if body.get(name) is not None and not 0 <= body[name] <= 1:
            raise invalid(f"{name}: range: 0..1")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == _BOOL
    return isinstance(value, _TYPES[kind])


def _stop(sequences: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(each, str) and each.strip() for each in sequences):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")
    return tuple(sequences)


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = as_object(as_object(body.get("output_config")).get("format") or body.get("output_format"))
    if not wanted:
        return None
    if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise invalid("output_config.format: Input should be of type 'json_schema' and hold a `schema`")
    return as_object(wanted["schema"])


def _thinking(body: dict[str, Any], mode: ToolMode) -> tuple[bool, bool]:
    """Whether it thinks, and whether it says what."""
    thinking = as_object(body.get("thinking"))
    kind = thinking.get("type", "disabled")
    if kind not in ("enabled", "adaptive", "between_tools", "disabled"):
        tags = "'adaptive', 'disabled', 'enabled'"
        raise invalid(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
        )
    if kind == "enabled":
        _check_budget(thinking.get("budget_tokens"), body.get("max_tokens"))
    if kind in ("enabled", "adaptive"):
        if mode is ToolMode.REQUIRED:
            raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
        if body.get("temperature") not in (None, 1):
            raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    return kind in ("enabled", "adaptive"), thinking.get("display") != "omitted"


def _check_thought(lines: tuple[Line, ...]) -> None:
    """With a budget, a turn of calls that is gone on with must have been begun with a thought."""
    place = max((place for place, line in enumerate(lines) if line.role == "assistant"), default=None)
    kinds = [block.kind for block in lines[place].blocks] if place is not None else []
    if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. "
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block."
        )


def _check_budget(budget: Any, max_tokens: int | None) -> None:
    where = "thinking.enabled.budget_tokens"
    if budget is None:
        raise missing(where)
    if not _is(budget, "integer") or budget < BUDGET_TOKENS_MIN:
        raise invalid(f"{where}: Input should be greater than or equal to {BUDGET_TOKENS_MIN}")
    if max_tokens is not None and max_tokens <= budget:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


# tools


def _tools(given: list[Any]) -> tuple[ToolSpec, ...]:
    if len(given) > TOOLS_MAX:
        raise invalid(f"tools: List should have at most {TOOLS_MAX} items")
    specs: list[ToolSpec] = []
    for place, each in enumerate(given):
        tool, where = as_object(each), f"tools.{place}.custom"
        if tool.get("type") not in (None, "custom"):
            # The vendor runs these itself, and here nobody does.
            continue
        name, schema = tool.get("name"), tool.get("input_schema")
        if name is None or schema is None:
            raise missing(f"{where}.{'name' if name is None else 'input_schema'}")
        if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
            raise invalid(f"{where}.name: String should match pattern '^{_TOOL_NAME.pattern}$'")
        if as_object(schema).get("type") != "object":
            raise invalid(f"{where}.input_schema.type: Input should be 'object'")
        specs.append(ToolSpec(name=name, schema=as_object(schema)))
    if len({spec.name for spec in specs}) < len(specs):
        raise invalid("tools: Tool names must be unique.")
    return tuple(specs)


def _choice(body: dict[str, Any]) -> tuple[ToolMode, str | None, bool]:
    choice = body.get("tool_choice")
    if choice is None:
        return ToolMode.AUTO, None, True
    kind = choice.get("type")
    if kind not in _CHOICES:
        tags = ", ".join(f"'{each}'" for each in _CHOICES)
        raise invalid(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
        )
    if not body.get("tools") and kind != "none":
        raise invalid("tool_choice: tool_choice may only be specified while providing tools")
    name = choice.get("name") if kind == "tool" else None
    if kind == "tool" and name not in [as_object(tool).get("name") for tool in as_list(body.get("tools"))]:
        raise invalid(f"Tool '{name}' not found in provided tools")
    return _CHOICES[kind], name, choice.get("disable_parallel_tool_use") is not True


# messages


async def _messages(host: SimulatorHost, given: list[Any]) -> tuple[tuple[Line, ...], list[Segment]]:
    if not given:
        raise invalid("messages: at least one message is required")
    if len(given) > MESSAGES_MAX:
        raise invalid(f"messages: List should have at most {MESSAGES_MAX} items")
    lines: list[Line] = []
    segments: list[Segment] = []
    for place, each in enumerate(given):
        message = as_object(each)
        role = _role(message, place)
        blocks: list[Block] = []
        for at, block in enumerate(_content(message, place, is_last=place == len(given) - 1)):
            looked = await look_at(host, block, role, f"messages.{place}.content.{at}")
            blocks.append(looked)
            extra = MESSAGE_TOKENS if at == 0 else 0
            segments.append(_segment(block, looked.tokens + extra, salt=f"{role}\n"))
        if len(segments) > BLOCKS_MAX:
            raise invalid(f"messages: at most {BLOCKS_MAX} content blocks can be read")
        line = Line(role=role, blocks=tuple(blocks))
        _check_calls(lines[-1] if lines else None, line, place)
        lines.append(line)
    if lines[-1].role == "assistant" and lines[-1].ids("tool_use"):
        _refuse_unanswered(lines[-1].ids("tool_use"), len(lines) - 1)
    return tuple(lines), segments


def _role(message: dict[str, Any], place: int) -> str:
    role = message.get("role")
    if role is None:
        raise missing(f"messages.{place}.role")
    if role == "system":
        raise invalid(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
            'not "system" as an input message role.'
        )
    if role not in ("user", "assistant"):
        raise invalid(f"messages.{place}.role: Input should be 'user' or 'assistant'")
    return role


def _content(message: dict[str, Any], place: int, *, is_last: bool) -> list[Any]:
    content = message.get("content")
    if content is None:
        raise missing(f"messages.{place}.content")
    if not isinstance(content, str | list):
        raise invalid(f"messages.{place}.content: Input should be a valid list")
    if not content and not (is_last and message.get("role") == "assistant"):
        raise invalid(
            f"messages.{place}: all messages must have non-empty content "
            "except for the optional final assistant message"
        )
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return as_list(message["content"])


def _check_calls(before: Line | None, line: Line, place: int) -> None:
    """Each call has its result at the beginning of the next message, and each result its call in the one before."""
    called = before.ids("tool_use") if before is not None and before.role == "assistant" else []
    kinds = [block.kind for block in line.blocks]
    answered = [] if kinds != sorted(kinds, key="tool_result".__ne__) else line.ids("tool_result")
    owed = [each for each in called if each not in answered]
    if owed and line.role == "user":
        _refuse_unanswered(owed, place - 1)
    for at, block in enumerate(line.blocks):
        if block.kind == "tool_result" and block.id not in called:
            raise invalid(
                f"messages.{place}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {block.id}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )


def _refuse_unanswered(owed: list[str], place: int) -> None:
    raise invalid(
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(owed)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


# what is cached


def _tool_segments(body: dict[str, Any]) -> list[Segment]:
    return [_segment(tool, count(encode(tool).decode()), salt="tool\n") for tool in as_list(body.get("tools"))]


def _system_segments(system: Any) -> list[Segment]:
    if isinstance(system, str):
        return [Segment(content=system.encode("utf-8", "replace"), tokens=count(system))] if system else []
    segments: list[Segment] = []
    for place, block in enumerate(map(as_object, as_list(system))):
        text = block.get("text")
        if block.get("type") != "text" or not isinstance(text, str):
            raise invalid(f"system.{place}: Input should be a text block")
        if not text:
            raise invalid("system: text content blocks must be non-empty")
        segments.append(_segment(block, count(text), salt="system\n"))
    return segments


def _segment(given: Any, tokens: int, *, salt: str) -> Segment:
    block = as_object(given)
    plain = {name: value for name, value in block.items() if name != "cache_control"}
    return Segment(content=salt.encode() + encode(plain), tokens=tokens, ttl_s=_ttl_s(block.get("cache_control")))


def _with_marks(body: dict[str, Any], segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The segments; the last is marked too if the order as a whole is."""
    ttl_s = _ttl_s(body.get("cache_control"))
    marks = sum(segment.ttl_s is not None for segment in segments) + (ttl_s is not None)
    if marks > MARKS_MAX:
        raise invalid(f"A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {marks}.")
    if ttl_s is None or not segments:
        return segments
    return (*segments[:-1], msgspec.structs.replace(segments[-1], ttl_s=ttl_s))


def _ttl_s(control: Any) -> int | None:
    if control is None:
        return None
    given = as_object(control)
    if given.get("type") != "ephemeral" or as_text(given.get("ttl") or "5m") not in ("5m", "1h"):
        raise invalid("cache_control: Input should be of type 'ephemeral' with a `ttl` of '5m' or '1h'")
    return HOUR_S if given.get("ttl") == "1h" else USUAL_S
