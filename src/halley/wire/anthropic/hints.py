"""Fields of a message order that change nothing in the answer, so that other formats may do without them."""

from collections.abc import Mapping

HINTS: Mapping[str, str] = {
    "cache_control": "says where a prompt may be cached: that changes the price, never the answer",
    "diagnostics": "asks why a prompt's cache was missed",
    "metadata": "holds `user_id`, an opaque id of the end user against abuse",
    "service_tier": "`auto` and `standard_only` say which capacity the vendor may use",
    "context_management": "only where each edit keeps everything (`clear_thinking` with `keep: all`)",
    "tools[].eager_input_streaming": "says how finely arguments are streamed",
    "messages[].content[].caller": "only `direct`, which says that the model itself called",
    "citations of earlier answers": "they are made by the vendor, not read by its model",
    "thinking blocks without a signature": "a thought can be handed back only with its proof",
    "detail of an image": "how closely to look; this format always looks closely",
    "response_format.json_schema.name": "a label of the schema",
}
"""Name → why. The compatibility page is made from it."""

TOP = frozenset(("cache_control", "diagnostics", "metadata"))
"""Those that are fields of the body and hints whatever they hold."""
