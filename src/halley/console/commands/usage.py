"""What was used and what it cost: summed by whatever the operator asks about, and one order's row."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import Account
from halley.console.commands.common import Args, amount, moment, named_account
from halley.console.protocol import Progress, Step
from halley.console.services import Services
from halley.db import Tx
from halley.kernel.clock import parse_time, rfc3339
from halley.kernel.faults import BadRequest, NotFound
from halley.kernel.ids import TaskId
from halley.kernel.money import Nanos
from halley.ledger.queries import transfers_of_hold
from halley.routing import store as routing
from halley.tasks import store as tasks
from halley.usage import store as usage
from halley.usage.model import By, Sum, Usage

_DATE_LENGTH = 10


class SumUsage(Args, frozen=True, kw_only=True):
    by: Annotated[tuple[By, ...], msgspec.Meta(min_length=1, max_length=len(By))] = (By.ACCOUNT,)
    account: str | None = None
    livemode: bool = True
    since: str | None = None
    """A date or an RFC 3339 time; None is the first of this month."""
    until: str | None = None
    """Without it; None is now."""


class ShowUsage(Args, frozen=True, kw_only=True):
    order: str
    """The id of an answer, of its request, or of a task."""


class SumRow(msgspec.Struct, frozen=True, kw_only=True):
    """What orders used together; amounts are nano-dollars. `of` says what they have in common."""

    of: dict[str, str | None]
    requests: int
    unsuccessful: int
    price_nanos: str
    vendor_cost_nanos: str
    exposure_nanos: str


class SumView(msgspec.Struct, frozen=True, kw_only=True):
    """The dearest first, but days in their order."""

    since: str
    until: str
    livemode: bool
    rows: list[SumRow]


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One order's end, with what was posted for it."""

    order_id: str
    order_kind: str
    account: str
    key_id: str
    livemode: bool
    model: str
    channel: str | None
    outcome: str
    attempts: int
    meters: dict[str, int]
    price_nanos: str
    vendor_cost_nanos: str | None
    exposure_nanos: str
    total_ms: float
    created_at: str | None
    transfers: dict[str, str]
    """Kind → id of what was booked at its end: what `halley accounts adjust --corrects` takes."""


async def sum_up(services: Services, args: SumUsage, progress: Progress) -> SumView:
    """Sum what was used in a time."""
    now = services.clock.now()
    start = _time(args.since, "since") if args.since else parse_time(f"{rfc3339(now)[: _DATE_LENGTH - 2]}01")
    end = _time(args.until, "until") if args.until else now + 1
    if end <= start:
        raise BadRequest("The time ends before it begins; give a `--since` before `--until`", param="since")

    def query(tx: Tx) -> list[SumRow]:
        chosen = [named_account(tx, args.account)] if args.account else list(_all_accounts(tx))
        found: list[Sum] = []
        for done, account in enumerate(chosen):
            progress(Step(done=done, total=len(chosen), text="accounts"))
            found += usage.sums(tx, account_id=account.id, livemode=args.livemode, start=start, end=end, by=args.by)
        names = _names(tx, chosen)
        return [_row(args.by, each, names) for each in sorted(_joined(found), key=_place(args.by))]

    rows = await services.db.read(query)
    since, until = moment(start), moment(end)
    assert since is not None
    assert until is not None
    return SumView(since=since, until=until, livemode=args.livemode, rows=rows)


async def show(services: Services, args: ShowUsage, _progress: Progress) -> UsageRow:
    """Show one order that has ended."""

    def query(tx: Tx) -> UsageRow:
        found = _order(tx, args.order)
        if found is None:
            message = f"No order `{args.order}` has ended; give the id of a request (`x-request-id`) or a task"
            raise NotFound(message, param="order")
        return _shown(tx, *found)

    return await services.db.read(query)


def _time(text: str, param: str) -> int:
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        message = f"`{text}` is no time; give a date (`2026-11-01`) or an RFC 3339 time"
        raise BadRequest(message, param=param) from error


def _all_accounts(tx: Tx) -> Iterator[Account]:
    after = ""
    while page := accounts.list_accounts(tx, after=after):
        yield from page
        after = page[-1].id


def _names(tx: Tx, chosen: Sequence[Account]) -> Mapping[By, Mapping[str | None, str]]:
    """What people call things, by their ids."""
    keys = (key for account in chosen for key in accounts.list_keys(tx, account_id=account.id))
    return {
        By.ACCOUNT: {account.id: account.name for account in chosen},
        By.KEY: {key.id: f"{key.id} {key.name or key.hint}" for key in keys},
        By.CHANNEL: {channel.id: channel.name for channel in routing.all_channels(tx)},
    }


def _joined(sums: Iterable[Sum]) -> Iterator[Sum]:
    """Add up what several accounts have in common."""
    groups: defaultdict[tuple[str | None, ...], list[Sum]] = defaultdict(list)
    for each in sums:
        groups[each.of].append(each)
    for of, group in groups.items():
        yield Sum(
            of=of,
            requests=sum(each.requests for each in group),
            unsuccessful=sum(each.unsuccessful for each in group),
            price_nanos=Nanos(sum(each.price_nanos for each in group)),
            vendor_cost_nanos=Nanos(sum(each.vendor_cost_nanos for each in group)),
            exposure_nanos=Nanos(sum(each.exposure_nanos for each in group)),
        )


def _place(by: Sequence[By]) -> Callable[[Sum], tuple[object, ...]]:
    """Days stand in their order; within one, and without them, the dearest first."""
    day = by.index(By.DAY) if By.DAY in by else None
    return lambda each: (each.of[day] if day is not None else "", -each.price_nanos, tuple(map(str, each.of)))


def _row(by: Sequence[By], found: Sum, names: Mapping[By, Mapping[str | None, str]]) -> SumRow:
    return SumRow(
        of={each.value: names.get(each, {}).get(of, of) for each, of in zip(by, found.of, strict=True)},
        requests=found.requests,
        unsuccessful=found.unsuccessful,
        price_nanos=str(found.price_nanos),
        vendor_cost_nanos=str(found.vendor_cost_nanos),
        exposure_nanos=str(found.exposure_nanos),
    )


def _order(tx: Tx, name: str) -> tuple[Usage, str] | None:
    """Find an order's row and the id of its hold. An answer shares its characters with its request and its hold."""
    identity = name.rpartition("_")[2]
    if answer := usage.of_order(tx, order_id=f"ans_{identity}", order_kind="answer"):
        return answer, f"hold_{identity}"
    task = tasks.find_task(tx, TaskId(identity))
    found = usage.of_order(tx, order_id=identity, order_kind="task") if task is not None else None
    return (found, task.hold_id) if found is not None and task is not None else None


def _shown(tx: Tx, found: Usage, hold_id: str) -> UsageRow:
    account = accounts.find_account(tx, found.account_id)
    channel = next((each.name for each in routing.all_channels(tx) if each.id == found.channel_id), found.channel_id)
    return UsageRow(
        order_id=found.order_id,
        order_kind=found.order_kind,
        account=account.name if account else found.account_id,
        key_id=found.key_id,
        livemode=found.livemode,
        model=found.model,
        channel=channel,
        outcome=found.outcome,
        attempts=found.attempts,
        meters=found.meters,
        price_nanos=str(found.price_nanos),
        vendor_cost_nanos=amount(found.vendor_cost_nanos),
        exposure_nanos=str(found.exposure_nanos),
        total_ms=found.total_us / 1_000,
        created_at=moment(found.created_at),
        transfers={each.kind.value: each.id for each in transfers_of_hold(tx, hold_id)},
    )
