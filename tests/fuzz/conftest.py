"""One gateway that is treated badly. When all is over its books must be sound and its log free of tracebacks."""

from collections.abc import Iterator

import pytest
from tests.clients.served import Served, served


@pytest.fixture(scope="session")
def gateway() -> Iterator[Served]:
    with served() as running:
        yield running
        running.assert_books_are_sound()
        assert "Traceback" not in running.log


@pytest.fixture(scope="session")
def idle(gateway: Served) -> str:
    """A key of an account whose every order is refused before a task is made of it."""
    gateway.new_account("idle")
    return gateway.new_key("idle")


@pytest.fixture(scope="session")
def unserved(gateway: Served) -> str:
    """A key of an account whose every order is refused by the vendor: a failed task each, and no charge."""
    gateway.new_account("unserved")
    return gateway.new_key("unserved")
