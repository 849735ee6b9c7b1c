"""The matrix of a run, as text: one table per kind of cell, endings down, operations across."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from halley.testing.conformance.answer_cells import Mode, answer_cells
from halley.testing.conformance.cells import cells
from halley.vendors.contract import Vendor

DRIVEN, FAILED, EXEMPT, MEANINGLESS, MISSING = "●", "✗", "○", "·", "?"
LEGEND = f"{DRIVEN} driven   {FAILED} failed   {EXEMPT} exempt   {MEANINGLESS} no meaning   {MISSING} not driven"


class Square(Protocol):
    """What a cell must tell to stand in a table."""

    @property
    def name(self) -> str:
        """`column/row`, unlike that of every other cell of the vendor."""
        ...

    @property
    def why_not(self) -> str:
        """Why it is not driven; empty where it is."""
        ...

    @property
    def is_exempt(self) -> bool:
        """Whether the vendor says so, rather than the suite."""
        ...


class Matrix:
    """Which cells of a vendor were driven. Each table is given by its title and its cells; empty ones are left out."""

    def __init__(self, tables: Mapping[str, Iterable[Square]]) -> None:
        self._tables = {title: listed for title, cells in tables.items() if (listed := list(cells))}
        self._cells = {cell.name: cell for cells in self._tables.values() for cell in cells}
        self._passed: dict[str, bool] = {}

    def note(self, name: str, *, passed: bool) -> None:
        """Write down how a cell went."""
        self._passed[name] = self._passed.get(name, True) and passed

    @property
    def missing(self) -> list[str]:
        """Cells that were neither driven nor excused."""
        return [name for name, cell in self._cells.items() if not cell.why_not and name not in self._passed]

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why the vendor is exempt from what it is exempt from."""
        return {name: cell.why_not for name, cell in self._cells.items() if cell.is_exempt}

    def text(self) -> str:
        """All tables, and the reasons below."""
        tables = ["\n".join((f"{title}:", *self._rows(cells))) for title, cells in self._tables.items()]
        whys = sorted({f"{EXEMPT} {name.partition('/')[0]}: {why}" for name, why in self.reasons.items()})
        return "\n".join(("\n\n".join(tables), LEGEND, *whys))

    def _rows(self, cells: list[Square]) -> list[str]:
        columns = list(dict.fromkeys(cell.name.partition("/")[0] for cell in cells))
        endings = list(dict.fromkeys(cell.name.partition("/")[2] for cell in cells))
        width = max(len(ending) for ending in endings)
        heads = {column: _head(column) for column in columns}
        lines = [" " * width + "  " + " ".join(heads.values())]
        for ending in endings:
            marks = (f"{self._mark(f'{column}/{ending}'):<{len(head)}}" for column, head in heads.items())
            lines.append(f"{ending:<{width}}  " + " ".join(marks))
        return [line.rstrip() for line in lines]

    def _mark(self, name: str) -> str:
        cell = self._cells[name]
        if name in self._passed:
            return DRIVEN if self._passed[name] else FAILED
        return EXEMPT if cell.is_exempt else MEANINGLESS if cell.why_not else MISSING


def matrix_of(vendor: Vendor) -> Matrix:
    """Give the empty matrix of all that can be driven at a vendor."""
    answers = answer_cells(vendor)
    streams = [cell for cell in answers if cell.mode is Mode.STREAM]
    return Matrix(
        {
            "tasks": cells(vendor),
            "answers": [cell for cell in answers if cell.mode is Mode.WHOLE],
            "answers as a stream of events": streams,
            "answers as a stream in one array": [cell for cell in answers if cell.mode is Mode.ARRAY],
        }
    )


def _head(column: str) -> str:
    """The operation without its dialect: `openai.chat+stream` → `chat`."""
    return column.partition("+")[0].rpartition(".")[2].ljust(len("download"))
