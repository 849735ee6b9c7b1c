"""Ends that cannot be made, by a mistake of our own: nobody works on them any more, so the sweep lists them as lost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.answers.house import chunk, completion, opened, soon, usage_chunk
from tests.answers.vendor import Script, answer, cut, events, stream

from halley.limits import Limits, RateLimit
from halley.settings import PriceConfig
from halley.worker.sweep import STRANDED_US, sweep

PRICE = {"input_token": "1", "output_token": "2", "image": "0.04"}
PRICES = tuple(PriceConfig(model=model, meters=PRICE) for model in ("gpt-4o-mini", "dall-e-3"))
CHAT, PICTURE = "/v1/chat/completions", "/v1/images/generations"
HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello there"}]}
FRAMES = events(chunk("Hi"), chunk(finish="stop"), usage_chunk())
ENDS: dict[str, tuple[str, dict[str, Any], Script, Mapping[str, str]]] = {
    "straight": (CHAT, HELLO, answer(completion()), {}),
    "kept for a repeat": (CHAT, HELLO, answer(completion()), {"idempotency-key": "once"}),
    "measured": (PICTURE, {"model": "dall-e-3", "prompt": "a cat"}, answer({"data": [{"b64_json": "aGk="}]}), {}),
    "a stream": (CHAT, {**HELLO, "stream": True}, stream(*FRAMES), {}),
    "a cut stream": (CHAT, {**HELLO, "stream": True}, stream(*FRAMES[:1], then=cut), {}),
}


class Forgetful(Limits):
    """Limits that cannot count what was really used."""

    def correct(self, key_id: str, limit: RateLimit, *, tokens: int, now_s: float) -> None:
        del limit, tokens, now_s
        raise LookupError(key_id)


@pytest.mark.parametrize(("path", "said", "script", "headers"), ENDS.values(), ids=ENDS.keys())
async def test_an_end_that_cannot_be_made_is_left_to_the_sweep(
    folder: Path, path: str, said: dict[str, Any], script: Script, headers: Mapping[str, str]
) -> None:
    async with opened(folder, prices=PRICES) as house:
        house.rig.world.limits = Forgetful()
        house.vendor.will(script)
        key = await house.rig.make_key(livemode=True, tokens_per_minute=100_000)
        await house.post(path, said, headers=headers, key=key)

        async def nobody_works_on_it() -> bool:
            return not house.rig.world.answering

        await soon(nobody_works_on_it)
        house.rig.clock.advance(STRANDED_US / 1_000_000 + 1)
        await sweep(house.rig.world)
        assert (await house.usage()).outcome == "lost"
