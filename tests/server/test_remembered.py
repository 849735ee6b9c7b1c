"""Which heads are remembered, and what is recognised as one of them: the same bytes but for the length's digits."""

import pytest

from halley.server.head import Head, Header
from halley.server.remembered import LENGTH_DIGITS_MAX, REMEMBERED_BYTES_MAX, Remembered, remember

BEFORE, AFTER = b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: ", b"\r\naccept: */*\r\n\r\n"


def remembered(raw: bytes, body: bytes = b"", *headers: Header, **facts: bool | str) -> Remembered | None:
    """Remember a head as the parser would have found it."""
    method, target, _ = raw.lstrip().split(b" ", 2)
    alive, version = bool(facts.get("keep_alive", True)), str(facts.get("version", "1.1"))
    head = Head(method.decode(), target, list(headers), version, keep_alive=alive)
    return remember(raw + body, head, body)


def known() -> Remembered:
    found = remembered(BEFORE + b"5" + AFTER, b"hello", (b"host", b"a"), (b"content-length", b"5"), (b"accept", b"*/*"))
    assert found is not None
    return found


@pytest.mark.parametrize("size", [0, 1, 5, 9, 10, 99, 100, 12_345, 300_000])
def test_any_length_is_recognised_with_just_its_body(size: int):
    assert known().body_in(BEFORE + b"%d" % size + AFTER + b"x" * size) == b"x" * size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BEFORE,
        BEFORE + b"5",
        BEFORE + b"5" + AFTER,
        BEFORE + b"5" + AFTER + b"hell",
        BEFORE + b"5" + AFTER + b"hello ",
        BEFORE + b"5" + AFTER + b"hello" + BEFORE + b"5" + AFTER + b"hello",
        BEFORE + AFTER,
        BEFORE + b"05" + AFTER + b"hello",
        BEFORE + b"+5" + AFTER + b"hello",
        BEFORE + b"-0" + AFTER,
        BEFORE + b" 5" + AFTER + b"hello",
        BEFORE + b"5 " + AFTER + b"hello",
        BEFORE + b"1_0" + AFTER + b"hellohello",
        BEFORE + "\u0665".encode() + AFTER + b"hello",
        BEFORE + b"0x5" + AFTER + b"hello",
        BEFORE + b"5,5" + AFTER + b"hello",
        BEFORE + b"5\r\ncontent-length: 5" + AFTER + b"hello",
        BEFORE + b"5\r\ntransfer-encoding: chunked" + AFTER + b"hello",
        BEFORE + b"5\r\n\r\nhello" + AFTER,
        BEFORE + b"5" + AFTER.replace(b"*/*", b"x/x") + b"hello",
        BEFORE.replace(b"/a", b"/b") + b"5" + AFTER + b"hello",
        b"\r\n" + BEFORE + b"5" + AFTER + b"hello",
        BEFORE + b"%d" % 10**LENGTH_DIGITS_MAX + AFTER + b"hello",
    ],
)
def test_anything_else_is_for_the_parser(data: bytes):
    assert known().body_in(data) is None


def test_a_head_without_length_is_recognised_alone():
    raw = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
    found = remembered(raw, b"", (b"host", b"a"))
    assert found is not None
    assert found.body_in(raw) == b""
    for other in (raw + b"a", raw + raw, raw[:-1], raw.replace(b"/a", b"/b"), b"\r\n" + raw):
        assert found.body_in(other) is None


@pytest.mark.parametrize("line", [b"content-length:", b"Content-Length: ", b"CONTENT-LENGTH:\t \t"])
def test_the_length_may_be_named_and_set_off_as_ever(line: bytes):
    raw = b"POST /a HTTP/1.1\r\nx: content-length: 1\r\n" + line
    found = remembered(raw + b"2\r\n\r\n", b"ab", (b"x", b"content-length: 1"), (b"content-length", b"2"))
    assert found is not None
    assert found.head.length_at == 1
    assert found.body_in(raw + b"11\r\n\r\nhello world") == b"hello world"


@pytest.mark.parametrize("value", [b"keep-alive", b"Keep-Alive"])
def test_a_connection_that_goes_on_anyway_may_say_so(value: bytes):
    raw = b"GET /a HTTP/1.1\r\nconnection: " + value + b"\r\n\r\n"
    found = remembered(raw, b"", (b"connection", value))
    assert found is not None
    assert found.body_in(raw) == b""


SIZED = (b"content-length", b"2")


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ((SIZED, (b"transfer-encoding", b"chunked")), {}),
        ((SIZED, (b"expect", b"100-continue")), {}),
        ((SIZED, (b"upgrade", b"h2c")), {}),
        ((SIZED, (b"connection", b"close")), {}),
        ((SIZED, (b"connection", b"keep-alive, x-a")), {}),
        ((SIZED, (b"connection", b"upgrade")), {}),
        ((SIZED, (b"proxy-connection", b"keep-alive")), {}),
        ((SIZED, SIZED), {}),
        ((SIZED,), {"keep_alive": False}),
        ((SIZED,), {"version": "1.0"}),
        ((), {}),
        (((b"content-length", b"3"),), {}),
        (((b"content-length", b"02"),), {}),
    ],
)
def test_a_head_that_leaves_a_choice_is_not_remembered(headers: tuple[Header, ...], facts: dict[str, bool | str]):
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    assert remembered(b"POST /a HTTP/1.1\r\n" + lines + b"\r\n", b"ab", *headers, **facts) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /a HTTP/1.1\r\ncontent-length: 02\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 2 \r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length : 2\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 2\n\r\n\r\n",
        b"POST /a HTTP/1.1\r\nx-content-length: 2\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length:\r\n 2\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\n\r\n",
        b"\r\n\r\nPOST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\n",
        b"HEAD /a HTTP/1.1\r\ncontent-length: 2\r\n\r\n",
    ],
)
def test_a_length_that_is_spelled_oddly_is_not_remembered(raw: bytes):
    assert remembered(raw, b"ab", SIZED) is None


def test_a_long_head_is_not_remembered():
    for size, is_kept in ((REMEMBERED_BYTES_MAX, True), (REMEMBERED_BYTES_MAX + 1, False)):
        start, end = b"GET /a HTTP/1.1\r\nx: ", b"\r\n\r\n"
        value = b"a" * (size - len(start) - len(end))
        assert (remembered(start + value + end, b"", (b"x", value)) is not None) is is_kept
