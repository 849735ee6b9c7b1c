"""The head of a request: what a URL becomes on the wire, and that nothing given can end a line early."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.upstream import NotSent, UpstreamRequest
from halley.upstream.head import MEMO_ENTRIES_MAX, HeadWriter, Origin, ended, read_url


def written(url: str = "http://a.example/", method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    writer = HeadWriter()
    request = UpstreamRequest(
        method=method, url=url, headers=headers, connect_timeout_s=1.0, answer_timeout_s=1.0, reply_bytes_max=1
    )
    return ended(writer.spell(request, writer.place(url)), request)


@pytest.mark.parametrize(
    ("url", "origin", "authority", "target"),
    [
        ("http://a.example", ("http", "a.example", 80), "a.example", "/"),
        ("HTTPS://A.Example/X", ("https", "a.example", 443), "a.example", "/X"),
        ("https://a.example:443/", ("https", "a.example", 443), "a.example", "/"),
        ("https://a.example:8443/x", ("https", "a.example", 8443), "a.example:8443", "/x"),
        ("http://a.example?x=1", ("http", "a.example", 80), "a.example", "/?x=1"),
        ("http://a.example/x#part", ("http", "a.example", 80), "a.example", "/x"),
        ("http://a.example/v1/x:run?y=%2F&z=/?", ("http", "a.example", 80), "a.example", "/v1/x:run?y=%2F&z=/?"),
        ("http://a.example/é x", ("http", "a.example", 80), "a.example", "/%C3%A9%20x"),
        ("http://a.example/../x", ("http", "a.example", 80), "a.example", "/../x"),
        ("http://[::1]/", ("http", "::1", 80), "[::1]", "/"),
        ("http://[2001:DB8::1]:81/", ("http", "2001:db8::1", 81), "[2001:db8::1]:81", "/"),
    ],
)
def test_a_url_is_taken_apart(url: str, origin: tuple[str, str, int], authority: str, target: str):
    assert read_url(url) == (Origin(*origin), authority, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "/secret",
        "ftp://a.example/secret",
        "http:///secret",
        "https://.a.example/secret",
        "https://./secret",
        "https://a..example/secret",
        "http://:80/secret",
        "http://user:secret@a.example/",
        "http://a.example:0/secret",
        "http://a.example:65536/secret",
        "http://a.example:8x/secret",
        "http://a b.example/secret",
        "http://a.example\\b/secret",
        "http://a.example/\r\nx-injected: secret",
        "http://a.example/secret\n",
        "http://a.example/\x00secret",
        "http://a.example/secret\x7f",
        "http://a.example/secret\ud800",
        "http://bücher.example/secret",
        "http://\u212aelvin.example/secret",
        "http://[::1/secret",
        "http://[a.example]:80:80/secret",
        "http://[fe80::1%25eth0]/secret",
    ],
)
def test_a_url_that_is_not_well_formed_is_not_sent_and_not_quoted(url: str):
    with pytest.raises(NotSent) as caught:
        read_url(url)

    assert "secret" not in caught.value.message


@pytest.mark.parametrize("character", ["\r", "\n", "\x00", "\x1b", "\x7f"])
def test_a_header_that_would_break_its_line_is_named_and_not_quoted(character: str):
    with pytest.raises(NotSent, match="`x-key`") as caught:
        written(headers=(("X-Key", f"secret{character}x: y"),))

    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", ["", "x y", "x:", "x: y", "x\r\ny", "é", "x\x00"])
def test_a_header_name_that_is_no_token_is_not_sent(name: str):
    with pytest.raises(NotSent, match="name"):
        written(headers=((name, "v"),))


@pytest.mark.parametrize("method", ["", "PO ST", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET", "CONNECT", "get"])
def test_a_method_that_is_not_known_is_not_sent(method: str):
    with pytest.raises(NotSent, match="method"):
        written(method=method)


def test_a_connection_header_with_a_line_break_is_refused_though_it_would_be_left_out():
    with pytest.raises(NotSent):
        written(headers=(("host", "a\r\nx: y"),))


def test_a_header_that_is_not_ascii_is_written_in_utf8_and_a_tab_is_kept():
    assert "x-name: caf\u00e9\tx\u00a0y\r\n".encode() in written(headers=(("x-name", "caf\u00e9\tx\u00a0y"),))


def test_own_accept_and_agent_go_before_the_client_s():
    head = written(headers=(("Accept", "text/event-stream"), ("User-Agent", "other")))

    assert head.lower().count(b"accept: ") == head.lower().count(b"user-agent: ") == 1
    assert b"Accept: text/event-stream\r\n" in head


def test_a_post_without_a_body_says_so_and_a_get_does_not():
    assert b"content-length: 0\r\n" in written(method="POST")
    assert b"content-length" not in written(method="GET")


def test_what_is_remembered_is_bounded():
    writer = HeadWriter()
    for number in range(MEMO_ENTRIES_MAX * 2 + 5):
        assert writer.place(f"http://a.example/{number}").target == f"/{number}"

    assert writer.place("http://a.example/1").target == "/1"


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=20)), max_size=4), st.text(max_size=20))
def test_whatever_is_given_the_head_has_a_line_for_each_header_or_is_not_sent(
    headers: list[tuple[str, str]], path: str
):
    try:
        head = written(f"http://a.example/{path}", headers=tuple(headers))
    except NotSent:
        return
    line, *lines = head.decode().split("\r\n")
    assert line.count(" ") == 2
    assert "\n" not in head.decode().replace("\r\n", "")
    assert lines[-2:] == ["", ""]
    assert all(": " in line for line in lines[:-2])
    assert len(lines) - 2 <= len(headers) + 4
