"""Holds counts against budgets that may only fall, reads and writes the file of them. Pure."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.budgets.model import COUNTS, Counts, Measured, shown

FILE = "scripts/budgets.toml"
COMMAND = ".venv/bin/python -m scripts.budgets"
SLACK = 0.03
"""A count may be so much below its budget before the budget must follow."""
_HEADER = f"""\
# What a call may cost at most, by path and count, on the Python that CI runs. It only falls: a run above it fails, and
# so does one that is far below. Written by `{COMMAND} --write`; see docs/dev/budgets.md.
"""


@dataclass(frozen=True, kw_only=True)
class Raise:
    """A budget that had to grow, and why."""

    path: str
    count: str
    before: float
    after: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """The file."""

    python: str
    """The version that the budgets hold for, e.g. `3.11`."""
    paths: Mapping[str, Counts]
    raised: Sequence[Raise] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A count that does not agree with its budget."""

    path: str
    message: str
    over: str = ""
    """The count that is above its budget, if that is what was found."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def read(text: str) -> Budgets:
    """Read the file."""
    value = tomllib.loads(text)
    python, raised = value.pop("python"), value.pop("raised", [])
    return Budgets(python=python, paths=value, raised=[Raise(**each) for each in raised])


def write(budgets: Budgets) -> str:
    """Write the file."""
    lines = [_HEADER + f'python = "{budgets.python}"']
    for path, counts in budgets.paths.items():
        lines.append(f"\n[{path}]")
        lines += [f"{name} = {shown(counts[name])}" for name in COUNTS if name in counts]
    for each in budgets.raised:
        reason = each.reason.replace("\\", "\\\\").replace('"', '\\"')
        lines += ["\n[[raised]]", f'path = "{each.path}"', f'count = "{each.count}"']
        lines += [f"before = {shown(each.before)}", f"after = {shown(each.after)}", f'reason = "{reason}"']
    return "\n".join(lines) + "\n"


def compare(budgets: Budgets, measured: Sequence[Measured], known: Sequence[str]) -> list[Finding]:
    """List what is above its budget, far below it, or without one; `known` are all paths that there are."""
    found = [finding for each in measured for finding in _of_path(budgets.paths.get(each.path), each)]
    gone = f"there is no such path any more; run `{COMMAND} --write`"
    return [*found, *(Finding(path=path, message=gone) for path in budgets.paths if path not in known)]


def updated(budgets: Budgets, measured: Sequence[Measured], known: Sequence[str], reason: str | None) -> Budgets:
    """Take over what is lower or new; what is higher only with a reason."""
    paths = {path: dict(counts) for path, counts in budgets.paths.items() if path in known}
    raised = list(budgets.raised)
    for each in measured:
        counts = paths.setdefault(each.path, {})
        for name in COUNTS:
            before, now = counts.get(name), each.counts[name]
            if before is not None and now > before:
                if reason is None:
                    continue
                raised.append(Raise(path=each.path, count=name, before=before, after=now, reason=reason))
            counts[name] = now
    return replace(budgets, paths={path: paths[path] for path in known if path in paths}, raised=raised)


def _of_path(budget: Counts | None, measured: Measured) -> Iterator[Finding]:
    path = measured.path
    if budget is None:
        yield Finding(path=path, message=f"it has no budget yet; run `{COMMAND} --write`")
        return
    low: list[str] = []
    for name, now in measured.counts.items():
        allowed = budget.get(name)
        if allowed is None:
            yield Finding(path=path, message=f"`{name}` has no budget yet; run `{COMMAND} --write`")
        elif now > allowed:
            yield Finding(path=path, message=_over(measured, name, allowed), over=name)
        elif now < allowed * (1 - SLACK):
            low.append(f"`{name}` {shown(allowed)} → {shown(now)}")
    if low:
        # One line for a path: a change that saves calls mostly saves several kinds.
        better = f"it got better: {', '.join(low)}. Lower the budget: run `{COMMAND} --write`"
        yield Finding(path=path, message=better)


def _over(measured: Measured, name: str, allowed: float) -> str:
    now = measured.counts[name]
    more = f"+{shown(now - allowed)}" + (f", {(now / allowed - 1) * 100:+.1f} %" if allowed else "")
    what = f"{COUNTS[name]}, per call of: {measured.title}"
    return f"`{name}` is {shown(now)}, its budget is {shown(allowed)} ({more}): {what}"
