import asyncio

import pytest
from tests.books import Books
from tests.database import opened

from halley.db import Tx
from halley.idempotency import store as idempotency
from halley.idempotency.model import Answer, Attempt, Begun, Existing
from halley.idempotency.rules import BODY_BYTES_MAX, KEPT_US, topic

ANSWER = Answer(status=200, headers=(("content-type", "application/json"),), body=b'{"id":"\xc3\xa4"}')
HOUR_S = 3_600


def attempt(books: Books, value: str = "v", **changed: str | None) -> Attempt:
    values: dict[str, str | None] = {"key_id": "key_1", "fingerprint": "f", "boot_id": "boot_1", "task_id": "task_1"}
    return Attempt(value=value, now=books.clock.now(), **{**values, **changed})  # pyright: ignore[reportArgumentType] a table


async def begin(books: Books, value: str = "v", **changed: str | None) -> Begun | Existing:
    return await books.db.write("begin", lambda tx: idempotency.begin(tx, attempt(books, value, **changed)))


async def finish(books: Books, answer: Answer = ANSWER) -> bool:
    now = books.clock.now()
    return await books.db.write(
        "finish", lambda tx: idempotency.finish(tx, key_id="key_1", value="v", answer=answer, now=now)
    )


async def existing(books: Books, **changed: str) -> Existing:
    found = await begin(books, **changed)
    assert isinstance(found, Existing)
    return found


async def test_the_first_request_begins_and_the_second_finds_it_running(books: Books):
    assert isinstance(await begin(books), Begun)
    second = await existing(books, boot_id="boot_2", task_id="task_2")
    assert (second.same, second.finished, second.boot_id, second.task_id) == (True, False, "boot_1", "task_1")


async def test_a_repeat_finds_the_first_answer(books: Books):
    await begin(books)
    assert await finish(books)
    again = await existing(books)
    assert (again.finished, again.status, again.headers, again.body) == (True, *ANSWER_FIELDS)
    assert not again.too_large


ANSWER_FIELDS = (ANSWER.status, ANSWER.headers, ANSWER.body)


async def test_the_first_answer_stays(books: Books):
    await begin(books)
    await finish(books)
    assert not await finish(books, Answer(status=500, headers=(), body=b""))
    assert (await existing(books)).status == 200


async def test_another_request_with_the_key_is_told_apart(books: Books):
    await begin(books)
    assert not (await existing(books, fingerprint="g")).same


async def test_each_api_key_has_idempotency_keys_of_its_own(books: Books):
    await begin(books)
    assert isinstance(await begin(books, key_id="key_2"), Begun)
    assert isinstance(await begin(books, value="V"), Begun)


@pytest.mark.parametrize(("size", "too_large"), [(BODY_BYTES_MAX, False), (BODY_BYTES_MAX + 1, True)])
async def test_a_large_answer_is_not_kept(books: Books, size: int, too_large: bool):
    await begin(books)
    await finish(books, Answer(status=200, headers=(), body=b"x" * size))
    again = await existing(books)
    assert (again.finished, again.too_large, again.body is None) == (True, too_large, too_large)


async def test_a_key_whose_request_did_nothing_is_free_again(books: Books):
    def forget(tx: Tx) -> bool:
        return idempotency.forget(tx, key_id="key_1", value="v")

    await begin(books)
    assert await books.db.write("forget", forget)
    assert isinstance(await begin(books), Begun)
    await finish(books)
    assert not await books.db.write("forget", forget)


async def test_a_unit_that_fails_leaves_the_key_free(books: Books):
    def refused(tx: Tx) -> None:
        idempotency.begin(tx, attempt(books))
        raise KeyError("no balance")

    with pytest.raises(KeyError):
        await books.db.write("refused", refused)
    assert isinstance(await begin(books), Begun)


async def test_who_waits_is_woken_by_the_answer(books: Books):
    await begin(books)
    with books.db.wakeups.subscribe(topic("key_1", "v")) as waiter:
        await finish(books)
        assert await waiter.wait()


async def test_a_key_is_kept_for_a_day(books: Books):
    await begin(books)
    await finish(books)
    books.clock.advance(24 * HOUR_S)
    assert (await existing(books)).finished
    books.clock.advance(1)
    assert isinstance(await begin(books, fingerprint="g", task_id="task_2"), Begun)
    renewed = await existing(books, fingerprint="g")
    assert (renewed.same, renewed.finished, renewed.task_id, renewed.body) == (True, False, "task_2", None)


async def test_the_request_of_a_dead_process_is_taken_over_once(books: Books):
    await begin(books)

    def take(tx: Tx, boot_id: str, fingerprint: str = "f") -> bool:
        taken = attempt(books, boot_id=boot_id, task_id=None, fingerprint=fingerprint)
        return idempotency.take_over(tx, taken, seen_boot_id="boot_1")

    assert not await books.db.write("take", lambda tx: take(tx, "boot_2", "another request"))
    assert await books.db.write("take", lambda tx: take(tx, "boot_2"))
    assert not await books.db.write("take", lambda tx: take(tx, "boot_3"))
    assert (await existing(books)).boot_id == "boot_2"


async def test_old_keys_are_swept_in_bounded_bites(books: Books):
    for value in ("a", "b", "c"):
        await begin(books, value)
    books.clock.advance(25 * HOUR_S)
    await begin(books, "d")
    older_than = books.clock.now() - KEPT_US
    sweeps = [
        await books.db.write("sweep", lambda tx: idempotency.sweep(tx, older_than=older_than, limit=2))
        for _ in range(3)
    ]
    assert sweeps == [2, 1, 0]
    assert isinstance(await begin(books, "d"), Existing)


async def test_of_many_at_once_in_all_replicas_one_begins(books: Books, database_url: str):
    async with opened(database_url, books.db.wakeups) as other:
        databases = (books.db, other if books.db.kind == "postgresql" else books.db)
        for n in range(10):
            wanted = attempt(books, f"v{n}")
            results = await asyncio.gather(
                *(db.write("begin", lambda tx: idempotency.begin(tx, wanted)) for db in databases * 3)  # noqa: B023 - awaited here
            )
            assert sum(isinstance(result, Begun) for result in results) == 1
