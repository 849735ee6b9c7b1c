import pytest
from tests.books import CALLER, Books

from halley.accounts import store as accounts
from halley.accounts.model import Act, BudgetPeriod, Key, KeyChanges, NameTaken, NewKey
from halley.accounts.rules import hash_key
from halley.db import Tx
from halley.kernel.faults import BadRequest, NotFound, OutOfFunds
from halley.kernel.money import NANOS_PER_DOLLAR, Nanos

TEXT = "sk-test-0123456789"
DAY_S = 86_400


def new_key(**changed: object) -> NewKey:
    values = {
        "id": "key_1",
        "account_id": CALLER,
        "project_id": f"proj_{CALLER}",
        "livemode": False,
        "name": "first",
        "text": TEXT,
        "now": 5,
        "models": ("flux-*", "a,b"),
    }
    return NewKey(**{**values, **changed})  # pyright: ignore[reportArgumentType] a table of changes


async def test_a_key_has_no_limits_unless_it_was_given_some(books: Books):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    free = await books.db.read(lambda tx: accounts.find_caller(tx, hash_key(TEXT)))
    assert free is not None
    assert (free.rate.requests_per_minute, free.rate.tokens_per_minute) == (None, None)
    bound = new_key(id="key_2", text="sk-2", requests_per_minute=60, tokens_per_minute=10_000)
    key = await books.db.write("key", lambda tx: accounts.create_key(tx, bound))
    caller = await books.db.read(lambda tx: accounts.find_caller(tx, hash_key("sk-2")))
    assert caller is not None
    assert (caller.rate.requests_per_minute, caller.rate.tokens_per_minute) == (60, 10_000)
    assert (key.requests_per_minute, key.tokens_per_minute) == (60, 10_000)


async def test_other_limits_reach_every_process(books: Books):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key(requests_per_minute=60)))
    before = await books.db.read(lambda tx: accounts.generation(tx, "keys"))

    def change(tx: Tx, key_id: str = "key_1") -> bool:
        return accounts.change_key(tx, key_id, KeyChanges(requests_per_minute=None, tokens_per_minute=5), 9)

    with books.db.wakeups.subscribe("keys") as waiter:
        assert await books.db.write("limits", change)
        assert await waiter.wait()
    assert await books.db.read(lambda tx: accounts.generation(tx, "keys")) == before + 1
    caller = await books.db.read(lambda tx: accounts.find_caller(tx, hash_key(TEXT)))
    assert caller is not None
    assert (caller.rate.requests_per_minute, caller.rate.tokens_per_minute) == (None, 5)
    assert not await books.db.write("limits", lambda tx: change(tx, "key_x"))
    await books.db.write("revoke", lambda tx: accounts.revoke_key(tx, "key_1", 9))
    assert not await books.db.write("limits", change)


@pytest.mark.parametrize(("requests", "tokens"), [(0, None), (None, -1), (None, accounts.PER_MINUTE_MAX + 1)])
async def test_a_limit_that_can_not_be_is_refused(books: Books, requests: int | None, tokens: int | None):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    with pytest.raises(BadRequest, match="_per_minute` is"):
        await books.db.write(
            "limits",
            lambda tx: accounts.change_key(
                tx, "key_1", KeyChanges(requests_per_minute=requests, tokens_per_minute=tokens), 9
            ),
        )


async def test_a_key_leads_to_its_caller(books: Books):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    caller = await books.db.read(lambda tx: accounts.find_caller(tx, hash_key(TEXT)))
    assert caller is not None
    assert (caller.key_id, caller.account_id, caller.project_id) == ("key_1", CALLER, f"proj_{CALLER}")
    assert (caller.livemode, caller.ledger_account_id) == (False, f"{CALLER}.test")
    assert (caller.models, caller.group_name, caller.key_name) == (("flux-*", "a,b"), "default", "first")


@pytest.mark.parametrize("text", [TEXT[:-1], TEXT + "x", "", "%", "' OR 1=1 --", TEXT.upper()])
async def test_another_text_is_nobody(books: Books, text: str):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    for given in (hash_key(text), text):
        assert await books.db.read(lambda tx, given=given: accounts.find_caller(tx, given)) is None


