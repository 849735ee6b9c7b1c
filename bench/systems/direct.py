"""The vendor of the bench itself, without anything before it: what latencies are compared with."""

from pathlib import Path

from bench import bodies
from bench.load.model import Target
from bench.process import Child
from bench.systems.base import ANSWERS, TASKS, Kind, Place, Running, answer_target, order_target


class Vendor(Running):
    """It runs all the time; nothing is started or stopped here."""

    def __init__(self, child: Child, port: int) -> None:
        super().__init__(child, port)

    def target(self, kind: Kind) -> Target:
        return vendor_target(self.port, kind)

    def stop(self) -> None:
        """It serves on."""


class Direct:
    """No gateway."""

    name = "direct"
    title = "no gateway"
    kinds = ANSWERS | TASKS

    def __init__(self, child: Child) -> None:
        self._child = child

    def install(self, cache: Path) -> str:  # noqa: ARG002 - it is part of the bench
        return ""

    def start(self, place: Place) -> Running:
        return Vendor(self._child, place.vendor_port)

    def settings(self) -> dict[str, str]:
        return {"processes": "1, on the load's core"}


def vendor_target(port: int, kind: Kind) -> Target:
    """A call with the vendor's own paths; a plain proxy takes the same."""
    if kind is Kind.ORDER:
        return order_target(port, f"/v1/{bodies.IMAGE_MODEL}", {"x-key": "key-of-the-vendor"})
    if kind is Kind.FETCH:
        path = "/v1/get_result?id=00000000-0000-4000-8000-000000000001"
        return Target(port=port, method="GET", paths=(path,), headers={"x-key": "key-of-the-vendor"})
    return answer_target(port, kind, {"authorization": "Bearer sk-of-the-vendor"})
