"""A simulated vendor over a real socket: start, restart, broken endings, stop."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.simulate.conftest import StartSimulator, TickedClock

from halley.vendors.simulate import (
    Job,
    Journal,
    Outcome,
    Refusal,
    Reply,
    Request,
    Router,
    SimulatorHost,
    apply_transport_ending,
    directive_for,
    json_reply,
)


def create_app(host: SimulatorHost) -> Router:
    async def create(request: Request) -> Reply | None:
        body = msgspec.json.decode(await request.body(), type=dict[str, str])
        try:
            directive = directive_for(request.raw_headers, body.get("prompt"))
        except ValueError as error:
            raise Refusal(json_reply({"detail": str(error)}, status=400)) from error
        now_us = host.clock.now()
        job = host.accept(
            Job(
                id=host.uuid(),
                created_us=now_us,
                ready_us=host.ready_us(directive, created_us=now_us),
                model=request.params["model"],
                directive=directive,
                request=msgspec.Raw(await request.body()),
            )
        )
        if await apply_transport_ending(directive, request.scope, request.receive, request.send):
            return None
        return json_reply({"id": job.id})

    async def fetch(request: Request) -> Reply:
        job = host.journal.get(request.query.get("id", ""))
        return json_reply({"status": "Task not found" if job is None else host.phase(job)})

    async def fail(_: Request) -> Reply:
        raise RuntimeError("a handler's mistake")

    router = host.router()
    router.add("POST", "/v1/{model}", create)
    router.add("GET", "/v1/get_result", fetch)
    router.add("GET", "/v1/fail", fail)
    return router


async def call(url: str, **body: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session:
        if body:
            async with session.post(url, json=body) as reply:
                return reply.status, json.loads(await reply.read())
        async with session.get(url) as reply:
            return reply.status, json.loads(await reply.read())


async def submit(url: str, prompt: str) -> str:
    _, reply = await call(f"{url}/v1/flux", prompt=prompt)
    return reply["id"]


async def test_job_is_ready_when_its_time_has_passed_on_the_clock(start: StartSimulator, clock: TickedClock):
    server = await start(create_app)
    job_id = await submit(server.url, "a teapot [[halley outcome=success delay=10]]")
    seen: list[object] = []
    for seconds in (0, 5, 5):
        clock.tick(seconds)
        seen.append((await call(f"{server.url}/v1/get_result?id={job_id}"))[1])
    assert seen == [{"status": "queued"}, {"status": "running"}, {"status": "finished"}]


async def test_restart_keeps_port_jobs_and_links(start: StartSimulator, clock: TickedClock, tmp_path: Path):
    journal_path, port_file = tmp_path / "simulators.db", tmp_path / "acme.port"
    first = await start(create_app, journal_path=journal_path, port_file=port_file)
    job_id = await submit(first.url, "a teapot")
    link = first.host.link("/files/a.png", expires_us=clock.now() + 10_000_000)
    await asyncio.to_thread(first.stop)
    second = await start(create_app, journal_path=journal_path, port_file=port_file)
    clock.tick(60)
    assert second.url == first_url(link)
    assert (await call(f"{second.url}/v1/get_result?id={job_id}"))[1] == {"status": "finished"}
    assert second.host.link("/files/a.png", expires_us=clock.now() - 50_000_000) == link


def first_url(link: str) -> str:
    return link.partition("/files/")[0]


async def test_another_port_is_taken_when_the_remembered_one_is_occupied(start: StartSimulator, tmp_path: Path):
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port_file = tmp_path / "acme.port"
        port_file.write_text(str(occupied.getsockname()[1]))
        server = await start(create_app, port_file=port_file)
        assert server.url.rpartition(":")[2] == port_file.read_text().strip()
        assert server.url.rpartition(":")[2] != str(occupied.getsockname()[1])


async def test_asked_port_that_is_occupied_is_an_error(start: StartSimulator):
    first = await start(create_app)
    with pytest.raises(OSError, match="in use"):
        await start(create_app, port=int(first.url.rpartition(":")[2]))


async def test_failure_of_create_app_reaches_who_starts_it(start: StartSimulator):
    def broken(_: SimulatorHost) -> Router:
        raise RuntimeError("no such model file")

    with pytest.raises(RuntimeError, match="no such model file"):
        await start(broken)


async def test_connect_to_the_refused_url_is_refused(start: StartSimulator):
    host, port = (await start(create_app)).refused_url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def raw_call(url: str, prompt: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"prompt": prompt})
    writer.write(f"POST /v1/flux HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
    await writer.drain()
    return reader, writer


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.005)


async def test_reset_after_send_resets_the_connection_with_the_job_journalled(start: StartSimulator):
    server = await start(create_app)
    reader, writer = await raw_call(server.url, "[[halley outcome=reset_after_send]]")
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()
    assert [job.directive.outcome for job in server.host.journal.all()] == [Outcome.RESET_AFTER_SEND]


async def test_timeout_after_send_says_nothing_until_the_client_leaves(start: StartSimulator):
    server = await start(create_app)
    reader, writer = await raw_call(server.url, "[[halley outcome=timeout_after_send]]")
    await until(server.host.journal.all)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read(1)
    writer.close()
    await writer.wait_closed()
    assert (await call(f"{server.url}/v1/get_result?id=x"))[0] == 200


async def test_stop_cuts_a_request_that_hangs(start: StartSimulator):
    server = await start(create_app)
    reader, writer = await raw_call(server.url, "[[halley outcome=timeout_after_send]]")
    await until(server.host.journal.all)
    await asyncio.to_thread(server.stop)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_garbage_is_a_200_that_is_no_json(start: StartSimulator):
    server = await start(create_app)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/flux", json={"prompt": "[[halley outcome=garbage]]"}) as reply,
    ):
        assert reply.status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(await reply.read())


async def test_unknown_outcome_is_refused_with_the_list_of_those_known(start: StartSimulator):
    status, reply = await call(f"{(await start(create_app)).url}/v1/flux", prompt="[[halley outcome=explode]]")
    assert status == 400
    assert all(outcome in str(reply) for outcome in Outcome)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        pytest.param("GET", "/nowhere", 404, None, id="unknown-path"),
        pytest.param("DELETE", "/v1/get_result", 405, "GET, POST", id="wrong-method"),
        pytest.param("GET", "/v1/a/b", 404, None, id="param-is-one-segment"),
        pytest.param("GET", "/v1/fail", 500, None, id="handler-failed"),
    ],
)
async def test_router_answers_json_for_what_it_cannot_serve(
    start: StartSimulator, method: str, path: str, status: int, allow: str | None
):
    server = await start(create_app)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.url + path) as reply,
    ):
        assert (reply.status, reply.headers.get("allow")) == (status, allow)
        assert "detail" in await reply.json()


async def test_replies_are_not_delayed_by_the_socket(start: StartSimulator):
    nodelay: list[int] = []

    def app(host: SimulatorHost) -> Router:
        async def look(request: Request) -> Reply:
            abort = request.scope["extensions"]["halley.abort"]
            accepted = abort.__self__.transport.get_extra_info("socket")
            nodelay.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            return json_reply({})

        router = host.router()
        router.add("GET", "/", look)
        return router

    await call((await start(app)).url)
    assert nodelay[0] != 0


async def test_requests_are_counted_by_route(start: StartSimulator):
    server = await start(create_app)
    await submit(server.url, "a")
    await submit(server.url, "b")
    await call(f"{server.url}/nowhere")
    assert server.host.journal.requests() == {"POST /v1/{model}": 2, "unknown route": 1}


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
from halley.kernel.clock import SystemClock
from halley.vendors.simulate import SimulatorServer, SimulatorSettings, outside_of, run_forever
from tests.simulate.test_server import create_app
settings = SimulatorSettings(clock=SystemClock(), open_outside=outside_of())
server = SimulatorServer("acme", create_app, settings, journal_path=sys.argv[1])
run_forever(server, lambda started: print(started.url, flush=True))
"""


async def start_process(journal_path: Path) -> tuple[asyncio.subprocess.Process, str]:
    arguments = ["-c", PROGRAM, str(journal_path), str(Path(__file__).parents[2])]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    return process, (await process.stdout.readline()).decode().strip()


async def test_kill_after_the_answer_keeps_the_job(tmp_path: Path):
    process, url = await start_process(tmp_path / "simulators.db")
    job_id = await submit(url, "a teapot")
    process.kill()
    await process.wait()
    assert await asyncio.to_thread(journalled_ids, tmp_path / "simulators.db") == [job_id]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
async def test_process_of_its_own_ends_cleanly_when_told(tmp_path: Path, number: signal.Signals):
    process, url = await start_process(tmp_path / "simulators.db")
    assert (await call(f"{url}/v1/get_result?id=x"))[0] == 200
    process.send_signal(number)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


def journalled_ids(path: Path) -> list[str]:
    journal = Journal(path, vendor="acme")
    ids = [job.id for job in journal.all()]
    journal.close()
    return ids
