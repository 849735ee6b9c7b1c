"""The conversation of a realtime session: its items, their weight in tokens, and what is to be answered."""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import msgspec

from halley.kernel.chat import ToolMode
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.openai.simulated_realtime_session import BadEvent
from halley.vendors.simulate import Ask, Directive, ToolSpec, count
from halley.vendors.simulate.speech import duration_s, hidden_text

ITEMS_MAX = 500
TEXT_CHARACTERS_MAX = 1_000_000
INPUT_TOKENS_PER_S = 10
CACHE_STEP_TOKENS = 64
_KINDS = ("message", "function_call", "function_call_output")
_ROLES = ("user", "assistant", "system")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item, in the current shape and without its sound."""

    value: dict[str, Any]
    text: str = ""
    """What its text says, or its sound."""
    audio_s: float = 0.0

    @property
    def id(self) -> str:
        return self.value["id"]

    @property
    def is_user(self) -> bool:
        return self.value.get("role") == "user"


class Conversation:
    """The items in their order, the oldest forgotten when there are too many."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self.tokens_before = 0
        """What the last response read, which a real vendor has cached by now."""

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items)

    @property
    def last_id(self) -> str | None:
        return self._items[-1].id if self._items else None

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Put an item behind the one of that id (`root`: first; `None`: last); the id before it. Raises `BadEvent`."""
        if any(each.id == item.id for each in self._items):
            raise BadEvent(
                f"Item with id '{item.id}' already exists.", param="item.id", code="item_create_duplicate_id"
            )
        place = len(self._items) if after is None else 0 if after == "root" else self._place(after) + 1
        self._items.insert(place, item)
        previous = self._items[place - 1].id if place else None
        del self._items[:-ITEMS_MAX]
        return previous

    def get(self, item_id: str) -> Item:
        """The item of that id. Raises `BadEvent`."""
        return self._items[self._place(item_id)]

    def replace(self, item: Item) -> None:
        """Put a newer form of an item in its place."""
        self._items = [item if each.id == item.id else each for each in self._items]

    def delete(self, item_id: str) -> None:
        """Forget an item. Raises `BadEvent`."""
        del self._items[self._place(item_id)]

    def _place(self, item_id: str) -> int:
        for place, item in enumerate(self._items):
            if item.id == item_id:
                return place
        raise BadEvent(f"Item with id '{item_id}' not found.", param="item_id", code="item_not_found")


def read_item(given: Any, item_id: str) -> Item:
    """An item as a client made it. Raises `BadEvent`."""
    item = as_object(given)
    kind = item.get("type")
    if kind not in _KINDS:
        raise BadEvent(f"Invalid value: '{kind}'. Supported values are: {_named(_KINDS)}.", param="item.type")
    value = {"id": item.get("id") or item_id, "object": "realtime.item", "type": kind, "status": "completed"}
    if kind == "function_call_output":
        output = _required(item, "output")
        return Item(value=value | {"call_id": _required(item, "call_id"), "output": output}, text=output)
    if kind == "function_call":
        said = {name: _required(item, name) for name in ("name", "arguments")}
        return Item(value=value | said | {"call_id": item.get("call_id")}, text=" ".join(said.values()))
    return _read_message(item, value)


def heard_item(pcm: bytes, item_id: str) -> Item:
    """What a user said aloud."""
    content = {"type": "input_audio", "transcript": None}
    value = {"id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
    return Item(value=value | {"content": [content]}, text=transcript_of(pcm), audio_s=duration_s(pcm))


def transcript_of(pcm: bytes) -> str:
    """What our own speech says in the samples, else that nobody listened."""
    return hidden_text(pcm) or f"(simulated: {duration_s(pcm):.1f} seconds that no model listened to)"


def shown_item(item: Item, *, is_beta: bool) -> dict[str, Any]:
    """The item as an event tells it."""
    if not is_beta or item.value.get("role") != "assistant":
        return item.value
    parts = [part | {"type": part["type"].removeprefix("output_")} for part in item.value["content"]]
    return item.value | {"content": parts}


def ask_of(items: Iterable[Item], settings: dict[str, Any], directive: Directive) -> Ask:
    """What the planner shall answer."""
    known = list(items)
    spoken = [item for item in known if item.is_user]
    results = _last_results(known)
    most = settings["max_output_tokens"]
    mode, name = _tool_choice(settings["tool_choice"])
    return Ask(
        model=settings["model"],
        prompt=spoken[-1].text if spoken else as_text(settings["instructions"]),
        turns=max(1, len(spoken)),
        tools=tuple(
            ToolSpec(name=tool["name"], schema=as_object(tool.get("parameters")))
            for tool in map(as_object, settings["tools"])
            if tool.get("type") == "function"
        ),
        tool_mode=mode,
        tool_name=name,
        allows_parallel=settings.get("parallel_tool_calls") is not False,
        tool_results=results,
        output_tokens_max=most if isinstance(most, int) else None,
        directive=directive,
    )


def input_usage(items: Iterable[Item], settings: dict[str, Any], *, before: int) -> dict[str, Any]:
    """What a response has read; what was read before is cached."""
    known = list(items)
    audio = sum(round(item.audio_s * INPUT_TOKENS_PER_S) for item in known)
    text = count(as_text(settings["instructions"])) + sum(count(item.text) for item in known if not item.audio_s)
    cached = min(before, audio + text) // CACHE_STEP_TOKENS * CACHE_STEP_TOKENS
    cached_audio = min(audio, cached)
    return {
        "text_tokens": text,
        "audio_tokens": audio,
        "image_tokens": 0,
        "cached_tokens": cached,
        "cached_tokens_details": {
            "text_tokens": cached - cached_audio,
            "audio_tokens": cached_audio,
            "image_tokens": 0,
        },
    }


def samples_of(text: Any, param: str) -> bytes:
    """The bytes of base64. Raises `BadEvent`."""
    try:
        return b64decode(as_text(text), validate=True)
    except (binascii.Error, ValueError):
        raise BadEvent(f"Invalid '{param}'. Expected base64-encoded audio bytes.", param=param) from None


def _read_message(item: dict[str, Any], value: dict[str, Any]) -> Item:
    role = item.get("role")
    if role not in _ROLES:
        raise BadEvent(f"Invalid value: '{role}'. Supported values are: {_named(_ROLES)}.", param="item.role")
    parts: list[dict[str, Any]] = []
    texts: list[str] = []
    seconds = 0.0
    for place, part in enumerate(map(as_object, as_list(item.get("content")))):
        kept, text, audio_s = _read_part(part, role, f"item.content[{place}]")
        parts.append(kept)
        texts.append(text)
        seconds += audio_s
    return Item(value=value | {"role": role, "content": parts}, text=" ".join(filter(None, texts)), audio_s=seconds)


def _read_part(part: dict[str, Any], role: str, param: str) -> tuple[dict[str, Any], str, float]:
    """The part as it is kept, what it says, and for how long."""
    kind = part.get("type")
    match role, kind:
        case ("user", "input_audio"):
            pcm = samples_of(part.get("audio"), f"{param}.audio")
            return {"type": kind, "transcript": part.get("transcript")}, transcript_of(pcm), duration_s(pcm)
        case ("user", "input_image"):
            return {"type": kind, "image_url": "(kept)", "detail": part.get("detail", "auto")}, "", 0.0
        case ("user" | "system", "input_text") | ("assistant", "text" | "output_text"):
            text = _required(part, "text", param)
            return {"type": "output_text" if role == "assistant" else kind, "text": text}, text, 0.0
        case ("assistant", "audio" | "output_audio"):
            text = as_text(part.get("transcript"))
            return {"type": "output_audio", "transcript": text}, text, 0.0
        case _:
            raise BadEvent(f"Invalid value: '{kind}' in a message of role '{role}'.", param=f"{param}.type")


def _last_results(items: list[Item]) -> tuple[str, ...]:
    """The results that the conversation ends with."""
    results: list[str] = []
    for item in reversed(items):
        if item.value["type"] != "function_call_output":
            break
        results.append(item.text)
    return tuple(reversed(results))


def _tool_choice(choice: Any) -> tuple[ToolMode, str | None]:
    if isinstance(choice, str):
        return {"none": ToolMode.NONE, "required": ToolMode.REQUIRED}.get(choice, ToolMode.AUTO), None
    name = as_object(choice).get("name")
    return (ToolMode.REQUIRED, name) if isinstance(name, str) else (ToolMode.AUTO, None)


def _required(item: dict[str, Any], name: str, param: str = "item") -> str:
    value, where = item.get(name), f"{param}.{name}"
    if not isinstance(value, str):
        raise BadEvent(f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter")
    if len(value) > TEXT_CHARACTERS_MAX:
        message = f"Invalid '{where}': string too long. Expected a maximum length of {TEXT_CHARACTERS_MAX}."
        raise BadEvent(message, param=where, code="string_above_max_length")
    return value


def _named(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
