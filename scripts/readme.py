"""Writes the tables of the README and of docs/ that are made from the code, between their markers.

`python scripts/readme.py` writes them, `--check` only tells what is out of date and exits 1.
"""

import argparse
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

import halley
from halley.api.answer_routes import render_anthropic, render_gemini
from halley.api.errors import openai_status as own_status
from halley.api.routes import table
from halley.api.websocket import PATH as REALTIME_PATH
from halley.catalogue import Catalogue, load_catalogue
from halley.catalogue.units import METERS
from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.kernel.money import MILLION, dollars
from halley.kernel.operation import KINDS, Kind, Operation
from halley.tasks.states import MOVES, TaskState, ended
from halley.vendors import load_vendors
from halley.vendors.contract import Answer, Dialect, Vendor
from halley.wire.openai.errors import openai_status

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, a script finds only its own folder
from scripts import compatibility  # noqa: E402 - not on the path before

NOT_IMPORTED = re.compile(r"\.(__main__|migrations|testing)(\.|$)")
PUBLIC = ("halley.kernel.", "halley.api.", "halley.pipeline.")
GENERAL = frozenset({faults.CallerFault})
"""Never raised itself; what is below it shares its code."""
REQUEST_ID = "req_…"
FIELD = "prompt"
YES = "yes"
KIND_NAMES: Mapping[Kind, str] = {
    Kind.CHAT: "chat",
    Kind.COMPLETION: "completion",
    Kind.EMBEDDING: "embeddings",
    Kind.IMAGE: "images",
    Kind.SPEECH: "speech",
    Kind.TRANSCRIPTION: "transcription",
    Kind.MODERATION: "moderation",
    Kind.RERANK: "reranking",
    Kind.REALTIME: "realtime",
}
CHATS: Mapping[Operation, str] = {
    Operation.CHAT: "chat",
    Operation.RESPONSES: "responses",
    Operation.MESSAGES: "messages",
    Operation.CONTENT: "content",
}
OPERATIONS_SHOWN: Mapping[Kind, Iterable[Operation]] = {Kind.CHAT: tuple(CHATS)}


def sentence() -> str:
    """The one sentence, with the number of models that can be asked for today."""
    count = len(load_catalogue(load_vendors().values()).models)
    return (
        f"**Halley is a self-hosted gateway to AI models: one key for {count} models that chat, embed, draw, speak and "
        "listen, in the formats of OpenAI, Anthropic, Gemini, Flux and Replicate, whichever vendor is behind; each "
        "call is held before it is made, charged once, and costs nothing if nothing came of it.**\n"
    )


def formats() -> str:
    """Which kinds of models can be asked in which format."""
    counts = _counts(load_catalogue(load_vendors().values()))
    lines = ["| models for | number | OpenAI | Anthropic | Gemini | Flux, Replicate |", "|---|---|---|---|---|---|"]
    for kind in Kind:
        cells = " | ".join(_calls(kind, family) for family in ("openai", "anthropic", "gemini"))
        tasks = "tasks" if kind is Kind.IMAGE else ""
        lines.append(f"| {KIND_NAMES[kind]} | {counts[kind]} | {cells} | {tasks} |")
    return _text(lines)


def routes() -> str:
    """Every public route, in the order of the route table."""
    lines = ["| | request | what it does |", "|---|---|---|"]
    last = ""
    for entry in table(_dialects(load_vendors())):
        tag = "" if entry.tag == last else f"**{entry.tag}**"
        lines.append(f"| {tag} | `{entry.method} {entry.path}` | {entry.route.summary} |")
        last = entry.tag
    lines.append(f"| **Websocket** | `GET {REALTIME_PATH}` | A realtime session: text and sound both ways |")
    return _text(lines)


def vendors_table() -> str:
    """Which vendors there are, what opens a channel to them, and what they can do."""
    found = load_vendors()
    catalogue = load_catalogue(found.values())
    columns = [kind for kind in Kind if any(_serves(vendor, kind) for vendor in found.values())]
    heads = " | ".join(KIND_NAMES[kind] for kind in columns)
    lines = [f"| vendor | key in the environment | models | {heads} |", "|---|---|---|" + "---|" * len(columns)]
    for vendor in found.values():
        names = ", ".join(f"`{name}`" for name in vendor.environment)
        cells = " | ".join(_serves(vendor, kind) for kind in columns)
        lines.append(f"| `{vendor.name}` ({vendor.title}) | {names} | {_count(catalogue, vendor)} | {cells} |")
    return _text(lines)


