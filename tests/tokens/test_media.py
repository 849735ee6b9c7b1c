import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.tokens import audio_tokens, image_tokens
from halley.tokens.media import Detail

SIDES = st.integers(1, 20_000)
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5.4", "gpt-5-nano", "o3", "claude-sonnet-4-6", "unheard-of")


# The examples of https://developers.openai.com/api/docs/guides/images-vision, and the rules applied by hand.
@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (1_024, 1_024), "high", 765),
        ("gpt-4o", (2_048, 4_096), "high", 1_105),
        ("gpt-4o", (4_096, 8_192), "low", 85),
        ("gpt-4o-mini", (1_024, 1_024), "high", 2_833 + 4 * 5_667),
        ("o3", (1_024, 1_024), "auto", 75 + 4 * 150),
        ("gpt-5", (1_024, 1_024), "auto", 70 + 4 * 140),
        ("gpt-4.1-mini", (1_024, 1_024), "auto", 1_659),
        ("gpt-4.1-nano", (4_000, 4_000), "auto", 3_779),
        ("o4-mini", (1_024, 1_024), "auto", 1_762),
        ("gpt-5.4", (1_024, 1_024), "auto", 1_024),
        ("gpt-5.4", (6_000, 6_000), "high", 2_500),
        ("gpt-5.4", (6_000, 6_000), "original", 10_000),
        ("claude-sonnet-4-6", (1_000, 1_000), "auto", 1_334),
        ("unheard-of", (300, 300), "auto", 258),
        ("unheard-of", (1_536, 768), "auto", 516),
    ],
)
def test_pictures_are_counted_by_the_published_rules(
    model: str, size: tuple[int, int], detail: Detail, tokens: int
) -> None:
    assert image_tokens(model, *size, detail) == tokens


@given(st.sampled_from(MODELS), SIDES, SIDES)
def test_any_picture_has_a_count_that_does_not_depend_on_the_way_it_lies(model: str, width: int, height: int) -> None:
    assert image_tokens(model, width, height) == image_tokens(model, height, width) > 0


def test_a_name_with_its_maker_is_the_same_model() -> None:
    assert image_tokens("openai/gpt-4o-mini", 512, 512) == image_tokens("gpt-4o-mini", 512, 512)


@pytest.mark.parametrize(
    ("seconds", "model", "output", "tokens"),
    [
        (60, "gpt-realtime", False, 600),
        (60, "gpt-realtime", True, 1_200),
        (1.01, "other", False, 33),
        (0, "", False, 0),
    ],
)
def test_sound_is_counted_by_its_length(seconds: float, model: str, output: bool, tokens: int) -> None:
    assert audio_tokens(seconds, model=model, output=output) == tokens
