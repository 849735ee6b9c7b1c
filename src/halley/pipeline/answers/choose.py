"""choose: who can answer, best first, each in which wire format: the caller's own, or one that can be translated."""

from halley.catalogue.model import Model
from halley.kernel.faults import BadRequest, NoChannel, NotConveyed
from halley.kernel.operation import COUNTING, KINDS, Kind, Operation
from halley.pipeline.admit import allow_model
from halley.pipeline.answers.ask import Ask, chat_order
from halley.pipeline.answers.attempt import Attempt
from halley.pipeline.answers.translate import conveys
from halley.routing import Channel, candidates
from halley.routing.rules import affinity
from halley.vendors.contract import Answers
from halley.world import World

UNTRANSLATED = COUNTING | {Operation.EMBED_CONTENT}
"""Not written for others: what counts only, and what is for a single text where its sister takes many."""
TRANSLATED = frozenset((Kind.CHAT, Kind.EMBEDDING))
"""Kinds whose wire formats stand for each other."""


def choose(world: World, ask: Ask) -> list[Attempt]:
    """List who can answer, as a list that is not to be changed.

    Raises `NoChannel`, or `NotConveyed` when a field stands in everybody's way.
    """
    allow_model(ask.caller, ask.model)
    if ask.history is not None:
        return _choose(world, ask)[0]
    case = (ask.caller.key_id, ask.caller.livemode, ask.model, ask.operation)
    known: list[Attempt] | None = world.config.routes.get(case)
    if known is None:
        known, for_any_body = _choose(world, ask)
        if for_any_body:
            world.config.remember(case, known)
    return known


def _choose(world: World, ask: Ask) -> tuple[list[Attempt], bool]:
    """List who can answer, and say whether they could whatever the body says: what is translated may not convey it."""
    key = ask.caller.key_id
    found = candidates(
        world.config.channels,
        ask.model,
        livemode=ask.caller.livemode,
        draw=lambda channel: affinity(key, channel.id),
    )
    attempts: list[Attempt] = []
    obstacle: NotConveyed | None = None
    served = False
    for channel in found:
        attempt, problem = _attempt(world, ask, channel)
        served = served or attempt is not None or problem is not None
        obstacle = obstacle or problem
        if attempt is not None:
            attempts.append(attempt)
    if attempts:
        # Where priority leaves a choice, who speaks the caller's format gets the call as it was written.
        # Among these one that knows what was said before.
        attempts.sort(
            key=lambda one: (
                -one.channel.priority,
                not ask.recalled_by(one.channel.id, one.operation),
                one.operation != ask.operation,
            ),
        )
        return attempts, obstacle is None and all(one.operation is ask.operation for one in attempts)
    if obstacle is not None:
        raise obstacle
    raise _nobody(world, ask)


def _attempt(world: World, ask: Ask, channel: Channel) -> tuple[Attempt | None, NotConveyed | None]:
    vendor = world.vendors.get(channel.vendor)
    if vendor is None or vendor.answers is None:
        return None, None
    row = world.catalogue.at_vendor(ask.model, vendor.name)
    mapped = channel.model_map.get(ask.model)
    known = row is not None or mapped is not None or ask.model in channel.models
    if not known and not vendor.any_model:
        return None, None
    if row is not None and row.kind != ask.kind and ask.operation not in row.operations:
        return None, None
    name = mapped or (row.vendor_model if row else ask.model)
    problem: NotConveyed | None = None
    for operation in _operations(ask, vendor.answers, row):
        try:
            ask.check_told(channel.id, operation)
            conveys(ask, operation)
        except NotConveyed as error:
            problem = problem or error
            continue
        return Attempt(channel=channel, vendor=vendor, vendor_model=name, operation=operation, row=row), None
    return None, problem


def _operations(ask: Ask, answers: Answers, row: Model | None) -> list[Operation]:
    """List how this vendor can be called for this: as the caller called, else in another format of the same kind."""
    limited = row.operations if row else ()
    allowed = [one for one in answers.paths if not limited or one in limited or one in COUNTING]
    if ask.operation in allowed:
        return [ask.operation]
    if ask.kind not in TRANSLATED:
        return []
    return [one for one in allowed if KINDS[one] is ask.kind and one not in UNTRANSLATED]


def _nobody(world: World, ask: Ask) -> BadRequest | NoChannel:
    kinds = {row.kind for row in world.catalogue.models.get(ask.model, {}).values()}
    if kinds and ask.kind not in kinds:
        message = f"`{ask.named}` is a model for {', '.join(sorted(kinds))}, not for {ask.kind}; use another endpoint"
        return BadRequest(message, param="model")
    if ask.kind is Kind.CHAT and kinds:
        chat_order(ask)  # what is wrong with the order itself comes first
    message = f"No available channel for model `{ask.named}`; `GET /v1/models` lists what is served"
    return NoChannel(message, param="model")