def models() -> str:
    """Every model with its seed price, by what it is for."""
    catalogue = load_catalogue(load_vendors().values())
    lines: list[str] = []
    for kind in Kind:
        views = [view for view in catalogue.views() if view.kind == kind]
        lines += [f"## For {KIND_NAMES[kind]}", "", "| model | also called | what it is | price | vendors |"]
        lines.append("|---|---|---|---|---|")
        for view in views:
            rows = catalogue.models[view.id]
            home = next(row for row in rows.values() if row.price)
            # What the other tools of a vendor cost is the same for all of its chat models.
            price = {key: each for key, each in home.price.items() if key not in home.tools or key == "web_search"}
            aliases = ", ".join(f"`{alias}`" for alias in view.aliases)
            vendors = ", ".join(f"`{name}`" for name in rows)
            lines.append(f"| `{view.id}` | {aliases} | {view.description} | {_price(price)} | {vendors} |")
        lines.append("")
    return _text(lines[:-1])


def states() -> str:
    """The states of a task and the moves between them."""
    meaning = {
        TaskState.SUBMITTING: "row and hold are on disk; the vendor may or may not have been called",
        TaskState.RUNNING: "the vendor took it and gave it an id",
        TaskState.UNKNOWN: "the vendor may have taken it, or stopped saying what became of it; never sent again",
        TaskState.SUCCEEDED: "its outputs are in our store and its price is posted",
        TaskState.FAILED: "it made nothing; the hold is voided",
        TaskState.CANCELLED: "the vendor confirmed the cancel; the hold is voided",
    }
    lines = ["| state | what it means | may become |", "|---|---|---|"]
    for state in TaskState:
        to = ", ".join(f"`{other}`" for other in TaskState if other in MOVES[state])
        lines.append(f"| `{state}` | {meaning[state]} | {'nothing: it has ended' if ended(state) else to} |")
    return _text(lines)


def fault_codes() -> str:
    """Every fault that a caller can meet, with its status in each format."""
    renders = _renders()
    heads = " | ".join(f"`{name}`" for name in renders)
    lines = [
        f"| code | type | our own `/v1` | OpenAI | {heads} | again? | when |",
        "|---|---|---|---|" + "---|" * len(renders) + "---|---|",
    ]
    for kind in _kinds(public=True):
        columns = " | ".join(_status(kind, render) for render in renders.values())
        again = "yes" if kind.may_retry else "no"
        lines.append(
            f"| `{kind.code}` | `{kind.type}` | {own_status(kind)} | {openai_status(kind)} | {columns} | {again} |"
            f" {_words(kind)} |"
        )
    return _text(lines)


def operator_codes() -> str:
    """The faults that only an operator's command can meet."""
    lines = ["| code | when |", "|---|---|"]
    lines += [f"| `{kind.code}` | {_words(kind)} |" for kind in _kinds(public=False)]
    return _text(lines)


SECTIONS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"sentence": sentence, "formats": formats, "routes": routes, "vendors": vendors_table},
    "docs/reference/models.md": {"models": models},
    "docs/reference/compatibility.md": {
        "endpoints": compatibility.endpoints,
        **{f"orders {each}": partial(compatibility.orders, each) for each in compatibility.TITLES},
        "answers": compatibility.answers,
        "stops": compatibility.stops,
        "efforts": compatibility.efforts,
        "hints": compatibility.hints,
    },
    "docs/dev/tasks.md": {"states": states},
    "docs/dev/api-errors.md": {"faults": fault_codes, "operator-faults": operator_codes},
}


def renewed(path: str, text: str) -> str:
    """Give a page with its sections written anew. Raises `ValueError` for a marker that is missing."""
    for name, write in SECTIONS[path].items():
        begin, end = f"<!-- made: {name} -->\n", "<!-- /made -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{path} lacks `{begin.strip()}` … `{end}`")
        text = f"{head}{begin}\n{write()}\n{end}{tail}"
    return text


