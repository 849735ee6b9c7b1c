"""Many tasks in flight on a clock that is moved by hand: `python -m bench.flight`. When each is looked at, how often.

All is real but the clock and the vendor: the gateway with its API, worker and database runs in this process, and its
calls to the vendor end in an object that speaks the format of Replicate. So minutes of polling pass in seconds, and
what is seen depends on the schedule alone, not on the machine. What it costs is measured by `bench.scale`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from array import array
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bench.load.statistics import percentile
from halley.accounts.model import Caller
from halley.kernel.clock import MICROSECONDS
from halley.pipeline import call, task
from halley.pipeline.admit import admit
from halley.pipeline.request import RequestContext
from halley.settings import ChannelConfig, Secret
from halley.testing.clock import FakeClock
from halley.testing.gateway import Rig, opened_gateway, settings_for
from halley.upstream.client import Prepared, UpstreamReply, UpstreamRequest, UpstreamStream
from halley.vendors.contract import Incoming
from halley.vendors.replicate.signature import signed_headers

KEY = "sk-live-of-the-flight-0123456789"
VENDOR, PUBLIC, MODEL = "replicate", "flux-schnell", "black-forest-labs/flux-schnell"
BASE_URL = "http://127.0.0.1:9"
AT_ONCE = 256
STEP_S = 0.05
NOTICED_S_MAX = 60.0
_SECRET = f"whsec_{b64encode(b'the stand-in signs with this one').decode()}"


class StandIn:
    """The vendor, in the place of the client that would call it."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.webhooks: list[str] = []
        self.looks = 0
        self.looked_at = array("d")
        """When each order was looked at last."""
        self.gaps = array("d")
        """How long before that it had been looked at, or taken."""
        self.failed: set[int] = set()
        """Orders that have ended."""

    def prepare(self, request: UpstreamRequest) -> Prepared:
        """Nothing is known of it."""
        del request
        return Prepared()

    def begin(self, prepared: Prepared, body: bytes) -> None:
        """Nothing is ever idle."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        path = request.url.removeprefix(BASE_URL)
        if path.endswith("/secret"):
            return _reply({"key": _SECRET})
        if request.method == "POST":
            self.webhooks.append(json.loads(request.body or b"{}")["webhook"])
            self.looked_at.append(self._clock.monotonic())
            self.gaps.append(0.0)
            return _shown(len(self.webhooks) - 1, "starting")
        number = int(path.rpartition("/")[2])
        now = self._clock.monotonic()
        self.looks += 1
        self.gaps[number], self.looked_at[number] = now - self.looked_at[number], now
        return _shown(number, "failed" if number in self.failed else "processing")

    async def open(self, request: UpstreamRequest) -> UpstreamStream:
        """Nothing of it is streamed."""
        raise NotImplementedError(request.url)

    async def aclose(self) -> None:
        """Nothing is open."""


class Flight:
    """A gateway with orders at the stand-in."""

    def __init__(self, rig: Rig, vendor: StandIn, caller: Caller) -> None:
        self.rig = rig
        self.vendor = vendor
        self._caller = caller

    async def take_off(self, tasks: int) -> None:
        """Order so many pictures; the clock stands still."""
        left = iter(range(tasks))

        async def work() -> None:
            for number in left:
                await self._order(number)

        await asyncio.gather(*[work() for _ in range(AT_ONCE)])

    async def fly(self, seconds: float) -> list[int]:
        """Let time go by; give the looks of each second."""
        per_second: list[int] = []
        for _ in range(round(seconds)):
            before = self.vendor.looks
            await self.rig.pass_time(1.0, step_s=STEP_S)
            per_second.append(self.vendor.looks - before)
        return per_second

    async def call_back(self, number: int) -> float:
        """End an order, call back, and give the seconds of the clock until it was looked at."""
        self.vendor.failed.add(number)
        looked, began = self.vendor.looked_at[number], self.rig.clock.monotonic()
        token = self.vendor.webhooks[number].rpartition("/")[2]
        headers = signed_headers(_SECRET, f"msg_{number}", self.rig.clock.now() // MICROSECONDS, b"{}")
        await task.callback(self.rig.world, VENDOR, token, headers, b"{}")
        while self.vendor.looked_at[number] <= looked:
            await self.rig.turn(STEP_S)
            assert self.rig.clock.monotonic() < began + NOTICED_S_MAX, "the callback was not noticed"
        return self.vendor.looked_at[number] - began

    async def _order(self, number: int) -> None:
        world = self.rig.world
        context = RequestContext(
            id=f"req_{number}", method="POST", path="/", base_url=world.base_url, received_at=world.clock.now()
        )
        owner, _, name = MODEL.partition("/")
        incoming = Incoming(
            method="POST",
            path="/",
            path_params={"owner": owner, "name": name},
            body={"input": {"prompt": f"a lighthouse, {number}"}},
        )
        await call.submit(world, self._caller, world.dialects[VENDOR], incoming, context)


@asynccontextmanager
async def boarding(folder: Path) -> AsyncGenerator[Flight]:
    """Start a gateway whose one channel ends in the stand-in."""
    clock = FakeClock()
    channel = ChannelConfig(
        name="stand-in", vendor=VENDOR, base_url=BASE_URL, api_key=Secret("of-the-stand-in"), models=(PUBLIC,)
    )
    settings = settings_for(
        folder, channels=(channel,), bootstrap_key=Secret(KEY), sandbox=False, public_url="http://127.0.0.1:9"
    )
    async with opened_gateway(settings, clock=clock, key=KEY) as rig:
        rig.world.upstream = vendor = StandIn(clock)
        yield Flight(rig, vendor, await admit(rig.world, KEY))


def _shown(number: int, status: str) -> UpstreamReply:
    return _reply({"id": str(number), "model": MODEL, "status": status, "input": {}, "output": None})


def _reply(body: object) -> UpstreamReply:
    headers = {"content-type": "application/json"}
    return UpstreamReply(status=200, headers=headers, body=msgspec.json.encode(body), elapsed_us=1_000)


async def simulate(tasks: int, seconds: float, callbacks: int, folder: Path) -> None:
    async with boarding(folder) as flight:
        await flight.take_off(tasks)
        _say(f"{tasks:,} tasks in flight")
        looks = await flight.fly(seconds)
        gaps = sorted(flight.vendor.gaps)
        _say(f"looks per second: first {looks[:5]}, last {looks[-5:]}, most {max(looks)}")
        _say(f"seconds between looks: p50 {percentile(gaps, 50):.1f}, p99 {percentile(gaps, 99):.1f}")
        chosen = range(0, tasks, max(1, tasks // callbacks))
        noticed = sorted([await flight.call_back(number) for number in chosen])
        _say(f"callback noticed after s: p50 {percentile(noticed, 50):.2f}, most {noticed[-1]:.2f}")
        differences = await flight.rig.differences()
        _say(f"the books: {differences or 'sound'}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Simulate, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="of the clock that is moved by hand")
    parser.add_argument("--callbacks", type=int, default=50)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="halley-flight-") as folder:
        asyncio.run(simulate(wanted.tasks, wanted.seconds, wanted.callbacks, Path(folder) / "d"))


if __name__ == "__main__":
    main()
