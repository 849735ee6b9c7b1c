"""admit: key → caller."""

from fnmatch import fnmatchcase

from halley.accounts.model import Caller
from halley.accounts.rules import hash_key
from halley.accounts.store import find_caller, find_key
from halley.kernel.faults import Forbidden, Unauthenticated
from halley.world import World

KEY_LENGTH_MAX = 256


async def admit(world: World, key: str) -> Caller:
    """Give the caller that a key stands for. Raises `Unauthenticated` for an unknown or revoked one."""
    if len(key) > KEY_LENGTH_MAX:
        raise _unknown()
    key_hash = hash_key(key)
    caller = world.callers.get(key_hash)
    if caller is None:
        epoch = world.callers.epoch
        caller = await world.db.read(lambda tx: find_caller(tx, key_hash))
        if caller is None:
            raise _unknown()
        world.callers.keep(key_hash, caller, epoch)
    return caller


async def confirm(world: World, caller: Caller) -> None:
    """See that a caller whose call is held open still has a good key. Raises `Unauthenticated` when it was revoked."""
    key = await world.db.read(lambda tx: find_key(tx, caller.key_id))
    if key is None or key.revoked_at is not None:
        raise _unknown()


def allow_model(caller: Caller, model: str) -> None:
    """Raise `Forbidden` when the key is limited to other models."""
    if caller.models is not None and not any(fnmatchcase(model, glob) for glob in caller.models):
        message = f"This key may not use `{model}`; it is limited to {', '.join(caller.models)}"
        raise Forbidden(message, param="model")


def _unknown() -> Unauthenticated:
    return Unauthenticated("The API key is unknown or was revoked; create one with `halley keys create`")
