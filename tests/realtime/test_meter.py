"""What a realtime session's events count, without a session."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.catalogue.conditions import input_tokens
from halley.pipeline.answers import realtime_meter as meter
from halley.pipeline.answers.realtime_events import read_caller_event, session_model, with_session_model
from halley.pipeline.answers.realtime_meter import Context, Rates, Said, Told

WHOLE = {
    "input_tokens": 1_000,
    "output_tokens": 300,
    "input_token_details": {
        "text_tokens": 200,
        "audio_tokens": 700,
        "image_tokens": 100,
        "cached_tokens": 640,
        "cached_tokens_details": {"text_tokens": 128, "audio_tokens": 448, "image_tokens": 64},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 250},
}


def test_usage_is_parted_into_meters_that_do_not_overlap():
    assert meter.of_response(WHOLE) == {
        "call": 1,
        "audio_input_token": 252,
        "cached_audio_input_token": 448,
        "image_input_token": 36,
        "cached_image_input_token": 64,
        "input_token": 72,
        "cached_input_token": 128,
        "audio_output_token": 250,
        "output_token": 50,
    }


@pytest.mark.parametrize(
    ("usage", "quantities"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({"input_tokens": 0, "output_tokens": 0}, None, id="zeros"),
        pytest.param(
            {"input_tokens": 7, "output_tokens": 2}, {"call": 1, "input_token": 7, "output_token": 2}, id="totals"
        ),
        pytest.param(
            {"input_tokens": 9, "input_token_details": {"cached_tokens": 4}},
            {"call": 1, "input_token": 5, "cached_input_token": 4},
            id="cached without details",
        ),
    ],
)
def test_usage_is_read_as_far_as_it_is_told(usage: Any, quantities: dict[str, int] | None):
    assert meter.of_response(usage) == quantities


counts = st.one_of(st.integers(-5, 5_000), st.none(), st.booleans(), st.text(max_size=2))
details = st.fixed_dictionaries({f"{kind}_tokens": counts for kind in ("text", "audio", "image", "cached")})


@given(
    st.fixed_dictionaries(
        {
            "input_tokens": counts,
            "output_tokens": counts,
            "input_token_details": st.one_of(details, st.none()),
            "output_token_details": st.one_of(details, st.none()),
        }
    ),
    details,
)
def test_whatever_is_told_the_meters_add_up_to_the_totals(usage: dict[str, Any], cached: dict[str, Any]):
    if usage["input_token_details"] is not None:
        usage["input_token_details"]["cached_tokens_details"] = cached
    quantities = meter.of_response(usage)
    if quantities is None:
        return
    told = [usage[name] if isinstance(usage[name], int) else 0 for name in ("input_tokens", "output_tokens")]
    total_in, total_out = (max(0, int(each)) if not isinstance(each, bool) else 0 for each in told)
    assert all(count > 0 for count in quantities.values())
    assert input_tokens(quantities) == total_in
    assert quantities.get("output_token", 0) + quantities.get("audio_output_token", 0) == total_out


def test_a_transcription_is_told_in_seconds_or_in_tokens():
    model, words = "gpt-4o-transcribe", "one two"
    counted = {"call": 1, "audio_input_token": 21, "output_token": 2, "audio_second": 3}
    tokens = {"type": "tokens", "input_tokens": 3, "output_tokens": 1}
    assert meter.of_transcription(model, {"type": "duration", "seconds": 2.1}, 9.0, words) == counted
    assert meter.of_transcription(model, {"type": "duration", "seconds": "9"}, 2.1, words) == counted
    assert meter.of_transcription(model, tokens, 2.1, words) == {
        "call": 1,
        "input_token": 3,
        "output_token": 1,
        "audio_second": 3,
    }
    assert meter.of_transcription(model, None, 0.0, "") == {"call": 1}


def test_of_much_sound_that_nobody_writes_down_the_oldest_is_forgotten():
    heard = meter.Heard()
    for place in range(meter.HEARD_MAX + 1):
        heard.take("input_audio_buffer.append", "A" * (place + 1))
        heard.commit(f"item_{place}")
    heard.take("input_audio_buffer.append", "cleared")
    heard.clear()
    assert [heard.written_down(f"item_{place}") for place in (0, 1, 1)] == [0, 2, 0]


def test_a_turns_ceiling_grows_with_the_conversation_up_to_the_context():
    first = meter.turn_ceiling(None, Context())
    later = meter.turn_ceiling(None, Context(text=1_000, audio=4_000))
    last = meter.turn_ceiling(None, Context(text=100_000))
    assert later["audio_input_token"] == first["audio_input_token"] + 5_000
    assert last["audio_input_token"] == meter.CONTEXT_TOKENS_UNKNOWN
    assert meter.turn_ceiling(None, Context(), short=True)["audio_input_token"] < first["audio_input_token"]


@pytest.mark.parametrize(
    ("session", "rates"),
    [
        pytest.param({}, Rates(heard=48_000, spoken=48_000), id="unknown"),
        pytest.param({"input_audio_format": "g711_ulaw"}, Rates(heard=8_000, spoken=48_000), id="beta"),
        pytest.param(
            {"audio": {"output": {"format": {"type": "audio/pcma"}}}}, Rates(heard=48_000, spoken=8_000), id="current"
        ),
    ],
)
def test_the_sounds_format_is_read_from_the_session(session: dict[str, Any], rates: Rates):
    assert meter.rates_of(session) == rates


def test_what_broke_off_is_counted_from_what_was_seen():
    told, said = Told(), Said(began_at=0, first_at=1, texts=["one two", " three"], sound_characters=64_000)
    told.take("input_audio_buffer.append", "A" * 64_000)
    told.take("conversation.item.create", '{"item":{"id":"x","content":[{"type":"input_text","text":"four five"}]}}')
    told.take("conversation.item.create", "no json")
    quantities = meter.counted("gpt-realtime", Context(text=10, audio=20), told, said, Rates())
    assert quantities == {
        "call": 1,
        "cached_input_token": 10,
        "cached_audio_input_token": 20,
        "input_token": 2,
        "audio_input_token": 10,
        "output_token": 3,
        "audio_output_token": 20,
    }


@pytest.mark.parametrize(
    ("frame", "kind", "identity"),
    [
        pytest.param('{"type":"response.create"}', "response.create", None, id="plain"),
        pytest.param('{"event_id":"e","type":"response\\u002ecreate"}', "response.create", "e", id="escaped"),
        pytest.param('{"event_id":7,"type":"x"}', "x", None, id="odd id"),
        pytest.param('{"type":7}', "", None, id="odd type"),
        pytest.param("[1]", "", None, id="no object"),
        pytest.param('{"type":"x","a":' + "[" * 5_000, "", None, id="too deep"),
    ],
)
def test_a_callers_event_is_known_however_it_is_spelled(frame: str, kind: str, identity: str | None):
    assert read_caller_event(frame) == (kind, identity)


def test_the_model_of_an_update_is_replaced_and_nothing_else():
    frame = '{"type":"session.update","session":{"a":1.50,"model":"mine","b":[ 1 ]},"c":"\\u00fc"}'
    assert session_model(frame) == "mine"
    assert with_session_model(frame, "theirs") == frame.replace("mine", "theirs")


@pytest.mark.parametrize("session", ["null", "7", '"x"', '{"model":7}', "{}", '{"model":null}'])
def test_an_update_without_a_model_names_none(session: str):
    assert session_model(f'{{"type":"session.update","session":{session}}}') is None
