"""Fields of a content order that change nothing in the answer, so that other formats may do without them."""

from collections.abc import Mapping

HINTS: Mapping[str, str] = {
    "labels": "names by which the owner's bill is sorted",
    "redacted thoughts": "a thought that nobody may read can be handed back only to the vendor that thought it",
    "detail of an image": "how closely to look; this format looks as closely as its model does",
    "response_format.json_schema.name": "a label of the schema",
    "tools[].functionDeclarations[].behavior": "only `BLOCKING`, which holds without it",
    "tools[].functionDeclarations[].response": "what the function will give: the model reads it when it is there",
    "tools[].functionDeclarations[].responseJsonSchema": "the same; `google-genai` sends it for each Python function",
}
"""Name → why. The compatibility page is made from it."""

DECLARED = frozenset(("response", "responseJsonSchema"))
"""Those of a function's declaration."""
TOP = frozenset(("labels",))
"""Those that are fields of the body and hints whatever they hold."""
