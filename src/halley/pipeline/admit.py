"""admit: key → caller, and whether the key may ask so much so soon."""

import math
from fnmatch import fnmatchcase

from halley.accounts.model import Caller
from halley.accounts.rules import hash_key
from halley.accounts.store import find_caller, find_key
from halley.kernel.faults import Forbidden, TooManyRequests, Unauthenticated
from halley.limits import Verdict
from halley.world import World

KEY_LENGTH_MAX = 256


class OverLimit(TooManyRequests):
    """The key has used up its requests or tokens; the verdict is for the headers."""

    def __init__(self, message: str, *, verdict: Verdict) -> None:
        after_s = verdict.retry_after_s
        super().__init__(message, retry_after_s=None if after_s is None else max(1, math.ceil(after_s)))
        self.verdict = verdict


class NeverFits(OverLimit):
    """One call asks for more tokens than the key has in any minute."""

    may_retry = False


def known(world: World, key: str) -> Caller | None:
    """Give the caller that a key stands for, if that is remembered; `admit` finds out the rest."""
    if len(key) > KEY_LENGTH_MAX:
        raise _unknown()
    return world.callers.get(hash_key(key))


async def admit(world: World, key: str) -> Caller:
    """Give the caller that a key stands for. Raises `Unauthenticated` for an unknown or revoked one."""
    caller = known(world, key)
    if caller is None:
        key_hash = hash_key(key)
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


def limit(world: World, caller: Caller, tokens: int) -> Verdict:
    """Count a call and its tokens against the key's limits. Raises `OverLimit`; then nothing was counted."""
    verdict = world.limits.take(caller.key_id, caller.rate, tokens=tokens, now_s=world.clock.monotonic())
    if not verdict.allowed:
        raise _over(verdict, tokens)
    return verdict


def correct(world: World, caller: Caller, tokens: int) -> None:
    """Count the tokens that a call used beyond those given to `limit`; fewer are given back, as a negative number."""
    world.limits.correct(caller.key_id, caller.rate, tokens=tokens, now_s=world.clock.monotonic())


def _over(verdict: Verdict, tokens: int) -> OverLimit:
    wait = f"wait {math.ceil(verdict.retry_after_s or 0)} s, or raise the key's limit with `halley keys update`"
    if verdict.exceeded == "requests":
        assert verdict.requests is not None
        message = f"This key may make {verdict.requests.limit:,} requests per minute, and they are used up: {wait}"
        return OverLimit(message, verdict=verdict)
    assert verdict.tokens is not None
    needs = f"This key may use {verdict.tokens.limit:,} tokens per minute; this call needs up to {tokens:,}"
    if verdict.retry_after_s is None:
        remedy = "shorten it, lower its output limit, or raise the key's limit with `halley keys update`"
        return NeverFits(f"{needs}: {remedy}", verdict=verdict)
    return OverLimit(f"{needs}, and {verdict.tokens.remaining:,} are left: {wait}", verdict=verdict)


def _unknown() -> Unauthenticated:
    return Unauthenticated("The API key is unknown or was revoked; create one with `halley keys create`")
