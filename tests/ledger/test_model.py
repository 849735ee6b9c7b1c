"""The ledger against a model of ten lines: whatever is done in whatever order, both say the same."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.books import Books

from halley.kernel.faults import Fault
from halley.ledger import store as ledger
from halley.ledger.model import AccountKind, Transfer, TransferKind

AMOUNTS = st.integers(0, 12)
HOLDS = st.integers(0, 2)
# Few names and small amounts, so that most meet a hold that is there: posts above it, repeats, the last nano.
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("credit"), st.integers(0, 1), st.integers(1, 10)),
        st.tuples(st.just("hold"), HOLDS, AMOUNTS),
        st.tuples(st.just("post"), HOLDS, st.integers(0, 30)),
        st.tuples(st.just("void"), HOLDS, st.just(0)),
    ),
    min_size=6,
    max_size=24,
)
TERMS = st.sampled_from([(AccountKind.PREPAID, None), (AccountKind.POSTPAID, 8), (AccountKind.POSTPAID, None)])
numbers = count()


class Model:
    """What the ledger should say."""

    def __init__(self, bound: int | None) -> None:
        self.bound, self.credits, self.spent, self.lost = bound, dict[int, int](), 0, 0
        self.holds, self.ended = dict[int, int](), dict[int, str]()

    def left(self) -> int | None:
        held = sum(amount for n, amount in self.holds.items() if n not in self.ended)
        return None if self.bound is None else self.bound + sum(self.credits.values()) - self.spent - held

    def apply(self, act: str, n: int, amount: int) -> bool:
        """Do it; False when it must be refused."""
        if act == "credit":
            return self.credits.setdefault(n, amount) == amount
        if act == "hold":
            left = self.left()
            may = n in self.holds or left is None or amount <= left
            return may and self.holds.setdefault(n, amount) == amount
        if n not in self.holds or self.ended.get(n, act) != act:
            return False
        if n not in self.ended:
            self.ended[n] = act
            if act == "post":
                left = self.left()
                paid = amount if left is None else min(amount, max(left, self.holds[n]))
                self.spent, self.lost = self.spent + paid, self.lost + amount - paid
        return True


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=TERMS, operations=OPERATIONS)
@example(terms=(AccountKind.PREPAID, None), operations=[("hold", 0, 11), ("hold", 1, 10), ("hold", 2, 0)])
@example(terms=(AccountKind.POSTPAID, 8), operations=[("hold", 0, 19), ("hold", 1, 18), ("hold", 2, 1)])
@example(terms=(AccountKind.PREPAID, None), operations=[("hold", 0, 4), ("hold", 1, 3), ("post", 0, 9), ("void", 1, 0)])
async def test_the_ledger_does_what_the_model_does(
    books: Books, terms: tuple[AccountKind, int | None], operations: list[tuple[str, int, int]]
):
    kind, limit = terms
    model = Model(0 if kind is AccountKind.PREPAID else limit)
    run = next(numbers)
    account = await books.open(f"acct_{run}", kind=kind, limit_nanos=limit)
    for act, n, amount in [("credit", 9, 10), *operations]:
        assert await done(books, account, f"{run}_{n}", act, amount) == model.apply(act, n, amount)
        assert await books.left(account) == model.left()
    columns = await books.account(account)
    assert (columns.debits_posted, columns.credits_posted) == (model.spent, sum(model.credits.values()))
    children = [each async for each in ends(books, model, run)]
    assert sum(each.amount_nanos for each in children if each.kind is TransferKind.SHORTFALL) == model.lost
    assert await books.differences() == ()


async def ends(books: Books, model: Model, run: int) -> AsyncIterator[Transfer]:
    for n in model.ended:
        name = f"hold_{run}_{n}"
        for each in await books.db.read(lambda tx, name=name: ledger.transfers_of_hold(tx, name)):
            yield each


async def done(books: Books, account: str, name: str, act: str, amount: int) -> bool:
    owner: dict[str, Any] = {"ledger_account_id": account, "account_id": account.removesuffix(".live")}
    acts = {
        "credit": lambda: books.credit(f"credit_{name}", amount, account),
        "hold": lambda: books.hold(f"hold_{name}", amount, **owner),
        "post": lambda: books.post(f"hold_{name}", amount),
        "void": lambda: books.void(f"hold_{name}"),
    }
    try:
        await acts[act]()
    except Fault:
        return False
    return True