async def test_the_text_of_a_key_reaches_no_row(books: Books):
    await books.open()
    key = await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    row = await books.db.read(lambda tx: tx.one("SELECT * FROM keys"))
    assert row is not None
    assert TEXT not in str([row[name] for name in ("id", "name", "hash", "hint", "models")])
    assert key.hint == "sk-test-…6789"


async def test_a_revoked_key_is_nobody_and_every_process_hears_of_it(books: Books):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    before = await books.db.read(lambda tx: accounts.generation(tx, "keys"))
    with books.db.wakeups.subscribe("keys") as waiter:
        assert await books.db.write("revoke", lambda tx: accounts.revoke_key(tx, "key_1", 9))
        assert await waiter.wait()
    assert await books.db.read(lambda tx: accounts.find_caller(tx, hash_key(TEXT))) is None
    assert await books.db.read(lambda tx: accounts.generation(tx, "keys")) == before + 1
    assert not await books.db.write("revoke", lambda tx: accounts.revoke_key(tx, "key_1", 10))
    assert not await books.db.write("revoke", lambda tx: accounts.revoke_key(tx, "key_x", 10))
    key = await books.db.read(lambda tx: accounts.find_key_hashed(tx, hash_key(TEXT)))
    assert key is not None
    assert key.revoked_at == 9


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        pytest.param({"id": "key_2"}, NameTaken, id="the same text"),
        pytest.param({"id": "key_2", "text": "sk-2", "project_id": "proj_x"}, NotFound, id="no such project"),
        pytest.param({"id": "key_2", "text": "sk-2", "account_id": "acct_x"}, NotFound, id="another's project"),
        pytest.param({"id": "key_2", "text": "sk-2", "budget_nanos": -1}, BadRequest, id="a negative budget"),
        pytest.param({"id": "key_2", "text": "sk-2", "tokens_per_minute": 0}, BadRequest, id="a limit of nothing"),
        pytest.param({"id": "key_2", "text": "sk-2", "budget_nanos": 2**62}, BadRequest, id="a boundless budget"),
    ],
)
async def test_a_key_that_can_not_be_is_refused(books: Books, changed: dict[str, object], error: type[Exception]):
    await books.open()
    await books.db.write("key", lambda tx: accounts.create_key(tx, new_key()))
    with pytest.raises(error):
        await books.db.write("key", lambda tx: accounts.create_key(tx, new_key(**changed)))


async def test_accounts_have_a_default_project_and_a_name_of_their_own(books: Books):
    await books.open("acct_a")
    await books.open("acct_b")
    assert [each.id for each in await books.db.read(accounts.list_accounts)] == ["acct_a", "acct_b"]
    assert [each.id for each in await books.db.read(lambda tx: accounts.list_accounts(tx, after="acct_a"))] == [
        "acct_b"
    ]
    found = await books.db.read(lambda tx: accounts.find_project_named(tx, "acct_a"))
    assert found is not None
    assert (found.id, found.name) == ("proj_acct_a", "default")
    named = await books.db.read(lambda tx: accounts.find_account_named(tx, "acct_b"))
    assert named is not None
    assert named.id == "acct_b"
    with pytest.raises(NameTaken):
        await books.db.write(
            "account", lambda tx: accounts.create_account(tx, account_id="c", project_id="p", name="acct_a", now=0)
        )
    with pytest.raises(NameTaken):
        await books.db.write(
            "project",
            lambda tx: accounts.create_project(tx, project_id="p", account_id="acct_a", name="default", now=0),
        )


async def test_keys_are_listed_by_account_and_paged(books: Books):
    await books.open()
    for name in ("a", "b", "c"):
        await books.key(name)
    listed = await books.db.read(lambda tx: accounts.list_keys(tx, account_id=CALLER, after="key_a", limit=1))
    assert [key.id for key in listed] == ["key_b"]
    assert await books.db.read(lambda tx: accounts.list_keys(tx, account_id="acct_x")) == []
    assert len(await books.db.read(accounts.list_keys)) == 3


