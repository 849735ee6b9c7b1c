"""Writes the tables of the README and of docs/ that are made from the code, between their markers.

`python scripts/readme.py` writes them, `--check` only tells what is out of date and exits 1.
"""

import argparse
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import halley
from halley.api.errors import openai_status
from halley.api.routes import table
from halley.catalogue import load_catalogue
from halley.catalogue.meters import METERS
from halley.kernel import faults
from halley.kernel.faults import Fault
from halley.kernel.money import MILLION, dollars
from halley.tasks.states import MOVES, TaskState, ended
from halley.vendors import load_vendors
from halley.vendors.contract import Dialect, Vendor, tasks_of

ROOT = Path(__file__).resolve().parents[1]
NOT_IMPORTED = re.compile(r"\.(__main__|migrations)(\.|$)")
PUBLIC = ("halley.kernel.", "halley.api.")
GENERAL = frozenset({faults.CallerFault})
"""Never raised itself; what is below it shares its code."""
REQUEST_ID = "req_…"
FIELD = "prompt"


def sentence() -> str:
    """The one sentence, with the number of models that can be ordered today."""
    vendors = load_vendors()
    count = len(load_catalogue(vendors.values()).models)
    formats = " or ".join(dialect.title for dialect in _dialects(vendors).values())
    return (
        f"**Halley is a self-hosted gateway to AI models: one key orders any of {count} image models, in the format of "
        f"{formats}; an accepted order survives a crash, is charged once, and costs nothing if it fails.**\n"
    )


def routes() -> str:
    """Every public route, in the order of the route table."""
    lines = ["| | request | what it does |", "|---|---|---|"]
    last = ""
    for entry in table(_dialects(load_vendors())):
        tag = "" if entry.tag == last else f"**{entry.tag}**"
        lines.append(f"| {tag} | `{entry.method} {entry.path}` | {entry.route.summary} |")
        last = entry.tag
    return _text(lines)


def vendors_table() -> str:
    """Which vendors there are, what opens a channel to them, and what they can do."""
    found = load_vendors()
    catalogue = load_catalogue(found.values())
    lines = ["| vendor | key in the environment | models | beyond order and poll |", "|---|---|---|---|"]
    for vendor in found.values():
        names = ", ".join(f"`{name}`" for name in vendor.environment)
        count = sum(vendor.name in rows for rows in catalogue.models.values())
        lines.append(f"| `{vendor.name}` ({vendor.title}) | {names} | {count} | {_abilities(vendor)} |")
    return _text(lines)


def models() -> str:
    """Every model with its seed price."""
    found = load_vendors()
    catalogue = load_catalogue(found.values())
    lines = ["| model | also called | what it is | price in US dollars | vendors |", "|---|---|---|---|---|"]
    for view in catalogue.views():
        rows = catalogue.models[view.id]
        price = next(row.price for row in rows.values() if row.price)
        aliases = ", ".join(f"`{alias}`" for alias in view.aliases)
        vendors = ", ".join(f"`{name}`" for name in rows)
        lines.append(f"| `{view.id}` | {aliases} | {view.description} | {_price(price)} | {vendors} |")
    return _text(lines)


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
    dialects = _dialects(load_vendors())
    heads = " | ".join(f"`{name}`" for name in dialects)
    lines = [
        f"| code | type | `/v1` | {heads} | again? | when |",
        "|---|---|---|" + "---|" * len(dialects) + "---|---|",
    ]
    for kind in _kinds(public=True):
        columns = " | ".join(_status(kind, dialect) for dialect in dialects.values())
        again = "yes" if kind.may_retry else "no"
        lines.append(
            f"| `{kind.code}` | `{kind.type}` | {openai_status(kind)} | {columns} | {again} | {_words(kind)} |"
        )
    return _text(lines)


def operator_codes() -> str:
    """The faults that only an operator's command can meet."""
    lines = ["| code | when |", "|---|---|"]
    lines += [f"| `{kind.code}` | {_words(kind)} |" for kind in _kinds(public=False)]
    return _text(lines)


SECTIONS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"sentence": sentence, "routes": routes, "vendors": vendors_table},
    "docs/reference/models.md": {"models": models},
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


def _abilities(vendor: Vendor) -> str:
    has = {
        "callbacks": tasks_of(vendor).callbacks is not None,
        "cancel": tasks_of(vendor).write_cancel is not None,
        "finding a lost order": tasks_of(vendor).find is not None,
        "upload of inputs": tasks_of(vendor).upload is not None,
    }
    return ", ".join(name for name, there in has.items() if there) or "nothing more"


def _price(meters: Mapping[str, int]) -> str:
    return ", ".join(f"{dollars(price * METERS[meter] // MILLION)} per {meter}" for meter, price in meters.items())


def _dialects(vendors: Mapping[str, Vendor]) -> dict[str, Dialect]:
    return {vendor.dialect.name: vendor.dialect for vendor in vendors.values() if vendor.dialect is not None}


def _status(kind: type[Fault], dialect: Dialect) -> str:
    """A format may answer another status when a field is named."""
    if issubclass(kind, faults.NotAllowed):
        return str(dialect.render_fault(kind("…", allow=()), REQUEST_ID).status)
    found = dict.fromkeys(
        str(dialect.render_fault(kind("…", param=param), REQUEST_ID).status) for param in (None, FIELD)
    )
    return ", with a field ".join(found)


def _kinds(*, public: bool) -> Iterable[type[Fault]]:
    """Give our faults, one for each code, the more general ones first."""
    for module in pkgutil.walk_packages(halley.__path__, "halley."):
        if not NOT_IMPORTED.search(module.name):
            import_module(module.name)
    by_code: dict[str, type[Fault]] = {}
    for kind in _below(Fault):
        if kind.__module__.startswith("halley.") and kind not in GENERAL:
            by_code.setdefault(kind.code, kind)
    return [kind for kind in by_code.values() if kind.__module__.startswith(PUBLIC) is public]


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
