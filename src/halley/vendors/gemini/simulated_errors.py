"""How the simulated vendor says no: `google.rpc` statuses with their details."""

from collections.abc import Mapping
from typing import Any

from halley.vendors.simulate import Outcome, Refusal, Reply, json_reply

RETRY_AFTER_S = 1
_DOMAIN = "type.googleapis.com/google.rpc"
_WORDS: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def error_object(status: int, message: str, *, details: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """The whole body of an error."""
    error: dict[str, Any] = {"code": status, "message": message, "status": _WORDS.get(status, "UNKNOWN")}
    return {"error": error | ({"details": list(details)} if details else {})}


def problem(status: int, message: str, *, details: tuple[dict[str, Any], ...] = ()) -> Reply:
    """An error as the vendor answers it."""
    return json_reply(error_object(status, message, details=details), status=status)


def invalid(message: str) -> Refusal:
    """A 400 to raise."""
    return Refusal(problem(400, message))


def unknown_name(name: str, where: str) -> Refusal:
    """A field that the vendor does not know, to raise."""
    place = f' at "{where}"' if where else ""
    message = f'Invalid JSON payload received. Unknown name "{name[:80]}"{place}: Cannot find field.'
    violation = {"field": where, "description": message}
    details = {"@type": f"{_DOMAIN}.BadRequest", "fieldViolations": [violation]}
    return Refusal(problem(400, message, details=(details,)))


NO_KEY = problem(
    403,
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API.",
)
BAD_KEY = problem(
    400,
    "API key not valid. Please pass a valid API key.",
    details=(
        {
            "@type": f"{_DOMAIN}.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
    ),
)
OVERLOADED = problem(503, "The model is overloaded. Please try again later.")
"""What an ordered error frame is for an answer that is no stream."""
REFUSED_BY_ORDER: Mapping[Outcome, Reply] = {
    Outcome.VENDOR_ERROR: problem(500, "An internal error has occurred. Please retry."),
    Outcome.INVALID: problem(400, "* GenerateContentRequest.contents: refused as the test ordered\n"),
    Outcome.UNAUTHORIZED: BAD_KEY,
    Outcome.OUT_OF_CREDIT: problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        details=(
            {
                "@type": f"{_DOMAIN}.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
            },
        ),
    ),
    Outcome.RATE_LIMITED: problem(
        429,
        f"Resource has been exhausted (e.g. check quota). Please retry in {RETRY_AFTER_S}s.",
        details=(
            {
                "@type": f"{_DOMAIN}.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
            },
            {"@type": f"{_DOMAIN}.RetryInfo", "retryDelay": f"{RETRY_AFTER_S}s"},
        ),
    ),
}
