"""Two accounts that must never see each other, each with a live and a test key, and a second project of the first."""

from typing import Self

import msgspec
from tests.clients.served import Served

SECRET = "the-secret-of-this-gateway-0123456789abcdef"
SCHNELL = "/replicate/v1/models/black-forest-labs/flux-schnell/predictions"
LIVE_CREDIT = 100_000_000_000


class Tenants(msgspec.Struct, frozen=True, kw_only=True):
    """Their keys."""

    alice: str
    alice_test: str
    alice_elsewhere: str
    """Of another project of the same account."""
    alice_idle: str
    """Of a project that orders nothing."""
    bob: str
    bob_test: str

    @classmethod
    def settle(cls, gateway: Served) -> Self:
        for name in ("alice", "bob"):
            gateway.new_account(name)
            gateway.console("accounts.credit", account=name, amount_nanos=LIVE_CREDIT)
        return cls(
            alice=gateway.new_key("alice", livemode=True),
            alice_test=gateway.new_key("alice"),
            alice_elsewhere=gateway.new_key("alice", livemode=True, project="elsewhere"),
            alice_idle=gateway.new_key("alice", livemode=True, project="idle"),
            bob=gateway.new_key("bob", livemode=True),
            bob_test=gateway.new_key("bob"),
        )
