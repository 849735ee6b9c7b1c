"""Drives one cell of answers: calls, ends as ordered, and asserts what the caller sees and pays and what the books say.

The call is made in the operation's own format, so that the bytes pass through; what is translated has tests of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from halley.catalogue.conditions import ORDER_FACTS
from halley.kernel.chat import ChatUsage, StopReason
from halley.kernel.operation import COUNTING, KINDS, Kind, Operation
from halley.pipeline.answers.settle import ORDER_KIND
from halley.routing import Channel
from halley.testing.client import Reply, order_headers
from halley.testing.conformance.answer_cells import AnswerCell, Mode
from halley.testing.conformance.answer_expected import ExpectedAnswer, expected_answer
from halley.testing.conformance.answer_reading import (
    Heard,
    check_error_frame,
    check_fault,
    read_stream,
    read_whole,
)
from halley.testing.conformance.answer_samples import Sample, answer_sample
from halley.testing.conformance.cells import BREAKS
from halley.testing.gateway import REAL_S_MAX, STEP_S, TURN_S, Rig, leaks
from halley.tokens import count_text
from halley.usage.model import Outcome as End
from halley.usage.model import Usage
from halley.usage.store import of_order
from halley.vendors.simulate.directive import Outcome
from halley.world import load_config

VENDOR_KEY = "sk-conformance-9f27c1"
"""The operator's key at the vendor: nobody may ever see it."""
PATIENCE_S = 20.0
"""How long is waited for what comes, on a machine that has much else to do."""
IMPATIENCE_S = 0.5
"""The same for what is known never to come."""
_SILENT = frozenset((Outcome.TIMEOUT_AFTER_SEND,))
_STOPS: Mapping[Outcome, StopReason] = {
    Outcome.SUCCESS: StopReason.END,
    Outcome.LENGTH: StopReason.LENGTH,
    Outcome.TOOL_CALL: StopReason.TOOLS,
}
_INPUTS = frozenset(
    (
        *("input_token", "cached_input_token", "cache_write_token", "cache_write_1h_token"),
        *("audio_input_token", "image_input_token"),
    )
)


async def drive_answer(rig: Rig, cell: AnswerCell) -> None:
    """Run one cell and assert everything. The rig may be shared by all vendors: nothing is left open behind it."""
    drive = _Drive(rig, cell)
    await drive.prepare()
    reply = await drive.call()
    if cell.operation in COUNTING:
        drive.check_count(reply)
        await drive.check_books(0)
    else:
        heard = drive.check_reply(reply)
        await drive.check_usage(reply, heard)
        await drive.check_books(1)
    drive.check_secrecy()


