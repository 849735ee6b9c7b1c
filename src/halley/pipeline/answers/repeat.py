"""An answer that is asked for with an `Idempotency-Key`: made once, given again to a repeat of the request."""

import asyncio

import msgspec

from halley.kernel.body import FormBody
from halley.kernel.money import dollars
from halley.pipeline import once
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.call import Finished, Streaming, answer
from halley.vendors.contract import Answer
from halley.world import World

_JSON = "application/json"


async def answer_once(world: World, ask: Ask) -> Finished | Streaming | Answer:
    """Answer, or give the first answer again. Raises `KeyReused`, `NotReplayable`, `StillRunning`."""
    caller, request = ask.caller, ask.request
    if request.idempotency_key is None:
        return await answer(world, ask)
    body = _identity(ask)
    begun = await once.claim(world, caller, request, body)
    if begun is not None:
        return await once.replay(world, caller, request, begun)
    try:
        answered = await answer(world, ask, lambda tx, whole: once.finish(tx, world, caller, request, _kept(whole)))
    except BaseException:
        # Nothing was given, or the answer is kept: then there is nothing to forget.
        await asyncio.shield(once.forget(world, caller, request))
        raise
    if isinstance(answered, Streaming):
        try:
            await world.db.write("finish", lambda tx: once.finish(tx, world, caller, request, None))
        except BaseException:
            # Nothing of it was given: a repeat begins anew.
            await answered.aclose()
            await asyncio.shield(once.forget(world, caller, request))
            raise
    return answered


def _identity(ask: Ask) -> object:
    """Give what tells one request from another."""
    if isinstance(ask.body, FormBody):
        return ask.body.patched({}, boundary="-")
    return ask.body.whole()


def _kept(answered: Finished) -> Answer | None:
    if not answered.content_type.startswith(_JSON):
        return None
    headers = {"halley-cost": dollars(answered.cost)}
    return Answer(status=200, body=msgspec.Raw(answered.body), headers=headers)
