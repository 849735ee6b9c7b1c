"""House rules that no linter knows: sizes, vendors' names, floats in the ledger, broad excepts, leaks.

Prints `path:line: rule: message` for each offence and exits 1 if there is one. It reads source text only: it
imports nothing of ours and touches no network.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TypeGuard

FUNCTION_LINES_MAX = 60
FUNCTION_PARAMETERS_MAX = 6
FILE_LINES_MAX = 600
FILE_BYTES_MAX = 2_000_000

PACKAGE = "src/halley/"
VENDORS = PACKAGE + "vendors/"
WIRE = PACKAGE + "wire/"
SPEAKS_FOR_OTHERS = VENDORS + "gateway/"  # it stands in for vendors, so it names them
SIZED = (PACKAGE, "tests/", "scripts/", "bench/")
RATCHET = "scripts/tidy_ratchet.toml"
FIXTURE = re.compile(r"(^|/)fixtures/")

# Broad excepts live at the edges only: ASGI application, worker loop, command line (CONVENTIONS 31), and the two
# threads with callers waiting for them: the database's writer and the simulators' server.
EDGES = ("src/halley/app.py", "src/halley/api/app.py", "src/halley/cli.py", "src/halley/cli/__init__.py")
EDGE_FOLDERS = ("src/halley/worker/", "src/halley/db/writer.py", "src/halley/vendors/simulate/")
EXACT = (PACKAGE + "ledger/", PACKAGE + "kernel/money.py")

# Character classes keep these patterns from matching this very file.
REGISTRY = re.compile(
    r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|registry[.]yarnpkg|\"resolved\": *\"http|"
    r"(?:^|\s)--(?:extra-)?index[-]url|(?:^|\s)--find[-]links"
)
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}-])/(?:root|work|home/\w+|Users/\w+)[/](?=\w|\.)")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
ISSUE = re.compile(r"#\d+")
SUPPRESSION = re.compile(r"#\s*(noqa|pyright:\s*ignore|type:\s*ignore)(.*)")
RULE_AND_REASON = re.compile(r"(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*\b|\[\w+(?:,\s*\w+)*\])\s+\S")

# What a pure module may not reach for: the outside world, the clock, settings, chance (CONVENTIONS 13).
IMPURE = {
    "aiohttp",
    "asyncio",
    "obstore",
    "os",
    "psycopg",
    "random",
    "secrets",
    "socket",
    "sqlalchemy",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
    "halley.db",
    "halley.settings",
    "halley.upstream",
}
PURE = re.compile(rf"^{PACKAGE}(?:wire/.*|(?:.*/)?rules|vendors/[^/]+/wire)\.py$")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One offence, where it is and what to do."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file: its path from the root of the project, its text, and for Python its tree."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text) if self.is_python else ast.Module(body=[], type_ignores=[])

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Line and text of each comment; for other languages each line counts as one."""
        if not self.is_python:
            return list(enumerate(self.lines, start=1))
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    def finding(self, line: int, rule: str, message: str) -> Finding:
        return Finding(path=self.path, line=line, rule=rule, message=message)


def _no_ratchet() -> dict[str, int]:
    return {}


