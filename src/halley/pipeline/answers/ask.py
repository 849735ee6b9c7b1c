"""What is asked: one call in one wire format, its body as it came, and its meaning once somebody needs it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from halley.accounts.model import Caller
from halley.catalogue.conditions import ORDER_FACTS
from halley.kernel.body import FormBody, JsonBody
from halley.kernel.chat import ChatOrder
from halley.kernel.operation import KINDS, Kind, Operation
from halley.pipeline.answers.history import History
from halley.pipeline.request import RequestContext
from halley.wire.calls import results_first
from halley.wire.formats import CHAT_FORMATS
from halley.wire.hosted import Hosted

_NEEDED_LATER: Mapping[Kind, tuple[str, ...]] = {
    Kind.CHAT: ("n", "stream_options", "generationConfig", "generation_config"),
    Kind.COMPLETION: ("n", "best_of", "prompt", "stream_options"),
    Kind.IMAGE: ("n", "prompt"),
    Kind.SPEECH: ("input", "response_format", "stream_format"),
    Kind.TRANSCRIPTION: ("response_format",),
}
"""Fields that are needed once a vendor has answered, to read its answer or to charge for it, beside `ORDER_FACTS`."""
_READ_FIRST: Mapping[Kind, frozenset[str]] = {
    kind: frozenset((*ORDER_FACTS, *_NEEDED_LATER.get(kind, ()))) for kind in Kind
}
_NOTHING_SAID: Mapping[Kind, Mapping[str, Any]] = {kind: dict.fromkeys(names) for kind, names in _READ_FIRST.items()}
NOTHING_HOSTED = Hosted()


class InputTokens(msgspec.Struct, frozen=True, gc=False):
    """What is sent, in tokens, of which texts are estimated rather too high than too low, and files not opened."""

    likely: int
    most: int
    """The same with as much for the files as they may take."""


class Ask(msgspec.Struct, kw_only=True, eq=False):
    """A call on its way to an answer."""

    caller: Caller
    operation: Operation
    model: str
    """The public id; aliases are resolved."""
    named: str
    """The model as the caller named it."""
    body: JsonBody | FormBody
    """Not to be read field by field once a vendor has answered: what cannot be read then is found out too late."""
    kind: Kind = Kind.CHAT
    """What the call is for, by its operation."""
    said: Mapping[str, Any] = {}
    """The fields of `body` that are needed later, all of them read while nothing is held; None for one that is not
    there."""
    stream: bool
    array: bool = False
    """Whether the stream is to be written as one JSON array (Gemini without `alt=sse`)."""
    headers: Mapping[str, str] = {}
    """The caller's, by lower-case name. Credentials may be among them, which are never passed on."""
    request: RequestContext
    admitted_at: int = -1
    """The epoch of what is known of callers when the key was let in: a stream looks again once it is over."""
    limited_tokens: int = 0
    """What was counted against the key's tokens per minute; the real figure replaces it at the end."""
    context_tokens: int | None = None
    """The most that a chat with this model may hold, where the catalogue knows it."""
    searches: int = 0
    """How often the model searches the web for every answer at least."""
    hosted: Hosted = NOTHING_HOSTED
    """The tools that it has a vendor run; filled by `meter.ceiling`."""
    input_tokens: InputTokens | None = None
    """What `body` holds, estimated; filled by `meter.input_estimate` at its first use."""
    order: ChatOrder | None = None
    """Filled by `chat_order` at its first use."""
    history: History | None = None
    """What was said before, of a call that goes on from a kept response: `body` holds it already."""

    def __post_init__(self) -> None:
        """Raises `BadRequest` for a field that is needed later and cannot be read."""
        kind = self.kind = KINDS[self.operation]
        said = self.body.some(_READ_FIRST[kind])
        self.said = {**_NOTHING_SAID[kind], **said} if said else _NOTHING_SAID[kind]

    @property
    def json(self) -> JsonBody:
        """The body of a call that has a JSON body."""
        assert isinstance(self.body, JsonBody)
        return self.body

    @property
    def sent(self) -> JsonBody:
        """The JSON body as the caller sent it."""
        return self.json if self.history is None else self.history.sent

    def recalled_by(self, channel_id: str, operation: Operation) -> bool:
        """Whether this vendor itself knows what was said before."""
        return self.history is not None and operation is self.operation and self.history.holder == channel_id

    def told_to(self, channel_id: str, operation: Operation) -> JsonBody:
        """Give the JSON body for a vendor. Raises `NotConveyed` when it cannot be told what was said before."""
        history = self.history
        if history is None or self.recalled_by(channel_id, operation):
            return self.sent
        self.check_told(channel_id, operation)
        return history.told(channel_id) if history.thinks_on(channel_id) else self.json

    def check_told(self, channel_id: str, operation: Operation) -> None:
        """Raises `NotConveyed` when a vendor does not know what was said before, and cannot be told."""
        history = self.history
        if history is not None and history.problem is not None and not self.recalled_by(channel_id, operation):
            raise history.problem

    @property
    def include_usage(self) -> bool:
        """Whether the caller wants to see the usage at the end of a stream; only OpenAI's chat leaves it to them."""
        if self.operation not in (Operation.CHAT, Operation.COMPLETION):
            return True
        options: Any = self.said["stream_options"]
        return isinstance(options, dict) and options.get("include_usage") is True  # pyright: ignore[reportUnknownMemberType] - JSON is untyped


def chat_order(ask: Ask) -> ChatOrder:
    """Read what a chat means, once. Raises `BadRequest` with the field named."""
    if ask.order is None:
        ask.order = _read_order(ask, ask.json)
    return ask.order


def order_for(ask: Ask, channel_id: str, operation: Operation) -> ChatOrder:
    """The same for one way to a vendor, which may be told more of its own thoughts than others."""
    body = ask.told_to(channel_id, operation)
    return chat_order(ask) if body is ask.body else _read_order(ask, body)


def _read_order(ask: Ask, body: JsonBody) -> ChatOrder:
    order = CHAT_FORMATS[ask.operation].read_order({**body.whole(), "model": ask.model, "stream": ask.stream})
    return msgspec.structs.replace(order, messages=results_first(order.messages))
