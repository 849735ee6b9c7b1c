"""The paths that are counted: what is called, how often, and what the vendor answers."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.budgets import bodies
from scripts.budgets.model import Counts, Measured, least, minus, per
from scripts.budgets.rig import Rig
from scripts.budgets.wire import Pieces, streamed, whole

AT_ONCE = 64
ROUNDS_MAX = 5
"""A path is counted until two rounds agree. If none do, the least counts: what disturbs a count adds to it."""
WARM_CALLS, CALLS = 3, 4
CHAT = "/v1/chat/completions"
_LONG = 2
"""How many times longer the second stream is, from which the cost of a chunk is told."""

Run = Callable[[Rig], Awaitable[Counts]]


@dataclass(frozen=True, kw_only=True)
class Path:
    """One way of calling, and how to count it."""

    name: str
    title: str
    run: Run
    calls: int = CALLS
    """What the tables of a round are divided by."""


async def measure(rig: Rig, path: Path, rounds: int = ROUNDS_MAX) -> Measured:
    """Give the counts per call."""
    seen = await path.run(rig)
    counts = seen
    for _ in range(rounds - 1):
        again = await path.run(rig)
        counts = least(counts, again)
        if again == seen:
            break
        seen = again
    return Measured(path=path.name, title=path.title, counts=counts)


def _one_by_one(method: str, path: str, body: bytes, replies: Mapping[str, Pieces]) -> Run:
    async def run(rig: Rig) -> Counts:
        rig.vendors.answer(replies)

        async def ask() -> Any:
            return await rig.call(method, path, body)

        return await _counted(rig, ask)

    return run


async def _counted(rig: Rig, ask: Callable[[], Awaitable[Any]], calls: int = CALLS) -> Counts:
    for _ in range(WARM_CALLS):
        await ask()
        await rig.quiet()
    rig.begin()
    for _ in range(calls):
        await ask()
        # As if the next one came a little later.
        await rig.quiet()
    return per(rig.end(), calls)


async def _chat_at_once(rig: Rig) -> Counts:
    rig.vendors.answer({CHAT: whole(bodies.chat_reply())})
    await _together(rig, AT_ONCE)
    rig.begin()
    await _together(rig, 0)
    gates = rig.end()
    rig.begin()
    await _together(rig, AT_ONCE)
    return per(minus(rig.end(), gates), AT_ONCE)


async def _together(rig: Rig, number: int) -> None:
    """Make calls that go side by side: all hold in one batch, all are answered at once, and all settle in one batch."""
    rig.vendors.holding = True
    holds = await rig.gate()
    calls = [rig.start(rig.call("POST", CHAT, bodies.chat())) for _ in range(number)]
    await rig.through(holds)
    await rig.until(lambda: rig.vendors.held == number)
    settles = await rig.gate()
    rig.vendors.holding = False
    rig.vendors.let_go()
    await rig.through(settles)
    for call in calls:
        await call
    await rig.quiet()


async def _per_chunk(rig: Rig) -> Counts:
    # Twice each: a stray call in the shorter one would make a chunk look cheaper.
    short, long = _streamed(bodies.CHUNKS), _streamed(bodies.CHUNKS * _LONG)
    short_counts = least(await short(rig), await short(rig))
    return per(minus(await long(rig), short_counts), bodies.CHUNKS * (_LONG - 1))


def _streamed(chunks: int) -> Run:
    return _one_by_one("POST", CHAT, bodies.chat_streamed(), {CHAT: streamed(bodies.chat_events(chunks))})


def _submit(rig: Rig) -> Awaitable[Counts]:
    replies = {f"/v1/{bodies.IMAGE_MODEL}": whole(bodies.order_reply(rig.vendor_url))}
    return _one_by_one("POST", f"/flux/v1/{bodies.IMAGE_MODEL}", bodies.order(), replies)(rig)


async def _fetch(rig: Rig) -> Counts:
    rig.vendors.answer({f"/v1/{bodies.IMAGE_MODEL}": whole(bodies.order_reply(rig.vendor_url))})
    placed = await rig.call("POST", f"/flux/v1/{bodies.IMAGE_MODEL}", bodies.order())
    return await _one_by_one("GET", f"/flux/v1/get_result?id={json.loads(placed)['id']}", b"", {})(rig)


PATHS: tuple[Path, ...] = (
    Path(
        name="chat",
        title="a chat, answered whole",
        run=_one_by_one("POST", CHAT, bodies.chat(), {CHAT: whole(bodies.chat_reply())}),
    ),
    Path(name="chat-at-once", title=f"one of {AT_ONCE} such chats side by side", run=_chat_at_once, calls=AT_ONCE),
    Path(name="stream", title=f"a chat, answered in {bodies.CHUNKS} chunks", run=_streamed(bodies.CHUNKS)),
    Path(
        name="stream-chunk",
        title="one more chunk of such a stream",
        run=_per_chunk,
        calls=CALLS * bodies.CHUNKS * _LONG,
    ),
    Path(
        name="translated",
        title="a chat, translated for a vendor of another format and back",
        run=_one_by_one("POST", CHAT, bodies.chat(bodies.OTHER_MODEL), {"/v1/messages": whole(bodies.other_reply())}),
    ),
    Path(
        name="embeddings",
        title="embeddings, 100 KB",
        run=_one_by_one(
            "POST", "/v1/embeddings", bodies.embedding(), {"/v1/embeddings": whole(bodies.embedding_reply())}
        ),
    ),
    Path(name="task-submit", title="a task, ordered", run=_submit),
    Path(name="task-fetch", title="a task, looked at while it runs", run=_fetch),
    Path(name="models", title="the list of models", run=_one_by_one("GET", "/v1/models", b"", {})),
)
