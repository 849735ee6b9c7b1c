"""An operator's key is told which channel answered; nobody else is."""

import pytest
from tests.app.rigs import Rig, folder, journal_may_block, rig

__all__ = ["folder", "journal_may_block", "rig"]

CHAT = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_only_an_operators_key_is_told_the_channel(rig: Rig, *, stream: bool) -> None:
    async with rig.connect(await rig.make_key(operator=True)) as operator:
        told = await operator.call("POST", "/v1/chat/completions", {**CHAT, "stream": stream})
    other = await rig.client.call("POST", "/v1/chat/completions", {**CHAT, "stream": stream})
    assert (told.status, told.headers["halley-channel"]) == (200, "sandbox-openai")
    assert "halley-channel" not in other.headers
