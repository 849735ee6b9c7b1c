"""What bytes are, told from the bytes; and how a file is served without any script of it running."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from halley.assets.rules import (
    EXTENSIONS,
    NAME_BYTES_MAX,
    OCTET_STREAM,
    asset_key,
    body_key,
    byte_range,
    extension,
    file_key,
    image_size,
    is_message,
    response_headers,
    safe_name,
    sniff,
)

PNG_START = b"\x89PNG\r\n\x1a\n"
HEADS = {
    "png": (PNG_START, "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0", "image/jpeg"),
    "gif 87": (b"GIF87a", "image/gif"),
    "gif 89": (b"GIF89a", "image/gif"),
    "webp": (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    "wav": (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
    "other riff": (b"RIFF\x00\x00\x00\x00AVI LIST", OCTET_STREAM),
    "mp4": (b"\x00\x00\x00\x18ftypisom", "video/mp4"),
    "avif": (b"\x00\x00\x00\x18ftypavif", OCTET_STREAM),
    "webm": (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
    "matroska": (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", OCTET_STREAM),
    "mp3 with tag": (b"ID3\x04\x00", "audio/mpeg"),
    "mp3 frame": (b"\xff\xfb\x90\x64", "audio/mpeg"),
    "aac frame": (b"\xff\xf1\x50\x80", OCTET_STREAM),
    "reserved bitrate": (b"\xff\xfb\xf0\x64", OCTET_STREAM),
    "reserved rate": (b"\xff\xfb\x9c\x64", OCTET_STREAM),
    "ogg": (b"OggS\x00\x02", "audio/ogg"),
    "flac": (b"fLaC\x00\x00", "audio/flac"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
    "svg with prologue": (
        b'\xef\xbb\xbf <?xml version="1.0"?>\n<!-- made by hand -->\n<!DOCTYPE svg PUBLIC "a" "b">\n<svg>',
        "image/svg+xml",
    ),
    "svg with inner declarations": (b'<!doctype svg [ <!ENTITY a "b"> ]> <svg:svg >', "image/svg+xml"),
    "html": (b"<!DOCTYPE html><html><svg></svg></html>", OCTET_STREAM),
    "many comments": (b"<!---->" * 1_000 + b"<svg>", OCTET_STREAM),
    "open comment": (b"<!-- <svg>", OCTET_STREAM),
    "svgish": (b"<svgfoo>", OCTET_STREAM),
    "script": (b"#!/bin/sh", OCTET_STREAM),
    "nothing": (b"", OCTET_STREAM),
}


@pytest.mark.parametrize(("head", "expected"), HEADS.values(), ids=HEADS.keys())
def test_type_is_told_from_the_first_bytes(head: bytes, expected: str):
    assert sniff(head) == expected


MESSAGES = {
    "html": b"<!DOCTYPE html><html><svg></svg></html>",
    "a page without a declaration": b"\n <HEAD>",
    "xml": b'\xef\xbb\xbf<?xml version="1.0"?><Error/>',
    "an object": b' {"detail": 1}',
    "an empty object": b"{ }",
    "an array": b"[[1]]",
}
OTHERS = {"nothing": b"", "text": b"alert(1)", "an open comment": b"<!-- <html>", "a brace": b"{\x00", "a sign": b"<3"}


@pytest.mark.parametrize("head", MESSAGES.values(), ids=MESSAGES)
def test_pages_and_messages_are_told_from_files(head: bytes):
    assert is_message(head)


@pytest.mark.parametrize(
    "head", [*OTHERS.values(), *(head for name, (head, _) in HEADS.items() if name not in ("html", "svgish"))]
)
def test_files_of_media_and_unknown_bytes_are_no_messages(head: bytes):
    assert not is_message(head)


@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        pytest.param("PNG", {}, id="png"),
        pytest.param("GIF", {}, id="gif"),
        pytest.param("JPEG", {}, id="jpeg"),
        pytest.param("JPEG", {"progressive": True, "exif": b"Exif\x00\x00" + b"x" * 9_000}, id="progressive jpeg"),
        pytest.param("WEBP", {"quality": 50}, id="lossy webp"),
        pytest.param("WEBP", {"lossless": True}, id="lossless webp"),
        pytest.param("WEBP", {"exif": b"Exif\x00\x00xx"}, id="extended webp"),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (1023, 17), (300, 2049)])
def test_size_is_told_from_the_header_of_a_real_picture(size: tuple[int, int], encoding: str, options: dict[str, Any]):
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, encoding, **options)
    assert image_size(file.getvalue()) == size


SEGMENT = b"\xff\xe1\x00\x04ab"
SIZELESS = {
    "png without header": PNG_START + b"\x00\x00\x00\x0dIDAT" + bytes(20),
    "png cut": PNG_START + b"\x00\x00\x00\x0dIHDR\x00\x00",
    "png of no width": PNG_START + b"\x00\x00\x00\x0dIHDR" + bytes(8),
    "gif cut": b"GIF89a\x01",
    "webp cut": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "jpeg cut": b"\xff\xd8\xff",
    "jpeg frame cut": b"\xff\xd8\xff\xc0\x00\x11\x08\x00",
    "jpeg that ends": b"\xff\xd8" + SEGMENT + b"\xff\xd9",
    "jpeg whose scan comes first": b"\xff\xd8" + SEGMENT + b"\xff\xda\x00\x02",
    "jpeg of garbage": b"\xff\xd8" + SEGMENT + b"garbage",
    "jpeg of endless segments": b"\xff\xd8" + SEGMENT * 10_000,
    "jpeg of segments without length": b"\xff\xd8" + b"\xff\xe1\x00\x00" * 10_000,
    "jpeg of fill": b"\xff\xd8" + b"\xff" * 200_000,
    "svg": b"<svg width='1' height='1'>",
}


@pytest.mark.parametrize("head", SIZELESS.values(), ids=SIZELESS.keys())
def test_size_that_is_not_there_is_none(head: bytes):
    assert image_size(head) is None


def test_size_of_a_jpeg_is_found_behind_fill_bytes_and_bare_markers():
    frame = b"\xff\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", 20, 10)
    assert image_size(b"\xff\xd8\xff\xd0\xff\x01" + SEGMENT + frame) == (10, 20)


@given(st.sampled_from([b"", *(head for head, _ in HEADS.values()), *SIZELESS.values()]), st.binary(max_size=200))
def test_no_bytes_whatever_make_it_raise(start: bytes, rest: bytes):
    assert sniff(start + rest) in {OCTET_STREAM, *EXTENSIONS}
    size = image_size(start + rest)
    assert size is None or min(size) > 0


def test_keys_name_what_they_hold():
    assert (asset_key("t", 2), file_key("file_1"), body_key("t")) == ("t/2", "files/file_1", "bodies/t")


def test_each_type_has_its_extension_and_others_have_a_neutral_one():
    assert extension("image/jpeg") == ".jpg"
    assert extension("text/html") == ".bin"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.png", "cat.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a b.png", "a b.png"),
        ("..", "file"),
        ("", "file"),
        ("a\r\nset-cookie: x.png", "a__set-cookie_ x.png"),
        ('q"uo;te.png', "q_uo;te.png"),
        ("gnp.\u202egpj.exe", "gnp._gpj.exe"),
        ("käse 猫.png", "käse 猫.png"),
        ("\ud800.png", "_.png"),
        (".hidden. ", "hidden"),
    ],
)
def test_safe_name_is_one_harmless_segment(name: str, expected: str):
    assert safe_name(name) == expected


@given(st.text())
def test_safe_name_is_never_empty_never_long_and_stays_as_it_is(name: str):
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= NAME_BYTES_MAX
    assert not set(safe) & set('/\\"\r\n\0')
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("content_type", "served_as", "disposition"),
    [
        ("image/png", "image/png", "inline"),
        ("Video/MP4; codecs=x", "video/mp4", "inline"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("text/html", OCTET_STREAM, "attachment"),
        ("application/xhtml+xml", OCTET_STREAM, "attachment"),
        ("text/plain\r\nx: y", OCTET_STREAM, "attachment"),
        ("application/json", "application/json", "attachment"),
        ("", OCTET_STREAM, "attachment"),
    ],
)
def test_no_script_in_a_served_file_can_run(content_type: str, served_as: str, disposition: str):
    headers = dict(response_headers(content_type, "a.svg"))
    assert headers["content-type"] == served_as
    assert headers["content-disposition"].startswith(f"{disposition};")
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]


@given(st.text())
def test_served_name_cannot_break_out_of_its_header(name: str):
    value = dict(response_headers("image/png", name))["content-disposition"]
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2


def test_served_name_keeps_its_letters():
    value = dict(response_headers("image/png", "käse.png"))["content-disposition"]
    assert value == "inline; filename=\"k_se.png\"; filename*=UTF-8''k%C3%A4se.png"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 6)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=2-99", (2, 10)),
        (" bytes=9- ", (9, 10)),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=٣-٤", None),
        ("", None),
    ],
)
def test_range_is_read_or_the_whole_is_sent(header: str, expected: tuple[int, int] | None):
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-11", "bytes=-0"])
def test_range_outside_is_refused(header: str):
    with pytest.raises(ValueError, match="outside of 10 bytes"):
        byte_range(header, 10)
