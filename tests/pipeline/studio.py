"""A gateway before one scripted vendor of pictures, in Replicate's format and Flux's: it delivers what a test says."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from tests.answers.vendor import Exchange, Script, Vendor, answer
from tests.app.rigs import Rig, opened_gateway

from halley.settings import ChannelConfig, PriceConfig, Secret
from halley.tasks import Task
from halley.testing.gateway import settings_for
from halley.usage.model import Usage

LIVE = "sk-a-live-key-of-the-first-start"
JOB = "vendorjob0000000000000001"
GRID, SIZED, QUALITY = "acme/grid", "acme/sized", "acme/quality"
"""Models that no catalogue knows: by the picture, by the megapixel, and by the picture's quality."""
PICTURE, FIRST, FURTHER = 10_000_000, 20_000_000, 5_000_000
"""What they cost in nano-dollars."""
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
_PRICES = (
    PriceConfig(model=GRID, meters={"image": "0.01"}),
    PriceConfig(model=SIZED, meters={"first_output_megapixel": "0.02", "further_output_megapixel": "0.005"}),
    PriceConfig(model=QUALITY, meters={"image": "0.01", "image@quality=high": "0.25"}),
)


def png(side: int = 64) -> bytes:
    """A square picture."""
    out = BytesIO()
    Image.new("RGB", (side, side), "teal").save(out, "PNG")
    return out.getvalue()


class Studio:
    """What a test works with."""

    def __init__(self, rig: Rig, vendor: Vendor) -> None:
        self.rig = rig
        self.vendor = vendor
        self.outputs: Any = None
        """What the vendor says it made; else links to `files`."""
        self.files: Sequence[Script] = (answer(png()),)
        self.fetched: list[int] = []
        """The numbers of the files that were asked for."""
        self.accepted: dict[str, Any] = {}
        """What the vendor tells beside the id when it takes an order."""
        self.told: dict[str, Any] = {}
        """What it tells beside the outputs at the end."""
        vendor.will(self._serve)

    async def replicate(self, model: str = GRID, **fields: Any) -> Task:
        """Order in Replicate's format, and wait for the end."""
        made = await self.rig.client.replicate(model, **fields)
        assert made.status == 201, made.text
        return await self.rig.ended(made.json["id"])

    async def flux(self, model: str, **fields: Any) -> Task:
        """Order in Flux format, and wait for the end."""
        made = await self.rig.client.flux(model, **fields)
        assert made.status == 200, made.text
        return await self.rig.ended(made.json["id"])

    async def usage(self, task: Task) -> Usage:
        """What the books say of a task that has ended."""
        found = await self.rig.usage(task)
        assert found is not None
        assert found.price_nanos == task.cost == await self.rig.posted(task)
        assert await self.rig.open_holds() == 0
        return found

    def delivers(self, *files: bytes) -> None:
        """Let the vendor deliver these."""
        self.files = tuple(answer(file) for file in files)

    async def _serve(self, exchange: Exchange) -> None:
        method, path = exchange.received.method, exchange.received.path.partition("?")[0]
        if path.startswith("/file/"):
            n = int(path.rpartition("/")[2])
            self.fetched.append(n)
            await self.files[n](exchange)
        elif method == "POST" and path.endswith("/predictions"):
            await answer({"id": JOB, "status": "starting", **self.accepted}, status=201)(exchange)
        elif method == "POST":
            url = f"{self.vendor.url}/v1/get_result?id={JOB}"
            await answer({"id": JOB, "polling_url": url, **self.accepted})(exchange)
        elif path == f"/v1/predictions/{JOB}":
            await answer({"id": JOB, "status": "succeeded", "output": self._links(), **self.told})(exchange)
        elif path == "/v1/get_result":
            result = {"sample": self._links()[0]}
            await answer({"id": JOB, "status": "Ready", "result": result, **self.told})(exchange)
        else:
            await answer({}, status=404)(exchange)

    def _links(self) -> Any:
        return [f"{self.vendor.url}/file/{n}" for n in range(len(self.files))] if self.outputs is None else self.outputs


@asynccontextmanager
async def opened_studio(folder: Path) -> AsyncGenerator[Studio]:
    """Open a studio; its books are right at the end."""
    async with Vendor() as vendor:
        channels = tuple(
            ChannelConfig(name=name, vendor=name, base_url=vendor.url, api_key=Secret("their-key"), models=models)
            for name, models in (
                ("replicate", (GRID, SIZED, QUALITY, "flux-schnell", "flux-dev")),
                ("bfl", ("flux-2-pro",)),
            )
        )
        settings = settings_for(folder, channels=channels, prices=_PRICES, bootstrap_key=Secret(LIVE), sandbox=False)
        async with opened_gateway(settings, key=LIVE) as rig:
            yield Studio(rig, vendor)
            assert await rig.differences() == ()
