"""Halley as an operator runs it: default settings, a prepaid account, a live key with limits, real prices."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

import halley
from bench import bodies
from bench.ask import answers, demand
from bench.faults import Failed
from bench.load.model import Target
from bench.process import Child, bare_environment, free_port, spawn, wait_until
from bench.systems.base import ANSWERS, TASKS, Counts, Kind, Place, Running, answer_target, order_target
from halley.console.client import call
from halley.console.protocol import SOCKET_NAME, Request
from halley.kernel.money import nanos_from_dollars

START_S_MAX = 30.0
CREDIT_DOLLARS = 1_000_000
PER_MINUTE = 1_000_000_000
"""So high that the limits are counted and never reached."""
TASKS_FETCHED = 200
SETTINGS = {
    "processes": "1",
    "key": "live, with limits per minute that are never reached",
    "account": "prepaid",
    "prices": "of the catalogue",
}
HEALTH_PATH = "/health/readiness"
_ACCOUNT = "bench"
_COMMAND_S_MAX = 300.0
_ORDER_PATH = f"/flux/v1/{bodies.IMAGE_MODEL}"
_CHANNELS = """
[[channels]]
name = "answers"
vendor = "openai"
base_url = "{url}/v1"
api_key = "${{BENCH_VENDOR_KEY}}"

[[channels]]
name = "images"
vendor = "bfl"
base_url = "{url}"
api_key = "${{BENCH_VENDOR_KEY}}"
"""


Count = Callable[[str], int]
"""From a table's name to its rows."""


class Gateway(Running):
    """One process of ours."""

    def __init__(self, child: Child, port: int, place: Place, environ: dict[str, str]) -> None:
        super().__init__(child, port)
        self._place = place
        self._environ = environ
        self._key_file = place.folder / "key"

    def prepare(self) -> None:
        """Make an account with credit and a key, as an operator does; a second start has them."""
        if self._key_file.exists():
            return
        self._console("accounts.create", name=_ACCOUNT, kind="prepaid")
        amount = nanos_from_dollars(CREDIT_DOLLARS)
        self._console("accounts.credit", account=_ACCOUNT, amount_nanos=amount)
        limits = {"requests_per_minute": PER_MINUTE, "tokens_per_minute": PER_MINUTE}
        made = self._console("keys.create", account=_ACCOUNT, livemode=True, **limits)
        self._key_file.write_text(made["key"])

    def target(self, kind: Kind) -> Target:
        headers = {"authorization": f"Bearer {self._key_file.read_text()}"}
        if kind is Kind.ORDER:
            return order_target(self.port, _ORDER_PATH, headers)
        if kind is Kind.FETCH:
            return Target(port=self.port, method="GET", paths=self._tasks(headers), headers=headers)
        return answer_target(self.port, kind, headers)

    def books(self, count: Count) -> Counts:
        """Verify the books with the command that an operator runs; best after the stop."""
        done = run_command(["ledger", "verify"], self._place.folder, self._environ)
        words = (done.stdout + done.stderr).strip()
        return Counts(sound=done.returncode == 0, words=words, usage_rows=count("usage"), task_rows=count("tasks"))

    def _tasks(self, headers: dict[str, str]) -> tuple[str, ...]:
        """Order some tasks, and give where each is fetched."""
        order = order_target(self.port, _ORDER_PATH, headers)
        ids = [msgspec.json.decode(demand(order))["id"] for _ in range(TASKS_FETCHED)]
        return tuple(f"/flux/v1/get_result?id={each}" for each in ids)

    def _console(self, command: str, **arguments: object) -> Any:
        args = msgspec.Raw(msgspec.json.encode(arguments))
        socket = self._place.folder / "data" / SOCKET_NAME
        return call(socket, Request(command=command, args=args), lambda _: None)


class HalleySqlite:
    """The default: one file, `synchronous=FULL`."""

    name = "halley-sqlite"
    title = "Halley, SQLite"
    kinds = ANSWERS | TASKS

    def install(self, cache: Path) -> str:  # noqa: ARG002 - ours is there already
        return halley.__version__

    def start(self, place: Place) -> Running:
        return start(place, {}, SqliteGateway)

    def settings(self) -> dict[str, str]:
        return {**SETTINGS, "database": f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL"}


class SqliteGateway(Gateway):
    """On its own file."""

    def read_books(self) -> Counts:
        return self.books(self._count)

    def _count(self, table: str) -> int:
        path = self._place.folder / "data" / "halley.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - a name of ours


G = TypeVar("G", bound=Gateway)


def start(place: Place, environ: dict[str, str], make: Callable[[Child, int, Place, dict[str, str]], G]) -> G:
    """Start `halley serve` and wait until it is ready."""
    place.folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (place.folder / "halley.toml").write_text(_CHANNELS.format(url=place.vendor_url))
    own = {
        "HALLEY_DATA_DIR": str(place.folder / "data"),
        "HALLEY_PORT": str(port),
        "HALLEY_CONFIG": str(place.folder / "halley.toml"),
        "BENCH_VENDOR_KEY": "sk-of-the-vendor",
        **environ,
    }
    command = [str(_program()), "serve"]
    child = spawn(command, core=place.cores.gateway, log=place.folder / "log", cwd=place.folder, environ=own)
    try:
        wait_until(lambda: answers(port, HEALTH_PATH), child=child, within_s=START_S_MAX)
    except BaseException:
        child.stop()
        raise
    return make(child, port, place, own)


def run_command(arguments: list[str], folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one of our commands to its end."""
    return subprocess.run(
        [str(_program()), *arguments],
        env={**bare_environment(), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_COMMAND_S_MAX,
        check=False,
    )


def _program() -> Path:
    path = Path(sys.executable).with_name("halley")
    if not path.exists():
        raise Failed("`halley` is not installed beside this Python: run `make bench`")
    return path
