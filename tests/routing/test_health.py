from halley.routing.health import FAILURES_MAX, REST_S, Health

CHANNEL, SUBMIT = "ch_one", "submit"


def ill(now_s: float = 0.0) -> Health:
    health = Health()
    for _ in range(FAILURES_MAX):
        health.failed(CHANNEL, SUBMIT, now_s)
    return health


def test_a_few_failures_do_no_harm() -> None:
    health = Health()
    for _ in range(FAILURES_MAX - 1):
        health.failed(CHANNEL, SUBMIT, 0)
    assert health.may_try(CHANNEL, SUBMIT, 0)
    assert health.resting() == []


def test_a_success_in_between_forgets_the_failures() -> None:
    health = Health()
    for _ in range(3 * FAILURES_MAX):
        health.failed(CHANNEL, SUBMIT, 0)
        health.succeeded(CHANNEL, SUBMIT)
    assert health.may_try(CHANNEL, SUBMIT, 0)


def test_failures_in_a_row_give_the_channel_a_rest() -> None:
    health = ill()
    assert not health.may_try(CHANNEL, SUBMIT, 0)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S - 0.001)
    assert health.resting() == [(CHANNEL, SUBMIT)]


def test_an_ill_operation_leaves_other_operations_and_channels_alone() -> None:
    health = ill()
    assert health.may_try(CHANNEL, "poll", 0)
    assert health.may_try("ch_two", SUBMIT, 0)


def test_after_the_rest_one_call_is_let_through_to_see() -> None:
    health = ill()
    assert health.may_try(CHANNEL, SUBMIT, REST_S)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S)


def test_a_probe_that_goes_well_opens_the_channel() -> None:
    health = ill()
    health.may_try(CHANNEL, SUBMIT, REST_S)
    health.succeeded(CHANNEL, SUBMIT)
    assert health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.resting() == []


def test_a_probe_that_fails_gives_another_rest() -> None:
    health = ill()
    health.may_try(CHANNEL, SUBMIT, REST_S)
    health.failed(CHANNEL, SUBMIT, REST_S)
    assert not health.may_try(CHANNEL, SUBMIT, 2 * REST_S - 0.001)
    assert health.may_try(CHANNEL, SUBMIT, 2 * REST_S)


def test_a_probe_of_which_nothing_is_heard_does_not_shut_the_channel_for_good() -> None:
    # E.g. the order was not sent after all: an upload before it failed, or its caller's field could not be conveyed.
    health = ill()
    assert health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.may_try(CHANNEL, SUBMIT, 2 * REST_S)
