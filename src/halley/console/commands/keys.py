"""Keys: made, listed, changed, revoked. A key's text leaves this module once, in the answer to its making."""

import asyncio
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from halley.accounts import rules
from halley.accounts import store as accounts
from halley.accounts.model import BudgetPeriod, Key, KeyChanges, NewKey, Project
from halley.catalogue import load_catalogue
from halley.console.commands.common import NAME_LENGTH_MAX, ROWS_MAX, Args, amount, audit, moment, named_account
from halley.console.protocol import Progress
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.faults import BadRequest, Conflict, NotFound
from halley.kernel.money import Nanos
from halley.vendors import load_vendors

Name = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH_MAX)]
PerMinute = Annotated[int, msgspec.Meta(ge=1, le=accounts.PER_MINUTE_MAX)]


Models = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=ROWS_MAX)]


class CreateKey(Args, frozen=True, kw_only=True):
    account: Name
    project: Name = accounts.DEFAULT_PROJECT
    livemode: bool = False
    name: Name = ""
    budget_nanos: Annotated[int, msgspec.Meta(ge=0)] | None = None
    budget_period: BudgetPeriod | None = None
    models: Annotated[tuple[str, ...], msgspec.Meta(max_length=ROWS_MAX)] | None = None
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    operator: bool = False


class ListKeys(Args, frozen=True, kw_only=True):
    account: Name | None = None
    revoked: bool = False
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=ROWS_MAX)] = ROWS_MAX


class UpdateKey(Args, frozen=True, kw_only=True):
    """What is left out stays as it is; null lifts the limit, or the budget, or allows all models."""

    key: str
    """Its id, or its text."""
    name: Name | msgspec.UnsetType = msgspec.UNSET
    models: Models | msgspec.UnsetType | None = msgspec.UNSET
    budget_nanos: Annotated[int, msgspec.Meta(ge=0)] | msgspec.UnsetType | None = msgspec.UNSET
    budget_period: BudgetPeriod | msgspec.UnsetType = msgspec.UNSET
    operator: bool | msgspec.UnsetType = msgspec.UNSET
    requests_per_minute: PerMinute | msgspec.UnsetType | None = msgspec.UNSET
    tokens_per_minute: PerMinute | msgspec.UnsetType | None = msgspec.UNSET


class RevokeKey(Args, frozen=True, kw_only=True):
    key: str
    """Its id, or its text."""


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the operator sees it; amounts in nano-dollars."""

    id: str
    account: str
    project: str
    livemode: bool
    name: str
    hint: str
    models: tuple[str, ...] | None
    budget_nanos: str | None
    budget_period: str | None
    left_nanos: str | None
    held_nanos: str | None
    spent_nanos: str | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    operator: bool
    created_at: str | None
    revoked_at: str | None


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new key: the only time that its text is shown."""

    key: str
    row: KeyRow
    resolved: dict[str, str] = {}
    """Models that were given by another name → the ids that the key is for."""
    unmatched: tuple[str, ...] = ()
    """Names and patterns that no model of the catalogue answers to; a channel's own model may."""


async def create(services: Services, args: CreateKey, _progress: Progress) -> KeyMade:
    """Make a key, and its project if there is none of that name."""
    if args.budget_period is not None and args.budget_nanos is None:
        raise BadRequest("A period needs a budget; give `--budget` too", param="budget")
    text = rules.new_key_text(services.ids, livemode=args.livemode)
    resolved, unmatched = await asyncio.to_thread(_resolved, args.models or ())
    if args.models is not None:
        args = msgspec.structs.replace(
            args, models=tuple(dict.fromkeys(resolved.get(each, each) for each in args.models))
        )

    def unit(tx: Tx) -> KeyMade:
        account = named_account(tx, args.account)
        project = _project(tx, services, account.id, args.project)
        key = accounts.create_key(tx, _new_key(services, args, project, text))
        audit(tx, services, "keys.create", key.id, account=account.name, project=project.name, livemode=key.livemode)
        row = _row(key, account.name, project.name, services.clock.now())
        return KeyMade(key=text, row=row, resolved=resolved, unmatched=unmatched)

    return await services.db.write("keys.create", unit)


async def list_all(services: Services, args: ListKeys, _progress: Progress) -> list[KeyRow]:
    """List keys, the living ones unless all are asked for."""

    def query(tx: Tx) -> list[KeyRow]:
        account = named_account(tx, args.account) if args.account else None
        found = accounts.list_keys(tx, account_id=account.id if account else None, after=args.after, limit=args.limit)
        return [_named(tx, key, services) for key in found if args.revoked or key.revoked_at is None]

    return await services.db.read(query)


