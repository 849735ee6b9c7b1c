"""choose: the channels that can take an order, best first."""

import msgspec

from halley.accounts.model import Caller
from halley.kernel.faults import NoChannel, NotConveyed
from halley.kernel.order import ImageOrder
from halley.pipeline.admit import allow_model
from halley.routing import Channel, candidates
from halley.vendors.contract import Vendor, VendorCall, tasks_of
from halley.world import World


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One channel that may be asked."""

    channel: Channel
    vendor: Vendor
    vendor_model: str
    call: VendorCall | None = None
    """The order in the vendor's format, as it is where none of its inputs are files of ours."""


def choose(world: World, caller: Caller, order: ImageOrder) -> list[Attempt]:
    """List who can run this order. Raises `NoChannel`, or `NotConveyed` when a field stands in everybody's way."""
    allow_model(caller, order.model)
    found = candidates(world.config.channels, order.model, livemode=caller.livemode, draw=lambda _: world.draw())
    able = [attempt for channel in found if (attempt := _attempt(world, channel, order.model)) is not None]
    if not able:
        message = f"No available channel for model `{order.model}`; `GET /v1/models` lists what is served"
        raise NoChannel(message, param="model")
    conveying, obstacle = _that_convey(able, order)
    if not conveying:
        assert obstacle is not None
        raise obstacle
    # Where priority leaves a choice, the vendor that speaks the caller's format gets the order as it was written.
    return sorted(conveying, key=lambda one: (-one.channel.priority, one.vendor.format != order.dialect))


def _attempt(world: World, channel: Channel, model: str) -> Attempt | None:
    vendor = world.vendors.get(channel.vendor)
    if vendor is None or vendor.tasks is None:
        return None
    row = world.catalogue.at_vendor(model, vendor.models_of or vendor.name)
    mapped = channel.model_map.get(model)
    if row is None and mapped is None and model not in channel.models and not vendor.any_model:
        return None
    return Attempt(channel=channel, vendor=vendor, vendor_model=mapped or (row.vendor_model if row else model))


def _that_convey(attempts: list[Attempt], order: ImageOrder) -> tuple[list[Attempt], NotConveyed | None]:
    able: list[Attempt] = []
    obstacle: NotConveyed | None = None
    for attempt in attempts:
        try:
            call = tasks_of(attempt.vendor).write_order(order, attempt.vendor_model)
        except NotConveyed as error:
            obstacle = obstacle or error
        else:
            able.append(msgspec.structs.replace(attempt, call=call))
    return able, obstacle
