import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.console.conftest import ask

from halley.console.client import NobodyAnswers
from halley.console.protocol import REQUEST_BYTES_MAX, SOCKET_NAME, CommandFailed, Request, Step
from halley.console.server import CONNECTIONS_MAX, ConsoleServer
from halley.console.services import OwnServices, database_mark
from halley.settings import Secret, Settings

CREATE = msgspec.Raw(b'{"name": "acme", "kind": "prepaid"}')


async def raw(path: Path, sent: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(sent)
    writer.write_eof()
    line = await reader.readline()
    writer.close()
    return json.loads(line)


async def test_a_command_runs_in_the_server(socket_path: Path):
    made = await ask(socket_path, Request(command="accounts.create", args=CREATE))
    listed = await ask(socket_path, Request(command="accounts.list"))
    assert made["name"] == "acme"
    assert listed == [made]


async def test_progress_comes_before_the_result(socket_path: Path):
    await ask(socket_path, Request(command="accounts.create", args=CREATE))
    steps: list[Step] = []
    found = await ask(socket_path, Request(command="ledger.verify"), steps)
    assert found["differences"] == []
    assert steps
    assert steps[-1].done == steps[-1].total > 0


async def test_a_refusal_names_code_and_field(socket_path: Path):
    with pytest.raises(CommandFailed, match="There is no account `nobody`") as caught:
        await ask(socket_path, Request(command="keys.create", args=msgspec.Raw(b'{"account": "nobody"}')))
    assert (caught.value.problem.code, caught.value.problem.param) == ("not_found", "account")


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (Request(command="key.list"), "unknown_command", "did you mean `keys.list`"),
        (Request(command="zzz"), "unknown_command", "another release"),
        (Request(command="keys.create"), "invalid_request", "missing required field `account`"),
        (Request(command="keys.list", args=msgspec.Raw(b'{"limit": 0}')), "invalid_request", "limit"),
        (Request(command="keys.list", args=msgspec.Raw(b'{"drop": 1}')), "invalid_request", "unknown field"),
        (Request(command="keys.list", database="other"), "other_database", "same database URL"),
    ],
    ids=lambda value: value.command if isinstance(value, Request) else None,
)
async def test_what_cannot_be_run_is_answered(socket_path: Path, request_: Request, code: str, text: str):
    with pytest.raises(CommandFailed, match=text) as caught:
        await ask(socket_path, request_)
    assert caught.value.problem.code == code


async def test_a_command_for_this_very_database_is_run(socket_path: Path, services: OwnServices):
    request = Request(command="keys.list", database=database_mark(services.settings))
    assert await ask(socket_path, request) == []


@pytest.mark.parametrize(
    "sent",
    [b"hello\n", b"\n", b"", b'{"command": "keys.list"}', b'{"command": 1}\n', b"x" * (REQUEST_BYTES_MAX * 2) + b"\n"],
    ids=["no json", "empty line", "nothing", "no line end", "wrong type", "too long"],
)
async def test_what_is_no_command_is_refused(socket_path: Path, sent: bytes):
    answer = await raw(socket_path, sent)
    assert answer["error"]["code"] == "invalid_request"


async def test_too_many_at_once_are_told_to_come_again(socket_path: Path):
    path = str(socket_path)
    waiting = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS_MAX)]
    await asyncio.sleep(0)
    answer = await raw(socket_path, b'{"command": "keys.list"}\n')
    for _, writer in waiting:
        writer.close()
    assert answer["error"]["code"] == "busy"


async def test_our_own_mistake_is_answered_and_logged(
    server: ConsoleServer, socket_path: Path, services: OwnServices, caplog: pytest.LogCaptureFixture
):
    await asyncio.to_thread(services.db.close)
    with pytest.raises(CommandFailed, match=r"`accounts\.create` failed with WriterClosed; the server's log") as caught:
        await ask(socket_path, Request(command="accounts.create", args=CREATE))
    assert caught.value.problem.code == "internal_error"
    await server.stop()
    assert "WriterClosed" in caplog.text


async def test_arguments_beyond_the_limit_are_not_even_sent(socket_path: Path):
    args = msgspec.Raw(b'{"account": "' + b"x" * REQUEST_BYTES_MAX + b'"}')
    with pytest.raises(CommandFailed, match="larger than"):
        await ask(socket_path, Request(command="keys.list", args=args))


async def test_the_socket_is_for_our_own_user_and_goes_with_the_server(services: OwnServices, tmp_path: Path):
    path = tmp_path / SOCKET_NAME
    console = ConsoleServer(path, services)
    await console.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await console.stop()
    await console.stop()
    assert not path.exists()
    with pytest.raises(NobodyAnswers):
        await ask(path, Request(command="keys.list"))


async def test_the_socket_of_a_dead_server_is_replaced(services: OwnServices, tmp_path: Path):
    import socket

    path = tmp_path / SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NobodyAnswers):
        await ask(path, Request(command="keys.list"))
    console = ConsoleServer(path, services)
    assert await console.start()
    assert await ask(path, Request(command="keys.list")) == []
    await console.stop()


async def test_the_socket_of_a_living_server_is_left_alone(socket_path: Path, services: OwnServices):
    second = ConsoleServer(socket_path, services)
    assert not await second.start()
    await second.stop()
    assert await ask(socket_path, Request(command="keys.list")) == []


async def test_a_long_path_works_as_well(services: OwnServices, tmp_path: Path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    console = ConsoleServer(folder / SOCKET_NAME, services)
    await console.start()
    assert await ask(folder / SOCKET_NAME, Request(command="keys.list")) == []
    await console.stop()
    assert list(folder.iterdir()) == []


def test_databases_are_told_apart_without_being_named(tmp_path: Path):
    one = Settings(configured_database=Secret("postgresql://u:hidden@db/one"))
    two = Settings(configured_database=Secret("postgresql://u:hidden@db/two"))
    assert database_mark(one) != database_mark(two) != database_mark(Settings(data_dir=tmp_path))
    assert database_mark(Settings(data_dir=tmp_path)) == database_mark(Settings(data_dir=tmp_path / "." / "."))
