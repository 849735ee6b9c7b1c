"""Citations as OpenAI's formats and their relatives write them: `url_citation` beside a text, or a list of sources."""

from collections.abc import Iterator
from typing import Any

from halley.kernel.chat import Citation
from halley.kernel.loose import as_list, as_object, as_text

NOTES_MAX = 512
"""Of one text; what comes behind them is passed over."""


def read_notes(notes: Any, length: int, offset: int = 0) -> Iterator[Citation]:
    """Read what a text of this length notes, which begins at `offset` of the answer; notes on files have no URL."""
    for note in map(as_object, as_list(notes)[:NOTES_MAX]):
        fields = as_object(note.get("url_citation")) or note
        if url := as_text(fields.get("url")):
            start = _within(fields.get("start_index"), 0, length)
            end = _within(fields.get("end_index"), length, length)
            title = as_text(fields.get("title")) or None
            yield Citation(url=url, title=title, start=offset + start, end=offset + max(start, end))


def sources_of(body: dict[str, Any]) -> list[Any]:
    """The pages that some vendors name beside a whole answer, with their titles or without."""
    return as_list(body.get("search_results")) or [{"url": url} for url in as_list(body.get("citations"))]


def chat_note(citation: Citation) -> dict[str, Any]:
    """One annotation in chat completions."""
    return {"type": "url_citation", "url_citation": _fields(citation, 0)}


def response_note(citation: Citation, offset: int) -> dict[str, Any]:
    """One annotation in responses, of a text that begins at `offset` of the answer."""
    return {"type": "url_citation", **_fields(citation, offset)}


def _fields(citation: Citation, offset: int) -> dict[str, Any]:
    start = max(citation.start - offset, 0)
    return {
        "start_index": start,
        "end_index": max(citation.end - offset, start),
        "title": citation.title or "",
        "url": citation.url,
    }


def _within(value: Any, otherwise: int, length: int) -> int:
    """A place in a text of this length."""
    return min(max(value, 0), length) if isinstance(value, int) else otherwise
