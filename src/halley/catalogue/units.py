"""The meters that there are, in which units each is counted and priced, and what one without a price counts as."""

from collections.abc import Container, Mapping

from halley.kernel.money import MILLION

EACH = 1
"""Base units in one unit of a price: one call, one image."""

METERS: Mapping[str, int] = {
    "call": EACH,
    "image": EACH,
    "first_output_megapixel": EACH,
    "further_output_megapixel": MILLION,
    "input_megapixel": MILLION,
    "input_token": MILLION,
    "cached_input_token": MILLION,
    "cache_write_token": MILLION,
    "cache_write_1h_token": MILLION,
    "output_token": MILLION,
    "reasoning_token": MILLION,
    "citation_token": MILLION,
    "audio_input_token": MILLION,
    "cached_audio_input_token": MILLION,
    "audio_output_token": MILLION,
    "image_input_token": MILLION,
    "cached_image_input_token": MILLION,
    "image_output_token": MILLION,
    "character": MILLION,
    "audio_second": EACH,
    "video_second": EACH,
    "rerank_unit": EACH,
    "web_search": EACH,
    "file_search": EACH,
    "code_container": EACH,
    "drawing_input_token": MILLION,
    "cached_drawing_input_token": MILLION,
    "drawing_image_input_token": MILLION,
    "cached_drawing_image_input_token": MILLION,
    "drawing_output_token": MILLION,
}
"""Meter → base units per priced unit. Megapixel meters count pixels, so that fractions are exact; tokens and characters
are priced per million. Counts never overlap: `input_token` is text that was neither read from a cache nor written to
one, `output_token` text that is not reasoning. `rerank_unit` is one query with up to a hundred documents, `web_search`
one search that a model made, `code_container` one machine that its code ran on, and `drawing_…_token` are those of
another model that drew pictures for it."""

FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "cached_input_token": ("input_token",),
    "cache_write_token": ("input_token",),
    "cache_write_1h_token": ("cache_write_token", "input_token"),
    "reasoning_token": ("output_token", "audio_output_token", "image_output_token"),
    "citation_token": ("input_token",),
    "audio_input_token": ("input_token",),
    "cached_audio_input_token": ("cached_input_token", "audio_input_token", "input_token"),
    "audio_output_token": ("output_token", "image_output_token"),
    "image_input_token": ("input_token",),
    "cached_image_input_token": ("cached_input_token", "image_input_token", "input_token"),
    "image_output_token": ("output_token", "audio_output_token"),
    "cached_drawing_input_token": ("drawing_input_token",),
    "drawing_image_input_token": ("drawing_input_token",),
    "cached_drawing_image_input_token": ("drawing_image_input_token", "drawing_input_token"),
    # Some models make sound or pictures only, and their replies do not say which kind of token was counted.
    "output_token": ("audio_output_token", "image_output_token"),
}
"""Meter → those that it is charged as when it has no price of its own, first priced one first."""


def charged_as(meter: str, priced: Container[str]) -> str | None:
    """Give the meter whose price counts: its own, else that of the first it falls back to; None where none has one."""
    return next((each for each in (meter, *FALLBACKS.get(meter, ())) if each in priced), None)
