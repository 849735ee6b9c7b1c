"""The vendor's API as its documents describe it: predictions, files, lookups, signed webhooks, real output images."""

import asyncio
import hashlib
import re
from typing import Any, NoReturn

import msgspec

from halley.kernel.clock import MICROSECONDS, parse_time
from halley.kernel.codec import decode, encode
from halley.kernel.faults import NotFound
from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.contract import Incoming, ModelView
from halley.vendors.replicate import lookups, simulated
from halley.vendors.replicate.models import BY_NAME, DIGEST, MODELS, Model, Size, by_version, output_size
from halley.vendors.replicate.multipart import read_parts
from halley.vendors.replicate.problems import invalid_fields, problem
from halley.vendors.replicate.reading import BAD_VERSION
from halley.vendors.replicate.signature import signed_headers
from halley.vendors.replicate.validation import envelope_complaints, input_complaints
from halley.vendors.simulate import (
    ANSWER_ONLY,
    AsgiApp,
    BadImage,
    CallbackRequest,
    Directive,
    ImageSpec,
    Job,
    LinkState,
    Outcome,
    OutsideError,
    Phase,
    Refusal,
    Reply,
    Request,
    SimulatorHost,
    Upload,
    apply_transport_ending,
    decode_image,
    directive_for,
    json_reply,
    read_source,
    thumbnail,
    without_marker,
)

PAGE_SIZE = 100
RETRY_AFTER_S = 1
WAIT_S_MAX = 60
BAD_TOKEN_PREFIX = "bad"  # noqa: S105  (how a test asks for a refusal)

_AUTHORIZATION = re.compile(r"(?:bearer|token) +(\S+)", re.IGNORECASE)
_WAIT = re.compile(r"wait(?:=([1-9]|[1-9][0-9]|60))?")
_OUTPUT_NAME = re.compile(r"out-(\d)\.(webp|jpg|png)")
_MEDIA_TYPES = {"webp": "image/webp", "jpg": "image/jpeg", "png": "image/png"}
_VIEWS = tuple(
    ModelView(id=model.id, aliases=(model.name,), kind="image", description=f"Simulated {model.name}")
    for model in MODELS
)
_NOT_FOUND = problem(404, "Not found", "The requested resource could not be found.")
_ACCOUNT = {"type": "organization", "username": "sandbox", "name": "Sandbox", "github_url": None}


def create_app(host: SimulatorHost) -> AsgiApp:
    """The simulated vendor on a host."""
    host.render_callback = _CallbackRenderer(host)
    router = host.router(error=_router_error)
    predictions = _Predictions(host)
    router.add("POST", "/v1/predictions", predictions.create)
    router.add("POST", "/v1/models/{owner}/{name}/predictions", predictions.create)
    router.add("GET", "/v1/predictions", predictions.page)
    router.add("GET", "/v1/predictions/{id}", predictions.get)
    router.add("POST", "/v1/predictions/{id}/cancel", predictions.cancel)
    router.add("GET", "/delivery/{id}/{name}", predictions.download)
    files = _Files(host)
    router.add("POST", "/v1/files", files.create)
    router.add("GET", "/v1/files", files.page)
    router.add("GET", "/v1/files/{id}", files.get)
    router.add("DELETE", "/v1/files/{id}", files.delete)
    router.add("GET", "/v1/files/{id}/download", files.download)
    around = _Lookups(host)
    router.add("GET", "/v1/webhooks/default/secret", around.webhook_secret)
    router.add("GET", "/v1/account", around.account)
    router.add("GET", "/v1/models", around.models)
    router.add("GET", "/v1/models/{owner}/{name}", around.model)
    router.add("GET", "/v1/models/{owner}/{name}/versions", around.versions)
    router.add("GET", "/v1/models/{owner}/{name}/versions/{version_id}", around.version)
    return router


