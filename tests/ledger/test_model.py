"""The ledger against a model of ten lines: whatever is done in whatever order, both say the same."""

from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.books import Books

from halley.kernel.faults import Fault
from halley.ledger.model import AccountKind

AMOUNTS = st.integers(0, 60)
HOLDS = st.integers(0, 5)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("credit"), st.integers(0, 3), st.integers(1, 100)),
        st.tuples(st.just("hold"), HOLDS, AMOUNTS),
        st.tuples(st.just("post"), HOLDS, AMOUNTS),
        st.tuples(st.just("void"), HOLDS, st.just(0)),
    ),
    max_size=25,
)
TERMS = st.sampled_from([(AccountKind.PREPAID, None), (AccountKind.POSTPAID, 80), (AccountKind.POSTPAID, None)])
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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=TERMS, operations=OPERATIONS)
async def test_the_ledger_does_what_the_model_does(
    books: Books, terms: tuple[AccountKind, int | None], operations: list[tuple[str, int, int]]
):
    kind, limit = terms
    model = Model(0 if kind is AccountKind.PREPAID else limit)
    run = next(numbers)
    account = await books.open(f"acct_{run}", kind=kind, limit_nanos=limit)
    for act, n, amount in operations:
        assert await done(books, account, f"{run}_{n}", act, amount) == model.apply(act, n, amount)
        assert await books.left(account) == model.left()
    columns = await books.account(account)
    assert (columns.debits_posted, columns.credits_posted) == (model.spent, sum(model.credits.values()))
    assert await books.differences() == ()


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
