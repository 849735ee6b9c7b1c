"""What was measured: a sample per case, system and round, and what a reader needs to know of how. Written as JSON."""

from collections.abc import Iterable
from typing import Any

import msgspec

from bench.load.statistics import Spread, spread

FORMAT = 1


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement; what each figure is stands in docs/dev/benchmarks.md."""

    case: str
    system: str
    round: int
    figures: dict[str, float]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A system that could not be measured, in one case or (`case` empty) in any."""

    case: str
    system: str
    words: str


class BooksRead(msgspec.Struct, frozen=True, kw_only=True):
    """What the books held after a case, and what they had to hold: as many rows as calls that were answered.

    `cut` is how many calls were on the way when a generator of load hung up at its end. They may or may not have
    a row: who hangs up is charged for what the vendor did.
    """

    case: str
    system: str
    sound: bool
    words: str
    rows: int
    answered: int
    cut: int

    @property
    def complete(self) -> bool:
        return self.sound and self.answered <= self.rows <= self.answered + self.cut


class SystemRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the systems, as it ran."""

    name: str
    title: str
    version: str
    settings: dict[str, str]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench."""

    format: int = FORMAT
    date: str
    commit: str
    machine: dict[str, str]
    options: dict[str, Any]
    systems: tuple[SystemRow, ...]
    samples: tuple[Sample, ...]
    books: tuple[BooksRead, ...]
    problems: tuple[Problem, ...]

    def figure(self, case: str, system: str, name: str) -> Spread | None:
        """One figure over the rounds; None where it was not measured."""
        return spread([each.figures[name] for each in self._of(case, system) if name in each.figures])

    def added(self, case: str, system: str, name: str, base: str = "direct") -> Spread | None:
        """How much more a figure is than that of `base` in the same round."""
        bases = {each.round: each.figures[name] for each in self._of(case, base) if name in each.figures}
        found = [each for each in self._of(case, system) if name in each.figures and each.round in bases]
        return spread([each.figures[name] - bases[each.round] for each in found])

    def ratio(self, case: str, system: str, name: str, base: str) -> Spread | None:
        """A figure as a multiple of that of `base` in the same round."""
        bases = {each.round: each.figures[name] for each in self._of(case, base) if each.figures.get(name)}
        found = [each for each in self._of(case, system) if name in each.figures and each.round in bases]
        return spread([each.figures[name] / bases[each.round] for each in found])

    def title(self, system: str) -> str:
        return next((each.title for each in self.systems if each.name == system), system)

    def measured(self, case: str) -> list[str]:
        """The systems that have a sample of a case, in the order of the rows."""
        found = {each.system for each in self.samples if each.case == case}
        return [each.name for each in self.systems if each.name in found]

    def cases(self) -> list[str]:
        return list(dict.fromkeys(each.case for each in self.samples))

    def _of(self, case: str, system: str) -> Iterable[Sample]:
        return (each for each in self.samples if each.case == case and each.system == system)


def encode(record: Record) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def decode(data: bytes) -> Record:
    return msgspec.json.decode(data, type=Record)
