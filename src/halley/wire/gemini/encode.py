"""An order in our words, written as a content order for a vendor; model and way of answering go into the path."""

from collections.abc import Iterator
from typing import Any

from halley.kernel.chat import (
    Blob,
    ChatOrder,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from halley.kernel.codec import encode
from halley.kernel.faults import BadRequest
from halley.wire.extras import kept_elsewhere, not_conveyed, refuse_extras
from halley.wire.gemini.names import is_made
from halley.wire.gemini.parts import NO_PROOF
from halley.wire.instructions import refuse_as_system
from halley.wire.media import media_type_of
from halley.wire.reasoning import budget_of
from halley.wire.shape import object_of

LEVELS = frozenset(("minimal", "low", "medium", "high", "xhigh"))
BUDGETED = ("gemini-1", "gemini-2", "gemini-flash-1", "gemini-pro-1")
"""Beginnings of the names of models that think by a budget of tokens and need no proof of calls: all before 3."""
_ROLES = {Role.USER: "user", Role.ASSISTANT: "model"}
_MODES = {ToolMode.AUTO: "AUTO", ToolMode.NONE: "NONE", ToolMode.REQUIRED: "ANY"}

Json = dict[str, Any]


def write_order(order: ChatOrder) -> Json:
    """Raises `NotConveyed` for what this format has no word for, `BadRequest` for arguments that are no object."""
    refuse_extras(order)
    if order.parallel_tools is False and order.tools:
        raise not_conveyed("parallel_tool_calls", "the model may always call several tools at once")
    system, contents = _Contents(order).written()
    body: Json = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if order.tools:
        body["tools"] = [{"functionDeclarations": [_tool(each) for each in order.tools]}]
    calling = _calling(order)
    if calling:
        body["toolConfig"] = {"functionCallingConfig": calling}
    config = _config(order)
    if config:
        body["generationConfig"] = config
    return body


# --- contents ---------------------------------------------------------------------------------------------------


class _Contents:
    """Writes one conversation; results need the names of the functions whose calls they answer."""

    def __init__(self, order: ChatOrder) -> None:
        self._order = order
        self._needs_proof = not order.model.startswith(BUDGETED)
        self._names: dict[str, str] = {}

    def written(self) -> tuple[list[Json], list[Json]]:
        """Give the system's parts and the turns, each role's in one."""
        system: list[Json] = []
        turns: list[Json] = []
        for index, message in enumerate(self._order.messages):
            place = f"messages[{index}]"
            if message.name is not None:
                raise not_conveyed(f"{place}.name")
            parts = self._parts(message, place)
            if message.role is Role.SYSTEM:
                refuse_as_system(message, place, leading=not turns)
                system += parts
            else:
                _add(turns, _ROLES[message.role], parts)
        return system, turns

    def _parts(self, message: Message, place: str) -> list[Json]:
        alone = len(message.parts) == 1
        written: list[Json] = []
        proven = False
        for index, part in enumerate(message.parts):
            if isinstance(part, Text) and not part.text and not alone:
                continue
            if isinstance(part, ToolCall):
                self._names[part.id] = part.name
                written.append(_call(part, f"{place}.content[{index}]", NO_PROOF if self._needs(proven) else None))
                proven = True
                continue
            if isinstance(part, Thinking) and _proves(part, written):
                written[-1] = {**written[-1], "thoughtSignature": part.signature}
                continue
            written += self._part(part, f"{place}.content[{index}]")
        return written

    def _needs(self, proven: bool) -> bool:  # noqa: FBT001  read nowhere else
        """Only the first call of a turn carries a proof."""
        return self._needs_proof and not proven

    def _part(self, part: Part, place: str) -> Iterator[Json]:
        match part:
            case Text(text=text) | Refusal(text=text):
                yield {"text": text}
            case Blob():
                yield _blob(part, place)
            case ToolResult():
                yield self._result(part, place)
            case Thinking(redacted=str()):
                return
            case Thinking(text="", signature=str(signature)):
                yield {"text": "", "thoughtSignature": signature}
            case Thinking():
                proof = {} if part.signature is None else {"thoughtSignature": part.signature}
                yield {"text": part.text, "thought": True, **proof}
            case ToolCall():
                yield _call(part, place, None)

    def _result(self, result: ToolResult, place: str) -> Json:
        name = result.name or self._names.get(result.call_id)
        if name is None:
            raise not_conveyed(place, "it answers a call that is not in the conversation, so its function is not known")
        texts = [part.text for part in result.parts if isinstance(part, Text)]
        response: Json = {"name": name, "response": _response("\n".join(texts), is_error=result.is_error)}
        if not texts and not result.is_error:
            response["response"] = {}
        if not is_made(result.call_id, name):
            response["id"] = result.call_id
        blobs = [_blob(part, place) for part in result.parts if isinstance(part, Blob)]
        return {"functionResponse": {**response, **({"parts": blobs} if blobs else {})}}


def _add(turns: list[Json], role: str, parts: list[Json]) -> None:
    if not parts:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["parts"] += parts
    else:
        turns.append({"role": role, "parts": parts})


def _proves(part: Thinking, written: list[Json]) -> bool:
    """Whether a signature belongs to the text or picture before it."""
    if part.text or part.signature is None or part.redacted is not None or not written:
        return False
    before = written[-1]
    bare = "thought" not in before and "thoughtSignature" not in before
    return bare and ("text" in before or "inlineData" in before)


def _call(call: ToolCall, place: str, stand_in: str | None) -> Json:
    try:
        arguments = object_of(call.arguments, "the arguments")
    except ValueError as error:
        raise BadRequest(f"`{place}`: the arguments of `{call.name}` must be a JSON object", param=place) from error
    known = {} if is_made(call.id, call.name) else {"id": call.id}
    proof = call.signature or stand_in
    written: Json = {"functionCall": {**known, "name": call.name, "args": arguments}}
    return {**written, "thoughtSignature": proof} if proof else written


def _response(text: str, *, is_error: bool) -> Json:
    """Give an object that says the same: a JSON object as it is, all else as `output` or `error`."""
    if is_error:
        return {"error": text}
    try:
        value = object_of(text, "the result")
    except ValueError:
        return {"output": text}
    exact = value and not value.keys() & {"output", "error"} and encode(value) == text.encode()
    return value if exact else {"output": text}


def _blob(blob: Blob, place: str) -> Json:
    name = {"displayName": blob.name} if blob.name is not None else {}
    media_type = media_type_of(blob)
    if blob.data is not None:
        if media_type is None:
            raise not_conveyed(place, "its media type is not known; send it as `data:TYPE;base64,…`")
        return {"inlineData": {"mimeType": media_type, "data": blob.data, **name}}
    if blob.url is None:
        raise kept_elsewhere(place)
    kind = {"mimeType": media_type} if media_type else {}
    return {"fileData": {**kind, "fileUri": blob.url, **name}}


# --- tools ------------------------------------------------------------------------------------------------------


def _tool(tool: Tool) -> Json:
    written: Json = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.parameters is not None:
        written["parametersJsonSchema"] = tool.parameters
    return written


def _calling(order: ChatOrder) -> Json:
    """Write the choice; `VALIDATED` is the word for calls that follow their schema to the letter."""
    choice = order.tool_choice
    if not order.tools and (choice is None or choice.mode is not ToolMode.REQUIRED):
        return {}
    strict = any(tool.strict for tool in order.tools)
    if strict and (choice is None or choice.mode is ToolMode.AUTO):
        return {"mode": "VALIDATED"}
    return {} if choice is None else _mode(choice)


def _mode(choice: ToolChoice) -> Json:
    names = {"allowedFunctionNames": [choice.name]} if choice.name is not None else {}
    return {"mode": _MODES[choice.mode], **names}


# --- configuration ----------------------------------------------------------------------------------------------


def _config(order: ChatOrder) -> Json:
    values: Json = {
        "maxOutputTokens": order.output_tokens_max,
        "temperature": order.temperature,
        "topP": order.top_p,
        "topK": order.top_k,
        "stopSequences": list(order.stop) or None,
        "seed": order.seed,
        "presencePenalty": order.presence_penalty,
        "frequencyPenalty": order.frequency_penalty,
        "candidateCount": order.count,
        **(_format(order.output) if order.output else {}),
        "thinkingConfig": _thinking(order, order.reasoning) if order.reasoning else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _format(output: OutputFormat) -> Json:
    match output.kind:
        case OutputKind.TEXT:
            return {}
        case OutputKind.JSON:
            return {"responseMimeType": "application/json"}
        case OutputKind.SCHEMA:
            schema = output.schema or {}
            if output.description is not None:
                schema = {"description": output.description} | schema
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _thinking(order: ChatOrder, reasoning: Reasoning) -> Json:
    """Write an effort as a level, and as a budget of tokens for models from before levels."""
    show = {"includeThoughts": True} if reasoning.show else {}
    if not reasoning.enabled:
        return {"thinkingBudget": 0, **show}
    effort = reasoning.effort
    if effort is not None and order.model.startswith(BUDGETED):
        return {"thinkingBudget": budget_of(effort, order.output_tokens_max), **show}
    if effort is not None:
        if effort not in LEVELS:
            raise not_conveyed("reasoning_effort", f"`{effort[:40]}` is none of {', '.join(sorted(LEVELS))}")
        return {"thinkingLevel": effort.upper(), **show}
    return {"thinkingBudget": reasoning.budget_tokens or -1, **show}
