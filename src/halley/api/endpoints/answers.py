"""Calls that are answered at once: reads what is asked in each format, and gives the answer whole or as a stream."""

from collections.abc import Awaitable, Mapping

import msgspec

from halley.api.asgi import JSON_TYPE, Reply, reply_of
from halley.api.body import FORMS
from halley.api.call import Call
from halley.api.forms import read_form
from halley.kernel.body import FormBody, JsonBody
from halley.kernel.faults import BadRequest, Fault, NoSuchPath
from halley.kernel.money import dollars
from halley.kernel.operation import COUNTING, Operation
from halley.limits import Verdict, rate_headers, rate_lines
from halley.pipeline.admit import correct, limit
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.call import Finished, Streaming
from halley.pipeline.answers.counting import count
from halley.pipeline.answers.repeat import answer_once
from halley.pipeline.answers.straight import plan, straight
from halley.vendors.contract import Answer
from halley.world import World

MODEL_CHARACTERS_MAX = 300
DEFAULT_MODELS: Mapping[Operation, str] = {
    Operation.IMAGES: "dall-e-2",
    Operation.IMAGE_EDITS: "dall-e-2",
    Operation.IMAGE_VARIATIONS: "dall-e-2",
    Operation.SPEECH: "tts-1",
    Operation.TRANSCRIPTION: "whisper-1",
    Operation.TRANSLATION: "whisper-1",
    Operation.MODERATION: "omni-moderation-latest",
}
"""Where the format's owner does not ask for a model."""
IN_FORM = frozenset((Operation.IMAGE_EDITS, Operation.IMAGE_VARIATIONS, Operation.TRANSCRIPTION, Operation.TRANSLATION))
VERBS: Mapping[str, tuple[Operation, bool]] = {
    "generateContent": (Operation.CONTENT, False),
    "streamGenerateContent": (Operation.CONTENT, True),
    "countTokens": (Operation.CONTENT_COUNT, False),
    "embedContent": (Operation.EMBED_CONTENT, False),
    "batchEmbedContents": (Operation.EMBED_CONTENTS, False),
}
_NO_STORE = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
_UNBUFFERED = (("cache-control", "no-cache"), ("x-accel-buffering", "no"), ("x-content-type-options", "nosniff"))


def relay(call: Call) -> Awaitable[Reply]:
    """Answer a call of an OpenAI- or Anthropic-shaped endpoint."""
    operation = call.entry.route.operation
    assert operation is not None
    plain = call.plain_json() if operation not in IN_FORM else None
    return _relay(call, operation) if plain is None else relay_body(call, operation, JsonBody(plain))


def relay_body(call: Call, operation: Operation, body: JsonBody | FormBody) -> Awaitable[Reply]:
    """Answer a call whose body was read."""
    return _answer(call, _ask(call, operation, body, _named(body, operation), stream=_streams(body)))


async def _relay(call: Call, operation: Operation) -> Reply:
    return await relay_body(call, operation, await read_body(call, operation))


async def relay_content(call: Call) -> Reply:
    """Answer a call of a Gemini-shaped endpoint, which has the model and what to do in its path."""
    model, _, verb = call.params["call"].rpartition(":")
    if verb not in VERBS or not model:
        raise NoSuchPath(f"There is no such path; after the model comes one of {', '.join(f':{one}' for one in VERBS)}")
    operation, stream = VERBS[verb]
    body = JsonBody(await _data(call))
    ask = _ask(call, operation, body, model, stream=stream)
    ask.array = stream and call.query.get("alt") != "sse"
    return await _answer(call, ask)


