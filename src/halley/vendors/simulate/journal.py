"""The memory of a simulated vendor: jobs, the callbacks they owe and uploaded files, in one SQLite file of their own.

Calls are synchronous and short, made from the simulator's own thread only. A row is on disk before the reply
that names it, so that a killed process comes back with every job it answered for.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from halley.vendors.simulate.directive import Directive, Outcome
from halley.vendors.simulate.job import Due, Job, Upload

PAGE_SIZE_MAX = 1_000
BUSY_TIMEOUT_MS = 10_000

# Several simulators share the file, each with a connection of its own, hence the vendor in every key.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, vendor TEXT NOT NULL, job_id TEXT NOT NULL, created_us INTEGER NOT NULL,
  ready_us INTEGER NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL, delay_s REAL, request BLOB NOT NULL,
  account TEXT NOT NULL, callback_url TEXT, callback_secret TEXT, callbacks_sent INTEGER NOT NULL DEFAULT 0,
  cancelled_us INTEGER, details BLOB NOT NULL, UNIQUE (vendor, job_id)) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_account ON jobs (vendor, account, seq);
CREATE INDEX IF NOT EXISTS jobs_by_ready ON jobs (vendor, ready_us) WHERE cancelled_us IS NULL;
CREATE TABLE IF NOT EXISTS inputs (
  job_seq INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE, place INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (job_seq, place)) STRICT;
CREATE TABLE IF NOT EXISTS callbacks (
  job_seq INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE, vendor TEXT NOT NULL, event TEXT NOT NULL,
  due_us INTEGER NOT NULL, settled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (job_seq, event)) STRICT;
CREATE INDEX IF NOT EXISTS callbacks_owed ON callbacks (vendor, due_us) WHERE settled = 0;
CREATE TABLE IF NOT EXISTS files (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, vendor TEXT NOT NULL, file_id TEXT NOT NULL, name TEXT NOT NULL,
  type TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, created_us INTEGER NOT NULL, account TEXT NOT NULL,
  metadata BLOB NOT NULL, data BLOB NOT NULL, UNIQUE (vendor, file_id)) STRICT;
CREATE TABLE IF NOT EXISTS requests (
  vendor TEXT NOT NULL, route TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (vendor, route)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (vendor TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT;
"""

