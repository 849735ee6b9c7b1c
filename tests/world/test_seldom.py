from halley.world.seldom import KINDS_MAX, TELL_EVERY_S, Seldom

KIND = ("vendor_call_failed", "ch_one")


def test_of_the_like_one_is_told_and_how_many_were_left_out() -> None:
    seldom = Seldom()
    assert [seldom.turn(KIND, 0.1 * number) for number in range(4)] == [0, None, None, None]
    assert [seldom.turn(KIND, TELL_EVERY_S + 0.1), seldom.turn(KIND, 2 * TELL_EVERY_S + 0.1)] == [3, 0]


def test_other_kinds_are_told_beside_it() -> None:
    seldom = Seldom()
    assert [seldom.turn(kind, 0) for kind in (KIND, ("channel_rests", "ch_one"), KIND)] == [0, 0, None]


def test_what_is_kept_is_bounded() -> None:
    seldom = Seldom()
    seldom.turn(KIND, 0)
    for number in range(KINDS_MAX):
        seldom.turn(("other", str(number)), 0)
    assert [seldom.turn(KIND, 0), seldom.turn(("other", "9"), 0)] == [0, None]
