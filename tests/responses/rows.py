"""Rows of kept responses, as tests need them."""

from typing import Any

import msgspec

from halley.responses import KEPT_US, Stored

NOW = 1_000_000


def row(name: str, **changed: Any) -> Stored:
    """A response that says nothing, made just now."""
    made = Stored(
        id=f"kept_{name}",
        response_id=f"resp_{name}",
        account_id="acct_1",
        project_id="proj_1",
        livemode=False,
        model="m",
        channel_id="chan_1",
        at_vendor=False,
        previous=None,
        response=b'{"output":[]}',
        response_object=None,
        input=b'"Hello"',
        input_object=None,
        bytes=20,
        created_at=NOW,
        expires_at=NOW + KEPT_US,
    )
    return msgspec.structs.replace(made, **changed)
