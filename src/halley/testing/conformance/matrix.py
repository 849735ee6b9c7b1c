"""The matrix of a run, as text."""

from collections.abc import Iterable, Mapping

from halley.testing.conformance.cells import ENDINGS, Cell, Operation

DRIVEN, FAILED, EXEMPT, MEANINGLESS, MISSING = "●", "✗", "○", "·", "?"


class Matrix:
    """Which cells of a vendor were driven."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._cells = {cell.name: cell for cell in cells}
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
        """Endings down, operations across, and the reasons below."""
        width = max(len(ending) for ending in ENDINGS)
        head = " " * width + "  " + " ".join(f"{operation:<9}" for operation in Operation)
        rows = [
            f"{ending:<{width}}  " + " ".join(f"{self._mark(f'{operation}/{ending}'):<9}" for operation in Operation)
            for ending in ENDINGS
        ]
        legend = (
            f"{DRIVEN} driven   {FAILED} failed   {EXEMPT} exempt   {MEANINGLESS} no meaning   {MISSING} not driven"
        )
        whys = sorted({f"{EXEMPT} {name.partition('/')[0]}: {why}" for name, why in self.reasons.items()})
        return "\n".join((head, *rows, legend, *whys))

    def _mark(self, name: str) -> str:
        cell = self._cells[name]
        if name in self._passed:
            return DRIVEN if self._passed[name] else FAILED
        return EXEMPT if cell.is_exempt else MEANINGLESS if cell.why_not else MISSING
