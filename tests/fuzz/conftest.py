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
