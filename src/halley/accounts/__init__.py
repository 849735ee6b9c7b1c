"""Who calls: accounts, their projects and keys, and what a key may spend. Money itself is in `halley.ledger`."""

from halley.accounts.model import Caller

__all__ = ["Caller"]