class _Drive:
    """One cell being driven."""

    def __init__(self, rig: Rig, cell: AnswerCell) -> None:
        assert cell.model is not None
        self.rig = rig
        self.cell = cell
        self.operation = cell.operation
        self.model = cell.model.id
        self.expected: ExpectedAnswer = expected_answer(cell)
        self.sample: Sample = answer_sample(
            cell.operation, cell.mode, cell.model, with_tools=cell.ending is Outcome.TOOL_CALL
        )
        self.known: frozenset[str] = frozenset()

    # the call

    async def prepare(self) -> None:
        """Let only this vendor answer, with a key that must stay secret, and wait as long as the ending needs."""
        rig, world = self.rig, self.rig.world
        await rig.serve_only(self.cell.vendor.name)
        world.sandbox = tuple(
            msgspec.structs.replace(
                channel, credential=world.vault.seal(VENDOR_KEY.encode(), context=f"channel:{channel.id}")
            )
            for channel in world.sandbox
        )
        world.config = await world.db.read(lambda tx: load_config(tx, world.clock.now(), world.sandbox))
        silent, stalls = self.cell.ending in _SILENT, self.cell.ending is Outcome.STALL_STREAM
        world.settings = msgspec.structs.replace(
            world.settings,
            first_byte_timeout_s=IMPATIENCE_S if silent else PATIENCE_S,
            total_timeout_s=IMPATIENCE_S if silent else PATIENCE_S,
            stall_timeout_s=IMPATIENCE_S if stalls else PATIENCE_S,
        )
        await self._reached(self._nothing_open)  # of a call before, whose test failed before it was booked
        rig.client.replies.clear()
        rig.wire.broken.clear()
        self.known = frozenset(await self._orders())

    async def call(self) -> Reply | None:
        """Make the call; None when the connection was cut under the reply."""
        headers = order_headers(self.cell.ending.value)
        if self.operation in COUNTING and self.cell.ending in BREAKS:
            # A count is over before its vendor could break off: the way to it is broken instead.
            headers = {}
            self.rig.wire.fail(BREAKS[self.cell.ending], lambda method, _: method == "POST")
        work = self.rig.client.call(
            "POST", self.sample.path, self.sample.json, data=self.sample.data(), headers=headers
        )
        try:
            return await (self._ticking(work) if self.cell.ending is Outcome.SLOW_FIRST_BYTE else work)
        except aiohttp.ClientPayloadError:
            return None

    async def _ticking(self, work: Coroutine[Any, Any, Reply]) -> Reply:
        running = asyncio.ensure_future(work)  # noqa: TID251 - awaited right here
        async with asyncio.timeout(REAL_S_MAX):
            while not running.done():
                self.rig.clock.advance(STEP_S)
                await asyncio.sleep(TURN_S)
        return await running

    # what the caller sees

    def check_count(self, reply: Reply | None) -> None:
        """Assert that a count is given, free, whatever the vendor does; unless it says that the call is wrong."""
        assert reply is not None
        if self.expected.faults:
            check_fault(self.operation, reply, self.expected.faults)
            return
        assert reply.status == HTTPStatus.OK, reply
        read_whole(self.operation, reply)

    def check_reply(self, reply: Reply | None) -> Heard | None:
        """Assert that the reply is what must come; what was heard of an answer, or of a part of one."""
        if reply is None:
            assert self.expected.is_cut, "the connection was cut"
            assert self.cell.mode is Mode.WHOLE, "a stream of events must say that it broke"
            return Heard()
        if reply.status != HTTPStatus.OK:
            self._check_fault(reply)
            return None
        if self.expected.is_cut:
            return self._check_cut(reply)
        assert self.expected.is_answered, reply
        whole = self.cell.mode is Mode.WHOLE
        heard = read_whole(self.operation, reply) if whole else read_stream(self.operation, self.cell.mode, reply)
        assert heard.errors == (), heard.errors
        assert heard.complete, "the answer has no end"
        if KINDS[self.operation] is Kind.CHAT:
            self._check_words(heard)
        return heard

    def _check_fault(self, reply: Reply) -> None:
        assert self.expected.faults, reply
        check_fault(self.operation, reply, self.expected.faults)
        if self.cell.ending is Outcome.RATE_LIMITED:
            assert int(reply.headers["retry-after"]) >= 1
        if self.cell.ending is Outcome.INVALID:
            assert reply.headers["x-should-retry"] == "false"

    def _check_cut(self, reply: Reply) -> Heard:
        assert self.cell.mode is not Mode.WHOLE, "half an answer was given as a whole one"
        heard = read_stream(self.operation, self.cell.mode, reply)
        assert heard.pieces > 0, "nothing came before the stream broke"
        assert heard.errors, "the stream does not say that it broke"
        assert not heard.complete, "the stream claims to be whole"
        check_error_frame(self.operation, heard.errors[-1])
        return heard

    def _check_words(self, heard: Heard) -> None:
        wanted = _STOPS.get(self.cell.ending)
        assert wanted is None or heard.stop is wanted, heard.stop
        assert (heard.calls > 0) == (self.cell.ending is Outcome.TOOL_CALL), heard.calls

    # what it costs

    async def check_usage(self, reply: Reply | None, heard: Heard | None) -> None:
        """Assert the call's one usage row against what was heard, and its price against what was counted."""
        [usage] = await self._settled()
        channel = self._channel
        assert (usage.model, usage.channel_id, usage.attempts) == (self.model, channel.id, 1)
        held = await self._held(usage)
        if heard is None:
            assert usage.outcome is self.expected.failure, usage
            assert (usage.price_nanos, usage.meters) == (0, {})
            assert usage.exposure_nanos == (held if self.expected.is_lost else 0)
            return
        assert usage.outcome is (End.CUT if self.expected.is_cut else End.SUCCEEDED), usage
        self._check_price(usage, held, reply)
        if self.expected.is_cut:
            await self._check_received(usage, heard)
        elif heard.usage is not None:
            _check_meters(usage.meters, heard.usage)

    def _check_price(self, usage: Usage, held: int, reply: Reply | None) -> None:
        prices = self.rig.world.config.prices.of(self.model)
        assert prices is not None
        whole = reply is not None and self.cell.mode is Mode.WHOLE and self.operation is not Operation.SPEECH
        told: dict[str, Any] = reply.json if whole and reply is not None else {}
        asked = self.sample.json or self.sample.form or {}
        facts = {name: value for name in ORDER_FACTS if isinstance(value := told.get(name) or asked.get(name), str)}
        assert usage.price_nanos == prices.tariff.price(usage.meters, facts), (usage, facts)
        if any(prices.meters.values()):
            assert 0 < usage.price_nanos <= held, (usage, held)
        if self.expected.is_cut and prices.meters.get("output_token") and self._is_words:
            assert usage.price_nanos < held, "a part is charged as if it were all"

    async def _check_received(self, usage: Usage, heard: Heard) -> None:
        """Assert that at least what came was counted: a count of ours and a vendor's differ a little."""
        if heard.text and self._is_words:
            least = await asyncio.to_thread(count_text, self.model, heard.text)
            counted = _outputs(usage.meters)
            assert counted >= least // 2, f"{counted} output tokens are charged, and about {least} were received"

    # the books

    async def check_books(self, rows: int) -> None:
        """Assert that the call left this many rows of usage, no open hold, and no difference."""
        world = self.rig.world
        assert len(set(await self._orders()) - self.known) == rows
        assert await self.rig.open_holds() == 0
        assert await self.rig.differences() == ()
        assert world.bounds.running(self._channel.id) == 0

    def check_secrecy(self) -> None:
        """Assert that nothing that the caller got names the vendor's address or the operator's key."""
        channel = self._channel
        addresses = (channel.base_url, channel.refused_url, self.cell.vendor.base_url)
        assert leaks(self.rig.client, [VENDOR_KEY, *(urlsplit(url).netloc for url in addresses)]) == []

    @property
    def _is_words(self) -> bool:
        return KINDS[self.operation] in (Kind.CHAT, Kind.COMPLETION)

    @property
    def _channel(self) -> Channel:
        return next(each for each in self.rig.world.sandbox if each.vendor == self.cell.vendor.name)

    async def _settled(self) -> list[Usage]:
        """Wait for the call to be booked: a stream is a little after its last byte."""

        async def booked() -> bool:
            return bool(set(await self._orders()) - self.known) and await self._nothing_open()

        await self._reached(booked)
        found = sorted(set(await self._orders()) - self.known)
        read = self.rig.world.db.read
        rows = [await read(lambda tx, each=each: of_order(tx, order_id=each, order_kind=ORDER_KIND)) for each in found]
        return [row for row in rows if row is not None]

    async def _reached(self, until: Callable[[], Awaitable[bool]]) -> None:
        """Wait in real time: what is waited for needs no clock."""
        async with asyncio.timeout(REAL_S_MAX):
            while not await until():
                await self.rig.turn()

    async def _nothing_open(self) -> bool:
        return await self.rig.open_holds() == 0

    async def _orders(self) -> list[str]:
        sql = "SELECT order_id FROM usage WHERE order_kind = :kind"
        return [row["order_id"] for row in await self.rig.world.db.read(lambda tx: tx.all(sql, {"kind": ORDER_KIND}))]

    async def _held(self, usage: Usage) -> int:
        sql = "SELECT amount_nanos FROM transfers WHERE order_id = :id AND kind = 'hold'"
        row = await self.rig.world.db.read(lambda tx: tx.one(sql, {"id": usage.order_id}))
        assert row is not None
        return int(row["amount_nanos"])


def _check_meters(meters: Mapping[str, int], told: ChatUsage) -> None:
    """Assert that all tokens are counted that the vendor told, and none twice."""
    given = sum(count for name, count in meters.items() if name in _INPUTS)
    assert (given, _outputs(meters)) == (told.input, told.output), (meters, told)


def _outputs(meters: Mapping[str, int]) -> int:
    return sum(count for name, count in meters.items() if name.endswith("_token") and name not in _INPUTS)
