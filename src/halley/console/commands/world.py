"""Commands that need the whole gateway: resolve a task whose outcome is unknown, and read channels and prices again."""

import os

import msgspec

from halley.console.commands.common import Args, audit
from halley.console.commands.tasks import ShowTask as _ShowTask
from halley.console.commands.tasks import TaskDetails, known_task, show
from halley.console.protocol import Progress
from halley.kernel.faults import BadRequest
from halley.kernel.money import Nanos
from halley.pipeline import task as operators
from halley.pipeline.reload import reload as reload_world
from halley.world import World


class ResolveTask(Args, frozen=True, kw_only=True):
    """Exactly one of the three is set; `post` without an amount charges what was held."""

    id: str
    void: bool = False
    post: bool = False
    amount_nanos: int | None = None
    attach: str | None = None


class Reload(Args, frozen=True, kw_only=True):
    """Read `halley.toml` again."""


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload did; `file` is empty where there is none."""

    file: str
    channels: tuple[str, ...]
    prices_changed: int


async def resolve(world: World, args: ResolveTask, progress: Progress) -> TaskDetails:
    """Say what became of a task that is `unknown`."""
    if [args.void, args.post, args.attach is not None].count(True) != 1:
        raise BadRequest("Give exactly one of `--void`, `--post [AMOUNT]` and `--attach VENDOR_ID`")
    task = await world.db.read(lambda tx: known_task(tx, args.id))
    held = task.held if args.amount_nanos is None else Nanos(args.amount_nanos)
    await operators.resolve(world, task.id, void=args.void, post=held if args.post else None, attach=args.attach)
    said = {"void": args.void, "post_nanos": str(held) if args.post else None, "attach": args.attach}
    await world.db.write("tasks.resolve", lambda tx: audit(tx, world, "tasks.resolve", f"task_{task.id}", **said))
    return await show(world, _ShowTask(id=task.id), progress)


async def reload(world: World, _args: Reload, _progress: Progress) -> Reloaded:
    """Take channels and prices from the file, all or nothing. Raises `SettingsError`."""
    synced = await reload_world(world, os.environ)
    file = str(world.settings.config or "")
    return Reloaded(file=file, channels=synced.channels, prices_changed=synced.prices_changed)
