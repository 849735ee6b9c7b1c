"""What a simulated chat answers, before any vendor spells it: words, tool calls, thoughts, why it stops, the counts.

Pure, and the same for the same question.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from halley.kernel.chat import ChatUsage, StopReason, ToolMode
from halley.kernel.codec import encode
from halley.kernel.loose import as_object
from halley.vendors.simulate.directive import Directive, Outcome, without_marker
from halley.vendors.simulate.schema import conforming
from halley.vendors.simulate.text import count, pieces, reasoning_text, refusal_text, reply_text

RESULT_CHARACTERS_MAX = 60
TOOLS_CALLED_MAX = 2
_SEVERAL = re.compile(r"\b(?:both|parallel)\b", re.IGNORECASE)


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A function that may be called."""

    name: str
    schema: dict[str, Any] = {}
    """Of its arguments."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of a conversation, in no vendor's words."""

    model: str
    prompt: str = ""
    """The text of the last thing that the user said; a test's marker in it is not repeated."""
    turns: int = 1
    """How often the user has spoken."""
    notes: tuple[str, ...] = ()
    """What else was noticed, each to be said after `I`, e.g. `saw an image of 640x480`."""
    tools: tuple[ToolSpec, ...] = ()
    tool_mode: ToolMode = ToolMode.AUTO
    tool_name: str | None = None
    """With `REQUIRED`: that one."""
    allows_parallel: bool = True
    tool_results: tuple[str, ...] = ()
    """What the called functions gave, if that is what the conversation ends with (an empty text for an empty one)."""
    wants_json: bool = False
    schema: dict[str, Any] | None = None
    """Of the answer, which is JSON then."""
    output_tokens_max: int | None = None
    stop: tuple[str, ...] = ()
    thinks: bool = False
    input_tokens: int = 0
    """As the vendor's simulator counts them, with `count`."""
    cached_tokens: int = 0
    directive: Directive = Directive()
    variant: int = 0
    """Numbers the answers where several are wanted."""


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A function to be called; `arguments` is JSON text, cut short if the answer had to be."""

    name: str
    arguments: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered. `refusal` comes instead of `text`; calls may stand beside no text."""

    text: str = ""
    calls: tuple[PlannedCall, ...] = ()
    reasoning: str = ""
    refusal: str = ""
    stop: StopReason = StopReason.END
    stop_sequence: str | None = None
    usage: ChatUsage
    """`output` counts the pieces of thoughts, text, refusal, and of names and arguments of calls."""


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""
    refusal: str = ""
    calls: tuple[PlannedCall, ...] = ()
    stop: StopReason = StopReason.END
    stop_sequence: str | None = None


def plan_chat(ask: Ask) -> Plan:
    """What to answer. Raises `ValueError` if a tool call was ordered and there is no tool.

    Tools are called unless the conversation ends with their results, or `NONE` was chosen; `REQUIRED` and the outcome
    `tool_call` always call. "both" or "parallel" in the prompt calls two, if that is allowed.
    """
    prompt = without_marker(ask.prompt)
    thinks = ask.thinks or ask.directive.outcome is Outcome.REASONING
    reasoning = reasoning_text(ask.model, prompt, turns=ask.turns) if thinks else ""
    words = _cut_by_order(_words(ask, prompt), ask.directive)
    words = _cut_at_stop(words, ask.stop)
    if ask.output_tokens_max is not None:
        reasoning = "".join(pieces(reasoning)[: ask.output_tokens_max])
        words = _cut_to(words, ask.output_tokens_max - count(reasoning))
    return Plan(
        text=words.text,
        calls=words.calls,
        reasoning=reasoning,
        refusal=words.refusal,
        stop=words.stop,
        stop_sequence=words.stop_sequence,
        usage=ChatUsage(
            input=ask.input_tokens,
            output=_size(words) + count(reasoning),
            cached=ask.cached_tokens,
            reasoning=count(reasoning),
        ),
    )


