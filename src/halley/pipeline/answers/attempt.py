"""One way to get an answer: a channel, and how its vendor is called."""

import msgspec

from halley.catalogue.model import Model
from halley.kernel.operation import Operation
from halley.routing import Channel
from halley.vendors.contract import Answers, Vendor


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One channel that may be asked."""

    channel: Channel
    vendor: Vendor
    vendor_model: str
    operation: Operation
    """How the vendor is called; another than the caller's where the answer is translated."""
    row: Model | None
    """The vendor's row of the model; None outside the catalogue."""

    @property
    def answers(self) -> Answers:
        """How the vendor answers."""
        assert self.vendor.answers is not None
        return self.vendor.answers
