"""A real gateway in a process of its own, and the few calls that tests of its public door make.

`tests/clients`, `tests/fuzz` and `tests/field` share it: what they ask goes over a socket, as a stranger's does.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from PIL import Image

from halley.console.client import call
from halley.console.protocol import SOCKET_NAME, Request

KEY = "sk-test-bootstrap-of-the-tests"
START_S_MAX = 60
STOP_S_MAX = 40
ASK_S_MAX = 60
TASK_WAIT_S = 30
REVOKED_S_MAX = 1.5
"""A second is promised; the rest is for a machine that is busy with other tests."""
FLUX = "/flux/v1/flux-pro-1.1"

_SERVES = re.compile(r"serves (http://\S+)")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; a header's name is in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def problem(self) -> dict[str, Any]:
        """Our own part of an error, whichever format is around it."""
        return self.json["error"]


class Served:
    """One running gateway."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.data = folder / "data"
        self.log_path = folder / "log"
        self.url = ""
        self.key = environ.get("HALLEY_BOOTSTRAP_KEY", "")
        self._environ = {**_bare_environment(), "HALLEY_DATA_DIR": str(self.data), "HALLEY_PORT": "0", **environ}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log_path.open("ab") as log:
            began = log.tell()
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("halley")), "serve"],
                env=self._environ,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._announced(began)
        ready = self.ask("GET", "/health/readiness", key=None)
        assert ready.status == 200, ready.text
        return self

    def stop(self) -> int:
        """End it as an operator does, and give its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_S_MAX)

    def kill(self) -> None:
        """End it if it still runs, as after a test run that was broken off."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        """All that it has printed and logged."""
        return self.log_path.read_text(errors="replace")

    @property
    def first_words(self) -> str:
        """What it told its operator at the first start."""
        return self.log.partition("\n{")[0][:4_000]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def children(self) -> list[int]:
        """Processes that it has started."""
        listed = (path.read_text().split() for path in Path(f"/proc/{self.pid}/task").glob("*/children"))
        return [int(pid) for each in listed for pid in each]

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask for a path or one of its own URLs. A body that is not bytes goes as JSON."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key}")
        if body is not None and not isinstance(body, bytes):
            sent.setdefault("content-type", "application/json")
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.address, timeout=ASK_S_MAX)
        with contextlib.closing(connection):
            connection.request(method, target.removeprefix(self.url), body=body, headers=sent)
            return _reply(connection.getresponse())

    def raw(self, request: bytes, *, then: bytes = b"") -> Reply:
        """Send bytes as they are and read one answer; `then` follows as far as the other side takes it."""
        with socket.create_connection(self.address, timeout=ASK_S_MAX) as connection:
            connection.sendall(request)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused while we still talk
                connection.sendall(then)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return _reply(response)

    def order(self, body: Mapping[str, Any], *, key: str = KEY, path: str = FLUX, test: str | None = None) -> str:
        """Order in Flux format and give the task's id."""
        reply = self.ask("POST", path, body, key=key, headers={} if test is None else {"halley-test": test})
        assert reply.status == 200, reply.text
        return reply.json["id"]

    def ended(self, task: str, *, key: str = KEY) -> Any:
        """Wait until a task has ended and give it in our own shape."""
        reply = self.ask("GET", f"/v1/tasks/{task}?wait={TASK_WAIT_S}", key=key)
        assert reply.status == 200, reply.text
        return reply.json

    def result(self, task: str, *, key: str = KEY) -> Any:
        """The same in Flux format."""
        self.ended(task, key=key)
        return self.ask("GET", f"/flux/v1/get_result?id={task}", key=key).json

    def draw(self, prompt: str = "a lighthouse", *, key: str = KEY, **fields: object) -> tuple[str, str]:
        """Order an image and wait for it: the task's id and the link to its file."""
        task = self.order({"prompt": prompt, "width": 256, "height": 256, **fields}, key=key)
        result = self.result(task, key=key)
        assert result["status"] == "Ready", result
        return task, result["result"]["sample"]

    def console(self, command: str, **arguments: object) -> Any:
        """Run an operator's command through the local socket, as the command line does."""
        args = msgspec.Raw(msgspec.json.encode(arguments))
        return call(self.data / SOCKET_NAME, Request(command=command, args=args), lambda _: None)

    def new_account(self, name: str, **terms: object) -> None:
        self.console("accounts.create", **{"name": name, "kind": "prepaid", **terms})

    def new_key(self, account: str, **terms: object) -> str:
        return self.console("keys.create", account=account, **terms)["key"]

    def revoke(self, key: str) -> None:
        """Revoke a key and see it refused, within the second that is promised."""
        self.console("keys.revoke", key=key)
        until = monotonic() + REVOKED_S_MAX
        while self.ask("GET", "/v1/models", key=key).status != HTTPStatus.UNAUTHORIZED:
            assert monotonic() < until, "a revoked key still works"

    def assert_books_are_sound(self) -> None:
        found = self.console("ledger.verify")
        assert found["differences"] == []
        assert set(found["sums"].values()) == {0}

    def _announced(self, began: int) -> str:
        """Give the address that it prints once it serves."""
        assert self._process is not None
        waiting = threading.Event()
        for _ in range(START_S_MAX * 20):
            text = self.log_path.read_bytes()[began:].decode(errors="replace")
            found = _SERVES.search(text)
            if found:
                return found[1]
            assert self._process.poll() is None, text
            waiting.wait(0.05)
        raise AssertionError(self.log)


@contextmanager
def served(environ: Mapping[str, str] | None = None, *, config: str | None = None) -> Generator[Served]:
    """Serve from an empty data folder; at the end it must stop by itself and in order."""
    # Not below pytest's folder, whose paths are too long for a socket on some systems.
    folder = Path(mkdtemp(prefix="halley-"))
    given = {"HALLEY_SANDBOX_DELAY": "0.3", "HALLEY_BOOTSTRAP_KEY": KEY, **(environ or {})}
    if config is not None:
        (folder / "halley.toml").write_text(config)
    gateway = Served(folder, given)
    try:
        yield gateway.start()
        assert gateway.stop() == 0, gateway.log
    finally:
        gateway.kill()
        rmtree(folder)


def image(data: bytes) -> tuple[str, tuple[int, int]]:
    """Decode a whole image: its format and size."""
    with Image.open(BytesIO(data)) as opened:
        opened.load()
        assert opened.format
        return opened.format, opened.size


def fetched(link: str) -> bytes:
    """Give what a link leads to, wherever that is."""
    parts = urlsplit(link)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ASK_S_MAX)
    with contextlib.closing(connection):
        connection.request("GET", f"{parts.path}?{parts.query}")
        reply = _reply(connection.getresponse())
    assert reply.status == HTTPStatus.OK, reply.text
    return reply.body


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _reply(response: http.client.HTTPResponse) -> Reply:
    body = response.read()
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return Reply(status=response.status, headers=headers, body=body)


def _bare_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in kept if name in os.environ}
