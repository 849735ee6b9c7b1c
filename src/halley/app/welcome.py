"""The first start: an account, a first key, and the administrator's one-time set-up secret; each is shown once."""

import hashlib

import msgspec

from halley.accounts import rules
from halley.accounts import store as accounts
from halley.accounts.model import NewKey
from halley.console.commands import accounts as account_commands
from halley.db import Tx
from halley.kernel.ids import Ids
from halley.ledger.model import AccountKind
from halley.settings import Secret
from halley.world import World

ACCOUNT = "default"
SETUP_SECRET_LENGTH = 40
KEY_LENGTH_MIN = 8
KEY_LENGTH_MAX = 200
_SETUP = "setup_secret_sha256"


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator is told at start. Keys and secrets are there only when they were made just now."""

    base_url: str
    test_key: str | None = None
    setup_secret: str | None = None


async def welcome(world: World) -> Welcome:
    """Make what a first start makes; later starts make nothing."""
    if await world.db.read(_is_known):
        return Welcome(base_url=world.base_url)
    wanted = world.settings.bootstrap_key
    text = wanted.reveal() if wanted else rules.new_key_text(world.ids, livemode=False)
    secret = f"setup-{world.ids.secret(SETUP_SECRET_LENGTH)}"
    if not await world.db.write("welcome", lambda tx: _make(tx, world, text, secret)):
        return Welcome(base_url=world.base_url)
    # What the operator gave is known to them, and a container's log is no place for it.
    shown = None if wanted else text
    return Welcome(base_url=world.base_url, test_key=shown, setup_secret=secret)


def _is_known(tx: Tx) -> bool:
    return tx.one("SELECT value FROM meta WHERE name = :name", {"name": _SETUP}) is not None


def _make(tx: Tx, world: World, text: str, secret: str) -> bool:
    """Make all of it or nothing, so that a start that was cut begins anew; False when another replica was first."""
    if _is_known(tx):
        return False
    account = accounts.find_account_named(tx, ACCOUNT)
    wanted = account_commands.CreateAccount(name=ACCOUNT, kind=AccountKind.POSTPAID)
    account_id = account.id if account else account_commands.create_in(tx, world, wanted).id
    project = accounts.find_project_named(tx, account_id)
    assert project is not None
    accounts.create_key(tx, _first_key(world.ids, account_id, project.id, text, world.clock.now()))
    tx.run(
        "INSERT INTO meta (name, value) VALUES (:name, :value)",
        {"name": _SETUP, "value": hashlib.sha256(secret.encode()).hexdigest()},
    )
    return True


def _first_key(ids: Ids, account_id: str, project_id: str, text: str, now: int) -> NewKey:
    return NewKey(
        id=f"key_{ids.new()}",
        account_id=account_id,
        project_id=project_id,
        livemode=not rules.is_test_key(text),
        name="first",
        text=text,
        now=now,
    )


def check_bootstrap_key(key: Secret | None) -> str | None:
    """Say what is wrong with `HALLEY_BOOTSTRAP_KEY`; None when nothing is."""
    if key is None:
        return None
    text = key.reveal()
    if (
        not text.startswith("sk-")
        or not KEY_LENGTH_MIN <= len(text) <= KEY_LENGTH_MAX
        or not text.isascii()
        or not text.isprintable()
    ):
        return (
            f"HALLEY_BOOTSTRAP_KEY must begin with `sk-` and have {KEY_LENGTH_MIN} to {KEY_LENGTH_MAX}"
            " printable ASCII characters"
        )
    return None
