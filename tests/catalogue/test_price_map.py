import json
from typing import Any

import pytest

from halley.catalogue.meters import dollars_per_unit
from halley.catalogue.price_map import Reading, read_entry, read_map


def read(entry: dict[str, Any], key: str = "m") -> Reading:
    return read_entry(key, read_map(json.dumps({key: {"litellm_provider": "acme", **entry}}).encode())[key])


def dollars(reading: Reading) -> dict[str, str]:
    return {key: dollars_per_unit(key, nanos) for key, nanos in reading.prices.items()}


def test_prices_per_token_become_prices_per_million_exactly() -> None:
    text = b'{"m": {"litellm_provider": "acme", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 0.00001}}'
    reading = read_entry("m", read_map(text)["m"])
    assert dollars(reading) == {"input_token": "1.25", "output_token": "10"}
    assert (reading.provider, reading.unknown, reading.problem) == ("acme", (), "")


def test_prices_may_be_written_as_text() -> None:
    assert dollars(read({"input_cost_per_token": "0.0000003"})) == {"input_token": "0.3"}


def test_every_kind_of_token_has_its_meter() -> None:
    found = dollars(
        read(
            {
                "input_cost_per_token": 4e-06,
                "cache_read_input_token_cost": 4e-07,
                "cache_creation_input_token_cost": 5e-06,
                "cache_creation_input_token_cost_above_1hr": 8e-06,
                "output_cost_per_token": 1.6e-05,
                "output_cost_per_reasoning_token": 2e-05,
                "input_cost_per_audio_token": 3.2e-05,
                "cache_read_input_audio_token_cost": 1e-06,
                "output_cost_per_audio_token": 6.4e-05,
                "input_cost_per_image_token": 5e-06,
                "output_cost_per_image_token": 3e-05,
            }
        )
    )
    assert found == {
        "input_token": "4",
        "cached_input_token": "0.4",
        "cache_write_token": "5",
        "cache_write_1h_token": "8",
        "output_token": "16",
        "reasoning_token": "20",
        "audio_input_token": "32",
        "cached_audio_input_token": "1",
        "audio_output_token": "64",
        "image_input_token": "5",
        "image_output_token": "30",
    }


def test_prices_by_size_and_tier_become_conditions() -> None:
    found = dollars(
        read(
            {
                "input_cost_per_token": 1e-06,
                "input_cost_per_token_above_200k_tokens": 2e-06,
                "input_cost_per_token_priority": 3e-06,
                "input_cost_per_token_above_200k_tokens_priority": 4e-06,
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 5e-06,
            }
        )
    )
    assert found == {
        "input_token": "1",
        "input_token@200000+": "2",
        "input_token@service_tier=priority": "3",
        "input_token@200000+,service_tier=priority": "4",
        "cache_write_1h_token@200000+": "5",
    }


def test_ranges_become_conditions() -> None:
    tiers = [
        {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "range": [0, 32_000]},
        {"input_cost_per_token": 3e-06, "output_cost_per_token": 4e-06, "range": [32_000.0, 128_000.0]},
    ]
    found = dollars(read({"tiered_pricing": tiers}))
    assert found == {"input_token": "1", "output_token": "2", "input_token@32000+": "3", "output_token@32000+": "4"}


def test_searches_of_several_sizes_become_conditions() -> None:
    sizes = {"search_context_size_low": 0.005, "search_context_size_medium": 0.008, "search_context_size_high": 0.012}
    found = dollars(read({"input_cost_per_token": 1e-06, "search_context_cost_per_query": sizes}))
    assert found == {
        "input_token": "1",
        "web_search": "0.008",
        "web_search@search_context_size=low": "0.005",
        "web_search@search_context_size=high": "0.012",
    }


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({"low": 0.005, "high": 0.012}, {"web_search": "0.012", "web_search@search_context_size=low": "0.005"}),
        ({"low": 0.005}, {"web_search": "0.005"}),
        ({"high": 0.005, "low": "0.005"}, {"web_search": "0.005"}),
        ({"high": None, "low": 0.005}, {"web_search": "0.005"}),
        ({"high": "much", "low": 0.005}, {"web_search": "0.005"}),
        ({"high": "much"}, {}),
        ({}, {}),
    ],
    ids=["both", "one", "alike", "null", "one is no number", "no numbers", "none"],
)
def test_where_the_usual_size_of_a_search_has_no_price_the_dearest_counts(
    sizes: dict[str, Any], found: dict[str, str]
) -> None:
    per_query = {f"search_context_size_{size}": price for size, price in sizes.items()}
    reading = read({"input_cost_per_token": 1e-06, "search_context_cost_per_query": per_query})
    assert dollars(reading) == {"input_token": "1"} | found


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"mode": "audio_transcription", "input_cost_per_second": 0.0001}, {"audio_second": "0.0001"}),
        ({"mode": "audio_speech", "input_cost_per_character": 1.5e-05}, {"character": "15"}),
        ({"mode": "image_generation", "output_cost_per_image": 0.04}, {"image": "0.04"}),
        ({"mode": "image_generation", "input_cost_per_image": 0.04}, {"image": "0.04"}),
        ({"mode": "rerank", "input_cost_per_query": 0.002}, {"rerank_unit": "0.002"}),
        ({"mode": "search", "input_cost_per_query": 0.005}, {"web_search": "0.005"}),
        ({"mode": "chat", "input_cost_per_request": 0.005}, {"call": "0.005"}),
        (
            {"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_image_token": 3e-05},
            {"input_token": "1", "image_output_token": "30"},
        ),
        ({"mode": "video_generation", "output_cost_per_second": 0.1}, {"video_second": "0.1"}),
    ],
    ids=lambda each: str(each.get("mode", "")),
)
def test_what_is_billed_otherwise_than_by_tokens(entry: dict[str, Any], found: dict[str, str]) -> None:
    assert dollars(read(entry)) == found


