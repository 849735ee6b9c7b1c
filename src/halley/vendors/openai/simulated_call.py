"""One call of the simulated vendor: who calls, what was ordered, and the headers that every reply carries."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from halley.kernel.codec import decode, encode
from halley.kernel.loose import as_object
from halley.kernel.sse import frame
from halley.vendors.openai.simulated_errors import error_object, invalid, key_of, problem, refused_by_order
from halley.vendors.simulate import (
    TASK_ONLY,
    Directive,
    Headers,
    Outcome,
    Refusal,
    Reply,
    Request,
    SimulatorHost,
    directive_for,
    json_reply,
    send_stream,
    send_whole,
)

REQUESTS_LIMIT = 10_000
TOKENS_LIMIT = 2_000_000
MILLISECONDS = 1_000
UNKNOWN_MODEL = "does-not-exist"
"""A model whose name holds this is not known; every other of the operation's family is."""
SERVER_ERROR = error_object(
    "The server had an error while processing your request. Sorry about that!", kind="server_error"
)
ERROR_FRAME = frame(encode({"error": SERVER_ERROR}))

MODERATED = frozenset({Outcome.REQUEST_MODERATED, Outcome.CONTENT_MODERATED})
BLOCKED = problem(400, "Your request was rejected as a result of our safety system.", code="content_policy_violation")
"""How content is refused that has no words of its own in which the answer could tell it."""

_FAMILIES: dict[str, re.Pattern[str]] = {
    "embedding": re.compile(r"embedding|embed-|bge-|-e5-|^e5-|gte-"),
    "image": re.compile(r"dall-e|gpt-image|chatgpt-image"),
    "audio": re.compile(r"whisper|^tts-|-tts|-transcribe|voxtral"),
    "moderation": re.compile(r"moderation"),
    "rerank": re.compile(r"rerank"),
}


class Call:
    """One request that was let in; made by `served`."""

    def __init__(self, host: SimulatorHost, request: Request) -> None:
        self.host = host
        self.request = request
        self.id = f"req_{host.base32_id()}"
        self._began = host.clock.monotonic()

    @property
    def account(self) -> str:
        """The fingerprint of the caller's key."""
        return self.host.account_of(self.key())

    @property
    def created_s(self) -> int:
        """Now, as replies say it."""
        return self.host.clock.now() // 1_000_000

    def key(self) -> str:
        """The caller's key. Raises `Refusal`."""
        headers = self.request.headers
        return key_of(headers.get("authorization", "") or f"Bearer {headers.get('api-key', '')}")

    async def body(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises `Refusal`."""
        try:
            value = decode(await self.request.body())
        except ValueError as error:
            message = f"We could not parse the JSON body of your request: {str(error)[:200]}"
            raise invalid(message, None) from error
        if not isinstance(value, dict):
            raise invalid("Invalid type: expected an object, but got something else instead.", None, "invalid_type")
        return as_object(value)

    def directive(
        self,
        prompt: str | None,
        *,
        param: str,
        without: frozenset[Outcome] = TASK_ONLY,
        moderated: Reply | None = None,
    ) -> Directive:
        """What a test ordered. Raises `Refusal`: the ordered one, or for an order that means nothing here.

        `param` is the field that is called invalid if that is ordered. With `moderated`, content that is moderated is
        refused so; without, the answer itself must show it.
        """
        try:
            directive = directive_for(self.request.raw_headers, prompt, without=without)
        except ValueError as error:
            raise invalid(str(error), None, "invalid_value") from error
        if directive.outcome is Outcome.INVALID:
            raise invalid(f"Invalid '{param}': refused as the test ordered.", param, "invalid_value")
        if directive.outcome in MODERATED and moderated is not None:
            raise Refusal(moderated)
        reply = None if directive.outcome is Outcome.CONTENT_MODERATED else refused_by_order(directive)
        if reply is not None:
            raise Refusal(reply)
        return directive

    def headers(self) -> Headers:
        """What every reply carries."""
        took_ms = max(1, round((self.host.clock.monotonic() - self._began) * MILLISECONDS))
        return (
            ("x-request-id", self.id),
            ("openai-processing-ms", str(took_ms)),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", str(REQUESTS_LIMIT)),
            ("x-ratelimit-limit-tokens", str(TOKENS_LIMIT)),
            ("x-ratelimit-remaining-requests", str(REQUESTS_LIMIT - 1)),
            ("x-ratelimit-remaining-tokens", str(TOKENS_LIMIT - 1)),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "0s"),
        )

    async def answer(self, value: object, directive: Directive = Directive()) -> None:  # noqa: B008 - frozen
        """Send an answer whole, ended as ordered. An ordered error frame is then an error."""
        if directive.outcome is Outcome.ERROR_FRAME:
            raise Refusal(json_reply({"error": SERVER_ERROR}, status=500))
        await send_whole(self.request, json_reply(value, headers=self.headers()), directive, self.host)

    async def stream(self, frames: Sequence[bytes], directive: Directive, *, error_frame: bytes = ERROR_FRAME) -> None:
        """Send an answer as a stream, ended as ordered."""
        headers = self.headers()
        await send_stream(self.request, frames, directive, self.host, error_frame=error_frame, headers=headers)


Work = Callable[[Call], Awaitable[None]]


def served(host: SimulatorHost, work: Work) -> Callable[[Request], Awaitable[Reply | None]]:
    """Give a route's handler: it checks the key, and gives refusals the headers that every reply has."""

    async def handle(request: Request) -> Reply | None:
        call = Call(host, request)
        try:
            call.key()
            await work(call)
        except Refusal as refusal:
            return with_headers(refusal.reply, call.headers())
        return None

    return handle


def with_headers(reply: Reply, headers: Headers) -> Reply:
    """The reply with those headers that it does not have itself."""
    own = {name.lower() for name, _ in reply.headers}
    return msgspec.structs.replace(reply, headers=(*reply.headers, *(each for each in headers if each[0] not in own)))


def model_of(body: dict[str, Any], family: str | None = None, *, otherwise: str | None = None) -> str:
    """The model's name. Raises `Refusal` if it is missing, not known, or of another family (`None` is chat)."""
    model = body.get("model") or otherwise
    if not model:
        raise invalid("you must provide a model parameter", None)
    if not isinstance(model, str):
        raise invalid("Invalid type for 'model': expected a string.", "model", "invalid_type")
    if UNKNOWN_MODEL in model:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refusal(problem(404, message, param=None, code="model_not_found"))
    other = next((name for name, known in _FAMILIES.items() if name != family and known.search(model)), None)
    if other is not None and not (family is not None and _FAMILIES[family].search(model)):
        message = f"This is an {other} model and not supported by this endpoint: `{model}`."
        raise Refusal(problem(404, message, param="model"))
    return model


def fingerprint(model: str) -> str:
    """What a reply names as the system behind the model."""
    return f"fp_{hashlib.sha256(model.encode('utf-8', 'replace')).hexdigest()[:10]}"
