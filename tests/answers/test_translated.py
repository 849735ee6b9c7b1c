"""Orders that one vendor's format brings and another vendor is told."""

import re
from pathlib import Path
from typing import Any

from tests.answers.house import completion, one, opened
from tests.answers.vendor import answer

from halley.settings import PriceConfig


async def test_ids_of_calls_are_told_to_a_vendor_in_its_own_spelling(folder: Path) -> None:
    prices = (PriceConfig(model="mistral-small-latest", meters={"input_token": "1", "output_token": "2"}),)
    async with opened(folder, one(vendor="mistral"), prices=prices) as house:
        house.vendor.will(answer(completion("Warm.")))
        call: dict[str, Any] = {
            "type": "tool_use",
            "id": "toolu_01A09q90qw90lq917835lq9",
            "name": "weather",
            "input": {},
        }
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": call["id"], "content": "20"}
        body: dict[str, Any] = {
            "model": "mistral-small-latest",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [result]},
            ],
        }
        assert (await house.post("/v1/messages", body)).status == 200
        _, called, answered = house.vendor.last.json["messages"]
        assert re.fullmatch(r"[a-zA-Z0-9]{9}", called["tool_calls"][0]["id"])
        assert answered["tool_call_id"] == called["tool_calls"][0]["id"]