def _words(ask: Ask, prompt: str) -> _Words:
    if ask.directive.outcome is Outcome.REFUSAL:
        return _Words(refusal=refusal_text(ask.model), stop=StopReason.REFUSED)
    called = _called(ask, prompt)
    if called:
        calls = tuple(_call(tool, ask, prompt, place) for place, tool in enumerate(called))
        return _Words(calls=calls, stop=StopReason.TOOLS)
    if ask.schema is not None:
        return _Words(text=encode(conforming(ask.schema, seed=f"{prompt}\n{ask.variant}")).decode())
    notes = (*ask.notes, *(f"got “{result[:RESULT_CHARACTERS_MAX]}” from a tool" for result in ask.tool_results))
    text = reply_text(ask.model, prompt, turns=ask.turns, notes=notes, variant=ask.variant)
    if ask.wants_json:
        return _Words(text=encode({"simulated": True, "model": ask.model, "answer": text}).decode())
    return _Words(text=text)


def _called(ask: Ask, prompt: str) -> Sequence[ToolSpec]:
    is_ordered = ask.directive.outcome is Outcome.TOOL_CALL
    if is_ordered and not ask.tools:
        raise ValueError("the test outcome `tool_call` needs a request with tools")
    is_forced = is_ordered or ask.tool_mode is ToolMode.REQUIRED
    if not ask.tools or (not is_forced and (ask.tool_mode is ToolMode.NONE or ask.tool_results)):
        return ()
    if ask.tool_name is not None:
        return [tool for tool in ask.tools if tool.name == ask.tool_name][:1]
    if ask.allows_parallel and _SEVERAL.search(prompt):
        return (ask.tools * TOOLS_CALLED_MAX if len(ask.tools) == 1 else ask.tools)[:TOOLS_CALLED_MAX]
    return ask.tools[:1]


def _call(tool: ToolSpec, ask: Ask, prompt: str, place: int) -> PlannedCall:
    made = as_object(conforming(tool.schema or {"type": "object"}, seed=f"{prompt}\n{ask.variant}\n{place}"))
    return PlannedCall(name=tool.name, arguments=encode(made).decode())


def _cut_by_order(words: _Words, directive: Directive) -> _Words:
    match directive.outcome:
        case Outcome.LENGTH:
            return _cut_to(words, max(1, _size(words) // 2))
        case Outcome.CONTENT_MODERATED:
            return msgspec.structs.replace(_cut_to(words, max(1, _size(words) // 2)), stop=StopReason.FILTERED)
        case _:
            return words


def _cut_at_stop(words: _Words, stop: tuple[str, ...]) -> _Words:
    found = [(at, sequence) for sequence in stop if sequence and (at := words.text.find(sequence)) >= 0]
    if not found:
        return words
    at, sequence = min(found)
    return msgspec.structs.replace(words, text=words.text[:at], stop=StopReason.STOP_SEQUENCE, stop_sequence=sequence)


def _cut_to(words: _Words, tokens_max: int) -> _Words:
    """The words, at most so many tokens of them; `LENGTH` if any are missing."""
    if _size(words) <= tokens_max:
        return words
    left = max(0, tokens_max)
    calls: list[PlannedCall] = []
    for call in words.calls:
        left -= count(call.name)
        if left <= 0:
            break
        arguments = pieces(call.arguments)[:left]
        calls.append(PlannedCall(name=call.name, arguments="".join(arguments)))
        left -= len(arguments)
    # A cut inside a run of spaces may count otherwise, but never more.
    text = "".join(pieces(words.text)[: max(0, tokens_max)])
    refusal = "".join(pieces(words.refusal)[: max(0, tokens_max)])
    return _Words(text=text, refusal=refusal, calls=tuple(calls), stop=StopReason.LENGTH)


def _size(words: _Words) -> int:
    calls = sum(count(call.name) + count(call.arguments) for call in words.calls)
    return count(words.text) + count(words.refusal) + calls
