"""What goes to a vendor and what comes back: the same bytes, or through our own words where the formats differ."""

from collections.abc import Iterable
from typing import Any

import msgspec

from halley.kernel import codec
from halley.kernel.body import FormBody, JsonBody
from halley.kernel.chat import ChatOrder, ChatReply, ChatUsage
from halley.kernel.embedding import EmbedOrder
from halley.kernel.faults import NotConveyed
from halley.kernel.loose import as_list, as_object
from halley.kernel.operation import COUNTING, Kind, Operation
from halley.pipeline.answers.ask import Ask, chat_order, order_for
from halley.pipeline.answers.attempt import Attempt
from halley.wire import embedding
from halley.wire.calls import with_ids
from halley.wire.contract import AnswerFacts
from halley.wire.formats import CHAT_FORMATS

JSON_TYPE = "application/json"
STREAM_USAGE = ("stream_options", "include_usage")
_CHATS = frozenset((Operation.CHAT, Operation.COMPLETION))


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A body for a vendor."""

    data: bytes
    content_type: str = JSON_TYPE


def conveys(ask: Ask, operation: Operation) -> None:
    """See that the call can be made in this format. Raises `NotConveyed` naming the field."""
    if operation is ask.operation or ask.operation in COUNTING:
        return
    if ask.kind is Kind.CHAT:
        CHAT_FORMATS[operation].write_order(chat_order(ask))
    elif ask.kind is Kind.EMBEDDING:
        embedding.write_order(operation, _embed_order(ask))
    else:
        raise NotConveyed(f"`{operation}` cannot stand for `{ask.operation}`")


def write_body(ask: Ask, attempt: Attempt, boundary: str = "") -> Sent:
    """Write the body for this attempt; a form needs a boundary."""
    if isinstance(ask.body, FormBody):
        data = ask.body.patched({"model": attempt.vendor_model}, boundary=boundary)
        return Sent(data=data, content_type=f"multipart/form-data; boundary={boundary}")
    if attempt.operation is ask.operation:
        return Sent(data=_same_format(ask, attempt))
    if ask.kind is Kind.EMBEDDING:
        order = msgspec.structs.replace(_embed_order(ask), model=attempt.vendor_model)
        return Sent(data=codec.encode(embedding.write_order(attempt.operation, order)))
    order = _bounded(order_for(ask, attempt.channel.id, attempt.operation), attempt)
    if attempt.answers.call_id is not None:
        order = with_ids(order, attempt.answers.call_id)
    body = CHAT_FORMATS[attempt.operation].write_order(order)
    if attempt.operation.dialect != "gemini":
        body["model"] = attempt.vendor_model
    return Sent(data=codec.encode(_spelled(body, attempt)))


def read_reply(attempt: Attempt, data: bytes) -> ChatReply:
    """Read a vendor's whole answer to a chat. Raises `ValueError`."""
    value = codec.decode_reply(data)
    if not isinstance(value, dict):
        raise ValueError("the reply is no JSON object")  # noqa: TRY004 - what a reply is made of, not what we were given
    return CHAT_FORMATS[attempt.operation].read_reply(value)  # pyright: ignore[reportUnknownArgumentType] - JSON is untyped


def write_reply(ask: Ask, reply: ChatReply, facts: AnswerFacts) -> bytes:
    """Write an answer in the caller's format."""
    return codec.encode(CHAT_FORMATS[ask.operation].write_reply(reply, facts))


def translate_embeddings(ask: Ask, attempt: Attempt, data: bytes) -> tuple[bytes, ChatUsage | None]:
    """Turn a vendor's vectors into the caller's format, and give what they used. Raises `ValueError`."""
    reply = embedding.read_reply(attempt.operation, codec.decode_reply(data))
    usage = None if reply.usage_input is None else ChatUsage(input=reply.usage_input, output=0)
    body = embedding.write_reply(ask.operation, reply, ask.named, ask.json.whole())
    return codec.encode(body), usage


def _embed_order(ask: Ask) -> EmbedOrder:
    return embedding.read_order(ask.operation, {**ask.json.whole(), "model": ask.model})


def _same_format(ask: Ask, attempt: Attempt) -> bytes:
    """Give the caller's own bytes; what must differ is replaced field by field."""
    body = ask.told_to(attempt.channel.id, attempt.operation)
    changes = _renamed(ask, attempt, body)
    if ask.operation in _CHATS:
        changes |= _stream_options(ask, attempt, body)
    for name, spelled in attempt.answers.rename.items():
        if ask.operation is Operation.CHAT and name in body.fields and spelled not in body.fields:
            changes[spelled], changes[name] = body.fields[name], None
    return body.patched(changes) if changes else body.data


def _stream_options(ask: Ask, attempt: Attempt, body: JsonBody) -> dict[str, Any]:
    """Ask for the usage of a stream, except of a vendor that tells it anyway and may refuse what it does not know."""
    if not attempt.answers.stream_usage:
        return {"stream_options": None} if "stream_options" in body.fields else {}
    if not ask.stream or ask.include_usage:
        return {}
    return {"stream_options": {**as_object(body.get("stream_options")), "include_usage": True}}


def _renamed(ask: Ask, attempt: Attempt, body: JsonBody) -> dict[str, Any]:
    """Name the model as its vendor does. In Gemini's format its place is the path; the body may repeat it, in full."""
    if attempt.operation.dialect != "gemini":
        return {} if body.text("model") == attempt.vendor_model else {"model": attempt.vendor_model}
    name = f"models/{attempt.vendor_model}"
    changes: dict[str, Any] = {}
    if "model" in body.fields and body.text("model") != name:
        changes["model"] = name
    if attempt.operation is Operation.EMBED_CONTENTS and attempt.vendor_model != ask.named:
        same = (ask.named, f"models/{ask.named}")
        changes["requests"] = [
            {**as_object(each), "model": name} if as_object(each).get("model") in same else each
            for each in as_list(body.get("requests"))
        ]
    return changes


def _bounded(order: ChatOrder, attempt: Attempt) -> ChatOrder:
    """Some formats must name a bound of the output: where the caller left it open, it is the model's own."""
    limit = attempt.row.output_tokens_max if attempt.row else None
    if order.output_tokens_max is not None or limit is None or attempt.operation is not Operation.MESSAGES:
        return order
    return msgspec.structs.replace(order, output_tokens_max=limit)


def _spelled(body: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
    if attempt.operation is not Operation.CHAT:
        return body
    if not attempt.answers.stream_usage:
        body.pop("stream_options", None)
    return {attempt.answers.rename.get(name, name): value for name, value in body.items()}


def texts(reply: ChatReply) -> Iterable[str]:
    """Give all that was generated, to be counted."""
    for choice in reply.choices:
        for part in choice.parts:
            yield getattr(part, "text", "") or getattr(part, "arguments", "")
