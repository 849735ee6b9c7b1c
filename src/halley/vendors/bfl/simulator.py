"""The vendor's API as its documents describe it: orders checked and journalled, tasks read from there, real images.

Served by `halley.vendors.simulate`; which ending a job takes is ordered by the header `Halley-Test` or in the prompt.
"""

import asyncio
import hashlib
import hmac
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any, Literal

import msgspec

from halley.kernel.clock import MICROSECONDS, rfc3339
from halley.kernel.codec import decode
from halley.kernel.loose import as_object
from halley.vendors.bfl.checks import complaint, complaints, with_defaults
from halley.vendors.bfl.fields import MODELS, Fields
from halley.vendors.bfl.replies import FIRST_OUTPUT, FURTHER_OUTPUT, INPUT, MODERATION_REASONS
from halley.vendors.bfl.sizes import BadSize, Size, output_size
from halley.vendors.bfl.wire import ROLES
from halley.vendors.simulate import (
    ANSWER_ONLY,
    AsgiApp,
    BadImage,
    CallbackRequest,
    Directive,
    Due,
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
    apply_transport_ending,
    decode_image,
    directive_for,
    json_reply,
    progress,
    read_source,
    started_us,
    thumbnail,
    without_marker,
)

LIMITS_VARIABLE = "HALLEY_SIMULATE_LIMITS"
"""`1` makes the simulator refuse more active tasks than the vendor does; off by default, for load tests."""
ACTIVE_MAX = 24
ACTIVE_MAX_BY_MODEL = {"flux-kontext-max": 6}
LINK_US = 600 * MICROSECONDS
RETRY_AFTER_S = 1
CREDITS = 100_000.0
CALLBACK_EVENT = "completed"

