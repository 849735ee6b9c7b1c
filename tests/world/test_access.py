"""Every answer is told to the logger `halley.access`, by the short way or by `logging`'s own."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from halley.testing.clock import FakeClock
from halley.world.access import KNOWN_MAX, AccessLog
from halley.world.lines import LineHandler, Lines

WHAT = ("/v1/chat/completions", "POST", 200)


class Heard(logging.Handler):
    """A second one who listens."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class House:
    """A logger below a root of its own, whose one handler writes to a pipe."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.root = logging.RootLogger(logging.INFO)
        self.loggers = logging.Manager(self.root)
        self.log = self.loggers.getLogger("halley.access")
        self.handler = LineHandler(Lines(self.writer))
        self.root.addHandler(self.handler)
        self.access = AccessLog(FakeClock("2026-11-22T19:08:00.000123Z"), self.log)

    def note(
        self, *, key_id: str | None = None, theirs: str | None = None, status: int = 200, code: str | None = None
    ) -> None:
        self.access.note((("/v1/tasks", "GET", status), "req_1", 0.0125, key_id, theirs, code))

    def written(self) -> bytes:
        self.handler.close()
        os.set_blocking(self.reader, False)
        try:
            return os.read(self.reader, 65_536)
        except BlockingIOError:
            return b""


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    # First, so that a thread whose lines nobody has read is not left at its write.
    os.close(made.reader)
    made.handler.close()
    os.close(made.writer)


def test_a_line_is_json_and_tells_all(house: House):
    house.note(key_id="key_1", theirs="theirs-1")
    assert json.loads(house.written()) == {
        "event": "request",
        "logger": "halley.access",
        "level": "info",
        "timestamp": "2026-11-22T19:08:00.000123Z",
        "request_id": "req_1",
        "method": "GET",
        "route": "/v1/tasks",
        "status": 200,
        "ms": 12.5,
        "key_id": "key_1",
        "client_request_id": "theirs-1",
    }


def test_a_line_of_a_request_that_failed_tells_the_code(house: House):
    house.note(status=503, code="model_not_found")
    told = json.loads(house.written())
    assert (told["status"], told["code"]) == (503, "model_not_found")
    heard = Heard()
    house.log.addHandler(heard)
    house.note(status=503, code="model_not_found")
    house.note()
    assert [vars(record).get("code") for record in heard.records] == ["model_not_found", None]


@pytest.mark.parametrize("theirs", [None, "", 'a"b', "a b", "a\n", "é", "x" * 129], ids=repr)
def test_an_id_of_theirs_that_is_none_is_not_printed(house: House, theirs: str | None):
    house.note(theirs=theirs)
    assert json.loads(house.written())["client_request_id"] is None


def test_who_listens_too_gets_records(house: House):
    heard = Heard()
    house.log.addHandler(heard)
    house.note(key_id="key_1", theirs="theirs-1")
    (record,) = heard.records
    told = vars(record)
    names = ("request_id", "method", "route", "status", "ms", "key_id", "client_request_id")
    assert [told[name] for name in names] == ["req_1", "GET", "/v1/tasks", 200, 12.5, "key_1", "theirs-1"]
    assert house.written() == b"request\n"


@pytest.mark.parametrize("where", ["log", "root", "handler", "between"])
def test_what_stands_between_is_asked(house: House, where: str):
    heard = Heard()
    if where == "between":
        house.loggers.getLogger("halley").addHandler(heard)
    elif where == "root":
        house.root.addHandler(heard)
    else:
        stop = logging.Filter("nothing is called so")
        (house.log if where == "log" else house.handler).addFilter(stop)
    house.note()
    assert (len(heard.records), house.written()) == ((0, b"") if where in {"log", "handler"} else (1, b"request\n"))


def test_below_its_level_nothing_is_told(house: House):
    house.root.setLevel(logging.WARNING)
    house.note()
    assert house.written() == b""


def test_the_time_of_each_line_is_its_own(house: House):
    clock = FakeClock("2026-11-22T19:08:00.999999Z")
    access = AccessLog(clock, house.log)
    for _ in range(3):
        access.note((WHAT, "req_1", 0.001, None, None, None))
        clock.advance(0.000001)
    times = [json.loads(line)["timestamp"][-10:] for line in house.written().splitlines()]
    assert times == ["00.999999Z", "01.000000Z", "01.000001Z"]


def test_many_are_told_of_in_their_order(house: House):
    house.access.note(*((WHAT, f"req_{number}", 0.001, None, None, None) for number in range(3)))
    assert [json.loads(line)["request_id"] for line in house.written().splitlines()] == ["req_0", "req_1", "req_2"]


def test_what_is_kept_of_spellings_is_bounded(house: House):
    os.set_blocking(house.reader, False)
    for status in range(KNOWN_MAX + 2):
        house.note(status=status)
        if status % 50 == 0:
            house.handler.flush()
            with suppress(BlockingIOError):  # its thread may be about to write
                os.read(house.reader, 65_536)
    assert house.written()
    assert len(house.access.known) == 2
