"""Reads the documents: pages, their links, headings and fenced blocks."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
NOTES = "src/halley/vendors/*/NOTES.md"
PAGES = tuple(sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(NOTES)}))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")


class Fence(msgspec.Struct, frozen=True):
    """A fenced block: its language, the words behind it, and what stands in it."""

    language: str
    words: tuple[str, ...]
    code: str


def fences(page: Path) -> list[Fence]:
    """List the blocks of a page."""
    found = [(match["info"].split(), match["code"]) for match in _FENCE.finditer(page.read_text())]
    return [Fence(info[0] if info else "", tuple(info[1:]), code) for info, code in found]


def prose(page: Path) -> str:
    """Give a page without its blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """List where the links of a page lead."""
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub spells them."""
    return {_slug(match["text"]) for match in _HEADING.finditer(prose(page))}


def code_of(page: Path) -> Iterator[str]:
    """Give everything that a page sets as code."""
    yield from (fence.code for fence in fences(page))
    yield from _SPAN.findall(prose(page))


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
