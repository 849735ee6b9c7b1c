"""What a vendor's simulator is given: time, journal, a way out, ids, links, drawing, and callbacks sent when due."""

import asyncio
import hashlib
import logging
import os
from base64 import b32encode
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec

from halley.kernel.clock import MICROSECONDS, Clock
from halley.vendors.simulate.asgi import (
    AsgiApp,
    LinkState,
    Reply,
    Request,
    Router,
    default_error,
    link_state,
    signed_query,
)
from halley.vendors.simulate.directive import Directive, Outcome
from halley.vendors.simulate.draw import ImageSpec, draw
from halley.vendors.simulate.images import ImageInfo, decode_image, thumbnail
from halley.vendors.simulate.job import NEVER_US, Due, Job, Phase, phase
from halley.vendors.simulate.journal import Journal, Owed

DELAY_S = 1.5
CALLBACKS_AT_ONCE = 64
CALLBACK_TIMEOUT_S = 10.0
CALLBACK_PAUSES_S = (1.0, 3.0, 9.0)
SPAWNED_MAX = 1_000
DRAWINGS_AT_ONCE = 2
KEPT_US = 7 * 24 * 3_600 * MICROSECONDS
WAIT_S_MAX = 60.0

_TAKEN = 2  # hundreds

T = TypeVar("T")

_log = logging.getLogger("halley.simulate")


class OutsideError(Exception):
    """A URL could not be reached or answered badly; the text may be shown to the caller."""


