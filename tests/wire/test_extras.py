import pytest

from halley.kernel.chat import ChatOrder
from halley.kernel.faults import NotConveyed
from halley.wire.extras import refuse_extras
from halley.wire.reasoning import BUDGETS, budget_of, effort_of

ORDER = ChatOrder(model="m", messages=(), extras={"verbosity": "low", "logit_bias": {"1": 2}})


def test_an_extra_is_refused_by_name():
    with pytest.raises(NotConveyed, match="`logit_bias` cannot be conveyed to") as caught:
        refuse_extras(ORDER, ("verbosity",))
    assert caught.value.param == "logit_bias"


def test_known_extras_are_not_refused():
    refuse_extras(ORDER, ORDER.extras)


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_words_for_thinking_come_back_from_their_budgets(effort: str):
    assert effort_of(budget_of(effort, None)) == effort


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1_024, "low"), (2_048, "low"), (2_049, "medium"), (8_192, "medium"), (8_193, "high"), (100_000, "high")],
)
def test_budgets_have_words(budget: int, effort: str):
    assert effort_of(budget) == effort


@pytest.mark.parametrize(
    ("output_max", "budget"),
    [
        pytest.param(None, 16_384, id="no maximum"),
        pytest.param(64_000, 16_384, id="room enough"),
        pytest.param(4_096, 3_072, id="a quarter is left for the answer"),
        pytest.param(100, 1_024, id="never under the least"),
    ],
)
def test_a_budget_leaves_room_for_the_answer(output_max: int | None, budget: int):
    assert budget_of("high", output_max) == budget


def test_an_unknown_word_for_thinking_is_refused():
    with pytest.raises(NotConveyed, match="`enormous` is none of minimal, low") as caught:
        budget_of("enormous", None)
    assert caught.value.param == "reasoning_effort"
    assert "enormous" not in BUDGETS
