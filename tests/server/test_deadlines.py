"""What takes too long: idle connections, heads that drip, clients that neither read nor leave. Time is the test's."""

import asyncio

import pytest
from tests.server.rig import Receive, Scope, Send, answer, echo, knowing, read, request
from tests.server.wire import Line

from halley.server import Exchange
from halley.server.protocol import DISCARDED_BYTES_MAX, HEAD_S_MAX, PARTING_S_MAX

KEEP_S = 75
GET = request("GET /", close=False)


async def test_a_connection_that_says_nothing_is_closed():
    line = Line(echo, timeout_keep_alive=KEEP_S)
    line.loop.tick(KEEP_S - 0.1)
    assert not line.wire.closed
    line.loop.tick(0.2)
    assert (line.wire.closed, line.wire.written) == (True, b"")


async def test_a_connection_is_kept_as_long_as_set_after_each_answer():
    line = Line(echo, timeout_keep_alive=KEEP_S)
    for _ in range(3):
        await line.feed(GET)
        line.loop.tick(KEEP_S - 0.1)
    assert not line.wire.closed
    assert line.loop.timers == 1
    line.loop.tick(0.2)
    assert line.wire.closed


async def test_a_call_that_runs_has_no_deadline():
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await go.wait()
        await answer(send)

    line = Line(app, timeout_keep_alive=KEEP_S)
    line.protocol.data_received(GET)
    line.loop.tick(10_000)
    assert not line.wire.closed
    go.set()
    await line.settle()
    line.loop.tick(KEEP_S - 0.1)
    assert not line.wire.closed
    line.loop.tick(0.2)
    assert line.wire.closed


async def test_a_head_that_drips_is_refused():
    line = Line(echo, timeout_keep_alive=KEEP_S)
    for position in range(9):
        line.protocol.data_received(GET[position : position + 1])
        line.loop.tick(HEAD_S_MAX / 10)
    assert line.wire.written == b""
    line.loop.tick(HEAD_S_MAX / 10)

    [reply] = read(line.wire.written)
    assert reply.status == 408
    assert line.wire.ended


async def test_a_head_has_its_whole_time_even_if_it_begins_at_the_last_moment():
    line = Line(echo, timeout_keep_alive=KEEP_S)
    line.loop.tick(KEEP_S - 0.1)
    line.protocol.data_received(GET[:5])
    line.loop.tick(HEAD_S_MAX - 0.1)
    await line.feed(GET[5:])

    assert [reply.status for reply in read(line.wire.written)] == [200]


async def test_a_client_that_does_not_leave_after_a_refusal_is_cut():
    line = Line(echo)
    line.protocol.data_received(b"what is this\r\n\r\n")
    line.protocol.data_received(b"more")
    assert line.wire.ended
    line.loop.tick(PARTING_S_MAX - 0.1)
    assert not line.wire.closed
    line.loop.tick(0.2)
    assert line.wire.aborted


async def test_a_client_that_does_not_take_its_last_answer_is_cut():
    line = Line(echo)
    await line.feed(request())
    assert line.wire.closed
    line.loop.tick(PARTING_S_MAX + 0.1)
    assert line.wire.aborted