async def _answer(call: Call, ask: Ask) -> Reply:
    if ask.operation in COUNTING:
        limit(call.world, ask.caller, 0)
        counted = await call.client.while_there(count(call.world, ask))
        return Reply(headers=(("content-type", "application/json"), *_NO_STORE), body=counted)
    ask.limited_tokens = meter.input_estimate(ask).likely
    verdict = limit(call.world, ask.caller, ask.limited_tokens)
    try:
        way = plan(call.world, ask)
        answering = answer_once(call.world, ask) if way is None else straight(call.world, ask, way)
        answered = await call.client.while_there(answering, _end)
    except Fault:
        _give_back(call, ask)
        raise
    if isinstance(answered, Finished) and answered.content_type == JSON_TYPE and not ask.caller.operator:
        return Reply(lines=_lines(answered, verdict), body=answered.body)
    headers = rate_headers(verdict)
    if ask.caller.operator and not isinstance(answered, Answer):
        headers = (("halley-channel", answered.channel), *headers)
    if isinstance(answered, Answer):
        _give_back(call, ask)
        return reply_of(msgspec.structs.replace(answered, headers={**answered.headers, **dict(headers)}))
    if isinstance(answered, Finished):
        return Reply(
            headers=(
                ("content-type", answered.content_type),
                *_NO_STORE,
                ("halley-cost", dollars(answered.cost)),
                *headers,
            ),
            body=answered.body,
        )
    return _streamed(answered, headers)


def _lines(finished: Finished, verdict: Verdict) -> bytes:
    """Spell the headers of an answer of ours all at once: there is nothing in them that is not ours."""
    return (
        "content-type: application/json\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        f"halley-cost: {dollars(finished.cost)}\r\n{rate_lines(verdict)}"
    ).encode()


def _give_back(call: Call, ask: Ask) -> None:
    """Nothing was asked of a vendor: the tokens that were counted beforehand are free again."""
    if ask.limited_tokens:
        correct(call.world, call.caller, -ask.limited_tokens)
        ask.limited_tokens = 0


async def _end(answered: Finished | Streaming | Answer) -> None:
    """End a stream that began just when its caller left."""
    if isinstance(answered, Streaming):
        await answered.aclose()


def _streamed(stream: Streaming, headers: tuple[tuple[str, str], ...]) -> Reply:
    return Reply(
        headers=(("content-type", stream.content_type), *_UNBUFFERED, *headers),
        chunks=stream.pieces,
        pour=stream.pour,
        close=stream.aclose,
    )


def _ask(call: Call, operation: Operation, body: JsonBody | FormBody, named: str, *, stream: bool) -> Ask:
    if len(named) > MODEL_CHARACTERS_MAX:
        raise BadRequest(f"`model` is longer than {MODEL_CHARACTERS_MAX} characters", param="model")
    model = public_model(call.world, named)
    catalogue = call.world.catalogue
    contexts = catalogue.context_tokens
    return Ask(
        caller=call.caller,
        operation=operation,
        model=model,
        context_tokens=contexts[model] if model in contexts else None,  # noqa: SIM401 - `get` is a call on every path
        searches=1 if model in catalogue.searching else 0,
        named=named,
        body=body,
        stream=stream,
        headers=call.headers,
        request=call.context(),
        admitted_at=call.epoch,
    )


def public_model(world: World, named: str) -> str:
    """Give the public id of a model as a caller names it."""
    return world.catalogue.public_id(named.removeprefix("models/"))


async def read_body(call: Call, operation: Operation) -> JsonBody | FormBody:
    """Read the body of a call, in the form that its endpoint takes."""
    plain = call.plain_json() if operation not in IN_FORM else None
    if plain is not None:
        return JsonBody(plain)
    content_type = call.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if operation in IN_FORM and kind in FORMS:
        return await read_form(call.body(call.world.settings.body_bytes_max), content_type)
    if operation in IN_FORM and operation is not Operation.IMAGE_EDITS:
        raise BadRequest("Send a form: `content-type: multipart/form-data`", param="content-type")
    return JsonBody(await _data(call))


async def _data(call: Call) -> bytes:
    return await call.body(call.world.settings.body_bytes_max).json_bytes()


def _named(body: JsonBody | FormBody, operation: Operation) -> str:
    named = body.text("model") or DEFAULT_MODELS.get(operation)
    if not named:
        raise BadRequest("`model` is missing; `GET /v1/models` lists what is served", param="model")
    return named


def _streams(body: JsonBody | FormBody) -> bool:
    if isinstance(body, FormBody):
        return (body.text("stream") or "").lower() == "true"
    return body.flag("stream") or ("stream_format" in body.fields and body.get("stream_format") == "sse")
