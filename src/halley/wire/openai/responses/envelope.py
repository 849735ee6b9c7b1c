"""The response object around the output: what it repeats of the request, its status and its usage."""

from typing import Any

from halley.kernel.chat import ChatUsage, StopReason
from halley.kernel.loose import as_object
from halley.wire.contract import AnswerFacts
from halley.wire.openai.responses.ids import response_id
from halley.wire.openai.usage import write_responses_usage

COMPLETED, INCOMPLETE, FAILED, IN_PROGRESS = "completed", "incomplete", "failed", "in_progress"
REASONS = {StopReason.LENGTH: "max_output_tokens", StopReason.FILTERED: "content_filter"}

# What a response repeats of its request, with OpenAI's values for what was not sent.
_REPEATED: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


class Ending:
    """How a response ends: its status, and the reason of one that is not complete."""

    def __init__(self, stop: StopReason, *, refused: bool) -> None:
        # A refusal in the model's own words is complete; one without is the vendor's filter.
        known = StopReason.FILTERED if stop is StopReason.REFUSED and not refused else stop
        self.reason = REASONS.get(known)
        self.status = COMPLETED if self.reason is None else INCOMPLETE

    @property
    def details(self) -> dict[str, str] | None:
        return None if self.reason is None else {"reason": self.reason}


def envelope(facts: AnswerFacts, status: str, output: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The whole object; `fields` replaces what is null otherwise (`error`, `incomplete_details`, `usage`)."""
    asked = {name: usual if facts.body.get(name) is None else facts.body[name] for name, usual in _REPEATED.items()}
    if asked["service_tier"] == "auto":
        asked["service_tier"] = "default"
    return {
        "id": response_id(facts),
        "object": "response",
        "created_at": facts.created_s,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": facts.model,
        "output": output,
        **asked,
        "reasoning": {"effort": None, "summary": None, **as_object(facts.body.get("reasoning"))},
        "text": {"format": {"type": "text"}, "verbosity": "medium", **as_object(facts.body.get("text"))},
        "usage": None,
        **fields,
    }


def usage_field(usage: ChatUsage | None) -> dict[str, Any] | None:
    return None if usage is None else write_responses_usage(usage)