async def test_a_webhook_secret_is_made_once_and_replaced_by_who_has_seen_it(books: Books):
    await books.open()
    project = f"proj_{CALLER}"

    def set_secret(tx: Tx, secret: bytes, *, seen: bytes | None = None) -> bytes:
        return accounts.set_webhook_secret(tx, project_id=project, secret=secret, seen=seen)

    assert await books.db.read(lambda tx: accounts.webhook_secret(tx, project)) is None
    assert await books.db.write("secret", lambda tx: set_secret(tx, b"\0one")) == b"\0one"
    assert await books.db.write("secret", lambda tx: set_secret(tx, b"two")) == b"\0one"
    assert await books.db.write("secret", lambda tx: set_secret(tx, b"two", seen=b"one")) == b"\0one"
    assert await books.db.write("secret", lambda tx: set_secret(tx, b"two", seen=b"\0one")) == b"two"
    assert await books.db.read(lambda tx: accounts.webhook_secret(tx, project)) == b"two"
    with pytest.raises(NotFound):
        await books.db.write(
            "secret", lambda tx: accounts.set_webhook_secret(tx, project_id="x", secret=b"s", seen=None)
        )


async def test_acts_are_listed_from_the_newest(books: Books):
    for n in range(3):
        act = Act(id=f"act_{n}", actor="cli", act="keys.revoke", subject="key_1", details={"n": n}, created_at=n)
        await books.db.write("audit", lambda tx, act=act: accounts.audit(tx, act))
    acts = await books.db.read(lambda tx: tx.all("SELECT * FROM audit ORDER BY id"))
    assert [(act["id"], act["details"]) for act in acts] == [(f"act_{n}", f'{{"n":{n}}}') for n in range(3)]


# --- budgets ---


async def reserve(books: Books, amount: int, key_id: str = "key_one", *, ahead_s: float = 0) -> None:
    now = books.clock.now() + round(ahead_s * 1_000_000)
    await books.db.write(
        "reserve", lambda tx: accounts.reserve_budget(tx, key_id=key_id, amount=Nanos(amount), now=now)
    )


async def settle(books: Books, held: int, spent: int, *, ahead_s: float = 0) -> None:
    now = books.clock.now() + round(ahead_s * 1_000_000)
    await books.db.write(
        "settle",
        lambda tx: accounts.settle_budget(tx, key_id="key_one", held=Nanos(held), spent=Nanos(spent), now=now),
    )


async def state(books: Books) -> Key:
    key = await books.db.read(lambda tx: accounts.find_key(tx, "key_one"))
    assert key is not None
    return key


async def test_a_budget_is_what_was_spent_and_what_is_held(books: Books):
    await books.open()
    await books.key(budget=100, period=BudgetPeriod.TOTAL)
    await reserve(books, 60)
    with pytest.raises(OutOfFunds):
        await reserve(books, 41)
    await settle(books, 60, 50)
    await reserve(books, 50)
    with pytest.raises(OutOfFunds):
        await reserve(books, 1)
    key = await state(books)
    assert (key.held_nanos, key.spent_nanos, key.requests) == (50, 50, 1)
    assert accounts.budget_left(key, books.clock.now()) == 0


