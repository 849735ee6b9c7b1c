import pytest

from halley.tasks.states import MOVES, OPEN, TaskState, ended, may_move


def test_what_has_ended_never_moves() -> None:
    for state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED):
        assert ended(state)
        assert not any(may_move(state, to) for to in TaskState)


def test_each_state_is_open_or_ended() -> None:
    assert {state for state in TaskState if not ended(state)} == set(OPEN)
    assert set(MOVES) == set(TaskState)


@pytest.mark.parametrize("seen", OPEN)
def test_nothing_moves_back_to_submitting(seen: TaskState) -> None:
    assert not may_move(seen, TaskState.SUBMITTING)


@pytest.mark.parametrize("seen", OPEN)
def test_nothing_stays_by_moving(seen: TaskState) -> None:
    assert not may_move(seen, seen)


def test_an_order_being_sent_can_neither_succeed_nor_be_cancelled() -> None:
    assert MOVES[TaskState.SUBMITTING] == {TaskState.RUNNING, TaskState.UNKNOWN, TaskState.FAILED}


def test_an_unknown_outcome_may_turn_out_to_be_anything() -> None:
    assert MOVES[TaskState.UNKNOWN] == set(TaskState) - {TaskState.UNKNOWN, TaskState.SUBMITTING}