class _Predictions:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host

    async def create(self, request: Request) -> Reply | None:
        account = _account(self._host, request)
        raw = await request.body()
        body = _json_object(raw)
        is_by_version = "owner" not in request.params
        _refuse_if(envelope_complaints(body, with_version=is_by_version))
        model, version = _by_version(body) if is_by_version else (_by_path(request), "hidden")
        given = as_object(body["input"])
        directive = _directive(request, given)
        _refuse_as_ordered(directive)
        _refuse_if(input_complaints(given, model))
        job = await self._accept(account, model, version, body, directive)
        if await apply_transport_ending(directive, request.scope, request.receive, request.send):
            return None
        return await self._created(job, _wait_s(request))

    async def _accept(
        self, account: str, model: Model, version: str, body: dict[str, Any], directive: Directive
    ) -> Job:
        given, now_us = as_object(body["input"]), self._host.clock.now()
        inputs, matched, failure = await self._read_inputs(account, model, given)
        identity = self._host.base32_id()
        details = simulated.Details(
            size=output_size(model, given, matched),
            seed=given["seed"] if given.get("seed") is not None else self._host.seed_for(identity),
            version=version,
            events=tuple(as_list(body.get("webhook_events_filter"))),
            failure=failure,
        )
        job = Job(
            id=identity,
            created_us=now_us,
            ready_us=self._host.ready_us(directive, created_us=now_us),
            model=model.name,
            directive=directive,
            request=msgspec.Raw(encode(body)),
            account=account,
            callback_url=as_text(body.get("webhook")) or None,
            details=msgspec.Raw(encode(details)),
        )
        return self._host.accept(job, inputs=inputs, callbacks=simulated.due_callbacks(job, details.events))

    async def _read_inputs(
        self, account: str, model: Model, given: dict[str, Any]
    ) -> tuple[list[bytes], Size | None, str | None]:
        """Small copies of the input images, the first one's size, and why the job fails if one cannot be read."""
        copies: list[bytes] = []
        matched: Size | None = None
        for name, rule in model.inputs.items():
            if not rule.is_file or not given.get(name):
                continue
            try:
                data = await self._source(account, given[name])
                info = await asyncio.to_thread(decode_image, data)
                copies.append(await asyncio.to_thread(thumbnail, data))
            except (BadImage, OutsideError) as error:
                return [], None, f"The input `{name}` cannot be used: {error}"
            matched = matched or (info.width, info.height)
        return copies, matched, None

    async def _source(self, account: str, source: str) -> bytes:
        ours = f"{self._host.base_url}/v1/files/"
        if not source.startswith(ours):
            return await read_source(source, self._host.fetch)
        identity = source.removeprefix(ours).partition("/")[0].partition("?")[0]
        known = self._host.journal.get_file(identity, account=account)
        data = None if known is None else self._host.journal.file_bytes(identity)
        if data is None:
            message = "there is no such file"
            raise BadImage(message)
        return data

    async def _created(self, job: Job, wait_s: int | None) -> Reply:
        if wait_s is None:
            return json_reply(self._body(job), status=201)
        left_s = (job.ready_us - self._host.clock.now()) / MICROSECONDS
        if left_s > 0:
            await self._host.clock.sleep(min(left_s, wait_s))
        found = self._host.journal.get(job.id) or job
        if self._host.phase(found) in (Phase.FINISHED, Phase.CANCELLED):
            return json_reply(self._body(found), status=201)
        # Whoever waited in vain is told `starting`, even when it runs already; the official clients count on it.
        return json_reply(simulated.as_at_first(self._body(found)), status=202)

    async def get(self, request: Request) -> Reply:
        job = self._known(request)
        if job.directive.outcome is Outcome.NOT_FOUND_LATER and self._host.phase(job) is Phase.FINISHED:
            raise Refusal(json_reply(_NOT_FOUND, status=404))
        return json_reply(self._body(job))

    async def cancel(self, request: Request) -> Reply:
        job = self._known(request)
        return json_reply(self._body(self._host.cancel(job.id) or job))

    async def page(self, request: Request) -> Reply:
        account, query = _account(self._host, request), request.query
        jobs = self._host.journal.page(
            account=account,
            before_seq=_cursor(query),
            since_us=_time(query, "created_after"),
            until_us=_time(query, "created_before"),
            limit=PAGE_SIZE + 1,
        )
        shown = jobs[:PAGE_SIZE]
        following = None
        if len(jobs) > PAGE_SIZE:
            kept = "".join(f"&{name}={query[name]}" for name in ("created_after", "created_before") if name in query)
            following = f"{self._host.base_url}/v1/predictions?cursor={shown[-1].seq}{kept}"
        return json_reply({"next": following, "previous": None, "results": [self._body(job) for job in shown]})

    async def download(self, request: Request) -> Reply:
        named = _OUTPUT_NAME.fullmatch(request.params["name"])
        job = self._host.journal.get(request.params["id"])
        if named is None or job is None or self._host.link_state(request) is not LinkState.VALID:
            raise Refusal(json_reply(_NOT_FOUND, status=404))
        if simulated.status(job, self._host.clock.now()) != "succeeded" or named[2] != simulated.extension(job):
            raise Refusal(json_reply(_NOT_FOUND, status=404))
        data = await self._host.draw(_image(job, int(named[1]), self._host.journal.inputs(job)))
        return Reply(body=data, type=_MEDIA_TYPES[named[2]])

    def _known(self, request: Request) -> Job:
        job = self._host.journal.get(request.params["id"], account=_account(self._host, request))
        if job is None:
            raise Refusal(json_reply(_NOT_FOUND, status=404))
        return job

    def _body(self, job: Job) -> dict[str, Any]:
        return _body(self._host, job)


