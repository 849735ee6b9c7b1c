"""choose: the channels that can take an order, best first."""

import msgspec

from halley.accounts.model import Caller
from halley.kernel.faults import BadRequest, NoChannel, NotConveyed
from halley.kernel.order import ImageOrder
from halley.pipeline.admit import allow_model
from halley.routing import Channel, candidates
from halley.vendors.contract import Tasks, Vendor, VendorCall
from halley.world import World


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One channel that may be asked."""

    channel: Channel
    vendor: Vendor
    tasks: Tasks
    """How this vendor takes orders."""
    vendor_model: str
    call: VendorCall | None = None
    """The order in the vendor's format, as it is where none of its inputs are files of ours."""


def choose(world: World, caller: Caller, order: ImageOrder) -> list[Attempt]:
    """List who can run this order. Raises `NoChannel`, or `NotConveyed` when a field stands in everybody's way."""
    if caller.models is not None:
        allow_model(caller, order.model)
    case = ("tasks", order.model, caller.livemode)
    able: tuple[Attempt, ...] | None = world.config.routes.get(case)
    if able is None:
        able = _able(world, order.model, livemode=caller.livemode)
        world.config.remember(case, able)
    if len(able) > 1:
        able = _drawn(world, able, order)
    conveying, obstacle = _that_convey(able, order)
    if not conveying:
        assert obstacle is not None
        raise obstacle
    return conveying


def is_task(world: World, model: str) -> bool:
    """Whether the catalogue has the model at a vendor of tasks."""
    rows = world.catalogue.models.get(model, {})
    return any(world.vendors[name].tasks is not None for name in rows if name in world.vendors)


def _able(world: World, model: str, *, livemode: bool) -> tuple[Attempt, ...]:
    """List whose channel serves the model; this is the same for all orders. Raises `NoChannel`."""
    found = candidates(world.config.channels, model, livemode=livemode, draw=lambda _: 1.0)
    able = [attempt for channel in found if (attempt := _attempt(world, channel, model)) is not None]
    if not able:
        raise _nobody(world, model)
    return tuple(able)


def _nobody(world: World, model: str) -> BadRequest | NoChannel:
    rows = world.catalogue.models.get(model, {})
    if rows and not is_task(world, model):
        kinds = ", ".join(sorted({row.kind for row in rows.values()}))
        message = f"`{model}` ({kinds}) answers at once and cannot be ordered as a task; use its endpoint under `/v1`"
        return BadRequest(message, param="model")
    return NoChannel(f"No available channel for model `{model}`; `GET /v1/models` lists what is served", param="model")


def _drawn(world: World, able: tuple[Attempt, ...], order: ImageOrder) -> tuple[Attempt, ...]:
    """Draw lots for the turn, by weight.

    Where priority leaves a choice, the vendor that speaks the caller's format gets the order as it was written.
    """
    places = {attempt.channel.id: attempt for attempt in able}
    channels = [attempt.channel for attempt in able]
    drawn = candidates(channels, order.model, livemode=not able[0].channel.simulated, draw=lambda _: world.draw())
    turn = [places[channel.id] for channel in drawn]
    return tuple(sorted(turn, key=lambda one: (-one.channel.priority, one.vendor.format != order.dialect)))


def _attempt(world: World, channel: Channel, model: str) -> Attempt | None:
    vendor = world.vendors.get(channel.vendor)
    if vendor is None or vendor.tasks is None:
        return None
    row = world.catalogue.at_vendor(model, vendor.models_of or vendor.name)
    mapped = channel.model_map.get(model)
    if row is None and mapped is None and model not in channel.models and not vendor.any_model:
        return None
    vendor_model = mapped or (row.vendor_model if row else model)
    return Attempt(channel=channel, vendor=vendor, tasks=vendor.tasks, vendor_model=vendor_model)


def _that_convey(attempts: tuple[Attempt, ...], order: ImageOrder) -> tuple[list[Attempt], NotConveyed | None]:
    able: list[Attempt] = []
    obstacle: NotConveyed | None = None
    for one in attempts:
        try:
            call = one.tasks.write_order(order, one.vendor_model)
        except NotConveyed as error:
            obstacle = obstacle or error
        else:
            able.append(
                Attempt(
                    channel=one.channel, vendor=one.vendor, tasks=one.tasks, vendor_model=one.vendor_model, call=call
                )
            )
    return able, obstacle
