"""What the tests of this vendor share: requests, replies, views of tasks, small pictures, a simulator to talk to."""

import asyncio
import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec
from PIL import Image

from halley.kernel.ids import TaskId, as_uuid
from halley.kernel.order import ImageInput, ImageOrder, Report
from halley.vendors.bfl import TASKS
from halley.vendors.bfl.wire import read_order
from halley.vendors.contract import AssetView, Incoming, TaskRef, TaskView, VendorCall, VendorReply, ViewState
from halley.vendors.simulate import SimulatorServer

FIXTURES = Path(__file__).parents[3] / "src/halley/vendors/bfl/fixtures"
START_US = 1_790_000_000_000_000
TASK_ID = TaskId("01jz6d8m3rq7v9k2x4t5w6y7z8")
TASK_UUID = as_uuid(TASK_ID)
BASE_URL = "https://halley.example"
ASSET = AssetView(url=f"{BASE_URL}/assets/1/0.png?sig=1", content_type="image/png", bytes=10, width=64, height=64)
KEY = "key-1"


def read(body: dict[str, Any], model: str = "flux-pro-1.1") -> ImageOrder:
    return read_order(Incoming(method="POST", path=f"/flux/v1/{model}", path_params={"model": model}, body=body))


def foreign(*, images: tuple[ImageInput, ...] = (), body: dict[str, Any] | None = None, **fields: Any) -> ImageOrder:
    """An order that came in another format."""
    given = {"input": {"prompt": "a fox"}} if body is None else body
    return ImageOrder(dialect="replicate", model="any", body=given, prompt="a fox", images=images, **fields)


def written(order: ImageOrder, model: str) -> dict[str, Any]:
    call = TASKS.write_order(order, model)
    assert call.json is not None
    return call.json


def reply(body: object, status: int = 200, **headers: str) -> VendorReply:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return VendorReply(
        status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=data
    )


def report_of(answer: VendorReply) -> Report:
    """Read a report as that of the task that it names."""
    named = re.search(rb'"id": ?"([^"]+)"', answer.body)
    return TASKS.read_report(answer, TaskRef(vendor_task_id=named[1].decode() if named else "unnamed"))


def fixture(name: str) -> VendorReply:
    kept = msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes())
    return reply(kept["body"], kept["status"])


def view(state: ViewState = ViewState.RUNNING, **fields: Any) -> TaskView:
    known: dict[str, Any] = {
        "id": TASK_ID,
        "state": state,
        "model": "flux-pro-1.1",
        "dialect": "flux",
        "created_at": START_US,
        "started_at": START_US + 1_000_000,
        "ended_at": START_US + 3_500_000 if state not in (ViewState.STARTING, ViewState.RUNNING) else None,
        "base_url": BASE_URL,
    }
    return TaskView(**(known | fields))


def picture(width: int, height: int, image_format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 40, 40)).save(out, image_format)
    return out.getvalue()


def picture64(width: int, height: int) -> str:
    return base64.b64encode(picture(width, height)).decode()


def size_and_format(data: bytes) -> tuple[tuple[int, int], str | None]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.size, image.format


class StillClock:
    """Stands still but for `tick`; whoever sleeps on it waits for ever."""

    def __init__(self) -> None:
        self.now_us = START_US

    def now(self) -> int:
        return self.now_us

    def monotonic(self) -> float:
        return self.now_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.Event().wait()

    def tick(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that the simulator sent."""

    url: str
    headers: dict[str, str]
    body: bytes


class Sandbox:
    """The simulator and a client of it."""

    def __init__(self, server: SimulatorServer, clock: StillClock, posted: Sequence[Posted]) -> None:
        self.server = server
        self.clock = clock
        self.posted = posted

    async def send(self, call: VendorCall, *, key: str | None = KEY, **headers: str) -> VendorReply:
        """One request, as the gateway's client would send it."""
        url = call.url if "://" in call.url else self.server.url + call.url
        sent = {"x-key": key} if key is not None else {}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        body = call.body if call.json is None else msgspec.json.encode(call.json)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.request(call.method, url, data=body, headers=sent) as answer,
        ):
            received = {name.lower(): text for name, text in answer.headers.items()}
            return VendorReply(status=answer.status, headers=received, body=await answer.read())

    async def get(self, url: str, *, key: str | None = KEY) -> VendorReply:
        return await self.send(VendorCall(method="GET", url=url), key=key)

    async def order(self, model: str = "flux-pro-1.1", *, key: str | None = KEY, **body: Any) -> VendorReply:
        return await self.send(VendorCall(method="POST", url=f"/v1/{model}", json={"prompt": "a fox"} | body), key=key)

    async def ended(self, model: str = "flux-pro-1.1", **body: Any) -> VendorReply:
        """The state of an order once its time is over."""
        accepted = TASKS.read_accepted(await self.order(model, **body))
        self.clock.tick(10)
        return await self.get(accepted.poll_url or "")

    async def image(self, model: str = "flux-pro-1.1", **body: Any) -> VendorReply:
        """The file that an order made."""
        report = report_of(await self.ended(model, **body))
        return await self.get(report.outputs[0].url, key=None)

    async def deliver(self) -> None:
        """Let the simulator send the callbacks that are due."""
        await asyncio.to_thread(lambda: self.server.call(self.server.host.deliver_due()))


class OpenSandbox(Protocol):
    async def __call__(self, *, journal_path: Path | str = ":memory:", clock: StillClock | None = None) -> Sandbox: ...


def body_of(answer: VendorReply) -> dict[str, Any]:
    return msgspec.json.decode(answer.body, type=dict[str, Any])