class _Files:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host

    async def create(self, request: Request) -> Reply:
        account, body = _account(self._host, request), await request.body()
        try:
            parts = read_parts(request.headers.get("content-type", ""), body)
            metadata = as_object(decode(parts["metadata"].data)) if "metadata" in parts else {}
        except ValueError as error:
            _refuse(400, "Bad request", str(error))
        if "content" not in parts:
            _refuse_if([("", "content is required")])
        content = parts["content"]
        upload = Upload(
            id=self._host.base32_id(),
            name=content.filename or "file",
            type=content.content_type or "application/octet-stream",
            size=len(content.data),
            sha256=hashlib.sha256(content.data).hexdigest(),
            created_us=self._host.clock.now(),
            account=account,
            metadata=msgspec.Raw(encode(metadata)),
        )
        return json_reply(self._body(self._host.journal.add_file(upload, content.data)), status=201)

    async def page(self, request: Request) -> Reply:
        listed = self._host.journal.page_files(account=_account(self._host, request), limit=PAGE_SIZE)
        return json_reply({"next": None, "previous": None, "results": [self._body(one) for one in listed]})

    async def get(self, request: Request) -> Reply:
        return json_reply(self._body(self._known(request)))

    async def delete(self, request: Request) -> Reply:
        self._host.journal.delete_file(self._known(request).id)
        return Reply(status=204)

    async def download(self, request: Request) -> Reply:
        upload = self._known(request)
        return Reply(body=self._host.journal.file_bytes(upload.id) or b"", type=upload.type)

    def _known(self, request: Request) -> Upload:
        upload = self._host.journal.get_file(request.params["id"], account=_account(self._host, request))
        if upload is None:
            raise Refusal(json_reply(_NOT_FOUND, status=404))
        return upload

    def _body(self, upload: Upload) -> dict[str, Any]:
        return simulated.file_body(upload, base_url=self._host.base_url)


class _Lookups:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host

    async def webhook_secret(self, request: Request) -> Reply:
        account = _account(self._host, request)
        return json_reply({"key": _webhook_secret(self._host, account)})

    async def account(self, request: Request) -> Reply:
        _account(self._host, request)
        return json_reply(_ACCOUNT)

    async def models(self, request: Request) -> Reply:
        return self._look_up(request, lookups.list_models)

    async def model(self, request: Request) -> Reply:
        return self._look_up(request, lookups.get_model)

    async def versions(self, request: Request) -> Reply:
        return self._look_up(request, lookups.list_versions)

    async def version(self, request: Request) -> Reply:
        return self._look_up(request, lookups.get_version)

    def _look_up(self, request: Request, look_up: lookups.LookUp) -> Reply:
        _account(self._host, request)
        incoming = Incoming(method="GET", path=request.path, path_params=dict(request.params))
        try:
            answer = look_up(incoming, _VIEWS, self._host.base_url)
        except NotFound as error:
            raise Refusal(json_reply(_NOT_FOUND, status=404)) from error
        return json_reply(answer.body)


