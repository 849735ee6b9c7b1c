"""How the simulated audio and realtime endpoints say no: the vendor's error object, its statuses, codes and headers."""

from collections.abc import Mapping

from halley.vendors.simulate import Directive, Headers, Outcome, Refusal, Reply, json_reply

RETRY_AFTER_S = 1
_KEYS_PAGE = "You can find your API key at https://platform.openai.com/account/api-keys."


def error_object(
    message: str, *, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, str | None]:
    """What stands under `error`."""
    return {"message": message, "type": kind, "param": param, "code": code}


def problem(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    kind: str = "invalid_request_error",
    headers: Headers = (),
) -> Reply:
    """An error as the vendor answers it."""
    error = error_object(message, kind=kind, param=param, code=code)
    return json_reply({"error": error}, status=status, headers=headers)


def invalid(message: str, param: str | None, code: str | None = None) -> Refusal:
    """A 400 to raise."""
    return Refusal(problem(400, message, param=param, code=code))


def missing(param: str) -> Refusal:
    """A required field that was not sent, to raise."""
    return invalid(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def unsupported(value: object, param: str, allowed: tuple[str, ...]) -> Refusal:
    """A value that is none of the allowed ones, to raise."""
    named = ", ".join(f"'{each}'" for each in allowed[:-1]) + f", and '{allowed[-1]}'"
    return invalid(f"Invalid value: '{value}'. Supported values are: {named}.", param, "invalid_value")


def key_of(authorization: str) -> str:
    """The key in the header. Raises `Refusal` if there is none, or one that begins with `bad`."""
    scheme, _, key = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        message = f"You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY`. {_KEYS_PAGE}"
        raise Refusal(problem(401, message))
    if key.strip().startswith("bad"):
        raise Refusal(_wrong_key(key.strip()))
    return key.strip()


def refused_by_order(directive: Directive) -> Reply | None:
    """The error that a test ordered instead of an answer."""
    return _BY_ORDER.get(directive.outcome)


def _wrong_key(key: str) -> Reply:
    shown = key[:3] + "*" * 8
    return problem(401, f"Incorrect API key provided: {shown}. {_KEYS_PAGE}", code="invalid_api_key")


_MODERATED = problem(
    400,
    "Your request was rejected as a result of our safety system.",
    code="content_policy_violation",
)
_BY_ORDER: Mapping[Outcome, Reply] = {
    Outcome.REQUEST_MODERATED: _MODERATED,
    Outcome.CONTENT_MODERATED: _MODERATED,
    Outcome.VENDOR_ERROR: problem(
        500, "The server had an error while processing your request. Sorry about that!", kind="server_error"
    ),
    Outcome.INVALID: invalid("Invalid 'input': refused as the test ordered.", "input", "invalid_value").reply,
    Outcome.UNAUTHORIZED: _wrong_key("bad"),
    Outcome.OUT_OF_CREDIT: problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        kind="insufficient_quota",
        code="insufficient_quota",
    ),
    Outcome.RATE_LIMITED: problem(
        429,
        f"Rate limit reached for requests per min. Please try again in {RETRY_AFTER_S}s.",
        kind="requests",
        code="rate_limit_exceeded",
        headers=(
            ("retry-after", str(RETRY_AFTER_S)),
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", f"{RETRY_AFTER_S}s"),
        ),
    ),
}