def test_two_measures_of_the_same_are_not_both_charged() -> None:
    speech = {"mode": "audio_transcription", "input_cost_per_audio_token": 6e-06, "output_cost_per_token": 1e-05}
    assert "audio_second" not in dollars(read({**speech, "input_cost_per_second": 0.0001}))
    picture = {"mode": "image_generation", "output_cost_per_image_token": 3e-05, "output_cost_per_image": 0.039}
    assert dollars(read(picture)) == {"image_output_token": "30"}


def test_a_price_that_holds_anyway_is_left_out() -> None:
    found = read(
        {
            "input_cost_per_token": 1e-06,
            "input_cost_per_image_token": 1e-06,
            "input_cost_per_token_flex": 1e-06,
            "output_cost_per_token": 2e-06,
            "output_cost_per_reasoning_token": 2e-06,
        }
    )
    assert dollars(found) == {"input_token": "1", "output_token": "2"}


def test_embeddings_have_no_output_to_be_priced() -> None:
    assert dollars(read({"mode": "embedding", "input_cost_per_token": 1e-07, "output_cost_per_token": 0.0})) == {
        "input_token": "0.1"
    }


def test_fields_without_a_meter_are_named() -> None:
    entry = {"input_cost_per_token": 1e-06, "ocr_cost_per_page": 0.001, "off_peak_pricing": "half", "max_tokens": 5}
    assert read(entry).unknown == ("ocr_cost_per_page", "off_peak_pricing")


def test_prices_for_batches_are_not_ours_and_not_named() -> None:
    assert read({"input_cost_per_token": 1e-06, "input_cost_per_token_batches": 5e-07}).unknown == ()


@pytest.mark.parametrize(
    ("entry", "key", "problem"),
    [
        ({"max_tokens": 5}, "m", "no price of a kind"),
        ({"input_cost_per_token": 0.0, "output_cost_per_token": 0}, "m", "all its prices are 0"),
        ({"output_cost_per_image": 0.04}, "hd/1024-x-1024/m", "one size only"),
        ({"output_cost_per_image": 0.04}, "1024-x-1024/m", "one size only"),
        ({"input_cost_per_token": -1e-06}, "m", "is no price"),
        (
            {"input_cost_per_token": 1e-06, "search_context_cost_per_query": {"search_context_size_low": "NaN"}},
            "m",
            "`NaN` is no price",
        ),
        ({"input_cost_per_token": 1e-16}, "m", "`1E-16` is no price; give US dollars from 0 to 9223.37"),
        ({"input_cost_per_token_priority": 1e-06}, "m", "`input_token` has a price under conditions only"),
        ({"mode": "chat", "input_cost_per_token": 1e-06}, "m", "no price for `output_token`"),
        ({"mode": "responses", "output_cost_per_token": 1e-06}, "m", "no price for `input_token`"),
        ({"mode": "completion", "output_cost_per_image": 1}, "m", "no price for `input_token`, `output_token`"),
        (
            {"mode": "chat", "input_cost_per_request": 1, "input_cost_per_token": 1e-06},
            "m",
            "no price for `output_token`",
        ),
    ],
    ids=[
        *("none", "zero", "variant", "variant alone", "negative", "size of searches", "too fine"),
        *("conditions only", "no output"),
        *("no input", "neither", "fee and input"),
    ],
)
def test_an_entry_that_gives_no_prices_says_why(entry: dict[str, Any], key: str, problem: str) -> None:
    reading = read(entry, key)
    assert problem in reading.problem
    assert reading.prices == {}


@pytest.mark.parametrize(
    "number", ["1e999999999", "1e-999999999", "1e-2000000", "1e99999", "1" * 5_000 + ".0", "0." + "3" * 5_000]
)
@pytest.mark.parametrize("field", ["input_cost_per_token", "output_cost_per_image"])
def test_an_absurd_number_is_told_in_a_line(field: str, number: str) -> None:
    text = f'{{"m": {{"litellm_provider": "acme", "{field}": {number}}}}}'
    reading = read_entry("m", read_map(text.encode())["m"])
    assert "is no price" in reading.problem
    assert len(reading.problem) < 200


@pytest.mark.parametrize("value", [True, [], {"a": 1}, "much"])
def test_a_value_that_is_no_number_is_named(value: object) -> None:
    reading = read({"input_cost_per_token": value, "output_cost_per_token": 1e-06})
    assert dollars(reading) == {"output_token": "1"}
    assert reading.unknown[0].startswith("input_cost_per_token = ")


@pytest.mark.parametrize("value", [5, [1], [{"range": []}], [{"range": "x"}], [{"input_cost_per_token": 1}]])
def test_ranges_of_another_shape_are_named(value: object) -> None:
    assert read({"tiered_pricing": value, "input_cost_per_token": 1e-06}).unknown == ("tiered_pricing",)


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b'{"m": 5}', b'{"m": {"a": 1e}}', b"\xff"])
def test_a_file_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no price map"):
        read_map(data)


def test_the_description_of_the_format_is_no_model() -> None:
    assert read_map(b'{"sample_spec": {"mode": "one of"}, "m": {}}') == {"m": {}}