class _CallbackRenderer:
    def __init__(self, host: SimulatorHost) -> None:
        self._host = host

    def __call__(self, job: Job, event: str) -> CallbackRequest | None:
        now_us = self._host.clock.now()
        if job.callback_url is None or not simulated.is_told(job, event, now_us):
            return None
        body = encode(_body(self._host, job))
        secret = _webhook_secret(self._host, job.account)
        # The same id for the same event: a retry can be told from a new one.
        headers = signed_headers(secret, f"msg_{job.id}_{event}", now_us // MICROSECONDS, body)
        return CallbackRequest(
            url=job.callback_url, headers=(("content-type", "application/json"), *headers.items()), body=body
        )


def _body(host: SimulatorHost, job: Job) -> dict[str, Any]:
    ends_us = simulated.link_ends_us(job)
    links = [
        host.link(simulated.output_path(job, place), expires_us=ends_us) for place in range(simulated.output_count(job))
    ]
    return simulated.prediction(job, host.clock.now(), base_url=host.base_url, links=links)


def _image(job: Job, place: int, inputs: tuple[bytes, ...]) -> ImageSpec:
    given, details, word = simulated.input_of(job), simulated.details_of(job), simulated.extension(job)
    quality = given.get("output_quality")
    return ImageSpec(
        prompt=without_marker(as_text(given.get("prompt"))),
        width=details.size[0],
        height=details.size[1],
        seed=details.seed + place,
        format="jpeg" if word == "jpg" else "png" if word == "png" else "webp",
        inputs=inputs,
        model=job.model,
        quality=80 if quality is None else max(1, min(int(quality), 95)),
    )


def _webhook_secret(host: SimulatorHost, account: str) -> str:
    # The host has stored a secret before; what is handed in here is never kept.
    return simulated.webhook_secret(host.journal.secret(b""), account)


def _account(host: SimulatorHost, request: Request) -> str:
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        _refuse(401, "Unauthenticated", "You did not pass an authentication token")
    if found[1].startswith(BAD_TOKEN_PREFIX):
        _refuse_token()
    return host.account_of(found[1])


def _directive(request: Request, given: dict[str, Any]) -> Directive:
    try:
        return directive_for(request.raw_headers, as_text(given.get("prompt")), without=ANSWER_ONLY)
    except ValueError as error:
        _refuse_if([("input.prompt", str(error))])
        raise


def _refuse_as_ordered(directive: Directive) -> None:
    match directive.outcome:
        case Outcome.INVALID:
            _refuse_if([("input.seed", "Invalid type. Expected: integer, given: string")])
        case Outcome.UNAUTHORIZED:
            _refuse_token()
        case Outcome.OUT_OF_CREDIT:
            _refuse(402, "Insufficient credit", "You have insufficient credit to run this model.")
        case Outcome.RATE_LIMITED:
            detail = f"Request was throttled. Expected available in {RETRY_AFTER_S} second."
            body = problem(429, "Too many requests", detail)
            raise Refusal(json_reply(body, status=429, headers=(("retry-after", str(RETRY_AFTER_S)),)))
        case _:
            return


def _by_path(request: Request) -> Model:
    model = BY_NAME.get(f"{request.params['owner']}/{request.params['name']}")
    if model is None:
        raise Refusal(json_reply(_NOT_FOUND, status=404))
    return model


def _by_version(body: dict[str, Any]) -> tuple[Model, str]:
    name, _, digest = body["version"].rpartition(":")
    if body["version"] in BY_NAME:
        return BY_NAME[body["version"]], "hidden"
    model = by_version().get(digest)
    if model is None or not DIGEST.fullmatch(digest) or (name and name != model.name):
        _refuse(422, "Invalid version or not permitted", BAD_VERSION)
    return model, digest


def _wait_s(request: Request) -> int | None:
    given = request.headers.get("prefer")
    if given is None:
        return None
    found = _WAIT.fullmatch(given)
    if found is None:
        _refuse(400, "Bad request", "The `Prefer` header is not understood")
    return min(int(found[1] or WAIT_S_MAX), WAIT_S_MAX)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = decode(raw)
    except ValueError:
        _refuse(400, "Bad request", "The request body is not valid JSON")
    if not isinstance(value, dict):
        _refuse_if([("", "Invalid type. Expected: object")])
    return as_object(value)


def _cursor(query: dict[str, str]) -> int | None:
    text = query.get("cursor")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > len("999999999999"):
        _refuse(400, "Bad request", "Invalid cursor")
    return int(text)


def _time(query: dict[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return parse_time(query[name])
    except ValueError:
        _refuse(400, "Bad request", f"`{name}` is not an ISO 8601 date-time")


def _refuse_if(complaints: list[tuple[str, str]]) -> None:
    if complaints:
        raise Refusal(json_reply(invalid_fields(complaints), status=422))


def _refuse_token() -> NoReturn:
    _refuse(401, "Unauthenticated", "You did not pass a valid authentication token")


def _refuse(status: int, title: str, detail: str) -> NoReturn:
    raise Refusal(json_reply(problem(status, title, detail), status=status))


def _router_error(status: int, detail: str) -> Reply:
    return json_reply(problem(status, detail.capitalize(), detail), status=status)
