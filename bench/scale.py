"""Many tasks in flight in one process: `python -m bench.scale`. What they cost, and how soon a callback is noticed.

The gateway is a process of its own, as an operator runs it; the vendor is a stand-in in this process that speaks the
format of Replicate: it takes orders, shows each as `processing` until it is told to end it, and then calls back,
signed. It remembers two short strings for each order, so that its memory is never what is measured.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, cast

import httptools
import msgspec
import uvloop

from bench import proc
from bench.ask import answers
from bench.load.statistics import percentile
from bench.process import Child, bare_environment, choose_cores, free_port, spawn, wait_until
from halley.console.client import call as console
from halley.console.protocol import SOCKET_NAME, Request
from halley.kernel.clock import MICROSECONDS, SystemClock
from halley.kernel.money import nanos_from_dollars
from halley.vendors.replicate.signature import signed_headers

PUBLIC = "flux-schnell"
MODEL = f"black-forest-labs/{PUBLIC}"
CONNECTIONS = 64
START_S_MAX = 30.0
WAIT_S = 30
AT_REST_S = 5.0
CREDIT_DOLLARS = 1_000_000
MIB = 1024 * 1024
_SECRET = f"whsec_{b64encode(b'the stand-in signs with this one').decode()}"
_PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5"
    "f645400000000049454e44ae426082"
)
_CONFIG = """
[[channels]]
name = "stand-in"
vendor = "replicate"
base_url = "{url}"
api_key = "${{SCALE_VENDOR_KEY}}"
models = ["{public}"]
"""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    tasks: int
    callbacks: int
    seconds: float
    database_url: str
    json: Path | None


class Figures(msgspec.Struct, kw_only=True):
    """What was seen."""

    tasks: int = 0
    submit_s: float = 0.0
    submit_cpu_us: float = 0.0
    """Of the gateway for each order, the polls that ran meanwhile included."""
    idle_mb: float = 0.0
    memory_mb: float = 0.0
    """With all tasks in flight."""
    bytes_per_task: float = 0.0
    polls_per_s: float = 0.0
    cores_busy: float = 0.0
    """With all tasks in flight and nobody asking."""
    noticed_ms: dict[str, float] = {}
    """From a callback to the poll that it led to."""
    ended_ms: dict[str, float] = {}
    """From a callback to the task's end, its output stored and its price booked."""
    database_mb: float = 0.0
    books: str = ""


