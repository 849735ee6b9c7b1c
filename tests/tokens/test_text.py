import base64
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.tokens import count_text, estimate_bytes
from halley.tokens.encodings import encoding
from halley.tokens.text import PIECE_CHARACTERS, pieces

ENGLISH = "The gateway keeps long-running media jobs alive, mirrors what they make, and books every cent. "
WORDS = st.lists(st.text(alphabet="abcdefgXYZ0123456789é漢.,!?", min_size=1, max_size=12), max_size=60).map(" ".join)


# What the vendor's cookbook publishes for both encodings.
@pytest.mark.parametrize(
    ("text", "newer", "older"),
    [
        ("", 0, 0),
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        ("お誕生日おめでとう", 8, 9),
        ("tiktoken is great!", 6, 6),
    ],
)
def test_text_is_counted_as_the_vendor_does(text: str, newer: int, older: int) -> None:
    assert count_text("gpt-4o", text) == newer
    assert count_text("gpt-4", text) == older


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini", "openai/gpt-5.4", "gpt-4.1", "o3", "o4-mini", "chatgpt-4o-latest", "ft:gpt-4o:me", "gpt-6-sol"],
)
def test_newer_models_have_the_newer_encoding(model: str) -> None:
    assert count_text(model, "お誕生日おめでとう") == 8


@pytest.mark.parametrize("model", ["gpt-4", "gpt-3.5-turbo", "text-embedding-3-small", "claude-sonnet-4-6", "llama"])
def test_older_models_and_those_of_others_have_the_older_encoding(model: str) -> None:
    assert count_text(model, "お誕生日おめでとう") == 9


def test_marks_of_a_chat_are_counted_as_plain_text() -> None:
    assert count_text("gpt-4o", "<|endoftext|>") > 1


def test_half_a_character_is_counted_too() -> None:
    assert count_text("gpt-4o", "a\ud800b") > 1


def test_a_long_text_counts_as_the_same_text_in_one_piece() -> None:
    text = ENGLISH * (3 * PIECE_CHARACTERS // len(ENGLISH))
    assert count_text("gpt-4o", text) == len(encoding("o200k_base").encode_ordinary(text))


@given(WORDS, st.integers(20, 60))
def test_pieces_are_the_text_and_none_is_too_long(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert "".join(found) == text
    assert all(len(piece) <= size for piece in found)


@given(WORDS)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
def test_a_cut_at_a_blank_changes_no_count(model: str, text: str) -> None:
    found = list(pieces(text, 40))
    if all(piece.startswith(" ") for piece in found[1:]):
        assert sum(count_text(model, piece) for piece in found) == count_text(model, text)


@pytest.mark.parametrize("unit", [" ", "\n", "a", "^", "\t \n", "漢", "😀"], ids=ascii)
def test_a_million_of_the_same_is_counted(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert 0 < count_text("gpt-4o", text) <= len(text.encode())


def test_threads_that_begin_together_count_alike() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(count_text("gpt-4", ENGLISH))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH * 20,
        "def add(left: int, right: int) -> int:\n    return left + right\n" * 20,
        '{"id": "task_01", "state": "running", "progress": 0.5, "cost": null}' * 20,
        "这个网关让长时间运行的媒体任务保持活动状态并记录每一分钱。" * 20,
        "Der Durchlauf dauert länger, wenn Übersetzungen gewünscht sind. " * 20,
    ],
    ids=["english", "code", "json", "chinese", "german"],
)
def test_an_estimate_from_bytes_is_not_below_the_count(text: str) -> None:
    assert estimate_bytes(len(text.encode())) >= count_text("gpt-4o", text)


def test_an_estimate_of_text_without_words_may_be_too_low() -> None:
    text = base64.b64encode(bytes(range(256)) * 10).decode()
    assert estimate_bytes(len(text)) < count_text("gpt-4o", text)


def test_an_estimate_is_rounded_up() -> None:
    assert [estimate_bytes(length) for length in (0, 1, 5, 6)] == [0, 1, 2, 3]
