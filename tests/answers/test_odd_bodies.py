"""Fields that only look like JSON, or text, from outside: found out while nothing is held and nobody was asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from tests.answers.house import House, opened
from tests.answers.vendor import answer, named_events, stream

from halley.settings import PriceConfig

DRAWN = {"created": 1, "data": [{"b64_json": "aGk="}]}
SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Hello there. " * 300}
PICTURE = {"model": "gpt-image-1", "prompt": "a cat"}
PRICES: dict[str, dict[str, str]] = {
    "tts-1": {"input_token": "1", "audio_output_token": "2", "character": "15"},
    "gpt-image-1": {"input_token": "5", "image_output_token": "40"},
    "dall-e-3": {"image": "0.05"},
    "dall-e-2": {"image": "0.04", "image@size=1024x1024": "0.08"},
}
"""Of tokens that the vendor may not tell; of what is sold by the piece but bought by its size; and sold by its size."""
BROKEN = {"number": b"1e999", "UTF-8": b'"\xff"'}
SAID: dict[str, tuple[dict[str, Any], str]] = {
    "how speech is packed": (SPEECH, "response_format"),
    "how speech is sent": (SPEECH, "stream_format"),
    "what nobody tells the tokens of": (PICTURE, "quality"),
    "how many": (PICTURE, "n"),
    "what only the vendor charges by": ({**PICTURE, "model": "dall-e-3"}, "size"),
    "what we charge by": ({**PICTURE, "model": "dall-e-2"}, "size"),
}


@pytest.fixture(name="priced")
def _priced() -> dict[str, Any]:
    return {"prices": tuple(PriceConfig(model=model, meters=meters) for model, meters in PRICES.items())}


async def nothing_came_of_it(house: House) -> None:
    assert (house.vendor.seen, await house.held(), await house.usages()) == ([], [], [])
    assert not house.rig.world.answering


@pytest.mark.parametrize(("said", "field"), SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_what_a_charge_depends_on_is_read_before_a_vendor_is_asked(
    folder: Path, priced: dict[str, Any], said: dict[str, Any], field: str, broken: bytes, *, streams: bool
) -> None:
    async with opened(folder, **priced) as house:
        if said is SPEECH:
            house.vendor.will(answer(b"\xff\xfb" + bytes(40_000), content_type="audio/mpeg"))
        elif streams:
            house.vendor.will(stream(*named_events([{"type": "image_generation.completed", "b64_json": "aGk="}])))
        else:
            house.vendor.will(answer(DRAWN))
        path = "/v1/audio/speech" if said is SPEECH else "/v1/images/generations"
        plain = json.dumps({**said, "stream": streams}).encode()
        refused = await house.post(path, b'%b, "%b": %b}' % (plain[:-1], field.encode(), broken))
        assert (refused.status, refused.json["error"]["param"]) == (400, field)
        await nothing_came_of_it(house)


@pytest.mark.parametrize(
    ("model", "field"), [("gpt-image-1", "quality"), ("dall-e-3", "size"), ("dall-e-2", "size"), ("dall-e-2", "n")]
)
async def test_the_same_is_so_for_a_form(folder: Path, priced: dict[str, Any], model: str, field: str) -> None:
    async with opened(folder, **priced) as house:
        house.vendor.will(answer(DRAWN))
        form = FormData()
        form.add_field("image", b"PNG", filename="a.png", content_type="image/png")
        for name, value in (("model", model), ("prompt", "cat"), (field, "\xff")):
            form.add_field(name, value, content_type="text/plain; charset=latin-1")
        refused = await house.post("/v1/images/edits", form)
        assert (refused.status, refused.json["error"]["param"]) == (400, field)
        await nothing_came_of_it(house)


async def test_input_that_a_vendor_read_and_we_cannot_is_charged_as_text(folder: Path) -> None:
    price = PriceConfig(model="text-embedding-3-small", meters={"input_token": "1"})
    async with opened(folder, prices=(price,)) as house:
        house.vendor.will(answer({"object": "list", "data": [{"index": 0, "embedding": [0.1]}]}))
        said = await house.post("/v1/embeddings", b'{"model":"text-embedding-3-small","input":[1e999, 1, 2, 3]}')
        assert said.status == 200
        row = await house.usage()
        assert (row.outcome, row.meters["input_token"] > 0) == ("succeeded", True)
