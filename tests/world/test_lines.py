"""Log lines come out whole, once and in order, and nobody waits for them."""

import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import msgspec
import pytest

from halley.world.lines import WAITING_BYTES_MAX, LineHandler, Lines

WITHIN_S = 10


class Pipe(msgspec.Struct, kw_only=True):
    """What a process calls its stderr, and who reads it."""

    reader: int
    lines: Lines

    def read(self, length: int) -> bytes:
        """Read so many bytes."""
        got = b""
        while len(got) < length:
            assert select.select([self.reader], [], [], WITHIN_S)[0], f"no more came than {len(got)} bytes"
            got += os.read(self.reader, length - len(got))
        return got

    def read_now(self) -> bytes:
        """Read what is there."""
        return os.read(self.reader, 65_536) if select.select([self.reader], [], [], 0)[0] else b""

    def read_until(self, text: bytes) -> bytes:
        """Read until this has come."""
        got = b""
        while text not in got:
            assert select.select([self.reader], [], [], WITHIN_S)[0], f"it did not come; the last was {got[-200:]!r}"
            got += os.read(self.reader, 65_536)
        return got


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    made = Pipe(reader=reader, lines=Lines(writer))
    yield made
    os.close(reader)
    made.lines.close_s_max = WITHIN_S
    made.lines.close()
    os.close(writer)


@pytest.fixture
def logger(pipe: Pipe) -> Iterator[logging.Logger]:
    """What a whole process logs to."""
    handler, top = LineHandler(pipe.lines), logging.RootLogger(logging.INFO)
    told = logging.getLogger("halley.logs")
    top.addHandler(handler)
    told.addHandler(handler)
    yield top
    told.removeHandler(handler)


def test_what_was_put_is_soon_written_in_order(pipe: Pipe):
    lines = [b"line %d\n" % number for number in range(1_000)]
    for line in lines:
        pipe.lines.put(line)
    assert pipe.read(sum(map(len, lines))) == b"".join(lines)


def test_what_is_spelled_late_comes_in_its_place_and_is_spelled_once(pipe: Pipe):
    lines = [b"line %d\n" % number for number in range(1_000)]
    spelled: list[bytes] = []

    def spell(line: bytes) -> bytes:
        spelled.append(line)
        return line

    for number, line in enumerate(lines):
        if number % 3:
            pipe.lines.put_unspelled(partial(spell, line), len(line))
        else:
            pipe.lines.put(line)
    assert pipe.read(sum(map(len, lines))) == b"".join(lines)
    assert spelled == [line for number, line in enumerate(lines) if number % 3]


def test_what_is_logged_is_out_at_once_and_after_what_was_put_before(pipe: Pipe, logger: logging.Logger):
    pipe.lines.put(b"an answer\n")
    logger.warning("look")
    assert pipe.read_now() == b"an answer\nlook\n"


def test_nothing_is_lost_at_the_end(pipe: Pipe):
    for _ in range(10):
        pipe.lines.put(b"an answer\n")
    pipe.lines.close()
    assert pipe.read_now() == b"an answer\n" * 10


def test_who_logs_never_waits_for_who_reads_and_what_is_dropped_is_counted(pipe: Pipe, logger: logging.Logger):
    line = b"x" * 999 + b"\n"
    put = WAITING_BYTES_MAX // len(line) * 2
    for _ in range(put):
        pipe.lines.put(line)
    logger.error("nobody reads this either")
    got = pipe.read_until(b"log lines were dropped")
    kept = got.count(line)
    assert WAITING_BYTES_MAX // len(line) <= kept < put
    assert got.replace(line, b"") in (
        b"log lines were dropped, as nobody read them in time\n",
        b"nobody reads this either\nlog lines were dropped, as nobody read them in time\n",
    )
    pipe.lines.put(b"again\n")
    assert pipe.read_until(b"again\n") == b"again\n"


def test_an_end_that_takes_nothing_does_not_hold_up_the_end(pipe: Pipe):
    for _ in range(1_000):
        pipe.lines.put(b"x" * 999 + b"\n")
    pipe.lines.close_s_max = 0.05
    pipe.lines.close()
    assert pipe.read(4_096) == (b"x" * 999 + b"\n") * 4 + b"x" * 96


def test_a_reader_that_has_gone_is_no_error(logger: logging.Logger, pipe: Pipe, capfd: pytest.CaptureFixture[str]):
    gone = os.dup(pipe.reader)
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe.reader)
    os.close(gone)
    pipe.lines.put(b"an answer\n")
    logger.error("look")
    pipe.lines.close()
    assert capfd.readouterr() == ("", "")


def test_an_end_that_others_made_non_blocking_gets_all():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = Lines(writer)
    pipe = Pipe(reader=reader, lines=lines)
    for _ in range(1_000):
        lines.put(b"x" * 999 + b"\n")
    assert pipe.read(1_000_000) == (b"x" * 999 + b"\n") * 1_000
    lines.close()
    os.close(reader)
    os.close(writer)


_FORKING = """
import logging, os
from halley.world.lines import LineHandler, Lines
handler = LineHandler(Lines(2))
logging.basicConfig(handlers=[handler], format="%(message)s")
handler.stream.put(b"parent\\n")
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    logging.warning("child")
"""


def test_a_forked_child_writes_its_own_lines_only():
    done = subprocess.run([sys.executable, "-c", _FORKING], capture_output=True, text=True, check=True, env=os.environ)
    assert sorted(done.stderr.splitlines()) == ["child", "parent"]
