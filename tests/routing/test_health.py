from halley.routing.health import ASKED_REST_S_MAX, FAILURES_MAX, MODELS_MAX, REST_S, Health, Rest

CHANNEL, SUBMIT, MODEL = "ch_one", "submit", "gpt-4o-mini"


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


def test_a_probe_that_has_begun_lets_others_through_until_one_fails() -> None:
    health = ill()
    health.may_try(CHANNEL, SUBMIT, REST_S)
    health.began(CHANNEL, SUBMIT)
    assert health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.resting() == []
    health.failed(CHANNEL, SUBMIT, REST_S)
    assert not health.may_try(CHANNEL, SUBMIT, 2 * REST_S - 0.001)


def test_what_has_begun_forgets_no_failures_and_ends_no_rest() -> None:
    health = Health()
    for _ in range(FAILURES_MAX):
        health.began(CHANNEL, SUBMIT)
        health.failed(CHANNEL, SUBMIT, 0)
    health.began(CHANNEL, SUBMIT)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S - 0.001)


def test_a_probe_that_fails_gives_another_rest() -> None:
    health = ill()
    health.may_try(CHANNEL, SUBMIT, REST_S)
    health.failed(CHANNEL, SUBMIT, REST_S)
    assert not health.may_try(CHANNEL, SUBMIT, 2 * REST_S - 0.001)
    assert health.may_try(CHANNEL, SUBMIT, 2 * REST_S)


def test_a_probe_that_says_nothing_of_the_channels_health_leaves_its_place_to_the_next_call() -> None:
    health = ill()
    assert health.may_try(CHANNEL, SUBMIT, REST_S)
    health.not_told(CHANNEL, SUBMIT, REST_S + 1)
    assert health.resting() == [(CHANNEL, SUBMIT)]
    assert health.may_try(CHANNEL, SUBMIT, REST_S + 1)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S + 1)


def test_what_says_nothing_of_the_channels_health_is_no_success() -> None:
    health = Health()
    health.not_told(CHANNEL, SUBMIT, 0)
    for _ in range(FAILURES_MAX):
        health.failed(CHANNEL, SUBMIT, 0)
        health.not_told(CHANNEL, "poll", 0)
    assert not health.may_try(CHANNEL, SUBMIT, 0)


def test_a_probe_of_which_nothing_is_heard_does_not_shut_the_channel_for_good() -> None:
    # E.g. the order was not sent after all: an upload before it failed, or its caller's field could not be conveyed.
    health = ill()
    assert health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.may_try(CHANNEL, SUBMIT, 2 * REST_S)


def test_a_channel_rests_for_as_long_as_its_vendor_asked() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 100, 30)
    assert not health.may_try(CHANNEL, SUBMIT, 129.9)
    assert health.resting() == health.resting(129.9) == [(CHANNEL, SUBMIT)]
    assert health.resting(130) == []
    assert health.may_try(CHANNEL, SUBMIT, 130)
    assert health.may_try(CHANNEL, SUBMIT, 130)
    assert health.resting() == []


def test_a_rest_that_was_asked_for_leaves_other_operations_and_channels_alone() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 0, 30)
    assert health.may_try(CHANNEL, "poll", 0)
    assert health.may_try("ch_two", SUBMIT, 0)


def test_no_vendor_gets_a_rest_without_end() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 0, 1e9)
    assert not health.may_try(CHANNEL, SUBMIT, ASKED_REST_S_MAX - 1)
    assert health.may_try(CHANNEL, SUBMIT, ASKED_REST_S_MAX)


def test_of_several_rests_the_longest_counts_and_none_is_no_rest() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 0, 30)
    health.rest(CHANNEL, SUBMIT, 1, 5)
    assert not health.may_try(CHANNEL, SUBMIT, 29)
    for seconds in (0, -5, float("nan")):
        health.rest("ch_two", SUBMIT, 0, seconds)
    assert health.may_try("ch_two", SUBMIT, 0)


def test_a_call_that_went_well_beside_does_not_end_the_rest() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 0, 30)
    health.succeeded(CHANNEL, SUBMIT)
    assert not health.may_try(CHANNEL, SUBMIT, 1)


def test_after_the_rest_that_was_asked_for_an_ill_channel_is_still_only_probed() -> None:
    health = ill()
    health.rest(CHANNEL, SUBMIT, 0, 30)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.may_try(CHANNEL, SUBMIT, 30)
    assert not health.may_try(CHANNEL, SUBMIT, 30)
    assert health.resting(30) == [(CHANNEL, SUBMIT)]