async def update(services: Services, args: UpdateKey, _progress: Progress) -> KeyRow:
    """Change a key; every process hears of it within a second."""
    given = {
        name: value for name in KeyChanges.__struct_fields__ if (value := getattr(args, name)) is not msgspec.UNSET
    }
    if not given:
        message = "Nothing is to be changed; give e.g. `--budget` or `--requests-per-minute`"
        raise BadRequest(message, param="key")
    if given.get("models"):
        resolved, _ = await asyncio.to_thread(_resolved, given["models"])
        given["models"] = tuple(dict.fromkeys(resolved.get(each, each) for each in given["models"]))

    def unit(tx: Tx) -> KeyRow:
        key = _found(tx, args.key)
        changes = KeyChanges(**given, **_period(key, args))
        if not accounts.change_key(tx, key.id, changes, services.clock.now()):
            raise Conflict(f"The key `{key.id}` was revoked; make another with `halley keys create`", param="key")
        details = msgspec.to_builtins(changes)
        if "budget_nanos" in details:
            details["budget_nanos"] = amount(details["budget_nanos"])
        audit(tx, services, "keys.update", key.id, **details)
        return _named(tx, _found(tx, key.id), services)

    return await services.db.write("keys.update", unit)


async def revoke(services: Services, args: RevokeKey, _progress: Progress) -> KeyRow:
    """Revoke a key; every process hears of it within a second. Once more changes nothing."""

    def unit(tx: Tx) -> KeyRow:
        key = _found(tx, args.key)
        if accounts.revoke_key(tx, key.id, services.clock.now()):
            audit(tx, services, "keys.revoke", key.id)
        return _named(tx, accounts.find_key(tx, key.id) or key, services)

    return await services.db.write("keys.revoke", unit)


def _period(key: Key, args: UpdateKey) -> dict[str, Any]:
    """Give the period of a budget that is given or lifted: what is said, what it was, or in all."""
    budget = key.budget_nanos if args.budget_nanos is msgspec.UNSET else args.budget_nanos
    if args.budget_period is not msgspec.UNSET:
        if budget is None:
            raise BadRequest("A period needs a budget; give `--budget` too", param="budget")
        return {}
    if args.budget_nanos is msgspec.UNSET:
        return {}
    return {"budget_period": None if budget is None else key.budget_period or BudgetPeriod.TOTAL}


def _found(tx: Tx, given: str) -> Key:
    """Find a key by id or text. Raises `NotFound`."""
    key = accounts.find_key(tx, given) or accounts.find_key_hashed(tx, rules.hash_key(given))
    if key is None:
        shown = given if given.startswith("key_") else rules.hint(given)
        raise NotFound(f"There is no key `{shown}`; `halley keys list` shows those there are", param="key")
    return key


def _resolved(models: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Find the ids of models that were given by another name, since calls are held against ids, and what matches none.

    Patterns are no names: they match ids alone.
    """
    if not models:
        return {}, ()
    catalogue = load_catalogue(load_vendors().values())
    resolved = {name: found for name in models if (found := catalogue.public_id(name)) != name}
    rest = (name for name in models if name not in resolved and name not in catalogue.models)
    return resolved, tuple(name for name in rest if not any(fnmatchcase(model, name) for model in catalogue.models))


def _project(tx: Tx, services: Services, account_id: str, name: str) -> Project:
    found = accounts.find_project_named(tx, account_id, name)
    if found is not None:
        return found
    now = services.clock.now()
    return accounts.create_project(
        tx, project_id=f"proj_{services.ids.new()}", account_id=account_id, name=name, now=now
    )


def _new_key(services: Services, args: CreateKey, project: Project, text: str) -> NewKey:
    budget = None if args.budget_nanos is None else Nanos(args.budget_nanos)
    return NewKey(
        id=f"key_{services.ids.new()}",
        account_id=project.account_id,
        project_id=project.id,
        livemode=args.livemode,
        name=args.name,
        text=text,
        now=services.clock.now(),
        models=args.models,
        budget_nanos=budget,
        budget_period=args.budget_period or (None if budget is None else BudgetPeriod.TOTAL),
        requests_per_minute=args.requests_per_minute,
        tokens_per_minute=args.tokens_per_minute,
        operator=args.operator,
    )


def _named(tx: Tx, key: Key, services: Services) -> KeyRow:
    row = tx.one(
        "SELECT accounts.name AS account, projects.name AS project FROM projects"
        " JOIN accounts ON accounts.id = projects.account_id WHERE projects.id = :id",
        {"id": key.project_id},
    )
    assert row is not None, "a key has a project"
    return _row(key, row["account"], row["project"], services.clock.now())


def _row(key: Key, account: str, project: str, now: int) -> KeyRow:
    return KeyRow(
        id=key.id,
        account=account,
        project=project,
        livemode=key.livemode,
        name=key.name,
        hint=key.hint,
        models=key.models,
        budget_nanos=amount(key.budget_nanos),
        budget_period=key.budget_period,
        left_nanos=amount(accounts.budget_left(key, now)),
        held_nanos=amount(key.held_nanos),
        spent_nanos=amount(key.spent_nanos),
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
        operator=key.operator,
        created_at=moment(key.created_at),
        revoked_at=moment(key.revoked_at),
    )