class Vendor:
    """The stand-in: what it took, what it was told to end, and how often it was asked."""

    def __init__(self) -> None:
        self.base_url = ""
        self.webhooks: list[str] = []
        self.done: set[int] = set()
        self.polled: dict[int, float] = {}
        """When an order that is done was first asked for."""
        self.counts: Counter[str] = Counter()

    def answer(self, method: bytes, url: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Give the type and the body of an answer."""
        if method == b"POST":
            return _JSON, self._order(body)
        if url.startswith(b"/v1/predictions/"):
            return _JSON, self._poll(int(url.rpartition(b"/")[2]))
        if url.endswith(b".png"):
            return b"image/png", _PICTURE
        return _JSON, json.dumps({"key": _SECRET}).encode()

    def _order(self, body: bytes) -> bytes:
        self.webhooks.append(json.loads(body)["webhook"])
        return self._shown(len(self.webhooks) - 1, "starting")

    def _poll(self, number: int) -> bytes:
        self.counts["polls"] += 1
        if number not in self.done:
            return self._shown(number, "processing")
        self.polled.setdefault(number, time.monotonic())
        return self._shown(number, "succeeded", [f"{self.base_url}/{number}.png"])

    def _shown(self, number: int, status: str, output: list[str] | None = None) -> bytes:
        return json.dumps({"id": str(number), "model": MODEL, "status": status, "output": output, "input": {}}).encode()


_JSON = b"application/json"


class Exchange(asyncio.Protocol):
    """One connection to the stand-in."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of a TCP server it is one, though uvloop's class does not say so.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        kind, body = self._vendor.answer(self._parser.get_method(), self._url, self._body)
        self._url = self._body = b""
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
        self._transport.write(head + body)


class Caller:
    """One connection to the gateway; a call at a time."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = f"host: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """Give the JSON of an answer that must be good."""
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{more}content-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
        reply = await self._reader.readexactly(length)
        assert lines[0].split()[1][0] == "2", f"{method} {path}: {lines[0]} {reply[:300]!r}"
        return json.loads(reply) if reply else None


class Gateway:
    """The process that is measured."""

    def __init__(self, folder: Path, vendor_url: str, database_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "halley.toml").write_text(_CONFIG.format(url=vendor_url, public=PUBLIC))
        self._environ = {
            "HALLEY_DATA_DIR": str(folder / "data"),
            "HALLEY_PORT": str(self.port),
            "HALLEY_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "HALLEY_CONFIG": str(folder / "halley.toml"),
            "HALLEY_SANDBOX": "false",
            "SCALE_VENDOR_KEY": "of-the-stand-in",
            **({"HALLEY_DATABASE_URL": database_url} if database_url else {}),
        }
        self.child: Child | None = None

    @property
    def pids(self) -> tuple[int]:
        assert self.child is not None
        return (self.child.pid,)

    def start(self, core: int) -> str:
        """Start it; give a live key with credit."""
        if "HALLEY_DATABASE_URL" in self._environ:
            self._run("migrate")
        command = [sys.executable, "-m", "halley.cli", "serve"]
        child = spawn(command, core=core, log=self.folder / "log", cwd=self.folder, environ=self._environ)
        self.child = child
        wait_until(lambda: answers(self.port, "/health/readiness"), child=child, within_s=START_S_MAX)
        self._console("accounts.create", name="scale", kind="prepaid")
        self._console("accounts.credit", account="scale", amount_nanos=nanos_from_dollars(CREDIT_DOLLARS))
        return self._console("keys.create", account="scale", livemode=True)["key"]

    def verify(self) -> str:
        """Stop it, and let the books be verified as an operator does."""
        assert self.child is not None
        self.child.stop()
        return self._run("ledger", "verify").rpartition("\n")[2]

    def database_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "data").glob("halley.db*"))

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", "halley.cli", *words]
        environ = {**bare_environment(), **self._environ}
        done = subprocess.run(command, env=environ, cwd=self.folder, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip()

    def _console(self, command: str, **arguments: object) -> Any:
        args = msgspec.Raw(msgspec.json.encode(arguments))
        return console(self.folder / "data" / SOCKET_NAME, Request(command=command, args=args), lambda _: None)


async def measure(wanted: Options, folder: Path) -> Figures:
    """Bring the tasks into flight, let them fly, and call some of them back."""
    vendor, cores = Vendor(), choose_cores()
    server = await asyncio.get_running_loop().create_server(lambda: Exchange(vendor), "127.0.0.1", 0, backlog=4_096)
    vendor.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gateway = Gateway(folder, vendor.base_url, wanted.database_url)
    try:
        key = await asyncio.to_thread(gateway.start, cores.gateway)
        figures = Figures(tasks=wanted.tasks)
        await asyncio.sleep(AT_REST_S)
        idle = proc.memory_bytes(gateway.pids)
        ids = await _submit(gateway, key, wanted.tasks, figures)
        await _rest(gateway, vendor, wanted.seconds, figures)
        in_flight = proc.memory_bytes(gateway.pids)
        figures.idle_mb, figures.memory_mb = idle / MIB, in_flight / MIB
        figures.bytes_per_task = (in_flight - idle) / wanted.tasks
        figures.database_mb = gateway.database_bytes() / MIB
        _tell(figures)
        await _call_back(gateway, vendor, key, ids[:: max(1, len(ids) // wanted.callbacks)], figures)
        figures.books = await asyncio.to_thread(gateway.verify)
        return figures
    finally:
        server.close()
        if gateway.child is not None:
            await asyncio.to_thread(gateway.child.stop)


async def _submit(gateway: Gateway, key: str, tasks: int, figures: Figures) -> list[tuple[int, str]]:
    """Order so many pictures; give the vendor's number and our id of each."""
    left = iter(range(tasks))
    taken: list[tuple[int, str]] = []
    body = json.dumps({"input": {"prompt": "a lighthouse at dawn"}}).encode()
    began, used = time.monotonic(), proc.cpu(gateway.pids)

    async def work() -> None:
        async with Caller(gateway.port, key) as caller:
            for _ in left:
                made = await caller.call("POST", f"/replicate/v1/models/{MODEL}/predictions", body)
                taken.append((len(taken), made["id"]))
                if len(taken) % 10_000 == 0:
                    _say(f"{len(taken):,} in flight after {time.monotonic() - began:.0f} s")

    await _together(work, CONNECTIONS)
    figures.submit_s = time.monotonic() - began
    figures.submit_cpu_us = proc.cpu(gateway.pids).since(used).total_us / tasks
    return taken


async def _rest(gateway: Gateway, vendor: Vendor, seconds: float, figures: Figures) -> None:
    """See what they cost while nobody asks."""
    began, used, polls = time.monotonic(), proc.cpu(gateway.pids), vendor.counts["polls"]
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    figures.polls_per_s = (vendor.counts["polls"] - polls) / passed
    figures.cores_busy = proc.cpu(gateway.pids).since(used).total_us / 1e6 / passed


async def _call_back(
    gateway: Gateway, vendor: Vendor, key: str, chosen: list[tuple[int, str]], figures: Figures
) -> None:
    """End some orders, a few at a time, and see how soon the gateway knows."""
    numbers = {url.rpartition("/")[2].partition(".")[0]: number for number, url in enumerate(vendor.webhooks)}
    urls = {number: vendor.webhooks[number] for number in numbers.values()}
    left, noticed, ended = iter(chosen), list[float](), list[float]()

    async def work() -> None:
        async with Caller(gateway.port, key) as waiting, Caller(gateway.port, key) as calling:
            for _, identity in left:
                number = numbers[identity]
                wait = asyncio.ensure_future(waiting.call("GET", f"/v1/tasks/{identity}?wait={WAIT_S}"))  # noqa: TID251 - awaited below
                await asyncio.sleep(0.05)
                vendor.done.add(number)
                began = time.monotonic()
                await _signed(calling, urls[number], number)
                shown = await wait
                assert shown["state"] == "succeeded", shown
                ended.append((time.monotonic() - began) * 1e3)
                noticed.append((vendor.polled[number] - began) * 1e3)

    await _together(work, 4)
    figures.noticed_ms, figures.ended_ms = _spread(noticed), _spread(ended)


async def _signed(caller: Caller, url: str, number: int) -> None:
    body = json.dumps({"id": str(number), "status": "succeeded"}).encode()
    headers = signed_headers(_SECRET, f"msg_{number}", SystemClock().now() // MICROSECONDS, body)
    await caller.call("POST", "/" + url.split("/", 3)[3], body, headers)


async def _together(work: Callable[[], Awaitable[None]], count: int) -> None:
    await asyncio.gather(*[work() for _ in range(count)])


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "max": ordered[-1]}


def _tell(figures: Figures) -> None:
    for name, value in msgspec.structs.asdict(figures).items():
        _say(f"{name:16} {value:.1f}" if isinstance(value, float) else f"{name:16} {value}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--callbacks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they fly before the first callback")
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL database; else SQLite")
    parser.add_argument("--json", type=Path, default=None, help="where to write the figures")
    wanted = msgspec.convert(vars(parser.parse_args()), Options)
    folder = Path(tempfile.mkdtemp(prefix="halley-scale-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(measure(wanted, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _tell(figures)
    if wanted.json is not None:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


if __name__ == "__main__":
    main()
