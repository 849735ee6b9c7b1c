"""What a host gives to a simulator's app."""

from collections.abc import AsyncGenerator

import msgspec
import pytest
from tests.simulate.conftest import TickedClock

from halley.vendors.simulate import (
    NEVER_US,
    BadImage,
    Directive,
    ImageSpec,
    Journal,
    Outcome,
    OutsideError,
    SimulatorHost,
    SimulatorSettings,
    decode_image,
    outside_of,
)


@pytest.fixture
async def host(clock: TickedClock) -> AsyncGenerator[SimulatorHost]:
    settings = SimulatorSettings(clock=clock, open_outside=outside_of(), entropy=lambda size: b"\x07" * size)
    journal = Journal(":memory:", vendor="acme")
    async with settings.open_outside() as outside:
        yield SimulatorHost(
            vendor="acme", settings=settings, journal=journal, outside=outside, base_url="http://127.0.0.1:9"
        )
    journal.close()


async def test_ids_come_from_the_entropy_that_was_handed_in(host: SimulatorHost):
    assert host.uuid() == "07070707-0707-4707-8707-070707070707"
    assert host.base32_id() == "a4dqobyha4dqobyha4dqobyha4"


async def test_account_and_seed_are_stable_and_hide_the_credential(host: SimulatorHost):
    assert host.account_of("secret") == host.account_of("secret") != host.account_of("other")
    assert "secret" not in host.account_of("secret")
    assert host.seed_for("a") == host.seed_for("a") != host.seed_for("b")


@pytest.mark.parametrize(
    ("directive", "ready_us"),
    [
        pytest.param(Directive(), 1_500_000, id="usual"),
        pytest.param(Directive(delay_s=0.25), 250_000, id="ordered"),
        pytest.param(Directive(delay_s=0), 0, id="at-once"),
        pytest.param(Directive(outcome=Outcome.NEVER_FINISHES, delay_s=1), NEVER_US, id="never"),
    ],
)
async def test_job_is_ready_after_its_delay(host: SimulatorHost, directive: Directive, ready_us: int):
    assert host.ready_us(directive, created_us=0) == ready_us


async def test_images_are_drawn_and_read_beside_the_loop(host: SimulatorHost):
    drawn = await host.draw(ImageSpec(prompt="a", width=640, height=320, seed=1))
    assert (await host.decode_image(drawn)).width == 640
    assert decode_image(await host.thumbnail(drawn)).width == 512
    with pytest.raises(BadImage):
        await host.decode_image(b"")


async def test_without_a_way_out_fetching_and_calling_are_refused(host: SimulatorHost):
    with pytest.raises(OutsideError, match="no way out"):
        await host.fetch("https://example.com/a.png")
    with pytest.raises(OutsideError, match="no way out"):
        await host.outside.send_callback("https://example.com/hook", (), b"")


async def test_fetching_uses_the_way_out():
    async def fetch(url: str) -> bytes:
        return url.encode()

    async with outside_of(fetch=fetch)() as outside:
        assert await outside.fetch("https://example.com/a") == b"https://example.com/a"


def test_settings_cannot_be_changed(clock: TickedClock):
    settings = SimulatorSettings(clock=clock, open_outside=outside_of())
    with pytest.raises(AttributeError):
        settings.delay_s = 1  # pyright: ignore[reportAttributeAccessIssue] - it is the point
    assert msgspec.structs.replace(settings, delay_s=0).delay_s == 0
