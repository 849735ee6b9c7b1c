"""Callbacks are sent when due on the clock, also after a restart; their endings can be ordered."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.simulate.conftest import StartSimulator, TickedClock

from halley.vendors.simulate import (
    CallbackRequest,
    Directive,
    Due,
    Job,
    Outcome,
    OutsideError,
    Reply,
    Request,
    Router,
    SimulatorHost,
    SimulatorServer,
    json_reply,
    outside_of,
)


class Receiver:
    """Takes callbacks, or fails as told: each number is a status to answer, 0 a connection that fails."""

    def __init__(self, *answers: int) -> None:
        self.bodies: list[str] = []
        self._answers = list(answers)

    async def take(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        assert (url, headers) == ("http://127.0.0.1/hook", (("x-signature", "s"),))
        self.bodies.append(body.decode())
        answer = self._answers.pop(0) if self._answers else 200
        if not answer:
            raise OutsideError("refused")
        return answer


def create_app(host: SimulatorHost) -> Router:
    def render(job: Job, event: str) -> CallbackRequest | None:
        if event == "silent":
            return None
        body = f"{job.id} {event} {host.phase(job)}".encode()
        return CallbackRequest(url="http://127.0.0.1/hook", headers=(("x-signature", "s"),), body=body)

    async def nothing(_: Request) -> Reply:
        return json_reply({})

    host.render_callback = render
    router = host.router()
    router.add("GET", "/", nothing)
    return router


async def accept(
    host: SimulatorHost, name: str, *, outcome: Outcome = Outcome.SUCCESS, events: str = "completed"
) -> None:
    now_us = host.clock.now()
    ready_us = now_us + 5_000_000
    job = Job(
        id=name,
        created_us=now_us,
        ready_us=ready_us,
        model="m",
        directive=Directive(outcome=outcome),
        request=msgspec.Raw(b"{}"),
    )
    host.accept(job, callbacks=[Due(event=event, due_us=ready_us) for event in events.split()])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.002)


async def on(server: SimulatorServer, work: Callable[[SimulatorHost], object]) -> None:
    async def there() -> None:
        result = work(server.host)
        if asyncio.iscoroutine(result):
            await result

    await asyncio.to_thread(server.call, there())


async def test_callback_comes_when_the_job_is_ready_and_not_before(start: StartSimulator, clock: TickedClock):
    receiver = Receiver()
    server = await start(create_app, open_outside=outside_of(send_callback=receiver.take))
    await on(server, lambda host: accept(host, "a"))
    await on(server, lambda host: host.deliver_due())
    assert receiver.bodies == []
    clock.tick(5)
    await until(lambda: receiver.bodies)
    await on(server, lambda host: host.deliver_due())
    assert receiver.bodies == ["a completed finished"]
    assert [job.callbacks_sent for job in server.host.journal.all()] == [1]


async def test_callback_due_while_it_was_down_is_sent_at_the_next_start(
    start: StartSimulator, clock: TickedClock, tmp_path: Path
):
    receiver = Receiver()
    first = await start(create_app, journal_path=tmp_path / "s.db")
    await on(first, lambda host: accept(host, "a"))
    await asyncio.to_thread(first.stop)
    clock.tick(3_600)
    second = await start(
        create_app, journal_path=tmp_path / "s.db", open_outside=outside_of(send_callback=receiver.take)
    )
    await on(second, lambda host: host.deliver_due())
    assert receiver.bodies == ["a completed finished"]


@pytest.mark.parametrize(
    ("outcome", "sent"),
    [
        pytest.param(Outcome.SUCCESS, 1, id="once"),
        pytest.param(Outcome.CALLBACK_TWICE, 2, id="twice"),
        pytest.param(Outcome.CALLBACK_LOST, 0, id="lost"),
    ],
)
async def test_callbacks_are_lost_or_doubled_by_order(
    start: StartSimulator, clock: TickedClock, outcome: Outcome, sent: int
):
    receiver = Receiver()
    server = await start(create_app, open_outside=outside_of(send_callback=receiver.take))
    await on(server, lambda host: accept(host, "a", outcome=outcome))
    clock.tick(5)
    await on(server, lambda host: host.deliver_due())
    assert receiver.bodies == ["a completed finished"] * sent
    assert [job.callbacks_sent for job in server.host.journal.all()] == [sent]
    assert server.host.journal.next_due_us() is None


async def test_cancelling_sends_the_callback_at_once(start: StartSimulator):
    receiver = Receiver()
    server = await start(create_app, open_outside=outside_of(send_callback=receiver.take))
    await on(server, lambda host: accept(host, "a"))
    await on(server, lambda host: host.cancel("a"))
    await until(lambda: receiver.bodies)
    assert receiver.bodies == ["a completed cancelled"]


async def test_events_of_one_job_keep_their_order_and_silent_ones_are_skipped(
    start: StartSimulator, clock: TickedClock
):
    receiver = Receiver()
    server = await start(create_app, open_outside=outside_of(send_callback=receiver.take))
    await on(server, lambda host: accept(host, "a", events="start silent output completed"))
    clock.tick(5)
    await on(server, lambda host: host.deliver_due())
    assert [body.split()[1] for body in receiver.bodies] == ["start", "output", "completed"]


async def test_callback_is_repeated_after_a_failure_and_then_given_up(start: StartSimulator, clock: TickedClock):
    receiver = Receiver(0, 500, 302, 404, 404)
    server = await start(create_app, open_outside=outside_of(send_callback=receiver.take))
    await on(server, lambda host: accept(host, "a"))
    async with asyncio.timeout(5):
        while server.host.journal.next_due_us() is not None:
            clock.tick(1)
            await asyncio.sleep(0.002)
    assert (len(receiver.bodies), server.host.journal.all()[0].callbacks_sent) == (4, 0)


async def test_many_callbacks_due_at_once_all_arrive(start: StartSimulator, clock: TickedClock):
    receiver = Receiver()
    server = await start(create_app, open_outside=outside_of(send_callback=receiver.take))
    for number in range(200):
        await on(server, lambda host, number=number: accept(host, f"j{number}"))
    clock.tick(5)
    await on(server, lambda host: host.deliver_due())
    assert len(set(receiver.bodies)) == len(receiver.bodies) == 200