_FORBIDDEN = json_reply({"detail": "Not authenticated"}, status=403)
_BUSY = json_reply(
    {"detail": "Too many active tasks; wait for one to finish"},
    status=429,
    headers=(("Retry-After", str(RETRY_AFTER_S)),),
)
_DENIED = Reply(
    status=403,
    body=b'<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code></Error>',
    type="application/xml",
)
_REFUSED_BY_ORDER: Mapping[Outcome, Reply] = {
    Outcome.UNAUTHORIZED: _FORBIDDEN,
    Outcome.OUT_OF_CREDIT: json_reply({"detail": "Insufficient credits"}, status=402),
    Outcome.RATE_LIMITED: _BUSY,
    Outcome.INVALID: json_reply(
        {"detail": [complaint("value_error", ("body", "prompt"), "Value error, refused as the test ordered")]},
        status=422,
    ),
}
_ENDINGS: Mapping[Outcome, tuple[str, dict[str, Any] | None]] = {
    Outcome.REQUEST_MODERATED: ("Request Moderated", {MODERATION_REASONS: ["Simulated Request"]}),
    Outcome.CONTENT_MODERATED: ("Content Moderated", {MODERATION_REASONS: ["Simulated Content"]}),
    Outcome.VENDOR_ERROR: ("Error", {"error": "The simulated generation failed"}),
    Outcome.UNKNOWN_STATE: ("Contemplating", None),
    Outcome.NOT_FOUND_LATER: ("Task not found", None),
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a job will make, as kept with it."""

    prompt: str
    width: int
    height: int
    seed: int
    format: Literal["jpeg", "png", "webp"]
    mask_at: int | None
    cost: float
    input_mp: float
    output_mp: float


_plans = msgspec.json.Decoder(Plan)


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    account: str
    directive: Directive
    body: dict[str, Any]
    rates: dict[str, str]


class _Inputs(msgspec.Struct, frozen=True, kw_only=True):
    sizes: dict[str, Size]
    thumbnails: dict[str, bytes]


def create_app(host: SimulatorHost) -> AsgiApp:
    """Build the simulator on its host."""
    simulator = _Simulator(host, with_limits=os.environ.get(LIMITS_VARIABLE) == "1")
    host.render_callback = simulator.render_callback
    router = host.router()
    router.add("GET", "/v1/get_result", simulator.get_result)
    router.add("GET", "/v1/credits", simulator.credits)
    router.add("POST", "/v1/{model}", simulator.create)
    router.add("GET", "/results/{id}/{name}", simulator.sample)
    return router


class _Simulator:
    def __init__(self, host: SimulatorHost, *, with_limits: bool) -> None:
        self._host = host
        self._with_limits = with_limits
        self._rates: dict[str, dict[str, str]] = {}

    # orders

    async def create(self, request: Request) -> Reply | None:
        model = request.params["model"]
        fields = MODELS.get(model)
        if fields is None:
            return json_reply({"detail": "Not Found"}, status=404)
        account = self._account(request)
        body = _parsed(await request.body())
        directive = _directive(request, body)
        if directive.outcome in _REFUSED_BY_ORDER:
            return _REFUSED_BY_ORDER[directive.outcome]
        _refuse_if(complaints(body, fields))
        self._check_limits(model, account)
        inputs = await self._inputs(body, fields)
        rates = (await self._load_rates())[model]
        order = _Order(model=model, account=account, directive=directive, body=body, rates=rates)
        job = self._accept(order, inputs)
        if await apply_transport_ending(directive, request.scope, request.receive, request.send):
            return None
        return json_reply(self._accepted(job))

    def _account(self, request: Request) -> str:
        key = request.headers.get("x-key", "").strip()
        if not key or key.startswith("bad"):
            raise Refusal(_FORBIDDEN)
        return self._host.account_of(key)

    def _check_limits(self, model: str, account: str) -> None:
        # All active tasks of the account count; whether the vendor counts those of one model apart is not said.
        most = ACTIVE_MAX_BY_MODEL.get(model, ACTIVE_MAX)
        if self._with_limits and self._host.journal.active_count(self._host.clock.now(), account=account) >= most:
            raise Refusal(_BUSY)

    async def _inputs(self, body: dict[str, Any], fields: Fields) -> _Inputs:
        """Read, decode and shrink every image of the order."""
        sizes: dict[str, Size] = {}
        thumbnails: dict[str, bytes] = {}
        for name in ROLES:
            if name in fields and (body.get(name) or fields[name].required):
                sizes[name], thumbnails[name] = await self._input(name, body[name])
        if "mask" in sizes and sizes["mask"] != sizes["image"]:
            _refuse("value_error", "mask", "Value error, the dimensions of the mask must match those of the image")
        return _Inputs(sizes=sizes, thumbnails=thumbnails)

    async def _input(self, name: str, source: str) -> tuple[Size, bytes]:
        try:
            data = await read_source(source, self._host.fetch)
            return await asyncio.to_thread(_looked_at, data)
        except (BadImage, OutsideError) as error:
            raise Refusal(_complaint_reply("value_error", name, f"Value error, invalid image: {error}")) from error

    async def _load_rates(self) -> dict[str, dict[str, str]]:
        if not self._rates:
            self._rates = await asyncio.to_thread(_read_rates)
        return self._rates

    def _accept(self, order: _Order, inputs: _Inputs) -> Job:
        job_id, now_us = self._host.uuid(), self._host.clock.now()
        ready_us = self._host.ready_us(order.directive, created_us=now_us)
        plan = _plan(order, inputs, seed=self._host.seed_for(job_id))
        job = Job(
            id=job_id,
            created_us=now_us,
            ready_us=ready_us,
            model=order.model,
            directive=order.directive,
            request=msgspec.Raw(msgspec.json.encode(_without_images(order.body))),
            account=order.account,
            callback_url=order.body.get("webhook_url"),
            callback_secret=order.body.get("webhook_secret"),
            details=msgspec.Raw(msgspec.json.encode(plan)),
        )
        owed = [Due(event=CALLBACK_EVENT, due_us=ready_us)] if job.callback_url else []
        return self._host.accept(job, inputs=tuple(inputs.thumbnails.values()), callbacks=owed)

    def _accepted(self, job: Job) -> dict[str, Any]:
        plan = _plans.decode(job.details)
        figures = {"cost": plan.cost, "input_mp": plan.input_mp, "output_mp": plan.output_mp}
        if job.callback_url:
            return {"id": job.id, "status": "Pending", "webhook_url": job.callback_url, **figures}
        return {"id": job.id, "polling_url": f"{self._host.base_url}/v1/get_result?id={job.id}", **figures}

    # results

    async def get_result(self, request: Request) -> Reply:
        # The specification names no security for this path, so a missing key is let pass.
        if request.headers.get("x-key"):
            self._account(request)
        asked = request.query.get("id")
        if asked is None:
            return json_reply({"detail": [complaint("missing", ("query", "id"), "Field required")]}, status=422)
        job = self._host.journal.get(asked)
        return json_reply(_result(asked, "Task not found") if job is None else self._state(job))

    def _state(self, job: Job) -> dict[str, Any]:
        now_us = self._host.clock.now()
        if self._host.phase(job) is not Phase.FINISHED:
            return _result(job.id, "Pending", progress=progress(job, now_us))
        if job.directive.outcome in _ENDINGS:
            word, details = _ENDINGS[job.directive.outcome]
            return _result(job.id, word, details=details)
        plan = _plans.decode(job.details)
        return _result(job.id, "Ready", result=self._made(job, plan), cost=plan.cost)

    def _made(self, job: Job, plan: Plan) -> dict[str, Any]:
        start_us = started_us(job)
        is_expired = job.directive.outcome is Outcome.EXPIRED_LINK
        path = f"/results/{job.id}/sample.{plan.format}"
        return {
            "sample": self._host.link(path, expires_us=job.created_us if is_expired else job.ready_us + LINK_US),
            "prompt": plan.prompt,
            "seed": plan.seed,
            "start_time": start_us / MICROSECONDS,
            "end_time": job.ready_us / MICROSECONDS,
            "duration": (job.ready_us - start_us) / MICROSECONDS,
        }

    async def sample(self, request: Request) -> Reply:
        job = self._host.journal.get(request.params["id"])
        if job is None or self._host.link_state(request) is not LinkState.VALID:
            return _DENIED
        plan = _plans.decode(job.details)
        return Reply(body=await self._host.draw(self._spec(job, plan)), type=f"image/{plan.format}")

    def _spec(self, job: Job, plan: Plan) -> ImageSpec:
        inputs = self._host.journal.inputs(job)
        return ImageSpec(
            prompt=plan.prompt,
            width=plan.width,
            height=plan.height,
            seed=plan.seed,
            format=plan.format,
            inputs=tuple(data for place, data in enumerate(inputs) if place != plan.mask_at),
            mask=None if plan.mask_at is None else inputs[plan.mask_at],
            model=job.model,
        )

    # callbacks and the account

    def render_callback(self, job: Job, _event: str) -> CallbackRequest | None:
        """Tell a webhook how it ended. Documented only at https://github.com/black-forest-labs/skills."""
        state = self._state(job)
        said: dict[str, Any] = {"id": job.id, "status": state["status"], "timestamp": rfc3339(job.ready_us, digits=3)}
        if state["status"] == "Ready":
            said["result"] = state["result"]
        else:
            said |= {"error": state["status"], "message": "The task ended without a result"}
        body = msgspec.json.encode(said)
        headers = [("content-type", "application/json")]
        if job.callback_secret:
            digest = hmac.new(job.callback_secret.encode(), body, hashlib.sha256).hexdigest()
            headers.append(("X-BFL-Signature", f"sha256={digest}"))
        return CallbackRequest(url=job.callback_url or "", headers=tuple(headers), body=body)

    async def credits(self, request: Request) -> Reply:
        self._account(request)
        return json_reply({"credits": CREDITS})


# reading an order


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = decode(data)
    except ValueError as error:
        reply = {"detail": [complaint("json_invalid", ("body", 0), "JSON decode error", error=str(error)[:200])]}
        raise Refusal(json_reply(reply, status=422)) from error
    if not isinstance(value, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise Refusal(json_reply({"detail": [complaint("model_attributes_type", ("body",), message)]}, status=422))
    return as_object(value)


def _directive(request: Request, body: dict[str, Any]) -> Directive:
    prompt = body.get("prompt")
    try:
        return directive_for(request.raw_headers, prompt if isinstance(prompt, str) else None, without=ANSWER_ONLY)
    except ValueError as error:
        raise Refusal(_complaint_reply("value_error", "prompt", f"Value error, {error}")) from error


def _refuse_if(found: list[dict[str, Any]]) -> None:
    if found:
        raise Refusal(json_reply({"detail": found}, status=422))


def _refuse(kind: str, field: str, message: str) -> None:
    raise Refusal(_complaint_reply(kind, field, message))


def _complaint_reply(kind: str, field: str, message: str) -> Reply:
    return json_reply({"detail": [complaint(kind, ("body", field), message)]}, status=422)


def _looked_at(data: bytes) -> tuple[Size, bytes]:
    info = decode_image(data)
    return (info.width, info.height), thumbnail(data)


def _without_images(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ROLES}


# planning what is made


def _plan(order: _Order, inputs: _Inputs, *, seed: int) -> Plan:
    fields = MODELS[order.model]
    asked = with_defaults(order.body, fields)
    try:
        width, height = output_size(asked, fields, inputs.sizes)
    except BadSize as error:
        raise Refusal(_complaint_reply("value_error", error.field, f"Value error, {error}")) from error
    names = list(inputs.thumbnails)
    given_seed = asked.get("seed")
    output_mp = _megapixels([(width, height)])
    input_mp = _megapixels([size for name, size in inputs.sizes.items() if name != "mask"])
    return Plan(
        prompt=without_marker(asked.get("prompt") or ""),
        width=width,
        height=height,
        seed=seed if given_seed is None else int(given_seed),
        format=asked["output_format"],
        mask_at=names.index("mask") if "mask" in names else None,
        cost=float(_credits(order.rates, output_mp=output_mp, input_mp=input_mp)),
        input_mp=float(input_mp),
        output_mp=float(output_mp),
    )


def _megapixels(sizes: list[Size]) -> Decimal:
    return Decimal(sum(width * height for width, height in sizes)).scaleb(-6).quantize(Decimal("0.01"))


def _credits(rates: Mapping[str, str], *, output_mp: Decimal, input_mp: Decimal) -> Decimal:
    quantities = {"image": Decimal(1), FIRST_OUTPUT: Decimal(1), INPUT: input_mp}
    quantities[FURTHER_OUTPUT] = max(Decimal(0), output_mp - 1)
    return sum((quantities[meter] * Decimal(rate) * 100 for meter, rate in rates.items()), Decimal(0))


def _read_rates() -> dict[str, dict[str, str]]:
    """What the vendor bills, in dollars by model and meter, as the catalogue says."""
    catalogue = tomllib.loads(files("halley.vendors.bfl").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return {model["id"]: model["cost"] for model in catalogue["models"]}


def _result(  # a task's state in the shape of `ResultResponse`
    job_id: str,
    status: str,
    *,
    result: dict[str, Any] | None = None,
    progress: float | None = None,
    details: dict[str, Any] | None = None,
    cost: float | None = None,
) -> dict[str, Any]:
    state: dict[str, Any] = {
        "id": job_id,
        "status": status,
        "result": result,
        "progress": progress,
        "details": details,
        "preview": None,
    }
    return state if cost is None else state | {"cost": cost}