_JOBS = (
    "SELECT seq, vendor, job_id, created_us, ready_us, model, outcome, delay_s, request, account, callback_url, "
    "callback_secret, callbacks_sent, cancelled_us, details FROM jobs "
)
_FILES = "SELECT seq, vendor, file_id, name, type, size, sha256, created_us, account, metadata FROM files "


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A callback not yet delivered nor given up."""

    job_id: str
    event: str
    due_us: int


class Journal:
    """The rows of one simulated vendor; `:memory:` for a journal that is not to last."""

    def __init__(self, path: Path | str, *, vendor: str) -> None:
        self._vendor = vendor
        # Opened by the thread that starts the event loop of the simulator; a test may read along while it runs.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._change(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        self._change("PRAGMA journal_mode = WAL")
        # NORMAL outlives the death of the process, which is what is promised; a power cut may take the last jobs.
        self._change("PRAGMA synchronous = NORMAL")
        self._change("PRAGMA foreign_keys = ON")
        for statement in _SCHEMA.split(";"):
            self._change(statement)

    def close(self) -> None:
        """Close the file; the journal is not usable any more."""
        self._db.close()

    # jobs

    def add(self, job: Job, *, inputs: Sequence[bytes] = (), callbacks: Sequence[Due] = ()) -> Job:
        """Write a job, its input images and the callbacks it owes as one unit; the job comes back with its `seq`."""
        with self._unit():
            seq = self._change(
                "INSERT INTO jobs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self._vendor, job.id, job.created_us, job.ready_us, job.model, job.directive.outcome.value,
                 job.directive.delay_s, bytes(job.request), job.account, job.callback_url, job.callback_secret,
                 job.callbacks_sent, job.cancelled_us, bytes(job.details)),
            ).lastrowid  # fmt: skip
            assert seq is not None
            for place, data in enumerate(inputs):
                self._change("INSERT INTO inputs VALUES (?, ?, ?)", (seq, place, data))
            for due in callbacks:
                values = (seq, self._vendor, due.event, due.due_us)
                self._change("INSERT INTO callbacks (job_seq, vendor, event, due_us) VALUES (?, ?, ?, ?)", values)
        return msgspec.structs.replace(job, seq=seq)

    def get(self, job_id: str, *, account: str | None = None) -> Job | None:
        """The job of that id; with `account`, only if that account made it."""
        rows = self._rows(
            _JOBS + "WHERE vendor = ?1 AND job_id = ?2 AND (?3 IS NULL OR account = ?3)",
            (self._vendor, job_id, account),
        )
        return _job(rows[0]) if rows else None

    def inputs(self, job: Job) -> tuple[bytes, ...]:
        """The input images kept with the job, in their order."""
        return tuple(
            row[0] for row in self._rows("SELECT data FROM inputs WHERE job_seq = ? ORDER BY place", (job.seq,))
        )

    def page(
        self,
        *,
        account: str | None = None,
        before_seq: int | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Jobs, newest first; `before_seq` of the last one asks for the next page. Bounds: since <= created < until."""
        rows = self._rows(
            _JOBS + "WHERE vendor = ?1 AND (?2 IS NULL OR account = ?2) AND (?3 IS NULL OR seq < ?3) "
            "AND (?4 IS NULL OR created_us >= ?4) AND (?5 IS NULL OR created_us < ?5) ORDER BY seq DESC LIMIT ?6",
            (self._vendor, account, before_seq, since_us, until_us, min(limit, PAGE_SIZE_MAX)),
        )
        return [_job(row) for row in rows]

    def all(self) -> list[Job]:
        """Every job, oldest first: for tests and tools that reckon up the whole journal."""
        return [_job(row) for row in self._rows(_JOBS + "WHERE vendor = ? ORDER BY seq", (self._vendor,))]

    def cancel(self, job_id: str, *, now_us: int) -> Job | None:
        """Cancel a job that is not over yet and make its callbacks due now; the job as it is then, if there is one."""
        with self._unit():
            cancelled = self._change(
                "UPDATE jobs SET cancelled_us = ?1 WHERE vendor = ?2 AND job_id = ?3 AND cancelled_us IS NULL "
                "AND ready_us > ?1",
                (now_us, self._vendor, job_id),
            ).rowcount
            if cancelled:
                self._change(
                    "UPDATE callbacks SET due_us = min(due_us, ?1) WHERE settled = 0 AND job_seq = "
                    "(SELECT seq FROM jobs WHERE vendor = ?2 AND job_id = ?3)",
                    (now_us, self._vendor, job_id),
                )
        return self.get(job_id)

    def active_count(self, now_us: int, *, account: str | None = None) -> int:
        """How many jobs are neither finished nor cancelled."""
        rows = self._rows(
            "SELECT count(*) FROM jobs WHERE vendor = ?1 AND ready_us > ?2 AND cancelled_us IS NULL "
            "AND (?3 IS NULL OR account = ?3)",
            (self._vendor, now_us, account),
        )
        return rows[0][0]

    def forget(self, *, created_before_us: int) -> int:
        """Delete jobs and files older than that, with what belongs to them; how many went."""
        values = (self._vendor, created_before_us)
        jobs = self._change("DELETE FROM jobs WHERE vendor = ? AND created_us < ?", values).rowcount
        return jobs + self._change("DELETE FROM files WHERE vendor = ? AND created_us < ?", values).rowcount

    # callbacks

    def owed(self, *, due_by_us: int, limit: int = PAGE_SIZE_MAX) -> list[Owed]:
        """Callbacks due by then and not yet settled, the oldest first; of one job in the order of their times."""
        rows = self._rows(
            "SELECT job_id, event, due_us FROM callbacks JOIN jobs ON seq = job_seq WHERE callbacks.vendor = ? "
            "AND settled = 0 AND due_us <= ? ORDER BY due_us, job_seq, callbacks.rowid LIMIT ?",
            (self._vendor, due_by_us, min(limit, PAGE_SIZE_MAX)),
        )
        return [Owed(job_id=row[0], event=row[1], due_us=row[2]) for row in rows]

    def next_due_us(self, *, after_us: int = -1) -> int | None:
        """When the next unsettled callback later than that is due."""
        rows = self._rows(
            "SELECT min(due_us) FROM callbacks WHERE vendor = ? AND settled = 0 AND due_us > ?",
            (self._vendor, after_us),
        )
        return rows[0][0]

    def mark_callback_sent(self, job_id: str) -> None:
        """Count one callback that the receiver took."""
        self._change(
            "UPDATE jobs SET callbacks_sent = callbacks_sent + 1 WHERE vendor = ? AND job_id = ?",
            (self._vendor, job_id),
        )

    def settle_callback(self, owed: Owed) -> None:
        """This callback is done with: delivered, lost by order, or given up."""
        self._change(
            "UPDATE callbacks SET settled = 1 WHERE event = ?1 AND job_seq = "
            "(SELECT seq FROM jobs WHERE vendor = ?2 AND job_id = ?3)",
            (owed.event, self._vendor, owed.job_id),
        )

    # files

    def add_file(self, upload: Upload, data: bytes) -> Upload:
        """Keep an uploaded file; it comes back with its `seq` and size."""
        seq = self._change(
            "INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._vendor, upload.id, upload.name, upload.type, len(data), upload.sha256, upload.created_us,
             upload.account, bytes(upload.metadata), data),
        ).lastrowid  # fmt: skip
        assert seq is not None
        return msgspec.structs.replace(upload, seq=seq, size=len(data))

    def get_file(self, file_id: str, *, account: str | None = None) -> Upload | None:
        """What is known of a file."""
        rows = self._rows(
            _FILES + "WHERE vendor = ?1 AND file_id = ?2 AND (?3 IS NULL OR account = ?3)",
            (self._vendor, file_id, account),
        )
        return _upload(rows[0]) if rows else None

    def file_bytes(self, file_id: str) -> bytes | None:
        """The bytes of a file."""
        rows = self._rows("SELECT data FROM files WHERE vendor = ? AND file_id = ?", (self._vendor, file_id))
        return rows[0][0] if rows else None

    def page_files(
        self, *, account: str | None = None, before_seq: int | None = None, limit: int = 100
    ) -> list[Upload]:
        """Files, newest first."""
        rows = self._rows(
            _FILES + "WHERE vendor = ?1 AND (?2 IS NULL OR account = ?2) "
            "AND (?3 IS NULL OR seq < ?3) ORDER BY seq DESC LIMIT ?4",
            (self._vendor, account, before_seq, min(limit, PAGE_SIZE_MAX)),
        )
        return [_upload(row) for row in rows]

    def delete_file(self, file_id: str) -> bool:
        """Forget a file; whether there was one."""
        return self._change("DELETE FROM files WHERE vendor = ? AND file_id = ?", (self._vendor, file_id)).rowcount > 0

    # requests and the secret

    def count_request(self, route: str) -> None:
        """One more request on that route, e.g. `GET /v1/get_result`."""
        self._change("INSERT INTO requests VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (self._vendor, route))

    def requests(self) -> dict[str, int]:
        """How many requests came, by route."""
        return dict(self._rows("SELECT route, n FROM requests WHERE vendor = ?", (self._vendor,)))

    def secret(self, fresh: bytes) -> bytes:
        """The secret that signs this simulator's links: the one kept, else `fresh`, which is kept from now on."""
        self._change("INSERT INTO secrets VALUES (?, ?) ON CONFLICT DO NOTHING", (self._vendor, fresh))
        return self._rows("SELECT secret FROM secrets WHERE vendor = ?", (self._vendor,))[0][0]

    # All SQL goes through these two, so that a test's guard against blocking calls can name them: the thread
    # and its loop are the simulator's own, and a commit is what a request waits for anyway.

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, values).fetchall()

    def _change(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._db.execute(statement, values)

    @contextmanager
    def _unit(self) -> Generator[None]:
        self._change("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._change("ROLLBACK")
            raise
        self._change("COMMIT")


def _job(row: tuple[Any, ...]) -> Job:
    return Job(
        seq=row[0],
        id=row[2],
        created_us=row[3],
        ready_us=row[4],
        model=row[5],
        directive=Directive(outcome=Outcome(row[6]), delay_s=row[7]),
        request=msgspec.Raw(row[8]),
        account=row[9],
        callback_url=row[10],
        callback_secret=row[11],
        callbacks_sent=row[12],
        cancelled_us=row[13],
        details=msgspec.Raw(row[14]),
    )


def _upload(row: tuple[Any, ...]) -> Upload:
    return Upload(
        seq=row[0],
        id=row[2],
        name=row[3],
        type=row[4],
        size=row[5],
        sha256=row[6],
        created_us=row[7],
        account=row[8],
        metadata=msgspec.Raw(row[9]),
    )
