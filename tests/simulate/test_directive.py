"""How an ending is ordered, and what is refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.vendors.simulate import (
    ANSWER_ONLY,
    TASK_ONLY,
    Directive,
    Outcome,
    directive_for,
    find_in_prompt,
    parse_header,
    without_marker,
)


@pytest.mark.parametrize("outcome", list(Outcome), ids=str)
@pytest.mark.parametrize("delay_s", [None, 0.0, 0.25, 3.0, 20.0, 86_400.0], ids=str)
def test_header_survives_writing_and_reading(outcome: Outcome, delay_s: float | None):
    directive = Directive(outcome=outcome, delay_s=delay_s)
    assert parse_header(directive.header()) == directive
    assert find_in_prompt(f"a teapot [[halley {directive.header()}]]") == directive


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("outcome=explode", "`never_finishes`", id="unknown-outcome-lists-all"),
        pytest.param("outcome=success; colour=red", "`colour=red` is not", id="unknown-key"),
        pytest.param("success", "`success` is not", id="no-key"),
        pytest.param("", "empty", id="empty"),
        pytest.param(" ; ", "empty", id="only-separators"),
        pytest.param("outcome=success;outcome=garbage", "more than once", id="twice"),
        pytest.param("delay=-1", "not a number of seconds", id="negative"),
        pytest.param("delay=nan", "not a number of seconds", id="not-a-number"),
        pytest.param("delay=1e3", "not a number of seconds", id="exponent"),
        pytest.param("delay=86401", "0 to 86400", id="over-a-day"),
        pytest.param("outcome=", "unknown test outcome", id="no-value"),
    ],
)
def test_header_that_cannot_be_read_is_refused_with_the_remedy(text: str, says: str):
    with pytest.raises(ValueError) as caught:
        parse_header(text)
    assert says in str(caught.value)


def test_header_wins_over_the_prompt():
    headers = [(b"Halley-Test", b"outcome=invalid")]
    assert directive_for(headers, "[[halley outcome=garbage]]").outcome is Outcome.INVALID


def test_without_an_order_it_is_a_success():
    assert directive_for([(b"accept", b"*/*")], "a teapot") == directive_for([], None) == Directive()


def test_header_given_twice_is_refused():
    with pytest.raises(ValueError, match="more than once"):
        directive_for([(b"halley-test", b"delay=1"), (b"halley-test", b"delay=2")], None)


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        pytest.param("[[halley outcome=success", "not closed", id="open"),
        pytest.param(f"[[halley {'x' * 300}]]", "not closed", id="too-long"),
        pytest.param("[[halley delay=1]] [[halley delay=2]]", "more than one", id="two"),
        pytest.param("[[halley]]", "empty", id="empty"),
    ],
)
def test_marker_that_cannot_be_read_is_refused(prompt: str, says: str):
    with pytest.raises(ValueError, match=says):
        find_in_prompt(prompt)


def test_words_that_only_look_alike_are_text():
    assert find_in_prompt("halley's comet [[halleys]] [halley outcome=garbage]") is None


def test_marker_is_cut_out_of_the_prompt():
    assert without_marker("a red [[halley outcome=success delay=1]] teapot") == "a red teapot"


@given(st.text())
def test_any_prompt_gives_a_directive_or_a_value_error(text: str):
    for prompt in (text, f"[[halley{text}]]"):
        try:
            find_in_prompt(prompt)
        except ValueError as error:
            message = str(error)
        else:
            continue
        assert message


def test_long_hostile_prompt_is_searched_quickly():
    began = time.perf_counter()
    with pytest.raises(ValueError):
        find_in_prompt("[[halley " * 200_000)
    without_marker(" " * 20_000 + "[[halley " * 20_000)
    assert time.perf_counter() - began < 2


def test_groups_of_outcomes_do_not_overlap():
    assert not ANSWER_ONLY & TASK_ONLY
    assert Outcome.SUCCESS not in ANSWER_ONLY | TASK_ONLY


def test_outcome_without_meaning_for_the_call_is_refused():
    with pytest.raises(ValueError, match="`never_finishes` has no meaning"):
        directive_for([(b"halley-test", b"outcome=never_finishes")], None, without=TASK_ONLY)
    assert directive_for([], "[[halley outcome=refusal]]", without=TASK_ONLY).outcome is Outcome.REFUSAL
