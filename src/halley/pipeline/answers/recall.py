"""recall: a call that goes on from a kept response gets what was said before, for vendors that do not have it."""

import asyncio

from halley.kernel.faults import BadRequest, Fault
from halley.kernel.operation import Operation
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.history import PREVIOUS, History
from halley.pipeline.answers.stored import SHOWN_CHARACTERS_MAX, Unreachable, find, turns_to
from halley.responses import Stored
from halley.world import World


async def recall(world: World, ask: Ask) -> None:
    """Find out what was said before. Raises `BadRequest` naming the field, also one that is not offered."""
    if ask.operation is not Operation.RESPONSES:
        return
    _refuse(ask)
    named = ask.json.text(PREVIOUS)
    if named is None:
        return
    row = await find(world, ask.caller, named)
    if row is None:
        message = f"Previous response with id '{named[:SHOWN_CHARACTERS_MAX]}' not found."
        raise Unreachable(message, param=PREVIOUS)
    history = await _history(world, ask, row)
    if history.problem is None:
        # In a thread: a long conversation may hold pictures.
        ask.body = await asyncio.to_thread(history.told)
        ask.input_tokens = None
    elif history.holder is None:
        raise history.problem
    ask.history = history


def must_be_told(ask: Ask, fault: Fault) -> bool:
    """Whether the vendor refused because it has lost what it kept; then it is no longer relied on."""
    history = ask.history
    if history is None or history.holder is None or history.problem is not None or fault.param != PREVIOUS:
        return False
    ask.history = History(sent=history.sent, previous=history.previous, holder=None, turns=history.turns)
    return True


def _refuse(ask: Ask) -> None:
    body = ask.json
    body.flag("store")
    if body.get("background") is True:
        message = "`background` is not offered; leave it out, and set `stream` for an answer that takes long"
        raise BadRequest(message, param="background")
    if body.get("conversation") is not None:
        message = f"`conversation` is not offered; name the response to go on from in `{PREVIOUS}`"
        raise BadRequest(message, param="conversation")


async def _history(world: World, ask: Ask, row: Stored) -> History:
    holder = row.channel_id if row.at_vendor else None
    try:
        turns = await turns_to(world, row)
    except Unreachable as problem:
        return History(sent=ask.json, previous=row.id, holder=holder, problem=problem)
    return History(sent=ask.json, previous=row.id, holder=holder, turns=turns)