def test_a_rest_that_was_asked_for_one_model_leaves_the_others_alone() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 0, 30, MODEL)
    assert not health.may_try(CHANNEL, SUBMIT, 29, MODEL)
    assert health.may_try(CHANNEL, SUBMIT, 29, "gpt-5.4")
    assert health.may_try(CHANNEL, SUBMIT, 30, MODEL)


def test_a_model_that_is_busy_again_and_again_rests_alone() -> None:
    health = Health()
    for _ in range(FAILURES_MAX):
        health.failed(CHANNEL, SUBMIT, 0, MODEL)
    assert not health.may_try(CHANNEL, SUBMIT, 0, MODEL)
    assert health.may_try(CHANNEL, SUBMIT, 0, "gpt-5.4")
    health.succeeded(CHANNEL, SUBMIT, "gpt-5.4")
    assert not health.may_try(CHANNEL, SUBMIT, 0, MODEL)
    assert health.may_try(CHANNEL, SUBMIT, REST_S, MODEL)
    health.succeeded(CHANNEL, SUBMIT, MODEL)
    assert health.may_try(CHANNEL, SUBMIT, REST_S, MODEL)


def test_a_channel_whose_model_rests_is_up() -> None:
    health = Health()
    health.rest(CHANNEL, SUBMIT, 0, 30, MODEL)
    assert health.resting() == health.resting(1) == []


def test_a_channel_that_is_ill_rests_for_all_its_models() -> None:
    health = ill()
    assert not health.may_try(CHANNEL, SUBMIT, 0, MODEL)
    assert health.may_try(CHANNEL, SUBMIT, REST_S, MODEL)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S, "gpt-5.4")


def test_what_is_left_of_a_rest_is_told_and_whether_its_vendor_is_busy() -> None:
    health = ill()
    assert health.left(CHANNEL, SUBMIT, 5) == Rest(seconds=REST_S - 5, busy=False)
    health.rest(CHANNEL, SUBMIT, 5, 30, MODEL)
    assert health.left(CHANNEL, SUBMIT, 5, MODEL) == Rest(seconds=30, busy=True)
    assert health.left(CHANNEL, SUBMIT, 5, "gpt-5.4") == Rest(seconds=REST_S - 5, busy=False)
    assert health.left("ch_two", SUBMIT, 5, MODEL) is None
    health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.left(CHANNEL, SUBMIT, REST_S) == Rest(seconds=REST_S, busy=False)


def test_models_that_callers_think_up_do_not_fill_the_memory() -> None:
    health = Health()
    for number in range(MODELS_MAX + 10):
        health.rest(CHANNEL, SUBMIT, 0, 30, f"model-{number}")
        health.failed(CHANNEL, SUBMIT, 0, f"model-{number}")
    assert health.left(CHANNEL, SUBMIT, 0, "model-9") is None
    assert health.left(CHANNEL, SUBMIT, 0, "model-10") == Rest(seconds=30, busy=True)


def test_what_says_nothing_of_the_channels_health_shortens_no_rest() -> None:
    health = ill()
    health.not_told(CHANNEL, SUBMIT, 1)
    assert not health.may_try(CHANNEL, SUBMIT, REST_S - 1)


def test_each_rest_is_told_once_when_it_begins() -> None:
    health = Health()
    told = [health.failed(CHANNEL, SUBMIT, 0) for _ in range(FAILURES_MAX + 1)]
    assert told == [0.0] * (FAILURES_MAX - 1) + [REST_S, 0.0]
    health.may_try(CHANNEL, SUBMIT, REST_S)
    assert health.failed(CHANNEL, SUBMIT, REST_S) == REST_S
    assert [health.rest(CHANNEL, SUBMIT, at, 30) for at in (0, 1, 40)] == [30, 0, 30]


def test_only_a_success_that_ends_an_illness_says_so() -> None:
    health = Health()
    assert not health.succeeded(CHANNEL, SUBMIT)
    health.failed(CHANNEL, SUBMIT, 0)
    assert not health.succeeded(CHANNEL, SUBMIT)
    health = ill()
    assert health.succeeded(CHANNEL, SUBMIT, MODEL)
    assert not health.succeeded(CHANNEL, SUBMIT, MODEL)