class Outside(Protocol):
    """The way out of a simulator. Awaited on the simulator's own event loop, so its clients must be opened there."""

    async def fetch(self, url: str) -> bytes:
        """The bytes behind an input image's URL, guarded and bounded. Raises `OutsideError`."""
        ...

    async def send_callback(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """POST a callback, following no redirect; the status of its answer. Raises `OutsideError`."""
        ...


OpenOutside = Callable[[], AbstractAsyncContextManager[Outside]]
"""Opens the way out; entered on the simulator's own loop when it starts, left when it stops."""


class CallbackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A callback ready to be posted."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


CallbackRenderer = Callable[[Job, str], CallbackRequest | None]
"""Given a job and an event's name: what to post now, `None` for nothing after all."""


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition decides about every simulator."""

    clock: Clock
    open_outside: OpenOutside
    delay_s: float = DELAY_S
    """How long a job takes unless ordered otherwise (`HALLEY_SANDBOX_DELAY`)."""
    entropy: Callable[[int], bytes] = os.urandom
    """Where ids come from; a test may hand in a fixed one."""


class SimulatorHost:
    """Everything that a simulator's app may use; made by the server, handed to `create_app(host)`.

    A job's state is `phase(job, host.clock.now())`, never a timer's doing: a restart or a fake clock changes nothing.
    Only callbacks are sent by time: name them when accepting a job and set `render_callback`.
    """

    def __init__(
        self, *, vendor: str, settings: SimulatorSettings, journal: Journal, outside: Outside, base_url: str
    ) -> None:
        self.vendor = vendor
        self.clock = settings.clock
        self.delay_s = settings.delay_s
        self.journal = journal
        self.outside = outside
        self.base_url = base_url
        """Our own origin, without a slash at its end."""
        self.render_callback: CallbackRenderer | None = None
        """Set by `create_app` of a vendor that knows callbacks."""
        self._entropy = settings.entropy
        self._secret = journal.secret(settings.entropy(32))
        self._drawing = asyncio.Semaphore(DRAWINGS_AT_ONCE)
        self._changed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._spawned: set[asyncio.Task[None]] = set()
        self._delivering: dict[str, asyncio.Task[None]] = {}

    # building an app

    def router(self, *, error: Callable[[int, str], Reply] = default_error) -> Router:
        """A router that counts its requests in the journal; `error` gives the vendor's shape of 404, 405, 413, 500."""
        return Router(count=self.journal.count_request, error=error)

    def uuid(self) -> str:
        """A new random UUID with dashes."""
        return str(UUID(bytes=self._entropy(16), version=4))

    def base32_id(self) -> str:
        """A new random id of 26 lower-case base32 characters."""
        return b32encode(self._entropy(16)).decode().rstrip("=").lower()

    def seed_for(self, job_id: str) -> int:
        """The seed of a job that was not given one; the same whenever it is asked."""
        return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4])

    def account_of(self, credential: str) -> str:
        """The fingerprint under which a credential's jobs are journalled."""
        return hashlib.sha256(f"{self.vendor}\n{credential}".encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def ready_us(self, directive: Directive, *, created_us: int) -> int:
        """When a job made then and ordered so is ready; `NEVER_US` for one that never finishes."""
        if directive.outcome is Outcome.NEVER_FINISHES:
            return NEVER_US
        delay_s = self.delay_s if directive.delay_s is None else directive.delay_s
        return created_us + round(delay_s * MICROSECONDS)

    # jobs

    def accept(self, job: Job, *, inputs: Sequence[bytes] = (), callbacks: Sequence[Due] = ()) -> Job:
        """Journal a job, its input images and the callbacks it will owe; from here on it outlives the process."""
        accepted = self.journal.add(job, inputs=inputs, callbacks=[due for due in callbacks if due.due_us < NEVER_US])
        if callbacks:
            self._changed.set()
        return accepted

    def phase(self, job: Job) -> Phase:
        """Where the job stands now."""
        return phase(job, self.clock.now())

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job unless it is over; its callbacks become due now. `None` if there is no such job."""
        job = self.journal.cancel(job_id, now_us=self.clock.now())
        self._changed.set()
        return job

    async def fetch(self, url: str) -> bytes:
        """The bytes behind an input image's URL. Raises `OutsideError`."""
        return await self.outside.fetch(url)

    async def draw(self, spec: ImageSpec) -> bytes:
        """Draw an image beside the event loop."""
        async with self._drawing:
            return await asyncio.to_thread(draw, spec)

    async def decode_image(self, data: bytes) -> ImageInfo:
        """Look at an input image beside the event loop. Raises `BadImage`."""
        async with self._drawing:
            return await asyncio.to_thread(decode_image, data)

    async def thumbnail(self, data: bytes) -> bytes:
        """A small copy of an input image, which is enough to journal. Raises `BadImage`."""
        async with self._drawing:
            return await asyncio.to_thread(thumbnail, data)

    async def beside(self, work: Callable[[], T]) -> T:
        """Do work that takes the processor beside the event loop, a few at a time."""
        async with self._drawing:
            return await asyncio.to_thread(work)

    # links

    def link(self, path: str, *, expires_us: int) -> str:
        """A signed link to one of our own paths, good until then."""
        return f"{self.base_url}{quote(path)}?{signed_query(self._secret, path, expires_us=expires_us)}"

    def link_state(self, request: Request) -> LinkState:
        """Whether the request's own link is valid, expired or forged."""
        return link_state(self._secret, request.path, request.query, now_us=self.clock.now())

    # running

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run beside the requests; cancelled when the simulator stops. What it raises is logged, no more."""
        assert self._group is not None, "the simulator is not running"
        assert len(self._spawned) < SPAWNED_MAX, "too much spawned at once"
        task = self._group.create_task(_logged(work))
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        return task

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Send callbacks while inside; those due and unsent from before come first."""
        self.journal.forget(created_before_us=self.clock.now() - KEPT_US)
        async with asyncio.TaskGroup() as group:
            self._group = group
            keeper = self.spawn(self._keep_callbacks())
            try:
                yield
            finally:
                for task in (keeper, *self._spawned):
                    task.cancel()
        self._group = None

    async def deliver_due(self) -> None:
        """Send all callbacks that are due by now and return when each is settled."""
        while self._start_due(self.clock.now()) or self._delivering:
            await asyncio.wait(self._delivering.values())

    async def _keep_callbacks(self) -> None:
        while True:
            self._changed.clear()
            # One reading for both, so that nothing falls due unseen between them.
            now_us = self.clock.now()
            self._start_due(now_us)
            await self._until_due_or_changed(now_us)

    async def _until_due_or_changed(self, now_us: int) -> None:
        due_us = self.journal.next_due_us(after_us=now_us)
        latest_us = now_us + int(WAIT_S_MAX * MICROSECONDS)
        assert self._group is not None
        either = [
            self._group.create_task(self._changed_now()),
            self._group.create_task(self._time_has_come(latest_us if due_us is None else min(latest_us, due_us))),
        ]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in either:
                task.cancel()

    async def _time_has_come(self, at_us: int) -> None:
        # Told now, not when this was begun: the clock may have moved since.
        await self.clock.sleep(max(at_us - self.clock.now(), 0) / MICROSECONDS)

    async def _changed_now(self) -> None:
        await self._changed.wait()

    def _start_due(self, now_us: int) -> bool:
        """Start a delivery for each job that owes something now; whether any was started."""
        by_job: dict[str, list[Owed]] = {}
        for owed in self.journal.owed(due_by_us=now_us):
            if owed.job_id not in self._delivering:
                by_job.setdefault(owed.job_id, []).append(owed)
        room = CALLBACKS_AT_ONCE - len(self._delivering)
        started = list(by_job.items())[: max(0, room)]
        for job_id, owed_by_job in started:
            task = self.spawn(self._deliver(owed_by_job))
            self._delivering[job_id] = task
            task.add_done_callback(lambda _, job_id=job_id: self._delivered(job_id))
        return bool(started)

    def _delivered(self, job_id: str) -> None:
        del self._delivering[job_id]
        self._changed.set()

    async def _deliver(self, owed_by_job: Sequence[Owed]) -> None:
        for owed in owed_by_job:
            job = self.journal.get(owed.job_id)
            if job is not None and self.render_callback is not None:
                await self._send(job, owed.event, self.render_callback)
            self.journal.settle_callback(owed)

    async def _send(self, job: Job, event: str, render: CallbackRenderer) -> None:
        request = render(job, event)
        if request is None or job.directive.outcome is Outcome.CALLBACK_LOST:
            return
        for _ in range(2 if job.directive.outcome is Outcome.CALLBACK_TWICE else 1):
            if await self._post_until_taken(request):
                self.journal.mark_callback_sent(job.id)

    async def _post_until_taken(self, request: CallbackRequest) -> bool:
        for pause_s in (*CALLBACK_PAUSES_S, None):
            if await self._post(request):
                return True
            if pause_s is not None:
                await self.clock.sleep(pause_s)
        _log.warning("a simulated callback was given up", extra={"vendor": self.vendor})
        return False

    async def _post(self, request: CallbackRequest) -> bool:
        try:
            async with asyncio.timeout(CALLBACK_TIMEOUT_S):
                status = await self.outside.send_callback(request.url, request.headers, request.body)
        except (OutsideError, TimeoutError):
            return False
        return status // 100 == _TAKEN


CreateApp = Callable[[SimulatorHost], AsgiApp]
"""A vendor's `create_app`: builds its simulator on a host."""


async def _logged(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - the edge of a worker: one callback must not end the simulator
        _log.exception("work of a simulated vendor failed")
