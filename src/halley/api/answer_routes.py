"""The routes of calls that are answered at once, by dialect."""

from collections.abc import Callable, Mapping
from typing import Any

from halley.api.call import Entry, RenderFault
from halley.api.endpoints import answers, images, responses
from halley.api.errors import render_anthropic, render_gemini
from halley.kernel.faults import Fault
from halley.kernel.operation import Operation
from halley.vendors.contract import Action, Answer, Route
from halley.wire.openai.errors import render_fault as openai_fault

OPENAI, ANTHROPIC, GEMINI = "OpenAI", "Anthropic", "Gemini"
_HELLO = [{"role": "user", "content": "Say hello in one word"}]


def render_openai(fault: Fault, request_id: str) -> Answer:
    """Show a fault in OpenAI's shape."""
    return _rendered(openai_fault, fault, request_id)


def answer_entries() -> tuple[Entry, ...]:
    """Build the entries."""
    openai = (_entry(path, operation, OPENAI, render_openai) for operation, path in OPENAI_PATHS.items())
    anthropic = (_entry(path, operation, ANTHROPIC, render_anthropic) for operation, path in ANTHROPIC_PATHS.items())
    gemini = (_content(f"/{version}/models/{{call}}", listed=version == "v1beta") for version in ("v1beta", "v1"))
    return (*openai, *_responses(), *anthropic, *gemini)


OPENAI_PATHS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETION: "/v1/completions",
    Operation.RESPONSES: "/v1/responses",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.IMAGES: "/v1/images/generations",
    Operation.IMAGE_EDITS: "/v1/images/edits",
    Operation.IMAGE_VARIATIONS: "/v1/images/variations",
    Operation.SPEECH: "/v1/audio/speech",
    Operation.TRANSCRIPTION: "/v1/audio/transcriptions",
    Operation.TRANSLATION: "/v1/audio/translations",
    Operation.MODERATION: "/v1/moderations",
    Operation.RERANK: "/v1/rerank",
}
ANTHROPIC_PATHS: Mapping[Operation, str] = {
    Operation.MESSAGES: "/v1/messages",
    Operation.MESSAGES_COUNT: "/v1/messages/count_tokens",
}
IMAGES = frozenset((Operation.IMAGES, Operation.IMAGE_EDITS, Operation.IMAGE_VARIATIONS))
_SUMMARIES: Mapping[Operation, str] = {
    Operation.CHAT: "Chat: text, images, sound and files in, text and tool calls out, streamed or not",
    Operation.COMPLETION: "Complete a text",
    Operation.RESPONSES: "Chat, in the form of the Responses API",
    Operation.EMBEDDINGS: "Turn text into vectors",
    Operation.IMAGES: "Generate pictures, by any model for images",
    Operation.IMAGE_EDITS: "Edit pictures",
    Operation.IMAGE_VARIATIONS: "Vary a picture",
    Operation.SPEECH: "Speak a text",
    Operation.TRANSCRIPTION: "Write down what is said",
    Operation.TRANSLATION: "Write down in English what is said",
    Operation.MODERATION: "Judge whether a text or picture is harmful",
    Operation.RERANK: "Order documents by how well they answer a query",
    Operation.MESSAGES: "Chat, in the form of the Messages API",
    Operation.MESSAGES_COUNT: "Count the tokens of a chat",
}
_EXAMPLES: Mapping[Operation, Mapping[str, Any]] = {
    Operation.CHAT: {"model": "gpt-5.4-mini", "messages": _HELLO},
    Operation.COMPLETION: {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello", "max_tokens": 16},
    Operation.RESPONSES: {"model": "gpt-5.4-mini", "input": "Say hello in one word"},
    Operation.EMBEDDINGS: {"model": "text-embedding-3-small", "input": "a red fox"},
    Operation.IMAGES: {"model": "gpt-image-1", "prompt": "a red fox", "size": "1024x1024"},
    Operation.IMAGE_EDITS: {"model": "gpt-image-1", "prompt": "a red hat", "image": "picture.png"},
    Operation.IMAGE_VARIATIONS: {"model": "dall-e-2", "image": "picture.png"},
    Operation.SPEECH: {"model": "gpt-4o-mini-tts", "input": "Hello", "voice": "alloy"},
    Operation.TRANSCRIPTION: {"model": "whisper-1", "file": "speech.wav"},
    Operation.TRANSLATION: {"model": "whisper-1", "file": "speech.wav"},
    Operation.MODERATION: {"model": "omni-moderation-latest", "input": "a red fox"},
    Operation.RERANK: {"model": "qwen3-reranker-8b", "query": "a red fox", "documents": ["a fox", "a lighthouse"]},
    Operation.MESSAGES: {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": _HELLO},
    Operation.MESSAGES_COUNT: {"model": "claude-sonnet-4-6", "messages": _HELLO},
}


def _entry(path: str, operation: Operation, tag: str, render: RenderFault) -> Entry:
    route = Route(
        method="POST",
        path=path,
        action=Action.ANSWER,
        operation=operation,
        summary=_SUMMARIES[operation],
        example=_EXAMPLES.get(operation),
    )
    handler = images.draw if operation in IMAGES else answers.relay
    return Entry(route=route, handler=handler, render_fault=render, tag=tag)


def _responses() -> tuple[Entry, ...]:
    """What can be done with a response that is kept, whichever vendor made it."""
    path = f"{OPENAI_PATHS[Operation.RESPONSES]}/{{id}}"
    include = "What more to show: only what was asked for when the response was made is there"
    fetching = Route(
        method="GET",
        path=path,
        action=Action.FETCH,
        summary="Fetch a response that was kept; they are for 30 days, unless made with `store: false`",
        query={"include": include, "stream": "`false`: the events of a response are not kept"},
    )
    deleting = Route(
        method="DELETE", path=path, action=Action.FETCH, summary="Delete a response, here and at its vendor"
    )
    cancelling = Route(
        method="POST",
        path=f"{path}/cancel",
        action=Action.FETCH,
        summary="Cancel a response; 400, for none is made in the background",
    )
    listing = Route(
        method="GET",
        path=f"{path}/input_items",
        action=Action.LIST,
        summary="List what a response was made from, with what was said before it",
        query={
            "limit": "How many at most",
            "order": "`desc`, the newest first, or `asc`",
            "after": "Go on after the item of this id",
            "include": include,
        },
    )
    handlers = (
        (fetching, responses.fetch),
        (deleting, responses.delete),
        (cancelling, responses.cancel),
        (listing, responses.input_items),
    )
    return tuple(
        Entry(route=route, handler=handler, render_fault=render_openai, tag=OPENAI) for route, handler in handlers
    )


def _content(path: str, *, listed: bool) -> Entry:
    verbs = ", ".join(f"`:{verb}`" for verb in answers.VERBS)
    route = Route(
        method="POST",
        path=path,
        action=Action.ANSWER,
        summary=f"Chat, count or embed: `call` is the model followed by {verbs}",
        query={"alt": "`sse` streams events; without it a stream is one JSON array"},
        example={"contents": [{"role": "user", "parts": [{"text": "Say hello in one word"}]}]},
        example_path=path.replace("{call}", "gemini-2.5-flash:generateContent"),
    )
    return Entry(route=route, handler=answers.relay_content, render_fault=render_gemini, tag=GEMINI, listed=listed)


def _rendered(render: Callable[[Fault, str], tuple[int, dict[str, Any]]], fault: Fault, request_id: str) -> Answer:
    status, body = render(fault, request_id)
    return Answer(status=status, body=body)
