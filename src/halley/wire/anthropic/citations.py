"""What texts cite, in this format: each block names the pages that the whole of it rests on.

https://platform.claude.com/docs/en/build-with-claude/citations
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import msgspec

from halley.kernel.chat import Citation
from halley.kernel.loose import as_list, as_object, as_text

CITATIONS_MAX = 512
"""Of one block; what comes behind them is passed over."""

Json = dict[str, Any]


def read_citations(citations: Any, start: int, end: int) -> Iterator[Citation]:
    """Read what a block cites whose text goes from `start` to `end` of the answer; a place in a document has no URL."""
    for each in map(as_object, as_list(citations)[:CITATIONS_MAX]):
        url = as_text(each.get("url")) or as_text(each.get("source"))
        if url.startswith(("https://", "http://")):
            title, quote = as_text(each.get("title")) or None, as_text(each.get("cited_text"))
            yield Citation(url=url, title=title, start=start, end=end, quote=quote)


def write_citation(citation: Citation) -> Json:
    """Write one as of a search; the index, which only the vendor could seal, is empty."""
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.quote,
        "encrypted_index": "",
    }


def settled(citations: Iterable[Citation], length: int) -> list[Citation]:
    """Give each at least one character of an answer of this length: no block can cite for nothing."""
    starts = [(min(each.start, length - 1), each) for each in citations if length]
    return [msgspec.structs.replace(each, start=start, end=max(each.end, start + 1)) for start, each in starts]


def cut(text: str, start: int, citations: Iterable[Citation]) -> Iterator[tuple[str, list[Citation]]]:
    """Cut a text that begins at `start` of the answer where citations begin or end: each piece with what it cites."""
    end = start + len(text)
    own = [each for each in citations if each.start < end and each.end > start][:CITATIONS_MAX]
    edges = {start, end, *(max(each.start, start) for each in own), *(min(each.end, end) for each in own)}
    for left, right in pairwise(sorted(edges)):
        cited = [each for each in own if each.start < right and each.end > left]
        yield text[left - start : right - start], cited
