"""Holds, posts, voids and credits, one behaviour each, on both databases."""

from collections.abc import Awaitable, Callable

import pytest
from tests.books import CALLER, LEDGER, Books

from halley.db import Tx
from halley.kernel.faults import Fault, OutOfFunds
from halley.kernel.money import NANOS_PER_DOLLAR, Nanos
from halley.ledger import store as ledger
from halley.ledger.model import AccountKind, Adjustment, Posted, TransferKind
from halley.ledger.rules import AMOUNT_MAX, BALANCE_MAX, RESOLVING

Act = Callable[[Books], Awaitable[object]]


def posted(held: int, used: int, excess: int = 0, shortfall: int = 0, *, repeated: bool = False) -> Posted:
    amounts = [Nanos(amount) for amount in (held, used, excess, shortfall)]
    return Posted(held=amounts[0], posted=amounts[1], excess=amounts[2], shortfall=amounts[3], repeated=repeated)


async def test_a_hold_lowers_what_is_left_and_a_void_gives_it_back(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    assert await books.left() == 70
    assert not (await books.void("hold_1")).repeated
    assert await books.left() == 100
    assert await books.differences() == ()


async def test_a_post_takes_what_was_used_and_frees_the_rest(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    assert await books.post("hold_1", 12) == posted(30, 12)
    assert await books.left() == 88
    assert await books.differences() == ()


async def test_use_above_the_hold_is_taken_from_what_is_left(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    result = await books.post("hold_1", 50)
    assert result == posted(30, 30, excess=20)
    assert result.charged == 50
    assert await books.left() == 50
    assert await books.differences() == ()


@pytest.mark.parametrize(
    "limit_nanos", [100, 10], ids=["an account with something left", "an account beyond its limit"]
)
async def test_what_was_used_with_no_hold_is_taken_from_what_is_left_and_then_from_the_shortfall(
    books: Books, limit_nanos: int
):
    await books.open(kind=AccountKind.POSTPAID, limit_nanos=Nanos(100))
    await books.hold("hold_1", 80)
    await books.db.write("limit", lambda tx: tx.run("UPDATE ledger_accounts SET limit_nanos = :n", {"n": limit_nanos}))
    for _ in range(2):
        request = books.request("hold_2", 0)
        await books.db.write("hold", lambda tx, request=request: ledger.hold_nothing(tx, request))
    left = max(0, limit_nanos - 80)
    assert await books.post("hold_2", 50) == posted(0, 0, excess=left, shortfall=50 - left)
    assert await books.differences() == ()


async def test_use_that_the_account_can_not_pay_goes_to_the_shortfall(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    await books.hold("hold_2", 60)
    assert await books.post("hold_1", 50) == posted(30, 30, excess=10, shortfall=10)
    assert await books.left() == 0
    balances = await books.db.read(lambda tx: ledger.system_balances(tx, livemode=True))
    assert (balances.revenue, balances.funding, balances.shortfall) == (50, -100, -10)
    assert await books.differences() == ()


async def test_a_post_of_nothing_frees_the_hold(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    assert await books.post("hold_1", 0) == posted(30, 0)
    assert await books.left() == 100


async def test_a_postpaid_account_without_limit_is_never_refused(books: Books):
    await books.open(kind=AccountKind.POSTPAID)
    await books.hold("hold_1", 5 * NANOS_PER_DOLLAR)
    assert await books.post("hold_1", 6 * NANOS_PER_DOLLAR) == posted(
        5 * NANOS_PER_DOLLAR, 5 * NANOS_PER_DOLLAR, excess=NANOS_PER_DOLLAR
    )
    assert await books.left() is None
    assert await books.differences() == ()


async def test_a_postpaid_account_may_owe_up_to_its_limit_beside_its_credit(books: Books):
    await books.open(kind=AccountKind.POSTPAID, limit_nanos=100, credit=10)
    await books.hold("hold_1", 110)
    assert await books.left() == 0
    with pytest.raises(OutOfFunds):
        await books.hold("hold_2", 1)


async def test_a_repeated_hold_answers_the_first_and_holds_once(books: Books):
    await books.open(credit=100)
    first = await books.hold("hold_1", 60)
    assert await books.hold("hold_1", 60, boot_id="boot_two") == first
    assert await books.left() == 40
    await books.void("hold_1")
    assert await books.hold("hold_1", 60) == first
    assert await books.left() == 100
    assert await books.differences() == ()


async def test_a_repeated_hold_answers_the_first_even_when_nothing_is_left(books: Books):
    await books.open(credit=60)
    first = await books.hold("hold_1", 60)
    assert await books.hold("hold_1", 60) == first


async def test_a_repeated_post_answers_the_first_whatever_its_amount(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    await books.post("hold_1", 200)
    assert await books.post("hold_1", 7) == posted(30, 30, excess=70, shortfall=100, repeated=True)
    assert await books.differences() == ()


async def test_a_repeated_void_answers_the_first(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    await books.void("hold_1")
    again = await books.void("hold_1")
    assert (again.held, again.repeated) == (30, True)
    assert await books.left() == 100


async def test_a_repeated_credit_is_booked_once(books: Books):
    await books.open()
    first = await books.credit("credit_1", 70, note="invoice 1")
    assert await books.credit("credit_1", 70, note="invoice 1") == first
    assert await books.left() == 70
    assert await books.differences() == ()


ERRORS: dict[str, tuple[Act, str]] = {
    "hold more than is left": (lambda b: b.hold("new", 101), "insufficient_quota"),
    "hold on an account that is not there": (
        lambda b: b.hold("new", 1, ledger_account_id="acct_x.live", account_id="acct_x"),
        "ledger_account_not_found",
    ),
    "hold on another's account": (lambda b: b.hold("new", 1, account_id="acct_x"), "ledger_account_not_found"),
    "hold in the other mode": (lambda b: b.hold("new", 1, livemode=False), "ledger_account_not_found"),
    "hold a negative amount": (lambda b: b.hold("new", -1), "amount_out_of_range"),
    "hold more than the books carry": (lambda b: b.hold("new", AMOUNT_MAX + 1), "amount_out_of_range"),
    "hold with the id of a hold of another amount": (lambda b: b.hold("hold_open", 2), "transfer_id_reused"),
    "hold with the id of a hold of another order": (
        lambda b: b.hold("hold_open", 1, order_id="other"),
        "transfer_id_reused",
    ),
    "hold with the id of a credit": (lambda b: b.hold(f"credit_{LEDGER}", 1), "transfer_id_reused"),
    "post what was never held": (lambda b: b.post("hold_nowhere", 1), "hold_not_found"),
    "post a credit": (lambda b: b.post(f"credit_{LEDGER}", 1), "hold_not_found"),
    "post what was voided": (lambda b: b.post("hold_voided", 1), "hold_voided"),
    "post a negative amount": (lambda b: b.post("hold_open", -1), "amount_out_of_range"),
    "post more than the books carry": (lambda b: b.post("hold_open", AMOUNT_MAX + 1), "amount_out_of_range"),
    "void what was never held": (lambda b: b.void("hold_nowhere"), "hold_not_found"),
    "void what was posted": (lambda b: b.void("hold_posted"), "hold_posted"),
    "credit nothing": (lambda b: b.credit("new", 0), "amount_out_of_range"),
    "credit a negative amount": (lambda b: b.credit("new", -5), "amount_out_of_range"),
    "credit an account that is not there": (lambda b: b.credit("new", 5, "acct_x.live"), "ledger_account_not_found"),
    "credit with the id of another amount": (lambda b: b.credit(f"credit_{LEDGER}", 5), "transfer_id_reused"),
    "credit with the id of another note": (
        lambda b: b.credit(f"credit_{LEDGER}", 104, note="other"),
        "transfer_id_reused",
    ),
    "take back more than is left": (lambda b: adjust(b, "new", -101), "insufficient_quota"),
    "correct by nothing": (lambda b: adjust(b, "new", 0), "amount_out_of_range"),
    "correct a transfer that is not there": (lambda b: adjust(b, "new", 1, corrects="x"), "hold_not_found"),
    "correct a hold, which moves no money": (lambda b: adjust(b, "new", 1, corrects="hold_posted"), "not_correctable"),
    "correct a void": (lambda b: correct_end(b, "hold_voided", 1), "not_correctable"),
    "give back more than was charged": (lambda b: correct_end(b, "hold_posted", 2), "amount_out_of_range"),
}


def adjust(books: Books, transfer_id: str, amount: int, corrects: str = f"credit_{LEDGER}") -> Awaitable[object]:
    adjustment = Adjustment(
        id=transfer_id,
        ledger_account_id=LEDGER,
        amount=amount,
        corrects=corrects,
        note="goodwill",
        now=books.clock.now(),
    )
    return books.db.write("adjust", lambda tx: ledger.adjust(tx, adjustment))


async def end_of(books: Books, hold_id: str) -> str:
    children = await books.db.read(lambda tx: ledger.transfers_of_hold(tx, hold_id))
    return next(child.id for child in children if child.kind in RESOLVING)


async def correct_end(books: Books, hold_id: str, amount: int) -> None:
    await adjust(books, "new", amount, corrects=await end_of(books, hold_id))


@pytest.mark.parametrize(("act", "code"), ERRORS.values(), ids=ERRORS.keys())
async def test_what_can_not_be_booked_is_refused_and_changes_nothing(books: Books, act: Act, code: str):
    await books.open(credit=104)
    for hold_id in ("hold_open", "hold_posted", "hold_voided"):
        await books.hold(hold_id, 1)
    await books.post("hold_posted", 3)
    await books.void("hold_voided")
    before = await books.account()
    with pytest.raises(Fault) as refused:
        await act(books)
    assert refused.value.code == code
    assert await books.account() == before
    assert await books.differences() == ()


async def test_a_unit_may_go_on_after_a_refusal(books: Books):
    await books.open(credit=100)

    def unit(tx: Tx) -> None:
        with pytest.raises(OutOfFunds):
            ledger.hold(tx, books.request("hold_1", 101))
        ledger.hold(tx, books.request("hold_1", 100))

    await books.db.write("hold", unit)
    assert await books.left() == 0
    assert await books.differences() == ()


async def test_the_refusal_names_what_was_needed_and_what_is_left(books: Books):
    await books.open(credit=NANOS_PER_DOLLAR // 2)
    with pytest.raises(OutOfFunds, match=r"needs \$0.75, and \$0.5 is left on the account; add credit"):
        await books.hold("hold_1", NANOS_PER_DOLLAR * 3 // 4)


async def test_the_books_never_leave_64_bits(books: Books):
    await books.open(kind=AccountKind.POSTPAID)
    for n in range(2):
        await books.hold(f"hold_{n}", AMOUNT_MAX)
    with pytest.raises(Fault) as refused:
        await books.hold("hold_2", 1)
    assert refused.value.code == "amount_out_of_range"
    assert await books.post("hold_0", AMOUNT_MAX) == posted(AMOUNT_MAX, AMOUNT_MAX)
    await books.void("hold_1")
    await books.hold("hold_3", 1)
    assert await books.post("hold_3", AMOUNT_MAX) == posted(1, 1, excess=AMOUNT_MAX - 1)
    assert (await books.account()).debits_posted == BALANCE_MAX
    assert await books.differences() == ()


async def test_credit_stops_where_the_books_end(books: Books):
    await books.open(credit=AMOUNT_MAX)
    await books.credit("credit_2", AMOUNT_MAX)
    with pytest.raises(Fault) as refused:
        await books.credit("credit_3", 1)
    assert refused.value.code == "amount_out_of_range"


async def test_corrections_go_both_ways_and_name_what_they_correct(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 30)
    await books.post("hold_1", 30)
    charge = await end_of(books, "hold_1")
    await adjust(books, "adjust_1", 10, corrects=charge)
    await adjust(books, "adjust_2", -4, corrects=charge)
    assert await books.left() == 76
    children = await books.db.read(lambda tx: ledger.transfers_of_hold(tx, charge))
    assert [child.kind for child in children] == [TransferKind.ADJUST] * 2
    assert await books.post("hold_1", 30) == posted(30, 30, repeated=True)
    assert await books.differences() == ()


async def test_a_credit_that_is_taken_back_leaves_nothing_with_the_house(books: Books):
    await books.open(credit=100)
    await adjust(books, "adjust_1", -60, corrects=f"credit_{LEDGER}")
    await adjust(books, "adjust_2", 5)
    balances = await books.db.read(lambda tx: ledger.system_balances(tx, livemode=True))
    assert (await books.left(), balances.revenue, balances.funding) == (45, 0, -45)
    assert await books.differences() == ()


async def test_no_more_is_reversed_than_a_transfer_came_to(books: Books):
    await books.open(credit=100)
    await books.credit("credit_2", 50)
    await books.hold("hold_1", 30)
    await books.post("hold_1", 30)
    charge = await end_of(books, "hold_1")
    first = await adjust(books, "adjust_1", 20, corrects=charge)
    with pytest.raises(Fault, match=r"\$0.00000001 is left of `tr_"):
        await adjust(books, "adjust_2", 11, corrects=charge)
    assert await adjust(books, "adjust_3", 10, corrects=charge)
    assert await adjust(books, "adjust_1", 20, corrects=charge) == first
    with pytest.raises(Fault, match=r"\$0 is left of `tr_"):
        await adjust(books, "adjust_4", 1, corrects=charge)
    with pytest.raises(Fault, match=r"\$0.00000005 is left of `credit_2`"):
        await adjust(books, "adjust_5", -51, corrects="credit_2")
    # What was given beyond a credit can be taken back too.
    await adjust(books, "adjust_6", 5, corrects="credit_2")
    await adjust(books, "adjust_7", -55, corrects="credit_2")
    with pytest.raises(Fault, match="is a correction itself; correct `credit_2`"):
        await adjust(books, "adjust_8", 1, corrects="adjust_7")
    assert await books.left() == 100
    assert await books.differences() == ()


async def test_live_and_test_money_never_meet(books: Books):
    await books.open(credit=100)
    test = await books.open(credit=1_000, livemode=False)
    await books.hold("hold_t", 900, ledger_account_id=test, livemode=False)
    await books.post("hold_t", 900)
    assert await books.left() == 100
    balances = await books.db.read(lambda tx: ledger.system_balances(tx, livemode=True))
    assert (balances.revenue, balances.funding, balances.shortfall) == (0, -100, 0)
    assert await books.differences() == ()


async def test_opening_an_account_twice_gives_the_first(books: Books):
    await books.open(credit=5)
    again = await books.open(kind=AccountKind.POSTPAID)
    assert (await books.account(again)).kind is AccountKind.PREPAID


async def test_holds_of_dead_boots_are_those_of_no_living_process(books: Books):
    await books.open(credit=100)
    await books.hold("hold_1", 1, boot_id="dead", order_kind="answer")
    await books.hold("hold_2", 1, boot_id="dead", order_kind="task")
    await books.hold("hold_3", 1, boot_id="alive", order_kind="answer")
    await books.hold("hold_4", 1, boot_id="older", order_kind="answer")
    await books.hold("hold_5", 1, boot_id="dead", order_kind="answer")
    await books.void("hold_5")
    dead = await books.db.read(lambda tx: ledger.holds_of_dead_boots(tx, order_kind="answer", living={"alive"}))
    assert sorted(each.hold_id for each in dead) == ["hold_1", "hold_4"]
    limited = await books.db.read(
        lambda tx: ledger.holds_of_dead_boots(tx, order_kind="answer", living={"alive"}, limit=1)
    )
    assert len(limited) == 1


async def test_open_holds_are_listed_until_they_are_resolved(books: Books):
    await books.open(credit=100)
    for n in range(3):
        await books.hold(f"hold_{n}", 1)
    await books.post("hold_1", 1)
    listed = await books.db.read(ledger.open_holds)
    assert [each.hold_id for each in listed] == ["hold_0", "hold_2"]
    assert listed[0].key_id == "key_one"
    assert await books.db.read(lambda tx: ledger.find_open_hold(tx, "hold_1")) is None
    after = await books.db.read(lambda tx: ledger.open_holds(tx, after="hold_0", limit=1))
    assert [each.hold_id for each in after] == ["hold_2"]


async def test_the_history_pages_from_the_newest(books: Books):
    await books.open(credit=100)
    for n in range(3):
        books.clock.advance(1)
        await books.hold(f"hold_{n}", 1)
    page = await books.db.read(lambda tx: ledger.history(tx, account_id=CALLER, livemode=True, limit=2))
    assert [each.id for each in page] == ["hold_2", "hold_1"]
    before = (page[-1].created_at, page[-1].id)
    rest = await books.db.read(lambda tx: ledger.history(tx, account_id=CALLER, livemode=True, before=before))
    assert [each.id for each in rest] == ["hold_0", f"credit_{LEDGER}"]


async def test_ledger_accounts_are_listed_in_pages(books: Books):
    for name in ("acct_a", "acct_b"):
        await books.open(name)
    listed = await books.db.read(lambda tx: ledger.list_accounts(tx, after="acct_a.live", limit=1))
    assert [each.id for each in listed] == ["acct_b.live"]
