"""The command: counts all paths and holds them to their budgets, or explains one path."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.budgets import explain, ratchet
from scripts.budgets.meter import Meter
from scripts.budgets.model import COUNTS, Measured, shown
from scripts.budgets.paths import PATHS
from scripts.budgets.run import measure

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ratchet.FILE
HASH_SEED = "0"
TOP_SHOWN = 12
_KNOWN = {path.name: path for path in PATHS}


def main() -> int:
    """Run with a fixed hash seed: the order of a set decides what is looked at first."""
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": HASH_SEED})  # noqa: S606 - ourselves
    options = _options()
    if options.explain:
        return _explain(options.explain)
    measured = measure([_KNOWN[name] for name in options.paths or _KNOWN], Meter())
    if not options.quiet:
        print("\n".join(_table(measured)))
    if options.write:
        return _write(measured, options.reason)
    return _check(measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.budgets", description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"only these; there are {', '.join(_KNOWN)}")
    parser.add_argument("--explain", metavar="PATH", choices=_KNOWN, help="show where the calls of a path come from")
    parser.add_argument("--write", action="store_true", help=f"write what is lower or new into {ratchet.FILE}")
    parser.add_argument("--raise", dest="reason", metavar="REASON", help="with --write: write what is higher, too")
    parser.add_argument("--quiet", action="store_true", help="print what is wrong and nothing else")
    options = parser.parse_args()
    unknown = [name for name in options.paths if name not in _KNOWN]
    if unknown:
        parser.error(f"there is no path `{unknown[0]}`; there are {', '.join(_KNOWN)}")
    if options.reason is not None and not (options.write and options.reason.strip()):
        parser.error("--raise takes a reason, and goes with --write")
    return options


def _check(measured: Sequence[Measured]) -> int:
    budgets = _budgets()
    findings = ratchet.compare(budgets, measured, list(_KNOWN))
    for finding in findings:
        print(finding)
    if not _is_ruled(budgets):
        print(f"These budgets are for Python {budgets.python}, this is {_python()}: nothing fails here.")
        return 0
    over = [finding for finding in findings if finding.over]
    if over:
        print("\n".join(_most_called(over[0].path, [each.over for each in over if each.path == over[0].path])))
        print(f"All of it: `{ratchet.COMMAND} --explain {over[0].path}`.")
        print(f'A budget grows only for a reason that is written down: `{ratchet.COMMAND} --write --raise "why"`.')
    return int(bool(findings))


def _write(measured: Sequence[Measured], reason: str | None) -> int:
    budgets = _budgets()
    if not _is_ruled(budgets):
        print(f"The budgets are for Python {budgets.python}, this is {_python()}: nothing was written.")
        return 2
    new = ratchet.updated(budgets, measured, list(_KNOWN), reason)
    FILE.write_text(ratchet.write(new))
    left = [finding for finding in ratchet.compare(new, measured, list(_KNOWN)) if finding.over]
    for finding in left:
        print(finding)
    if left:
        print('What is higher was not written. If it must be: add `--raise "why"`.')
    return int(bool(left))


def _explain(name: str) -> int:
    meter = Meter(detailed=True)
    print("\n".join(_table(measure([_KNOWN[name]], meter))))
    for lane in meter.lanes.values():
        print("\n".join(explain.report(lane, _KNOWN[name].calls)))
    return 0


def _most_called(name: str, counts: Sequence[str]) -> Iterator[str]:
    """List what is called most on a path, on the threads whose counts these are."""
    meter = Meter(detailed=True)
    measure([_KNOWN[name]], meter)
    threads = {count.partition("_")[0] for count in counts}
    for kind, lane in meter.lanes.items():
        if kind in threads or not threads & set(meter.lanes):
            yield from explain.top(lane, name, _KNOWN[name].calls, TOP_SHOWN)


def _budgets() -> ratchet.Budgets:
    return ratchet.read(FILE.read_text()) if FILE.exists() else ratchet.Budgets(python=_python(), paths={})


def _is_ruled(budgets: ratchet.Budgets) -> bool:
    """Whether this is the Python that the budgets are for: others call other functions for the same."""
    return budgets.python == _python() and platform.python_implementation() == "CPython"


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _table(measured: Sequence[Measured]) -> Iterator[str]:
    width = max(len(each.path) for each in measured)
    yield " ".join(("path".ljust(width), *COUNTS))
    for each in measured:
        cells = (shown(each.counts[name]).rjust(len(name)) for name in COUNTS)
        yield " ".join((each.path.ljust(width), *cells))


if __name__ == "__main__":
    sys.exit(main())
