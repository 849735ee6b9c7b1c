"""What a simulated chat answers, and how its words, vectors and cached tokens are reckoned."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.chat import StopReason, ToolMode
from halley.vendors.simulate import (
    Ask,
    Directive,
    Outcome,
    PrefixCache,
    ToolSpec,
    count,
    embed,
    pieces,
    plan_chat,
    portions,
    reply_text,
)

WEATHER = ToolSpec(
    name="get_weather",
    schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
TIME = ToolSpec(name="get_time")


def ask(prompt: str = "Hello", outcome: Outcome = Outcome.SUCCESS, **fields: object) -> Ask:
    # Each test says which fields it gives, and msgspec checks none of them: pyright does where they are named.
    values: dict[str, object] = {"model": "m", "prompt": prompt, "directive": Directive(outcome=outcome), **fields}
    return Ask(**values)  # pyright: ignore[reportArgumentType] - see above


def test_an_answer_says_that_it_is_simulated_and_quotes_the_question():
    plan = plan_chat(ask("What is the [[halley outcome=success]] time?", notes=("saw an image of 640x480",), turns=3))
    assert "simulated answer of m" in plan.text
    assert "“What is the time?”" in plan.text
    assert "I saw an image of 640x480." in plan.text
    assert "turn 3" in plan.text
    assert (plan.stop, plan.usage.output) == (StopReason.END, count(plan.text))


def test_the_same_question_gets_the_same_answer_and_variants_differ():
    assert plan_chat(ask()) == plan_chat(ask())
    assert len({plan_chat(ask(variant=number)).text for number in range(5)}) > 1


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["get_weather"]),
        ({"prompt": "tell me both"}, ["get_weather", "get_time"]),
        ({"prompt": "tell me both", "allows_parallel": False}, ["get_weather"]),
        ({"prompt": "in parallel", "tools": (TIME,)}, ["get_time", "get_time"]),
        ({"tool_mode": ToolMode.NONE}, []),
        ({"tool_mode": ToolMode.REQUIRED, "tool_name": "get_time"}, ["get_time"]),
        ({"tool_results": ("12 C",)}, []),
        ({"tool_results": ("12 C",), "tool_mode": ToolMode.REQUIRED}, ["get_weather"]),
        ({"tool_results": ("12 C",), "outcome": Outcome.TOOL_CALL}, ["get_weather"]),
    ],
    ids=str,
)
def test_tools_are_called_when_they_should_be(fields: dict[str, object], names: list[str]):
    plan = plan_chat(ask(**{"tools": (WEATHER, TIME), **fields}))  # pyright: ignore[reportArgumentType] - a table of fields
    assert [call.name for call in plan.calls] == names
    assert plan.stop is (StopReason.TOOLS if names else StopReason.END)
    assert all(isinstance(json.loads(call.arguments), dict) for call in plan.calls)


def test_arguments_conform_to_the_tools_schema():
    assert json.loads(plan_chat(ask(tools=(WEATHER,))).calls[0].arguments) == {"city": "simulated city"}


def test_results_of_tools_are_told():
    assert "got “12 C” from a tool" in plan_chat(ask(tools=(WEATHER,), tool_results=("12 C",))).text


def test_an_ordered_tool_call_without_tools_is_an_error():
    with pytest.raises(ValueError, match="needs a request with tools"):
        plan_chat(ask(outcome=Outcome.TOOL_CALL))


def test_json_is_answered_where_json_is_wanted():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert isinstance(json.loads(plan_chat(ask(schema=schema)).text)["n"], int)
    assert json.loads(plan_chat(ask(wants_json=True)).text)["simulated"] is True


@pytest.mark.parametrize(
    ("outcome", "stop"),
    [
        (Outcome.LENGTH, StopReason.LENGTH),
        (Outcome.CONTENT_MODERATED, StopReason.FILTERED),
        (Outcome.REFUSAL, StopReason.REFUSED),
    ],
)
def test_an_ordered_ending_stops_the_answer(outcome: Outcome, stop: StopReason):
    plan, usual = plan_chat(ask(outcome=outcome)), plan_chat(ask())
    assert plan.stop is stop
    assert usual.text.startswith(plan.text)
    assert len(plan.text) < len(usual.text)
    assert bool(plan.refusal) is (outcome is Outcome.REFUSAL)


def test_a_stop_sequence_ends_the_text_before_it():
    plan = plan_chat(ask(stop=("no model", "never there")))
    assert plan.text.endswith("of m: ")
    assert (plan.stop, plan.stop_sequence) == (StopReason.STOP_SEQUENCE, "no model")


@given(st.integers(0, 200), st.booleans(), st.booleans())
def test_never_more_tokens_than_allowed(tokens_max: int, thinks: bool, has_tools: bool):
    plan = plan_chat(ask(output_tokens_max=tokens_max, thinks=thinks, tools=(WEATHER,) if has_tools else ()))
    assert plan.usage.output <= tokens_max or plan.stop is not StopReason.LENGTH
    assert plan.usage.reasoning == count(plan.reasoning)
    assert (plan.stop is StopReason.LENGTH) == (
        plan.usage.output <= tokens_max and not _fits(tokens_max, thinks, has_tools)
    )


def _fits(tokens_max: int, thinks: bool, has_tools: bool) -> bool:
    whole = plan_chat(ask(thinks=thinks, tools=(WEATHER,) if has_tools else ()))
    return whole.usage.output <= tokens_max


def test_thoughts_are_counted_apart_and_within_the_output():
    plan = plan_chat(ask(outcome=Outcome.REASONING))
    assert plan.usage.reasoning == count(plan.reasoning) > 0
    assert plan.usage.output == plan.usage.reasoning + count(plan.text)


# words


@given(st.text(max_size=200))
def test_pieces_make_the_text_again(text: str):
    assert "".join(pieces(text)) == text == "".join(portions(text))
    assert count(text) == len(pieces(text))


def test_a_long_text_is_streamed_in_a_bounded_number_of_portions():
    assert len(portions("word " * 10_000)) <= 500


def test_a_wide_character_is_a_piece():
    assert count("你好世界") == 4


def test_a_reply_is_a_few_sentences():
    assert 3 <= reply_text("m", "Hi").count(".") <= 9


# vectors


def near(first: str, second: str) -> float:
    return sum(one * other for one, other in zip(embed(first, 512), embed(second, 512), strict=True))


@given(st.text(max_size=60), st.integers(1, 300))
def test_a_vector_has_the_asked_dimensions_and_length_one(text: str, dimensions: int):
    vector = embed(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(sum(value * value for value in vector), 1, abs_tol=1e-9)
    assert vector == embed(text, dimensions)


def test_similar_texts_are_closer_than_others():
    cats = "The cat sat on the mat"
    assert (
        near(cats, "the cat sat on a mat.")
        > near(cats, "A cat was sitting there")
        > near(cats, "Quarterly revenue fell")
    )


@pytest.mark.parametrize("dimensions", [0, 20_000])
def test_dimensions_out_of_bounds_are_refused(dimensions: int):
    with pytest.raises(ValueError, match="out of bounds"):
        embed("x", dimensions)


# the prompt cache


def test_a_prompt_seen_before_is_cached_in_whole_blocks():
    cache, prompt = PrefixCache(), "word " * 2_000
    assert cache.cached("a", [prompt]) == 0
    known = cache.cached("a", [prompt, "and more"])
    assert 1_024 <= known <= count(prompt)
    assert known % 128 == 0


def test_a_short_prompt_or_another_account_has_nothing_cached():
    cache, prompt = PrefixCache(), "word " * 2_000
    cache.cached("a", [prompt])
    assert cache.cached("b", [prompt]) == 0
    assert [cache.cached("a", ["short"]) for _ in range(2)] == [0, 0]


def test_the_cache_forgets_the_oldest():
    cache = PrefixCache()
    prompts = [f"{number} " + "word " * 2_000 for number in range(600)]
    for prompt in prompts:
        cache.cached("a", [prompt])
    assert cache.cached("a", [prompts[-1]]) > 0
    assert cache.cached("a", [prompts[0]]) == 0


def test_a_refusal_or_a_call_is_cut_to_the_limit_too():
    refused = plan_chat(ask(outcome=Outcome.REFUSAL, output_tokens_max=3))
    assert (count(refused.refusal), refused.stop) == (3, StopReason.LENGTH)
    called = plan_chat(ask(tools=(WEATHER,), output_tokens_max=7))
    assert WEATHER.name.startswith(called.calls[0].name)
    assert called.usage.output <= 7
