"""The recomputation finds every kind of damage that an outside hand could do, and is silent on sound books."""

import pytest
from tests.books import Books

from halley.db import Tx
from halley.kernel.money import Nanos
from halley.ledger import rules
from halley.ledger import store as ledger
from halley.ledger.model import Transfer, TransferKind
from halley.ledger.verify import verify

ADJUST = """INSERT INTO transfers (id, kind, debit_account, credit_account, amount_nanos, hold_id, account_id, livemode,
    created_at) VALUES"""
DAMAGE = {
    "a column was raised": (
        "UPDATE ledger_accounts SET credits_posted = credits_posted + 1",
        "acct_one.live: credits_posted is 101",
    ),
    "a column went below what is owed": (
        "UPDATE ledger_accounts SET credits_posted = 1",
        "exceed its credits of 1",
    ),
    "an amount was changed": ("UPDATE transfers SET amount_nanos = 4 WHERE kind = 'post'", "debits_posted is 15"),
    "a post exceeds its hold": (
        "UPDATE transfers SET amount_nanos = 31 WHERE kind = 'post'",
        "posts 31 of a hold of 10",
    ),
    "a void differs from its hold": (
        "UPDATE transfers SET amount_nanos = 1 WHERE kind = 'void'",
        "voids 1 of a hold of 10",
    ),
    "a hold was deleted": ("DELETE FROM transfers WHERE id = 'hold_posted'", "its hold is not there"),
    "a hold was resolved twice": (
        """INSERT INTO transfers (id, kind, debit_account, credit_account, amount_nanos, hold_id, account_id,
            livemode, created_at)
            VALUES ('tr_x', 'void', 'acct_one.live', :revenue, 10, 'hold_posted', 'acct_one', 1, 0)""",
        "hold_posted: it is resolved 2 times",
    ),
    "a post was deleted": ("DELETE FROM transfers WHERE kind = 'post'", "an excess or a shortfall without a post"),
    "an excess was doubled": (
        """INSERT INTO transfers (id, kind, debit_account, credit_account, amount_nanos, hold_id, account_id,
            livemode, created_at)
            VALUES ('tr_x', 'excess', 'acct_one.live', :revenue, 1, 'hold_posted', 'acct_one', 1, 0)""",
        "hold_posted: it has an excess or a shortfall more than once",
    ),
    "an open hold is not listed": ("DELETE FROM open_holds", "hold_open: it is open, but not listed as open"),
    "a resolved hold is listed": (
        """INSERT INTO open_holds (hold_id, ledger_account_id, amount_nanos, order_kind, order_id, key_id, boot_id,
            created_at) VALUES ('hold_voided', 'acct_one.live', 10, 'task', 'o', 'k', 'b', 0)""",
        "hold_voided: it is resolved, and yet listed as open",
    ),
    "a hold is listed that never was": (
        """INSERT INTO open_holds (hold_id, ledger_account_id, amount_nanos, order_kind, order_id, key_id, boot_id,
            created_at) VALUES ('hold_ghost', 'acct_one.live', 10, 'task', 'o', 'k', 'b', 0)""",
        "hold_ghost: listed as open, but not there",
    ),
    "the list has another amount": (
        "UPDATE open_holds SET amount_nanos = 99",
        "hold_open: the list of open holds says something else",
    ),
    "money went to another account": (
        "UPDATE transfers SET credit_account = 'acct_two.live' WHERE kind = 'post'",
        "a post must not go from acct_one.live to acct_two.live",
    ),
    "money changed its mode": (
        "UPDATE transfers SET livemode = 0 WHERE kind = 'void'",
        "another account than its hold",
    ),
    "a transfer of an account that is not there": (
        """INSERT INTO transfers (id, kind, debit_account, credit_account, amount_nanos, account_id, livemode,
            created_at) VALUES ('credit_x', 'credit', :funding, 'acct_x.live', 1, 'acct_x', 1, 0)""",
        "acct_x.live: it has transfers, but is not there",
    ),
    "a credit names a hold": (
        "UPDATE transfers SET hold_id = 'hold_open' WHERE kind = 'credit'",
        "a credit names the transfer `hold_open`",
    ),
    "a correction of a hold": (
        f"{ADJUST} ('adjust_x', 'adjust', :revenue, 'acct_one.live', 1, 'hold_posted', 'acct_one', 1, 0)",
        "adjust_x: it corrects `hold_posted`, which is no credit, post or excess",
    ),
    "more was taken back than a credit came to": (
        f"{ADJUST} ('adjust_x', 'adjust', 'acct_one.live', :funding, 103, 'credit_acct_one.live', 'acct_one', 1, 0)",
        "credit_acct_one.live: its corrections reverse 3 more than it came to",
    ),
    "the sum is not zero": (
        "UPDATE ledger_accounts SET debits_posted = 0",
        "live: the sum of all accounts is 15, not 0",
    ),
}


