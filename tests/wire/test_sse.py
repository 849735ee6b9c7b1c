from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.sse import DONE, BadStream, Frame, Splitter, frame, parse

lines = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
payloads = lines.map(str.encode)
frames = st.builds(Frame, data=payloads, event=st.sampled_from(("", "message_start", "response.created")))


def pieces_of(stream: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return (stream[start:end] for start, end in pairwise(places))


def split(pieces: Iterator[bytes]) -> tuple[bytes, list[Frame | None], bytes]:
    splitter = Splitter()
    found = [pair for piece in pieces for pair in splitter.feed(piece)]
    return b"".join(raw for raw, _ in found), [one for _, one in found], splitter.rest


@given(sent=st.lists(frames, max_size=6), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_frames_are_the_same_however_they_are_cut(sent: list[Frame], cuts: list[int]):
    stream = b"".join(frame(one.data, one.event) for one in sent)
    raw, found, rest = split(pieces_of(stream, cuts))
    assert (raw, found, rest) == (stream, sent, b"")


@given(
    events=st.lists(st.lists(payloads.filter(bool), min_size=1, max_size=3), min_size=1, max_size=4),
    end=st.sampled_from((b"\n", b"\r\n")),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_line_ends_do_not_matter(events: list[list[bytes]], end: bytes, cuts: list[int]):
    stream = b"".join(b"".join(b"data: " + line + end for line in event) + end for event in events)
    raw, found, rest = split(pieces_of(stream, cuts))
    assert (raw, rest) == (stream, b"")
    assert [one.data for one in found if one] == [b"\n".join(event) for event in events]


@given(stream=st.binary(max_size=200), cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_any_bytes_are_handed_on_whole(stream: bytes, cuts: list[int]):
    raw, found, rest = split(pieces_of(stream, cuts))
    assert raw + rest == stream
    assert found == split(iter((stream,)))[1]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"data: {}\n\n", Frame(b"{}"), id="data"),
        pytest.param(b"data:{}\n\n", Frame(b"{}"), id="no space"),
        pytest.param(b"data:  {}\n\n", Frame(b" {}"), id="only one space is taken away"),
        pytest.param(b": PING\n\n", None, id="comment"),
        pytest.param(b"event: ping\n\n", None, id="no data"),
        pytest.param(b"id: 1\nevent: a\ndata: x\nretry: 3\n\n", Frame(b"x", "a"), id="all fields"),
        pytest.param(b"data: [DONE]\n\n", Frame(DONE), id="done"),
    ],
)
def test_one_frame_is_read(raw: bytes, expected: Frame | None):
    assert parse(raw) == expected


def test_a_frame_over_the_limit_is_refused():
    splitter = Splitter(frame_bytes_max=10)
    assert [one for _, one in splitter.feed(b"data: 1\n\ndata: 2")] == [Frame(b"1")]
    with pytest.raises(BadStream, match="larger than 10 bytes"):
        list(splitter.feed(b"34567890"))


@given(st.lists(st.sampled_from([b"data: ", b"data:", b"{}", b"\n", b"\r", b"\n\n", b"event: a", b": x"]), max_size=6))
def test_what_comes_alone_is_what_the_long_way_finds(pieces: list[bytes]):
    data = b"".join(pieces)
    splitter = Splitter()
    alone = splitter.alone(data)
    if alone is not None:
        assert list(splitter.feed(data)) == [(data, alone)]
    if data in (b"data: {}\n\n", b"data: \n\n"):
        assert alone is not None


def test_nothing_comes_alone_behind_half_a_frame():
    splitter = Splitter()
    assert list(splitter.feed(b"data: {")) == []
    assert splitter.alone(b"data: }\n\n") is None
