import pytest
from tests.app.rigs import Rig, folder, journal_may_block, rig
from tests.database import clock, database_url, db, ids, postgres_server, sqlite_template, wakeups
from tests.responses.calls import OPENAI, OWNERS, Responses

__all__ = [
    "clock",
    "database_url",
    "db",
    "folder",
    "ids",
    "journal_may_block",
    "postgres_server",
    "rig",
    "sqlite_template",
    "wakeups",
]


@pytest.fixture
async def responses(rig: Rig) -> Responses:
    """A caller of the gateway who also sees what its vendors are sent. Only OpenAI's model has two ways."""
    calls = Responses(rig)
    await calls.use_channels(lambda channel: channel.vendor in OWNERS, also=("openrouter", OPENAI))
    return calls