async def test_the_refusal_names_what_was_needed_and_what_is_left(books: Books):
    await books.open()
    await books.key(budget=NANOS_PER_DOLLAR, period=BudgetPeriod.DAY)
    await reserve(books, NANOS_PER_DOLLAR // 4)
    with pytest.raises(OutOfFunds, match=r"needs \$0.8, and \$0.75 is left of the key's budget of \$1 per day;"):
        await reserve(books, NANOS_PER_DOLLAR * 8 // 10)


@pytest.mark.parametrize(
    ("period", "seconds"), [(BudgetPeriod.DAY, DAY_S), (BudgetPeriod.WEEK, 7 * DAY_S), (BudgetPeriod.MONTH, 31 * DAY_S)]
)
async def test_a_budget_begins_anew_with_its_period(books: Books, period: BudgetPeriod, seconds: int):
    await books.open()
    await books.key(budget=100, period=period)
    await reserve(books, 100)
    await settle(books, 100, 100)
    with pytest.raises(OutOfFunds):
        await reserve(books, 1)
    books.clock.advance(seconds)
    assert accounts.budget_left(await state(books), books.clock.now()) == 100
    await reserve(books, 100)
    await settle(books, 100, 30)
    key = await state(books)
    assert (key.period_spent_nanos, key.spent_nanos) == (30, 130)


async def test_a_total_budget_never_begins_anew(books: Books):
    await books.open()
    await books.key(budget=100, period=BudgetPeriod.TOTAL)
    await reserve(books, 100)
    await settle(books, 100, 100)
    books.clock.advance(400 * DAY_S)
    with pytest.raises(OutOfFunds, match="in all"):
        await reserve(books, 1)


@pytest.mark.parametrize("period", [BudgetPeriod.DAY, BudgetPeriod.WEEK, BudgetPeriod.MONTH])
async def test_a_clock_that_was_wrong_once_does_not_keep_a_budget_from_renewing(books: Books, period: BudgetPeriod):
    await books.open()
    await books.key(budget=100, period=period)
    await reserve(books, 100, ahead_s=400 * DAY_S)
    await settle(books, 100, 100, ahead_s=400 * DAY_S)
    assert accounts.budget_left(await state(books), books.clock.now()) == 100
    await reserve(books, 100)
    await settle(books, 100, 40)
    assert accounts.budget_left(await state(books), books.clock.now()) == 60
    books.clock.advance(31 * DAY_S)
    await reserve(books, 100)


async def test_a_replica_a_little_ahead_does_not_give_a_budget_twice(books: Books):
    await books.open()
    await books.key(budget=100, period=BudgetPeriod.DAY)
    to_midnight_s = -books.clock.now() % (DAY_S * 1_000_000) / 1_000_000
    books.clock.advance(to_midnight_s - 5)
    await reserve(books, 60, ahead_s=10)
    await settle(books, 60, 60, ahead_s=10)
    with pytest.raises(OutOfFunds):
        await reserve(books, 60)


async def test_what_is_held_over_the_end_of_a_period_counts_in_the_next(books: Books):
    await books.open()
    await books.key(budget=100, period=BudgetPeriod.DAY)
    await reserve(books, 70)
    books.clock.advance(DAY_S)
    with pytest.raises(OutOfFunds):
        await reserve(books, 31)
    await settle(books, 70, 60)
    assert (await state(books)).period_spent_nanos == 60


async def test_a_settlement_that_comes_late_never_moves_a_period_back(books: Books):
    await books.open()
    await books.key(budget=100, period=BudgetPeriod.DAY)
    await reserve(books, 10)
    late = books.clock.now()
    books.clock.advance(DAY_S)
    await reserve(books, 10)
    await books.db.write(
        "settle",
        lambda tx: accounts.settle_budget(tx, key_id="key_one", held=Nanos(10), spent=Nanos(7), now=late),
    )
    key = await state(books)
    assert key.period_started_at > late - DAY_S * 1_000_000 // 2
    assert key.period_spent_nanos == 7


async def test_an_excess_may_overdraw_the_budget_and_stops_the_next_call(books: Books):
    await books.open()
    await books.key(budget=100, period=BudgetPeriod.TOTAL)
    await reserve(books, 100)
    await settle(books, 100, 130)
    with pytest.raises(OutOfFunds, match=r"\$0 is left"):
        await reserve(books, 0)


async def test_a_key_without_a_budget_counts_and_is_never_refused(books: Books):
    await books.open()
    await books.key()
    await reserve(books, 2**50)
    await settle(books, 2**50, 2**49)
    key = await state(books)
    assert (key.held_nanos, key.spent_nanos) == (0, 2**49)
    assert accounts.budget_left(key, books.clock.now()) is None


async def test_a_key_that_is_not_there_has_no_budget(books: Books):
    with pytest.raises(NotFound):
        await reserve(books, 1, "key_x")
