"""`POST /v1/completions` of the simulated vendor: text that goes on from a prompt, of old."""

from collections.abc import Iterator, Mapping
from itertools import accumulate, zip_longest
from typing import Any

from halley.kernel.chat import StopReason
from halley.kernel.codec import encode
from halley.kernel.loose import as_list, as_object, as_text
from halley.kernel.sse import DONE, frame
from halley.vendors.openai.simulated_call import Call, fingerprint, model_of, served
from halley.vendors.openai.simulated_errors import invalid
from halley.vendors.openai.simulated_fields import Rule, check_fields
from halley.vendors.simulate import Ask, Plan, Router, SimulatorHost, count, pieces, plan_chat, portions, without_marker

TOKENS_USUAL = 16
PROMPTS_MAX = 128
CHOICES_MAX = 512
LOGPROB = -0.25
_FIELDS: Mapping[str, Rule] = {
    "model": Rule("str"),
    "best_of": Rule("int", 1, 20),
    "echo": Rule("bool"),
    "frequency_penalty": Rule("number", -2, 2),
    "logit_bias": Rule("object"),
    "logprobs": Rule("int", 0, 5),
    "max_tokens": Rule("int", 0),
    "n": Rule("int", 1, 128),
    "presence_penalty": Rule("number", -2, 2),
    "seed": Rule("int"),
    "stop": Rule("str|array", high=4),
    "stream": Rule("bool"),
    "stream_options": Rule("object"),
    "suffix": Rule("str"),
    "temperature": Rule("number", 0, 2),
    "top_p": Rule("number", 0, 1),
    "user": Rule("str"),
}


def add_routes(router: Router, host: SimulatorHost) -> None:
    """Serve `/v1/completions`."""
    router.add("POST", "/v1/completions", served(host, create))


async def create(call: Call) -> None:
    """Go on from each prompt, `n` times."""
    body = await call.body()
    model = model_of(body)
    given = check_fields(body, _FIELDS, required=("prompt",))
    prompts = _prompts(given["prompt"])
    directive = call.directive(prompts[0], param="prompt")
    number = int(given.get("n") or 1)
    if len(prompts) * number > CHOICES_MAX:
        raise invalid(f"Invalid 'n': at most {CHOICES_MAX} completions at once.", "n", "integer_above_max_value")
    stop = given.get("stop")
    asks = [
        Ask(
            model=model,
            prompt=prompt,
            output_tokens_max=given.get("max_tokens", TOKENS_USUAL),
            stop=(stop,) if isinstance(stop, str) else tuple(as_text(each) for each in as_list(stop)),
            directive=directive,
            variant=variant,
        )
        for prompt in prompts
        for variant in range(number)
    ]
    try:
        plans = [plan_chat(ask) for ask in asks]
    except ValueError as error:
        raise invalid(str(error), None, "invalid_value") from error
    echoes = [without_marker(ask.prompt) if given.get("echo") is True else "" for ask in asks]
    head: dict[str, Any] = {
        "id": f"cmpl-{call.host.base32_id()}",
        "object": "text_completion",
        "created": call.created_s,
        "model": model,
        "system_fingerprint": fingerprint(model),
    }
    texts = [f"{echo}{plan.text or plan.refusal}" for echo, plan in zip(echoes, plans, strict=True)]
    used = _usage(prompts, plans)
    if given.get("stream") is True:
        await call.stream(_frames(head, texts, plans, given, used), directive)
        return
    choices = [
        _choice(place, text, given, finished=_finished(plan))
        for place, (text, plan) in enumerate(zip(texts, plans, strict=True))
    ]
    await call.answer({**head, "choices": choices, "usage": used}, directive)


def _prompts(given: Any) -> list[str]:
    """The prompts; arrays of tokens are spelled out, as nobody here knows what they mean. Raises `Refusal`."""
    items = (
        [given] if isinstance(given, str) or all(isinstance(each, int) for each in as_list(given)) else as_list(given)
    )
    if not items or len(items) > PROMPTS_MAX:
        raise invalid(f"Invalid 'prompt': expected 1 to {PROMPTS_MAX} prompts.", "prompt", "invalid_value")
    return [item if isinstance(item, str) else " ".join(f"t{token}" for token in as_list(item)) for item in items]


def _usage(prompts: list[str], plans: list[Plan]) -> dict[str, Any]:
    given, made = sum(count(prompt) for prompt in prompts), sum(plan.usage.output for plan in plans)
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def _finished(plan: Plan) -> str:
    return {StopReason.LENGTH: "length", StopReason.FILTERED: "content_filter"}.get(plan.stop, "stop")


def _choice(place: int, text: str, given: dict[str, Any], *, finished: str | None) -> dict[str, Any]:
    logprobs = None if given.get("logprobs") is None else _logprobs(text, int(given["logprobs"]))
    return {"text": text, "index": place, "logprobs": logprobs, "finish_reason": finished}


def _logprobs(text: str, top: int) -> dict[str, Any]:
    tokens = pieces(text)
    likeliest = [{token: LOGPROB} if top else {} for token in tokens]
    offsets = [0, *accumulate(len(token) for token in tokens)][: len(tokens)]
    return {
        "tokens": tokens,
        "token_logprobs": [LOGPROB] * len(tokens),
        "top_logprobs": likeliest,
        "text_offset": offsets,
    }


def _frames(
    head: dict[str, Any], texts: list[str], plans: list[Plan], given: dict[str, Any], used: dict[str, Any]
) -> list[bytes]:
    asked = as_object(given.get("stream_options")).get("include_usage") is True
    more: dict[str, Any] = {"usage": None} if asked else {}
    turns = zip_longest(
        *(_pieces(place, text, plan, given) for place, (text, plan) in enumerate(zip(texts, plans, strict=True)))
    )
    frames = [
        frame(encode({**head, "choices": [choice], **more})) for turn in turns for choice in turn if choice is not None
    ]
    if asked:
        frames.append(frame(encode({**head, "choices": [], "usage": used})))
    return [*frames, frame(DONE)]


def _pieces(place: int, text: str, plan: Plan, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (_choice(place, piece, given, finished=None) for piece in portions(text))
    yield _choice(place, "", given, finished=_finished(plan))
