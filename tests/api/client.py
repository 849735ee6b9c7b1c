"""A client that speaks ASGI to the API in this process, and rows for it to find."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from halley.accounts import store as accounts
from halley.accounts.model import NewKey
from halley.api.app import Api
from halley.assets import Asset
from halley.assets import store as assets
from halley.assets.objects import put_bytes
from halley.assets.rules import asset_key
from halley.db import Tx
from halley.kernel.ids import TaskId
from halley.kernel.money import Nanos
from halley.kernel.order import Report, ReportState
from halley.ledger import store as ledger
from halley.ledger.model import AccountKind
from halley.tasks import NewTask, TaskState
from halley.tasks import store as tasks
from halley.tasks.model import Pinned
from halley.world import World

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


class Response(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests to an `Api` as a server would."""

    def __init__(self, api: Api, peer: str = "127.0.0.1") -> None:
        self.api = api
        self.peer = peer
        self.chunks_read = 0
        """How many messages of the last body were asked for."""
        self.sent: list[dict[str, Any]] = []
        """What the last answer was made of, also when the call was cut."""

    async def get(self, target: str, headers: Headers = ()) -> Response:
        return await self.send("GET", target, headers)

    async def post(self, target: str, value: object, headers: Headers = ()) -> Response:
        pairs = [*_pairs(headers), ("content-type", "application/json")]
        return await self.send("POST", target, pairs, [json.dumps(value).encode()])

    async def send(self, method: str, target: str, headers: Headers = (), chunks: Iterable[bytes] = (b"",)) -> Response:
        """Send one request; `target` is a path with its query, as it stands on the wire."""
        path, _, query = target.partition("?")
        self.sent = sent = list[dict[str, Any]]()
        self.chunks_read = 0
        pending = list(chunks)

        async def receive() -> dict[str, Any]:
            self.chunks_read += 1
            if not pending:
                await asyncio.Event().wait()
            chunk = pending.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(pending)}

        async def answer(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in _pairs(headers)],
            "client": (self.peer, 50_000),
        }
        await self.api(scope, receive, answer)
        got = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Response(sent[0]["status"], got, b"".join(each.get("body", b"") for each in sent[1:]))


class Owner(msgspec.Struct, frozen=True):
    """An account with a project and one key."""

    account_id: str
    project_id: str
    key_id: str
    key: str
    livemode: bool

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


async def make_owner(world: World, name: str, *, livemode: bool = False, credit: int = 0) -> Owner:
    """Make an account, its ledger account and a key."""
    prefix = "sk-" if livemode else "sk-test-"
    owner = Owner(f"acct_{name}", f"proj_{name}", f"key_{name}", f"{prefix}{name}{'x' * 32}", livemode)

    def unit(tx: Tx) -> None:
        now = world.clock.now()
        accounts.create_account(tx, account_id=owner.account_id, project_id=owner.project_id, name=name, now=now)
        books = ledger.open_account(
            tx, account_id=owner.account_id, livemode=livemode, kind=AccountKind.PREPAID, limit_nanos=None, now=now
        )
        if credit:
            amount = Nanos(credit)
            ledger.credit(
                tx, transfer_id=f"credit_{name}", ledger_account_id=books.id, amount=amount, note="test", now=now
            )
        accounts.create_key(tx, _new_key(owner, name, now))

    await world.db.write("make_owner", unit)
    return owner


async def make_task(world: World, owner: Owner, *, dialect: str = "flux", model: str = "flux-dev") -> TaskId:
    """Write a task that was just taken."""
    task_id = TaskId(world.ids.new())
    now = world.clock.now()
    new = NewTask(
        id=task_id,
        account_id=owner.account_id,
        project_id=owner.project_id,
        key_id=owner.key_id,
        livemode=owner.livemode,
        request_id="req_test",
        boot_id="boot_test",
        dialect=dialect,
        kind="image",
        model=model,
        channel_id="chan_test",
        vendor="bfl",
        vendor_model=model,
        hold_id=f"hold_{task_id}",
        held=Nanos(25_000_000),
        prices=Pinned(price_set="", meters={}),
        estimate={},
        body=b'{"prompt":"a teapot"}',
        body_object=None,
        webhook=None,
        created_at=now,
        deadline_at=now + 600_000_000,
    )
    await world.db.write("make_task", lambda tx: tasks.insert_task(tx, new))
    return task_id


async def finish(world: World, task_id: TaskId, *, cost: int = 25_000_000) -> None:
    """Move a task to its success, as the worker does."""

    def unit(tx: Tx) -> None:
        _move(tx, task_id, TaskState.RUNNING, report=Report(state=ReportState.RUNNING, word="Pending"))
        _move(tx, task_id, TaskState.SUCCEEDED, ended_at=world.clock.now(), cost_nanos=cost)

    await world.db.write("finish", unit)


async def make_asset(
    world: World, owner: Owner, task_id: TaskId, data: bytes, content_type: str = "image/png"
) -> Asset:
    """Store an output of a task."""
    stored = await put_bytes(world.objects, asset_key(task_id, 0), data)
    now = world.clock.now()
    asset = Asset(
        task_id=task_id,
        n=0,
        account_id=owner.account_id,
        project_id=owner.project_id,
        livemode=owner.livemode,
        object_key=stored.key,
        sha256=stored.sha256,
        bytes=len(data),
        content_type=content_type,
        created_at=now,
        expires_at=now + 30 * 86_400_000_000,
    )
    await world.db.write("make_asset", lambda tx: assets.insert_assets(tx, [asset]))
    return asset


def _move(tx: Tx, task_id: TaskId, to: TaskState, **columns: object) -> None:
    task = tasks.find_task(tx, task_id)
    assert task is not None
    assert tasks.move(tx, task, to, **columns)


def _new_key(owner: Owner, name: str, now: int) -> NewKey:
    return NewKey(
        id=owner.key_id,
        account_id=owner.account_id,
        project_id=owner.project_id,
        livemode=owner.livemode,
        name=name,
        text=owner.key,
        now=now,
    )


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)
