"""Commands that need the whole gateway.

Resolve a task whose outcome is unknown, make a new secret for webhooks, and read channels and prices again.
"""

import os

import msgspec

from halley.accounts import store as accounts
from halley.accounts.rules import secret_of_mode
from halley.console.commands.common import Args, audit, named_account
from halley.console.commands.tasks import ShowTask as _ShowTask
from halley.console.commands.tasks import TaskDetails, known_task, show
from halley.console.protocol import Progress
from halley.db import Tx
from halley.kernel.faults import BadRequest, NotFound
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


class NewWebhookSecret(Args, frozen=True, kw_only=True):
    account: str
    project: str = accounts.DEFAULT_PROJECT


class WebhookSecretMade(msgspec.Struct, frozen=True, kw_only=True):
    """What a project's webhooks are signed with from now on (`whsec_…`)."""

    account: str
    project: str
    secret: str
    test_secret: str
    """Of test keys' webhooks."""


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


async def new_webhook_secret(world: World, args: NewWebhookSecret, _progress: Progress) -> WebhookSecretMade:
    """Replace what a project's webhooks are signed with, also where it cannot be read any more."""
    secret = operators.make_webhook_secret(world)

    def unit(tx: Tx) -> str:
        account = named_account(tx, args.account)
        project = accounts.find_project_named(tx, account.id, args.project)
        if project is None:
            raise NotFound(f"The account `{account.name}` has no project `{args.project}`", param="project")
        # Whatever is there now goes, and who read it cannot write it back.
        sealed = world.vault.seal(secret, context=f"project:{project.id}")
        tx.run("UPDATE projects SET webhook_secret = :sealed WHERE id = :id", {"id": project.id, "sealed": sealed})
        audit(tx, world, "webhooks.rotate", project.id, account=account.name, project=project.name)
        return account.name

    account = await world.db.write("webhooks.rotate", unit)
    live = secret.decode()
    test = secret_of_mode(live, livemode=False)
    return WebhookSecretMade(account=account, project=args.project, secret=live, test_secret=test)


async def reload(world: World, _args: Reload, _progress: Progress) -> Reloaded:
    """Take channels and prices from the file, all or nothing. Raises `SettingsError`."""
    synced = await reload_world(world, os.environ)
    file = str(world.settings.config or "")
    return Reloaded(file=file, channels=synced.channels, prices_changed=synced.prices_changed)