def stale() -> Iterator[tuple[Path, str]]:
    """Give the pages that are out of date, with what they should say."""
    for path in SECTIONS:
        page = ROOT / path
        text = page.read_text()
        new = renewed(path, text)
        if new != text:
            yield page, new


def _counts(catalogue: Catalogue) -> Counter[str]:
    return Counter(view.kind for view in catalogue.views())


def _calls(kind: Kind, family: str) -> str:
    """The calls of a family that models of this kind answer, by their own names."""
    found = [each for each in Operation if KINDS[each] is kind and each.dialect == family]
    return ", ".join(f"`{each.value.partition('.')[2]}`" for each in found)


def _serves(vendor: Vendor, kind: Kind) -> str:
    """How a vendor is called for a kind of models; empty where it is not."""
    paths: Iterable[Operation] = vendor.answers.paths if vendor.answers else ()
    found = [each for each in OPERATIONS_SHOWN.get(kind, ()) if each in paths]
    if kind is Kind.CHAT:
        return ", ".join(CHATS[each] for each in found)
    if found or any(KINDS[each] is kind for each in paths):
        return YES
    return "tasks" if kind is Kind.IMAGE and vendor.tasks is not None else ""


def _count(catalogue: Catalogue, vendor: Vendor) -> str:
    count = sum(vendor.name in rows for rows in catalogue.models.values())
    if vendor.answers is None or not vendor.any_model:
        return str(count)
    return f"{count} and any other" if count else "any"


def _price(meters: Mapping[str, int]) -> str:
    """Spell the prices that hold without a condition, and name the conditions under which others do."""
    plain = [f"{dollars(price * METERS[key] // MILLION)} per {key}" for key, price in meters.items() if "@" not in key]
    others = dict.fromkeys(key.partition("@")[2] for key in meters if "@" in key)
    if not others:
        return ", ".join(plain)
    return f"{', '.join(plain)}; others where {', '.join(f'`{each}`' for each in others)}"


def _dialects(vendors: Mapping[str, Vendor]) -> dict[str, Dialect]:
    return {vendor.dialect.name: vendor.dialect for vendor in vendors.values() if vendor.dialect is not None}


def _renders() -> dict[str, Callable[[Fault, str], Answer]]:
    """How each format but OpenAI's shows a fault."""
    tasks = {name: each.render_fault for name, each in _dialects(load_vendors()).items() if name != "openai"}
    return {"anthropic": render_anthropic, "gemini": render_gemini, **tasks}


def _status(kind: type[Fault], render: Callable[[Fault, str], Answer]) -> str:
    """A format may answer another status when a field is named."""
    if issubclass(kind, faults.NotAllowed):
        return str(render(kind("…", allow=()), REQUEST_ID).status)
    found = dict.fromkeys(str(render(kind("…", param=param), REQUEST_ID).status) for param in (None, FIELD))
    return ", with a field ".join(found)


def _kinds(*, public: bool) -> Iterable[type[Fault]]:
    """Give our faults, one for each code and status, the more general ones first."""
    for module in pkgutil.walk_packages(halley.__path__, "halley."):
        if not NOT_IMPORTED.search(module.name):
            import_module(module.name)
    found: dict[tuple[str, int], type[Fault]] = {}
    for kind in _below(Fault):
        if kind.__module__.startswith("halley.") and kind not in GENERAL:
            found.setdefault((kind.code, kind.status), kind)
    return [kind for kind in found.values() if kind.__module__.startswith(PUBLIC) is public]


def _below(kind: type[Fault]) -> Iterator[type[Fault]]:
    for child in sorted(kind.__subclasses__(), key=lambda each: (each.status, each.__name__)):
        yield child
        yield from _below(child)


def _words(kind: type[Fault]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].replace("|", "\\|")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write, or only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    only_compare = parser.parse_args().check
    pages = list(stale())
    for page, text in pages:
        print(
            f"{page.relative_to(ROOT)}: {'out of date, run `python scripts/readme.py`' if only_compare else 'written'}"
        )
        if not only_compare:
            page.write_text(text)
    return int(only_compare and bool(pages))


if __name__ == "__main__":
    sys.exit(main())
