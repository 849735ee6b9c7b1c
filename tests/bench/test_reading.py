"""What the bench reads: output of the load, `/proc`, and file systems; and what it sends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench.faults import Failed
from bench.load.closed import parse
from bench.load.model import Outcome, Target
from bench.load.wire import listed, requests
from bench.machine import file_system
from bench.upstream import replies

from bench import bodies, proc

WRK = b"""Running 1s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  1000 requests in 1.00s, 1.17MB read
Requests/sec:    999.50

{"answered":1000,"bad":1,"broken":2,"seconds":1.000500,"p50_us":950,"p99_us":1800,"mean_us":960.1}
"""


def test_the_last_line_of_the_load_is_its_result():
    outcome = parse(WRK, Outcome)
    assert outcome.errors == 3
    assert outcome.per_second == pytest.approx(999.5, rel=1e-4)


@pytest.mark.parametrize(
    "printed", [b"", b"unable to connect\n", b'{"answered":1}\n'], ids=["nothing", "words", "part"]
)
def test_a_load_that_tells_no_result_has_failed(printed: bytes):
    with pytest.raises(Failed, match="no result"):
        parse(printed, Outcome)


def test_a_process_with_a_strange_name_is_read():
    line = "12 (a ) b) S 1 12 12 0 -1 4194560 1 0 0 0 7 5 3 2 20 0 1 0 100 1 1"
    assert proc.stat_fields(line) == (7, 5, 3, 2)


def test_a_core_that_waits_is_not_busy():
    assert proc.busy_ticks("cpu0 1 2 4 1000 1000 8 16 32 64 128") == 63


def test_a_tree_has_its_children_and_their_memory():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in proc.tree([os.getpid()])
        assert proc.memory_bytes([child.pid]) > 0
        child.communicate()
    assert child.pid not in proc.tree([os.getpid()])


def test_the_innermost_mount_counts():
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /fast tmpfs rw 0 0\n"
    assert file_system(Path("/fast/x"), mounts) == "tmpfs"
    assert file_system(Path("/faster"), mounts) == "ext4"


def test_bodies_have_the_sizes_that_the_cases_name():
    assert [len(body()) for body in (bodies.chat_body, bodies.stream_body, bodies.large_body)] == [1_500, 1_500, 20_000]
    assert [len(bodies.chat_reply(size)) for size in (600, 4_000)] == [600, 4_000]
    assert sum(map(len, bodies.chunk_frame())) + bodies.TIME_DIGITS == bodies.CHUNK_BYTES
    assert 95_000 < len(bodies.embedding_reply()) < 110_000


def test_an_answer_of_the_vendor_tells_its_length():
    head, _, body = replies()["chat"].partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head


def test_requests_are_listed_by_their_length():
    target = Target(port=80, method="POST", paths=("/a", "/b"), headers={"x": "y"}, body=b"{}")
    first, second = requests(target)
    assert first == b"POST /a HTTP/1.1\r\nhost: 127.0.0.1:80\r\nx: y\r\ncontent-length: 2\r\n\r\n{}"
    assert listed(target) == b"%d\n%b%d\n%b" % (len(first), first, len(second), second)
