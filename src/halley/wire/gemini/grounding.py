"""What answers cite, in this format: a list of pages, and which bytes of which part rest on which of them.

https://ai.google.dev/gemini-api/docs/google-search
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from halley.kernel.chat import Citation
from halley.kernel.loose import as_list, as_object, as_text

SUPPORTS_MAX = 512
"""Of one answer, and pages of one; what comes behind them is passed over."""

Json = dict[str, Any]


def read_grounding(metadata: Json, texts: Mapping[int, str]) -> Iterator[Citation]:
    """Read what an answer cites; `texts` are its texts by the number of their part. Pages alone are for all of it."""
    pages = [as_object(as_object(each).get("web")) for each in as_list(metadata.get("groundingChunks"))[:SUPPORTS_MAX]]
    supports = [as_object(each) for each in as_list(metadata.get("groundingSupports"))[:SUPPORTS_MAX]]
    if not supports:
        length = sum(map(len, texts.values()))
        yield from (citation for page in pages for citation in _cited(page, 0, length))
    for support in supports:
        start, end = _place(as_object(support.get("segment")), texts)
        for index in as_list(support.get("groundingChunkIndices")):
            if isinstance(index, int) and 0 <= index < len(pages):
                yield from _cited(pages[index], start, end)


def _cited(page: Json, start: int, end: int) -> Iterator[Citation]:
    if url := as_text(page.get("uri")):
        yield Citation(url=url, title=as_text(page.get("title")) or None, start=start, end=end)


def _place(segment: Json, texts: Mapping[int, str]) -> tuple[int, int]:
    """Turn bytes of a part into characters of the answer; a vendor leaves out what is 0."""
    number = segment.get("partIndex")
    part = number if isinstance(number, int) and number in texts else min(texts, default=0)
    before = sum(len(text) for index, text in texts.items() if index < part)
    data = texts.get(part, "").encode()
    start = _characters(data, segment.get("startIndex"), 0)
    end = _characters(data, segment.get("endIndex"), len(data))
    return before + start, before + max(start, end)


def _characters(data: bytes, place: Any, otherwise: int) -> int:
    bytes_before = place if isinstance(place, int) and place >= 0 else otherwise
    return len(data[:bytes_before].decode(errors="ignore"))


def write_grounding(citations: Sequence[Citation], texts: Mapping[int, str]) -> Json:
    """Write what an answer cites; `texts` are its texts by the number of their part."""
    pages = list(dict.fromkeys((each.url, each.title) for each in citations))
    written = [{"web": {"uri": url, **({} if title is None else {"title": title})}} for url, title in pages]
    supports = [
        {"segment": _segment(each, texts), "groundingChunkIndices": [pages.index((each.url, each.title))]}
        for each in citations
    ]
    return {"groundingChunks": written, "groundingSupports": supports}


def _segment(citation: Citation, texts: Mapping[int, str]) -> Json:
    """Find the part in which it begins, or the last one; no segment goes beyond its part."""
    before, part, text = 0, 0, ""
    for number, each in texts.items():
        before, part, text = before + len(text), number, each
        if citation.start < before + len(text):
            break
    start = min(max(citation.start - before, 0), len(text))
    cited = text[start : max(citation.end - before, start)]
    first = len(text[:start].encode())
    place = {} if part == 0 else {"partIndex": part}
    return {**place, "startIndex": first, "endIndex": first + len(cited.encode()), "text": cited}