async def fill(books: Books) -> None:
    await books.open(credit=100)
    for hold_id in ("hold_open", "hold_posted", "hold_voided"):
        await books.hold(hold_id, 10)
    await books.post("hold_posted", 15)
    await books.void("hold_voided")


@pytest.mark.parametrize(("damage", "told"), DAMAGE.values(), ids=DAMAGE.keys())
async def test_damage_is_found_and_named(books: Books, damage: str, told: str):
    await fill(books)

    def unit(tx: Tx) -> None:
        if "'tr_x', 'void'" in damage:
            tx.run("DROP INDEX transfers_by_hold")
        assert tx.run(damage, {"revenue": "live:revenue", "funding": "live:funding"})

    await books.db.write("damage", unit)
    assert any(told in difference for difference in await books.differences())


async def test_sound_books_are_counted_and_their_sums_are_zero(books: Books):
    await fill(books)
    report = await books.db.read(verify)
    assert report.differences == ()
    assert (report.transfers, report.holds_open, report.accounts) == (7, 1, 1)
    assert report.sums == {"live": 0, "test": 0}


async def test_empty_books_are_sound(books: Books):
    report = await books.db.read(verify)
    assert (report.differences, report.transfers) == ((), 0)


async def test_progress_reaches_the_end(books: Books):
    await fill(books)
    heard: list[tuple[int, int]] = []
    await books.db.read(lambda tx: verify(tx, progress=lambda done, total: heard.append((done, total))))
    assert heard[-1] == (9, 9)


async def test_many_differences_are_counted_not_told(books: Books):
    await books.open(credit=2_000)

    def unit(tx: Tx) -> None:
        for n in range(1_100):
            ledger.hold(tx, books.request(f"hold_{n:04}", 1))
        tx.run("DELETE FROM open_holds")

    await books.db.write("damage", unit)
    differences = await books.differences()
    assert len(differences) == 1_001
    assert differences[-1] == "and 100 more differences"


async def test_books_larger_than_a_chunk_are_read_wholly(books: Books):
    await books.open(credit=20_000)

    def unit(tx: Tx) -> None:
        for n in range(5_200):
            ledger.hold(tx, books.request(f"hold_{n:04}", 1))
            if n % 2:
                books.post_in(tx, f"hold_{n:04}", 2)

    await books.db.write("fill", unit)
    report = await books.db.read(verify)
    assert report.differences == ()
    assert (report.transfers, report.holds_open) == (1 + 5_200 + 2_600 * 2, 2_600)


async def test_what_a_key_holds_is_compared_on_demand(books: Books):
    await books.open(credit=100)
    await books.key()
    await books.hold("hold_1", 10, key_id="key_one")
    assert (await books.db.read(verify)).differences == ()
    told = (await books.db.read(lambda tx: verify(tx, keys=True))).differences
    assert told == ("key_one: held_nanos is 0, its open holds come to 10",)


def test_a_negative_amount_is_told_where_the_database_let_it_in():
    transfer = Transfer(
        id="credit_1",
        kind=TransferKind.CREDIT,
        debit_account="live:funding",
        credit_account="acct_1.live",
        amount_nanos=Nanos(-1),
        hold_id=None,
        account_id="acct_1",
        livemode=True,
        order_id=None,
        boot_id=None,
        note="",
        created_at=0,
    )
    assert list(rules.check_shape(transfer)) == ["credit_1: its amount is negative: -1"]