@dataclass(frozen=True, kw_only=True)
class House:
    """What the rules need to know of the whole tree."""

    vendors: frozenset[str] = frozenset()
    ratchet: dict[str, int] = field(default_factory=_no_ratchet)

    def too_large(self, source: Source, line: int, name: str, size: int, limit: int) -> Iterator[Finding]:
        """Hold one size against its limit, or against the larger size that the ratchet grants it."""
        granted = self.ratchet.get(name)
        if size > max(limit, granted or 0):
            yield source.finding(line, "size", f"`{name}` has {size} lines, the limit is {granted or limit}; split it")
        elif granted is not None and size < granted:
            remedy = "remove its line" if size <= limit else f"write {size}"
            yield source.finding(line, "ratchet", f"`{name}` shrank to {size} lines: {remedy} in {RATCHET}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    root: Path = parser.parse_args().root
    findings = check(root)
    for finding in findings:
        print(finding)
    if findings:
        print(
            f"{len(findings)} offence(s) against the house rules; CONVENTIONS are in CONTRIBUTING.md", file=sys.stderr
        )
    return 1 if findings else 0


def check(root: Path) -> list[Finding]:
    """Hold every file of the project against every rule."""
    paths = project_files(root)
    sources = [source for path in paths if (source := read(root, path))]
    house = House(vendors=vendor_names(paths), ratchet=read_ratchet(root))
    found = chain.from_iterable(check_source(source, house) for source in sources)
    return sorted(chain(found, stale_ratchets(house, sources)), key=lambda each: (each.path, each.line, each.rule))


def check_source(source: Source, house: House) -> list[Finding]:
    """Hold one file against every rule."""
    try:
        _ = source.tree
    except SyntaxError as error:
        return [source.finding(error.lineno or 1, "syntax", error.msg)]
    return list(chain.from_iterable(rule(source, house) for rule in RULES))


def project_files(root: Path) -> list[str]:
    """Paths that git tracks or would track, in order; in an unpacked archive, all that are not hidden."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted({path for path in listed.stdout.split("\0") if path})
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(is_not_ours(part) for part in path.parts))


def is_not_ours(folder: str) -> bool:
    return folder.startswith(".") or folder in {"__pycache__", "build", "data", "dist", "node_modules"}


def read(root: Path, path: str) -> Source | None:
    """Read a text file; nothing for links, binary and huge files, and for what was deleted but is still tracked."""
    file = root / path
    if file.is_symlink() or not file.is_file() or file.stat().st_size > FILE_BYTES_MAX:
        return None
    try:
        return Source(path=path, text=file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None


def vendor_names(paths: list[str]) -> frozenset[str]:
    """Names of the vendors' folders: those below `vendors/` that hold a catalogue or a wire format.

    But for those that are also a format of ours, below `wire/`: these name what callers speak, whoever is behind.
    """
    marks = ("catalogue.toml", "wire.py")
    inside = (PurePosixPath(path.removeprefix(VENDORS)) for path in paths if path.startswith(VENDORS))
    formats = {path.removeprefix(WIRE).partition("/")[0] for path in paths if path.startswith(WIRE)}
    named = (path.parts[0] for path in inside if len(path.parts) > 1 and path.parts[1] in marks)
    return frozenset(named) - formats


def read_ratchet(root: Path) -> dict[str, int]:
    file = root / RATCHET
    return {str(name): int(size) for name, size in tomllib.loads(file.read_text()).items()} if file.exists() else {}


def stale_ratchets(house: House, sources: list[Source]) -> Iterator[Finding]:
    """Find grants for what is no longer there."""
    names = set(chain.from_iterable(sized_names(source) for source in sources))
    for name in house.ratchet.keys() - names:
        yield Finding(path=RATCHET, line=1, rule="ratchet", message=f"`{name}` is gone: remove its line")


def sized_names(source: Source) -> Iterator[str]:
    if source.is_python and source.path.startswith(SIZED):
        yield source.path
        yield from (f"{source.path}::{function.name}" for function in functions(source))


# Each rule: a file and the house in, offences out.


def sizes(source: Source, house: House) -> Iterator[Finding]:
    """Files, functions and signatures stay small."""
    if not source.is_python or not source.path.startswith(SIZED):
        return
    yield from house.too_large(source, 1, source.path, len(source.lines), FILE_LINES_MAX)
    for function in functions(source):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        name = f"{source.path}::{function.name}"
        yield from house.too_large(source, function.lineno, name, length, FUNCTION_LINES_MAX)
        count = parameter_count(function)
        if count > FUNCTION_PARAMETERS_MAX:
            message = (
                f"`{function.name}` takes {count} parameters, the limit is {FUNCTION_PARAMETERS_MAX}; pass a Struct"
            )
            yield source.finding(function.lineno, "parameters", message)


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameter_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def vendors_stay_home(source: Source, house: House) -> Iterator[Finding]:
    """Outside its folder no file of the package names a vendor, but for the list of those built in."""
    if not source.path.startswith(PACKAGE):
        return
    for name in sorted(house.vendors):
        if source.path.startswith((f"{VENDORS}{name}/", SPEAKS_FOR_OTHERS)):
            continue
        allowed = built_in_lines(source) if source.path == f"{VENDORS}__init__.py" else set[int]()
        pattern = vendor_pattern(name)
        for number, line in enumerate(source.lines, start=1):
            if number not in allowed and pattern.search(line):
                message = (
                    f"`{name}` is named outside its folder; if the core needs to know, add a field to the contract"
                )
                yield source.finding(number, "vendor", message)


def vendor_pattern(name: str) -> re.Pattern[str]:
    """The name as a word of a sentence, of snake_case or of CamelCase; `_` parts words here."""
    word = rf"(?<![A-Za-z0-9])(?i:{re.escape(name)})(?![A-Za-z0-9])"
    camel = rf"(?<![A-Z]){re.escape(name.capitalize())}(?=[A-Z])"
    return re.compile(f"{word}|{camel}")


def built_in_lines(source: Source) -> set[int]:
    """Lines of the `BUILT_IN` list and of the imports that feed it."""
    lines: set[int] = set()
    for node in source.tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        is_list = any(isinstance(target, ast.Name) and target.id == "BUILT_IN" for target in targets)
        if is_list or isinstance(node, ast.Import | ast.ImportFrom):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def nothing_unfinished(source: Source, _house: House) -> Iterator[Finding]:
    """What is to be done has an issue."""
    if source.path.endswith((".md", ".json")):
        return
    for number, comment in source.comments:
        if (found := UNFINISHED.search(comment)) and not ISSUE.search(comment):
            yield source.finding(number, "unfinished", f"`{found.group()}` needs an issue's number, e.g. `(#12)`")


def nothing_leaks(source: Source, _house: House) -> Iterator[Finding]:
    """No tracked file depends on one machine or one package registry."""
    if FIXTURE.search(source.path):
        return
    is_lock = source.path.startswith("requirements/") and source.path.endswith(".txt")
    for number, line in enumerate(source.lines, start=1):
        if REGISTRY.search(line) or (is_lock and "://" in line):
            yield source.finding(number, "registry", "names a package registry; clients know theirs by configuration")
        if MACHINE_PATH.search(line):
            yield source.finding(number, "machine-path", "is a path of one machine; make it relative or configurable")


def modules_say_what_for(source: Source, _house: House) -> Iterator[Finding]:
    """A module of the package opens with what it is for."""
    if source.is_python and source.path.startswith(PACKAGE) and not ast.get_docstring(source.tree):
        yield source.finding(
            1, "docstring", "open the module with one or two sentences: what it is for, what it is not"
        )


def money_is_whole(source: Source, _house: House) -> Iterator[Finding]:
    """No float touches money."""
    if not source.is_python or not source.path.startswith(EXACT):
        return
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield source.finding(node.lineno, "float", f"`{node.value}` is a float; money is integer nano-dollars")
        elif isinstance(node, ast.Name) and node.id == "float":
            yield source.finding(node.lineno, "float", "`float` has no place here; money is integer nano-dollars")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield source.finding(node.lineno, "float", "`/` makes a float; use `//`, or round in kernel/money.py")


def excepts_are_narrow(source: Source, _house: House) -> Iterator[Finding]:
    """Broad excepts stand at the edges, or hand the error on: by a bare `raise` or to a waiting future."""
    if not source.path.startswith(PACKAGE) or source.path in EDGES or source.path.startswith(EDGE_FOLDERS):
        return
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and not hands_on(node):
            message = (
                "catch the narrow type around the line that raises it; broad ones are for the ASGI app, worker, CLI"
            )
            yield source.finding(node.lineno, "broad-except", message)


def is_broad(caught: ast.expr | None) -> bool:
    each = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"}) for one in each)


def hands_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return True
    calls = (node.func for node in ast.walk(handler) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr == "set_exception" for call in calls)


def suppressions_give_reasons(source: Source, _house: House) -> Iterator[Finding]:
    """A silenced linter names the rule and the reason; a silenced error names the reason."""
    if not source.is_python:
        return
    for number, comment in source.comments:
        found = SUPPRESSION.search(comment)
        if found and not RULE_AND_REASON.match(found.group(2)):
            yield source.finding(number, "suppression", f"`{found.group(1)}` needs a rule and a reason behind it")
    commented = {number for number, _ in source.comments}
    for node in source.nodes:
        if is_silent_suppress(node, commented):
            yield source.finding(node.lineno, "suppression", "`suppress` needs a reason on the same line")


def is_silent_suppress(node: ast.AST, commented: set[int]) -> TypeGuard[ast.With | ast.AsyncWith]:
    if not isinstance(node, ast.With | ast.AsyncWith) or not any(is_suppress(item.context_expr) for item in node.items):
        return False
    header = range(node.lineno, max(node.body[0].lineno, node.lineno + 1))
    return commented.isdisjoint(header)


def is_suppress(call: ast.expr) -> bool:
    name = call.func if isinstance(call, ast.Call) else None
    if isinstance(name, ast.Attribute):
        return name.attr == "suppress"
    return isinstance(name, ast.Name) and name.id == "suppress"


def leaves_are_pure(source: Source, _house: House) -> Iterator[Finding]:
    """Rules and wire formats compute; they reach for nothing outside."""
    if not PURE.match(source.path):
        return
    reached = {line: each for line, module in imports(source) for each in IMPURE if f"{module}.".startswith(f"{each}.")}
    for line, module in reached.items():
        yield source.finding(line, "pure", f"imports `{module}`; pass in what it would fetch")


def migrations_stand_alone(source: Source, _house: House) -> Iterator[Finding]:
    """A migration is history: it imports nothing of ours, or it would change with us."""
    if not source.path.startswith(PACKAGE) or "/migrations/" not in source.path or source.path.endswith("/env.py"):
        return
    for line in sorted({line for line, module in imports(source) if f"{module}.".startswith("halley.")}):
        yield source.finding(line, "migration", "imports from `halley`; write the names out")


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Modules that are imported; `from a import b` gives `a` and `a.b`, for `b` may be a module."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


RULES: tuple[Callable[[Source, House], Iterator[Finding]], ...] = (
    sizes,
    vendors_stay_home,
    nothing_unfinished,
    nothing_leaks,
    modules_say_what_for,
    money_is_whole,
    excepts_are_narrow,
    suppressions_give_reasons,
    leaves_are_pure,
    migrations_stand_alone,
)


if __name__ == "__main__":
    sys.exit(main())
