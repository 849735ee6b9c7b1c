"""Counts the tokens of a chat without asking it: by the vendor where it can, else by ourselves. It is free."""

import asyncio
from typing import Any

from halley.kernel import codec, faults
from halley.kernel.operation import COUNTING, Operation
from halley.pipeline.answers import meter
from halley.pipeline.answers.ask import Ask
from halley.pipeline.answers.choose import choose
from halley.pipeline.answers.contents import contents
from halley.pipeline.answers.send import fetch
from halley.tokens import count_text
from halley.wire.anthropic import counting as anthropic
from halley.wire.gemini import counting as gemini
from halley.world import World


async def count(world: World, ask: Ask) -> bytes:
    """Give the count in the caller's format. Raises `BadRequest` for a chat that makes no sense."""
    body = {**ask.json.whole(), "model": ask.model}
    form = anthropic if ask.operation is Operation.MESSAGES_COUNT else gemini
    form.read_count_order(body)
    for attempt in choose(world, ask):
        if attempt.operation not in COUNTING:
            break
        try:
            return await fetch(world, ask, attempt)
        except faults.VendorFault:
            continue
    tokens = await asyncio.to_thread(_count, ask.model, body)
    return codec.encode(form.write_count(tokens))


def _count(model: str, body: dict[str, Any]) -> int:
    texts, files = contents({name: value for name, value in body.items() if name != "model"})
    return count_text(model, "\n".join(texts)) + len(files) * meter.FILE_TOKENS
