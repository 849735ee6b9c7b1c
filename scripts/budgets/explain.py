"""Shows where the calls of a path come from: by function, by file, and down the tree."""

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.budgets.meter import Lane, Node, is_counted

FUNCTIONS_SHOWN, C_SHOWN, FILES_SHOWN = 70, 40, 40
TREE_SHARE_MIN = 0.015
_ROOT = str(Path(__file__).resolve().parents[2])
_PACKAGES = ("/site-packages/", f"/lib/python{sys.version_info[0]}.{sys.version_info[1]}/")


@dataclass
class Line:
    """One function, or one file."""

    calls: int = 0
    resumed: int = 0
    c_calls: int = 0
    inside: int = 0
    """Calls of any kind made in it and in what it calls."""
    callers: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def functions(lane: Lane) -> dict[str, Line]:
    """Sum up the tree by function. A function within itself counts inside once."""
    lines: dict[str, Line] = defaultdict(Line)
    _sum(lane.root, lines, set())
    return lines


def files(lane: Lane) -> dict[str, Line]:
    """Sum up by file."""
    lines: dict[str, Line] = defaultdict(Line)
    for node in _all(lane.root):
        if node.code is not None and is_counted(node.code):
            line = lines[short(node.code.co_filename)]
            line.calls += node.calls
            line.resumed += node.resumed
            line.c_calls += node.c_calls
    return lines


def c_functions(lane: Lane) -> dict[str, Line]:
    """Sum up what is called of functions in C, and by whom."""
    lines: dict[str, Line] = defaultdict(Line)
    for node in _all(lane.root):
        for name, calls in node.c_names.items():
            lines[name].calls += calls
            lines[name].callers[place(node)] += calls
    return lines


def report(lane: Lane, calls: int) -> Iterator[str]:
    """Write all tables of a thread, per call."""
    total = inside(lane.root)
    if not total:
        return
    yield f"\n=== {lane.kind}: {total / calls:,.1f} calls of Python and C per call of the path\n"
    yield "--- functions, most calls first: entered, of these resumed, C called from it, all inside it"
    found = sorted(functions(lane).items(), key=lambda item: -(item[1].calls + item[1].c_calls))
    for name, line in found[:FUNCTIONS_SHOWN]:
        numbers = (line.calls, line.resumed, line.c_calls, line.inside)
        yield "".join(f"{number / calls:9.1f}" for number in numbers) + f"  {name}"
    yield "\n--- files: entered, resumed, C called"
    for name, line in sorted(files(lane).items(), key=lambda item: -(item[1].calls + item[1].c_calls))[:FILES_SHOWN]:
        yield "".join(f"{n / calls:9.1f}" for n in (line.calls, line.resumed, line.c_calls)) + f"  {name}"
    yield "\n--- functions in C, and who calls them most"
    for name, line in sorted(c_functions(lane).items(), key=lambda item: -item[1].calls)[:C_SHOWN]:
        caller, most = max(line.callers.items(), key=lambda item: item[1])
        yield f"{line.calls / calls:9.1f}  {name}   ({most / calls:.1f} from {caller})"
    yield "\n--- stages: all calls inside, down the tree, what makes at least 1.5 %"
    yield from _tree(lane.root, total * TREE_SHARE_MIN, calls, 0)
    if lane.statements:
        yield f"\n--- statements of one call ({len(lane.statements) / calls:.1f})"
        yield from (f"  {_one_line(text)}" for text in lane.statements[: round(len(lane.statements) / calls)])


def top(lane: Lane, path: str, calls: int, number: int) -> Iterator[str]:
    """Write the functions of a thread that are entered, or call C, most."""
    if lane.calls:
        yield f"\nMost called on `{path}`, {lane.kind} thread, per call (entered, C called from it):"
    found = sorted(functions(lane).items(), key=lambda item: -(item[1].calls + item[1].c_calls))
    for name, line in found[:number]:
        yield f"{line.calls / calls:8.1f}{line.c_calls / calls:8.1f}  {name}"


def short(path: str) -> str:
    """Write a file's name from the root of the project, or of its package."""
    for package in _PACKAGES:
        _, found, rest = path.rpartition(package)
        if found:
            return rest
    return path.removeprefix(_ROOT).lstrip("/")


def place(node: Node) -> str:
    """Say which function, and where it is."""
    code = node.code
    return "(the loop)" if code is None else f"{code.co_qualname}  {short(code.co_filename)}:{code.co_firstlineno}"


def inside(node: Node) -> int:
    """Give all calls in a node and below it."""
    return sum(_own(each) for each in _all(node))


def _own(node: Node) -> int:
    return node.calls + node.c_calls if node.code is not None and is_counted(node.code) else 0


def _all(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(one.inner.values())


def _sum(node: Node, lines: dict[str, Line], above: set[str]) -> None:
    name = place(node)
    counted = node.code is not None and is_counted(node.code)
    if counted:
        line = lines[name]
        line.calls += node.calls
        line.resumed += node.resumed
        line.c_calls += node.c_calls
        line.inside += 0 if name in above else inside(node)
    for each in node.inner.values():
        _sum(each, lines, above | {name} if counted else above)


def _tree(node: Node, least: float, calls: int, depth: int) -> Iterator[str]:
    """Write what is below a node. What the tool itself calls stands where the tool's own function would."""
    for each in sorted(node.inner.values(), key=lambda one: -inside(one)):
        total = inside(each)
        if total < least:
            continue
        if each.code is None or not is_counted(each.code):
            yield from _tree(each, least, calls, depth)
            continue
        yield f"{total / calls:9.1f}  {'  ' * depth}{place(each)}"
        yield from _tree(each, least, calls, depth + 1)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]