async def unread(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await answer(send)


async def test_a_body_that_nobody_reads_any_more_may_not_drip_for_ever():
    line = Line(unread, timeout_keep_alive=KEEP_S)
    await line.feed(request("POST /", "content-length: 1000", close=False))
    line.loop.tick(PARTING_S_MAX - 0.1)
    line.protocol.data_received(b"x")
    assert not line.wire.ended
    line.loop.tick(0.2)
    assert line.wire.ended
    line.loop.tick(PARTING_S_MAX + 0.1)
    assert line.wire.aborted


async def test_a_body_that_nobody_reads_any_more_may_not_go_on_for_ever():
    line = Line(unread)
    await line.feed(request("POST /", f"content-length: {10 * DISCARDED_BYTES_MAX}", close=False))
    piece = b"x" * 1024 * 1024
    for _ in range(DISCARDED_BYTES_MAX // len(piece)):
        line.protocol.data_received(piece)
    assert not line.wire.closed
    line.protocol.data_received(piece)
    assert line.wire.closed


async def test_a_body_that_nobody_reads_any_more_may_end_and_the_connection_goes_on():
    line = Line(unread, timeout_keep_alive=KEEP_S)
    await line.feed(request("POST /", "content-length: 4", close=False), b"ab", b"cd", GET)
    line.loop.tick(PARTING_S_MAX + 1)

    assert [reply.status for reply in read(line.wire.written)] == [200, 200]
    assert not line.wire.closed


@pytest.mark.parametrize("close", [False, True], ids=["kept", "last"])
async def test_a_client_that_takes_an_answer_slowly_gets_all_of_it(close: bool):
    line = Line(echo, timeout_keep_alive=KEEP_S)
    line.wire.untaken = 10_000
    await line.feed(request(close=close))
    for _ in range(20):
        line.loop.tick(PARTING_S_MAX - 1)
        assert not line.wire.aborted
        assert line.wire.closed is close
        line.wire.untaken -= 500
    line.loop.tick(KEEP_S + PARTING_S_MAX + 1)
    assert line.wire.closed


@pytest.mark.parametrize("close", [False, True], ids=["kept", "last"])
async def test_a_client_that_takes_no_more_of_an_answer_is_cut(close: bool):
    line = Line(echo, timeout_keep_alive=KEEP_S)
    line.wire.untaken = 10_000
    await line.feed(request(close=close))
    line.loop.tick(KEEP_S + 1)
    line.wire.untaken -= 1
    line.loop.tick(2 * PARTING_S_MAX + 1)
    assert line.wire.aborted


async def test_a_client_that_took_an_answer_slowly_may_go_on():
    line = Line(echo, timeout_keep_alive=KEEP_S)
    for _ in range(3):
        line.wire.untaken = 10_000
        await line.feed(GET)
        line.loop.tick(KEEP_S + 1)
        line.wire.untaken = 0
        line.loop.tick(PARTING_S_MAX + KEEP_S - 2)
        assert not line.wire.closed
    line.loop.tick(PARTING_S_MAX)
    assert line.wire.closed


def held_up() -> Line:
    """Two requests, and nothing of the first one's answer is taken."""

    async def serve(exchange: Exchange, receive: Receive) -> None:
        del receive
        line.wire.untaken = 10_000_000
        line.protocol.pause_writing()
        exchange.respond(200, (), b"ok")

    line = Line(knowing(serve), timeout_keep_alive=KEEP_S)
    line.protocol.data_received(GET * 2)
    return line


async def test_requests_behind_an_answer_that_nobody_takes_do_not_wait_for_ever():
    line = held_up()
    await line.settle()
    assert len(read(line.wire.written)) == 1
    line.loop.tick(2 * PARTING_S_MAX + 1)
    assert line.wire.aborted


async def test_requests_behind_an_answer_that_is_taken_slowly_wait_for_their_turn():
    line = held_up()
    await line.settle()
    for _ in range(20):
        line.loop.tick(PARTING_S_MAX - 1)
        line.wire.untaken -= 1_000
    line.protocol.resume_writing()
    await line.settle()

    assert len(read(line.wire.written)) == 2
    assert not line.wire.closed


async def test_half_a_farewell_from_a_client_that_takes_nothing_is_not_waited_for_long():
    line = Line(echo)
    line.protocol.pause_writing()
    line.protocol.eof_received()
    line.wire.closed = True
    line.loop.tick(PARTING_S_MAX + 0.1)
    assert line.wire.aborted


async def test_a_client_that_sends_without_reading_gets_no_further_answers_until_it_reads():
    line = Line(echo)
    line.protocol.pause_writing()
    await line.feed(GET, GET, b"what is this\r\n\r\n")
    assert line.wire.written == b""
    line.protocol.resume_writing()
    await line.settle()

    assert [reply.status for reply in read(line.wire.written)] == [200, 200, 400]


async def test_a_lost_connection_leaves_nothing_behind():
    line = Line(echo)
    await line.feed(GET)
    line.lose()

    assert line.loop.timers == 0
    assert not line.state.connections
    assert not line.state.tasks


async def test_nothing_is_written_to_a_client_that_left_before_it_was_refused():
    waiting, running = Line(echo), Line(echo)
    waiting.protocol.pause_writing()
    waiting.protocol.data_received(b"what is this\r\n\r\n")
    running.protocol.data_received(GET + b"what is this\r\n\r\n")
    for line in (waiting, running):
        line.lose()
        await line.settle()
        assert line.wire.written == b""


async def test_stopping_closes_what_is_idle_or_only_waits_for_an_unread_body():
    idle, discarding = Line(echo), Line(unread)
    await discarding.feed(request("POST /", "content-length: 4", close=False))
    for line in (idle, discarding):
        line.protocol.shutdown()
        assert line.wire.closed
