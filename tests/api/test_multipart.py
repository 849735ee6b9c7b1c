import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.api.multipart import HEADER_BYTES_MAX, PARTS_MAX, PREAMBLE_BYTES_MAX, Multipart, PartHead
from halley.kernel.faults import BadRequest, TooLarge

KIND = "multipart/form-data; boundary=XX"


def part(name: str, data: bytes, more: str = "") -> bytes:
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n"


def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    async def give() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return give()


async def read(data: bytes, *, size: int = 7, kind: str = KIND) -> list[tuple[PartHead, bytes]]:
    form = Multipart(pieces(data, size), kind)
    found: list[tuple[PartHead, bytes]] = []
    while (head := await form.next_part()) is not None:
        found.append((head, b"".join([chunk async for chunk in form.content()])))
    return found


@given(parts=st.lists(st.binary(max_size=200), max_size=5), size=st.integers(1, 300))
async def test_parts_come_out_as_they_went_in_however_they_are_cut(parts: list[bytes], size: int):
    parts = [each for each in parts if b"\r\n--XX" not in b"\r\n" + each]
    data = b"".join(part(f"p{n}", each) for n, each in enumerate(parts)) + b"--XX--\r\n"

    assert [(head.name, body) for head, body in await read(data, size=size)] == [
        (f"p{n}", each) for n, each in enumerate(parts)
    ]


async def test_a_head_tells_name_file_and_type():
    data = part("content", b"x", '; filename="a \\"b\\".png"\r\nContent-Type: image/png') + b"--XX--"
    head = (await read(data))[0][0]

    assert head == PartHead(name="content", filename='a "b".png', content_type="image/png")


async def test_what_is_left_of_a_part_is_skipped():
    form = Multipart(pieces(part("a", b"x" * 500) + part("b", b"y") + b"--XX--", 11), KIND)
    first, second = await form.next_part(), await form.next_part()

    assert first is not None
    assert second is not None
    assert (second.name, await form.text(10)) == ("b", "y")
    assert await form.next_part() is None


async def test_a_preamble_and_a_quoted_boundary_are_read():
    assert (
        len(await read(b"hello\r\n" + part("a", b"x") + b"--XX--\r\nbye", kind='multipart/form-data; boundary="XX"'))
        == 1
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no boundary at all",
        b"x" * 100_000,
        part("a", b"x"),
        part("a", b"x")[:-20],
        b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--",
        b"--XX\r\n\r\nx\r\n--XX--",
        b"--XXyy\r\n\r\nx\r\n--XX--",
        b"--XX\r\n" + b"a: b\r\n" * HEADER_BYTES_MAX,
        part("a", b"x", "; x=" + "y" * HEADER_BYTES_MAX) + b"--XX--",
        b"x" * PREAMBLE_BYTES_MAX + b"\r\n" + part("a", b"x") + b"--XX--",
        part("a", b"x") * (PARTS_MAX + 1) + b"--XX--",
    ],
    ids=[
        "empty",
        "text",
        "noise",
        "no end",
        "cut",
        "no name",
        "no headers",
        "other boundary",
        "headers",
        "long header",
        "preamble",
        "parts",
    ],
)
@pytest.mark.parametrize("size", [4_096, 1_000_000], ids=["pieces", "whole"])
async def test_what_is_no_whole_form_is_refused(data: bytes, size: int):
    with pytest.raises(BadRequest):
        await read(data, size=size)


@pytest.mark.parametrize(
    "more",
    [
        "; " + "a" * 8_000,
        "; " + "a;" * 4_000,
        ";" + " " * 8_000,
        '; b="' + "\\" * 8_000,
        '; b="' * 1_600,
        "; b=" * 2_000,
    ],
    ids=["letters", "semicolons", "blanks", "backslashes", "quotes", "names"],
)
async def test_the_words_of_a_part_cost_no_more_than_their_length(more: str):
    began_s = time.process_time()
    [(head, _)] = await read(part("a", b"x", more) + b"--XX--", size=20_000)

    assert head.name == "a"
    assert time.process_time() - began_s < 0.2


@pytest.mark.parametrize(
    "words", ['name=a;filename="x; name=b"', 'name="a" ; filename=x', "NAME=a;\tfilename=x", "xname=b; name=a"]
)
async def test_the_words_of_a_part_are_told_from_what_they_say(words: str):
    data = f"--XX\r\nContent-Disposition: form-data; {words}\r\n\r\n".encode() + b"x\r\n--XX--"

    assert (await read(data))[0][0].name == "a"


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 80]
)
def test_another_content_type_is_refused(kind: str):
    with pytest.raises(BadRequest, match="multipart/form-data"):
        Multipart(pieces(b"", 1), kind)


async def test_a_text_field_is_bounded_and_utf_8():
    long = Multipart(pieces(part("a", b"x" * 100) + b"--XX--", 9), KIND)
    binary = Multipart(pieces(part("a", b"\xff") + b"--XX--", 9), KIND)
    await long.next_part()
    await binary.next_part()

    with pytest.raises(TooLarge):
        await long.text(10)
    with pytest.raises(BadRequest):
        await binary.text(10)
