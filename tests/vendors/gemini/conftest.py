"""The vendor's simulator on a real socket, under a clock that only the test moves."""

from collections.abc import AsyncGenerator

import pytest
from blockbuster import BlockBuster
from tests.vendors.sandboxes import Sandbox, let_journal_block, simulated

from halley.vendors.gemini.simulator import create_app


@pytest.fixture
async def sandbox() -> AsyncGenerator[Sandbox]:
    headers = {"x-goog-api-key": "key-1"}
    async with simulated("gemini", create_app, headers) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _journal_may_block(_loop_is_never_blocked: BlockBuster) -> None:
    let_journal_block(_loop_is_never_blocked)
