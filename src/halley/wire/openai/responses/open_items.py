"""Items of a streamed response that are not yet whole: each knows the events of its beginning, growth and end."""

from typing import Any, Protocol

import msgspec

from halley.kernel.chat import Citation, Thinking, ToolCall
from halley.wire.openai.notes import response_note
from halley.wire.openai.responses.envelope import IN_PROGRESS
from halley.wire.openai.responses.output import (
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
)

Events = list[tuple[str, dict[str, Any]]]
"""Types of events and their fields."""

ADDED, DONE = "response.output_item.added", "response.output_item.done"
PART_ADDED, PART_DONE = "response.content_part.added", "response.content_part.done"


class OpenItem(Protocol):
    """One item that is being written."""

    place: int

    def closed(self) -> Events: ...

    def whole(self) -> dict[str, Any]: ...


class OpenMessage:
    """A message: texts and refusals, one part at a time."""

    def __init__(self, identity: str, place: int) -> None:
        self.place = place
        self._identity = identity
        self._content: list[dict[str, Any]] = []
        self._kind: str | None = None
        self._pieces: list[str] = []
        self._notes: list[dict[str, Any]] = []

    @property
    def is_text(self) -> bool:
        """Whether more of a text may be said."""
        return self._kind == "output_text"

    def opened(self) -> Events:
        item = message_item(self._identity, [], IN_PROGRESS)
        return [(ADDED, {"output_index": self.place, "item": item})]

    def said(self, kind: str, text: str) -> Events:
        """Write more of a part of this kind, `output_text` or `refusal`."""
        events: Events = []
        if kind != self._kind:
            events += self._part_closed()
            self._kind = kind
            events.append((PART_ADDED, {**self._where(), "part": _part(kind, "")}))
        self._pieces.append(text)
        fields = {**self._where(), "delta": text}
        events.append((f"response.{kind}.delta", _with_logprobs(fields) if kind == "output_text" else fields))
        return events

    def cited(self, citation: Citation, length: int) -> Events:
        """Write what the open text cites, which goes up to this place of the answer."""
        note = response_note(citation, length - sum(map(len, self._pieces)))
        event = {**self._where(), "annotation_index": len(self._notes), "annotation": note}
        self._notes.append(note)
        return [("response.output_text.annotation.added", event)]

    def closed(self) -> Events:
        return [*self._part_closed(), (DONE, {"output_index": self.place, "item": self.whole()})]

    def whole(self) -> dict[str, Any]:
        return message_item(self._identity, self._content)

    def _part_closed(self) -> Events:
        if self._kind is None:
            return []
        text, where, kind = "".join(self._pieces), self._where(), self._kind
        part = _part(kind, text, self._notes)
        self._content.append(part)
        self._kind, self._pieces, self._notes = None, [], []
        done = {**where, "refusal": text} if kind == "refusal" else _with_logprobs({**where, "text": text})
        return [(f"response.{kind}.done", done), (PART_DONE, {**where, "part": part})]

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._identity, "output_index": self.place, "content_index": len(self._content)}


class OpenThought:
    """A thought, as a summary of one part."""

    def __init__(self, identity: str, place: int) -> None:
        self.place = place
        self.signature: str | None = None
        self.redacted: str | None = None
        self._identity = identity
        self._pieces: list[str] = []

    def opened(self) -> Events:
        item = reasoning_item(self._identity, Thinking())
        return [(ADDED, {"output_index": self.place, "item": item})]

    def said(self, text: str) -> Events:
        events: Events = []
        if not self._pieces:
            events.append(("response.reasoning_summary_part.added", {**self._where(), "part": summary_part("")}))
        self._pieces.append(text)
        events.append(("response.reasoning_summary_text.delta", {**self._where(), "delta": text}))
        return events

    def closed(self) -> Events:
        text = "".join(self._pieces)
        summary: Events = [
            ("response.reasoning_summary_text.done", {**self._where(), "text": text}),
            ("response.reasoning_summary_part.done", {**self._where(), "part": summary_part(text)}),
        ]
        done = (DONE, {"output_index": self.place, "item": self.whole()})
        return [*summary, done] if self._pieces else [done]

    def whole(self) -> dict[str, Any]:
        thought = Thinking(text="".join(self._pieces), signature=self.signature, redacted=self.redacted)
        return reasoning_item(self._identity, thought)

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._identity, "output_index": self.place, "summary_index": 0}


class OpenCall:
    """A tool call, whose arguments are coming."""

    def __init__(self, identity: str, place: int, call: ToolCall) -> None:
        self.place = place
        self._identity = identity
        self._call = call
        self._pieces: list[str] = []

    def opened(self) -> Events:
        item = call_item(self._identity, self._call, IN_PROGRESS)
        return [(ADDED, {"output_index": self.place, "item": item})]

    def said(self, arguments: str) -> Events:
        self._pieces.append(arguments)
        return [("response.function_call_arguments.delta", {**self._where(), "delta": arguments})]

    def closed(self) -> Events:
        item = self.whole()
        arguments = {"name": item["name"], "arguments": item["arguments"]}
        return [
            ("response.function_call_arguments.done", {**self._where(), **arguments}),
            (DONE, {"output_index": self.place, "item": item}),
        ]

    def whole(self) -> dict[str, Any]:
        arguments = "".join(self._pieces) or "{}"
        return call_item(self._identity, msgspec.structs.replace(self._call, arguments=arguments))

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._identity, "output_index": self.place}


def _part(kind: str, text: str, notes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return text_part(text, notes) if kind == "output_text" else refusal_part(text)


def _with_logprobs(fields: dict[str, Any]) -> dict[str, Any]:
    """SDKs want the list of a text's events even where nobody asked for it."""
    return {**fields, "logprobs": []}
