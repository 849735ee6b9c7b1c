"""Chooses one vendor with `--vendor`, whose every cell is then driven, and prints the matrix of what was."""

import re

import pytest
from tests.app.rigs import folder, journal_may_block, rig

from halley.testing.conformance import Matrix, matrix_of
from halley.vendors import load_vendors

__all__ = ["folder", "journal_may_block", "rig"]

_CELL = re.compile(r"\[(?P<vendor>[\w-]+)/(?P<name>[\w.+]+/\w+)\]$")
_matrices: pytest.StashKey[dict[str, Matrix]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    wanted: str | None = config.getoption("--vendor")
    vendors = load_vendors()
    if wanted is not None and wanted not in vendors:
        raise pytest.UsageError(f"There is no vendor `{wanted}`; there are {', '.join(vendors)}")
    chosen = [vendor for vendor in vendors.values() if wanted in (None, vendor.name)]
    config.pluginmanager.register(_Notes(config))
    config.stash[_matrices] = {vendor.name: matrix_of(vendor) for vendor in chosen}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    matrices = config.stash[_matrices]
    dropped = [item for item in items if (found := _CELL.search(item.name)) and found["vendor"] not in matrices]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `--vendor`, a cell that was neither driven nor excused fails the run."""
    if session.config.getoption("--vendor") and any(each.missing for each in session.config.stash[_matrices].values()):
        session.exitstatus = max(int(session.exitstatus), 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--vendor"):
        return
    for name, matrix in config.stash[_matrices].items():
        terminalreporter.section(f"conformance of {name}")
        terminalreporter.write_line(matrix.text())
        for missing in matrix.missing:
            terminalreporter.write_line(f"not driven and not exempt: {missing}", red=True)


class _Notes:
    """Writes down how each cell went; with several workers, of all of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _CELL.search(report.nodeid)
        if found and (report.when == "call" or report.failed):
            self._config.stash[_matrices][found["vendor"]].note(found["name"], passed=report.passed)
