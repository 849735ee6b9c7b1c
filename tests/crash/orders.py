"""Orders as callers send them, each told apart by a tag in its prompt, and what the callers were answered."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any

import aiohttp
import msgspec

from halley.kernel.ids import TaskId, parse_task_id

ANSWER_S_MAX = 40
CALLERS = 6
PAUSE_S = (0.02, 0.12)
FLUX = "/flux/v1/flux-pro-1.1"
FLUX_ON_REPLICATE = "/flux/v1/flux-schnell"
FLUX_AFTER_REFUSED_CONNECT = "/flux/v1/flux-dev"
REPLICATE = "/replicate/v1/models/black-forest-labs/flux-schnell/predictions"
REPLICATE_ON_BFL = "/replicate/v1/models/black-forest-labs/flux-1.1-pro/predictions"
REPLICATE_WITH_IMAGE = "/replicate/v1/models/black-forest-labs/flux-kontext-pro/predictions"


class Ending(StrEnum):
    """What the vendor was told to do with an order. A crash may leave any of them unknown before it is accepted."""

    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"
    LOST = "lost"
    CANCELLED = "cancelled"
    RESOLVED = "resolved"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `keyed`: with its tag as the `Idempotency-Key`; `hook`: where its webhook goes."""

    tag: str
    path: str
    ending: Ending = Ending.SUCCESS
    directive: str = ""
    keyed: bool = False
    wait_s: int = 0
    hook: str = ""
    image: str = ""

    def headers(self) -> dict[str, str]:
        headers = {"idempotency-key": self.tag} if self.keyed else {}
        return headers | ({"prefer": f"wait={self.wait_s}"} if self.wait_s else {})

    def body(self) -> dict[str, Any]:
        prompt = f"{self.tag} a lighthouse {self.directive}".strip()
        if self.path.startswith("/flux/"):
            # The others are taken by a vendor that knows no such fields, too.
            size = {"width": 256, "height": 256} if self.path == FLUX else {}
            return {"prompt": prompt} | size | ({"webhook_url": self.hook} if self.hook else {})
        own = {"megapixels": "0.25", "output_format": "jpg"} if "schnell" in self.path else {}
        own |= {"input_image": self.image} if self.image else {}
        hook = {"webhook": self.hook, "webhook_events_filter": ["start", "completed"]} if self.hook else {}
        return {"input": {"prompt": prompt} | own} | hook


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that reached the caller."""

    order: Order
    status: int
    task_id: TaskId | None
    replayed: bool
    text: str


class Orders:
    """Sends orders and keeps what was answered; what a crash cut is not an answer."""

    def __init__(self, key: str, hooks: str, random: Random) -> None:
        self.sent: dict[str, Order] = {}
        self.answers: list[Answered] = []
        self.hooks = hooks
        self._key = key
        self._random = random
        self._numbers = count(1)

    def session(self) -> aiohttp.ClientSession:
        """A caller's way in."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        return aiohttp.ClientSession(headers={"authorization": f"Bearer {self._key}"}, timeout=timeout)

    def order(self, path: str, **rest: Any) -> Order:
        """Make a new order."""
        return Order(tag=f"crash-{next(self._numbers):06}", path=path, **rest)

    def hooked(self, path: str, *, late: bool = False, **rest: Any) -> Order:
        """Make a new order with a webhook; `late`: the receiver refuses its first attempt."""
        plain = self.order(path, **rest)
        return msgspec.structs.replace(plain, hook=f"{self.hooks}/{'late' if late else 'hook'}/{plain.tag}")

    async def send(self, session: aiohttp.ClientSession, url: str, order: Order) -> Answered | None:
        """Send one, for the first time or again. None when the connection was cut or refused."""
        self.sent.setdefault(order.tag, order)
        try:
            async with session.post(url + order.path, json=order.body(), headers=order.headers()) as reply:
                text = await reply.text()
                replayed = "idempotency-replayed" in reply.headers
        except aiohttp.ClientError:
            return None
        found = parse_task_id(msgspec.json.decode(text)["id"]) if reply.status < 300 else None
        answer = Answered(order=order, status=reply.status, task_id=found, replayed=replayed, text=text)
        self.answers.append(answer)
        return answer

    async def load(self, urls: Sequence[str], stop: asyncio.Event) -> None:
        """Order images without end, many callers at once, until told to stop or the server is gone."""
        async with self.session() as session, asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._caller(session, urls[number % len(urls)], stop))

    async def repeat(self, url: str, orders: Sequence[Order]) -> list[Answered]:
        """Send orders once more, as a client that heard nothing would."""
        room = asyncio.Semaphore(CALLERS)

        async def again(order: Order) -> Answered:
            async with room:
                answer = await self.send(session, url, order)
            assert answer is not None, f"the repeat of {order.tag} was cut"
            return answer

        async with self.session() as session:
            return await asyncio.gather(*(again(order) for order in orders))

    async def _caller(self, session: aiohttp.ClientSession, url: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if await self.send(session, url, self._any()) is None:
                return
            await asyncio.sleep(self._random.uniform(*PAUSE_S))

    def _any(self) -> Order:
        draw = self._random.random
        path = self._random.choices((FLUX, REPLICATE, REPLICATE_ON_BFL, FLUX_ON_REPLICATE), (10, 10, 4, 1))[0]
        wait_s = 2 if path.startswith("/replicate") and draw() < 0.2 else 0
        make = self.hooked if draw() < 0.5 else self.order
        return make(path, keyed=draw() < 0.5, wait_s=wait_s)
