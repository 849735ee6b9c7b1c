"""The record of a run on disk: all raw figures as JSON, and beside it the picture."""

from pathlib import Path

import msgspec

from bench.cases import BY_NAME
from bench.machine import commit, machine
from bench.record import Record, encode
from bench.run import CACHE, ROOT, Run, workspace
from bench.svg import draw
from halley.kernel.clock import SystemClock, rfc3339

RESULTS, PARTS = ROOT / "bench" / "results", CACHE / "results"
"""Of whole runs, which are kept in git, and of all others."""


def record_of(run: Run) -> Record:
    """All that a run has found."""
    options = msgspec.to_builtins(run.options)
    options["database_url"] = "given" if run.options.database_url else None
    return Record(
        date=rfc3339(SystemClock().now())[:16] + "Z",
        commit=commit(ROOT),
        machine=machine(workspace()),
        options=options,
        systems=tuple(run.rows),
        samples=tuple(run.samples),
        books=tuple(run.books),
        problems=tuple(run.problems),
    )


def is_whole(record: Record) -> bool:
    """Whether every case and every system of ours was asked for, at length: what a reader may be shown."""
    asked = record.options
    return (
        not asked["quick"] and not asked["systems"] and asked["against"] is None and set(asked["cases"]) == set(BY_NAME)
    )


def write(record: Record) -> list[Path]:
    """Write JSON and picture; give where they are, from the project's root."""
    folder = RESULTS if is_whole(record) else PARTS
    folder.mkdir(parents=True, exist_ok=True)
    moment = record.date[:10] if folder is RESULTS else record.date[:16].replace(":", "")
    path = folder / f"{moment}-{record.commit.rstrip('+') or 'unknown'}.json"
    path.write_bytes(encode(record))
    picture = path.with_suffix(".svg")
    picture.write_text(draw(record))
    return [path.relative_to(ROOT), picture.relative_to(ROOT)]
