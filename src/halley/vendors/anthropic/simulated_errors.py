"""How the simulated vendor says no: its error object, types, statuses and headers."""

from collections.abc import Mapping

import msgspec

from halley.vendors.simulate import Headers, Outcome, Refusal, Reply, json_reply

RETRY_AFTER_S = 1
OVERLOADED_STATUS = 529
_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    OVERLOADED_STATUS: "overloaded_error",
}


def problem(status: int, message: str, *, headers: Headers = ()) -> Reply:
    """An error as the vendor answers it; `named` gives it its request id."""
    error = {"type": _TYPES.get(status, "api_error"), "message": message}
    return json_reply({"type": "error", "error": error}, status=status, headers=headers)


def named(reply: Reply, request_id: str) -> Reply:
    """The error with the id of its request, in its body and as a header."""
    body = msgspec.json.decode(reply.body, type=dict[str, object]) | {"request_id": request_id}
    headers = (*reply.headers, ("request-id", request_id))
    return msgspec.structs.replace(reply, body=msgspec.json.encode(body), headers=headers)


def invalid(message: str) -> Refusal:
    """A 400 to raise."""
    return Refusal(problem(400, message))


def missing(where: str) -> Refusal:
    """A required field that was not sent, to raise."""
    return invalid(f"{where}: Field required")


REFUSED_BY_ORDER: Mapping[Outcome, Reply] = {
    Outcome.REQUEST_MODERATED: problem(400, "Output blocked by content filtering policy"),
    Outcome.VENDOR_ERROR: problem(500, "Internal server error"),
    Outcome.INVALID: problem(400, "messages: refused as the test ordered"),
    Outcome.UNAUTHORIZED: problem(401, "invalid x-api-key"),
    Outcome.OUT_OF_CREDIT: problem(
        400,
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    Outcome.RATE_LIMITED: problem(
        429,
        "This request would exceed the rate limit for your organization. Please retry later.",
        headers=(("retry-after", str(RETRY_AFTER_S)), ("anthropic-ratelimit-requests-remaining", "0")),
    ),
}
OVERLOADED = problem(OVERLOADED_STATUS, "Overloaded")
"""What an ordered error frame is for an answer that is no stream."""
