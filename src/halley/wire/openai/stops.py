"""Why an answer ended, in the words of chat completions."""

from collections.abc import Mapping

from halley.kernel.chat import StopReason

READ: Mapping[str, StopReason] = {
    "stop": StopReason.END,
    "length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOLS,
    "function_call": StopReason.TOOLS,
    "content_filter": StopReason.FILTERED,
    # Words of vendors that are close to OpenAI's format.
    "max_tokens": StopReason.LENGTH,
    "model_length": StopReason.LENGTH,
    "sensitive": StopReason.FILTERED,
    "safety": StopReason.FILTERED,
    "tool_use": StopReason.TOOLS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSED,
}
BROKEN = frozenset(("error", "network_error", "insufficient_system_resource", "abort", "aborted"))
"""The vendor broke off: no answer."""

WRITTEN: Mapping[StopReason, str] = {
    StopReason.END: "stop",
    StopReason.LENGTH: "length",
    StopReason.TOOLS: "tool_calls",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.FILTERED: "content_filter",
    StopReason.REFUSED: "content_filter",
    StopReason.PAUSED: "stop",
}


def read_stop(word: str | None, *, calls: bool, refused: bool) -> StopReason:
    """Say why an answer ended. Raises `ValueError` when the vendor broke off.

    A word that is not known is read as an end like any other (`eos`). Some vendors say `stop` behind tool calls.
    """
    if word in BROKEN:
        raise ValueError(f"the vendor broke off its answer (finish_reason `{word}`)")
    reason = READ.get(word or "", StopReason.END)
    if reason is not StopReason.END:
        return reason
    if calls:
        return StopReason.TOOLS
    return StopReason.REFUSED if refused else StopReason.END


def write_stop(reason: StopReason, *, refused: bool) -> str:
    """Give the word; a refusal in the model's own words is an end like any other, as with OpenAI."""
    return "stop" if refused and reason is StopReason.REFUSED else WRITTEN[reason]
