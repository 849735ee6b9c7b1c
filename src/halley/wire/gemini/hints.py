"""Fields of a content order that change nothing in the answer, so that other formats may do without them."""

from collections.abc import Mapping

HINTS: Mapping[str, str] = {
    "labels": "names by which the owner's bill is sorted",
    "redacted thoughts": "a thought that nobody may read can be handed back only to the vendor that thought it",
    "detail of an image": "how closely to look; this format looks as closely as its model does",
    "response_format.json_schema.name": "a label of the schema",
    "tools[].functionDeclarations[].behavior": "only `BLOCKING`, which holds without it",
}
"""Name → why. The compatibility page is made from it."""

TOP = frozenset(("labels",))
"""Those that are fields of the body and hints whatever they hold."""
