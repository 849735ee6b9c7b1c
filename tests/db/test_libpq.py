"""The conversation with PostgreSQL: many statements at once, what fails among them, and connections that break."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from psycopg import errors

from halley.db import libpq
from halley.db.libpq import Link, Statement

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("database_url", [pytest.param("postgresql")], indirect=True),
]
PUT = b"INSERT INTO meta (name, value) VALUES ($1, $2)"
NAMES = Statement(b"SELECT name FROM meta ORDER BY name", ())
PREPARED = Statement(b"SELECT count(*) AS n FROM pg_prepared_statements")
MANY = 300
LARGE = 100_000
"""Bytes: so many of them, `MANY` times, fit into no buffer of a socket."""


@pytest.fixture
def link(database_url: str) -> Iterator[Link]:
    with closing(Link(psycopg.connect(database_url, autocommit=True))) as link:
        yield link


def put(name: str, value: str = "x") -> Statement:
    return Statement(PUT, (name, value))


def names(link: Link) -> list[str]:
    return [row["name"] for row in link.ask([NAMES])[0].rows()]


def test_each_statement_has_its_own_answer(link: Link):
    put_a, put_b, changed, found = link.ask(
        [put("a"), put("b"), Statement(b"UPDATE meta SET value = $1", ("y",)), Statement(b"SELECT * FROM meta", ())]
    )
    assert [each.count for each in (put_a, put_b, changed, found)] == [1, 1, 2, 2]
    assert found.rows() == [{"name": "a", "value": "y"}, {"name": "b", "value": "y"}]
    assert put_a.rows() == ()


@pytest.mark.parametrize("value", [0, 1, -1, 2**15, 2**31, 2**63 - 1, -(2**63), None, "", "käse", b"", b"\0\xff\\"])
def test_values_come_back_as_they_were(link: Link, value: int | str | bytes | None):
    kind = "bigint" if isinstance(value, int) else "bytea" if isinstance(value, bytes) else "text"
    (result,) = link.ask([Statement(f"SELECT $1::{kind} AS value".encode(), (value,))])
    assert result.rows() == [{"value": value}]


@pytest.mark.parametrize("count", [1, 64, 65, 5_000])
def test_a_statement_has_as_many_parameters_as_it_needs(link: Link, count: int):
    numbers = ", ".join(f"${number}::bigint" for number in range(1, count + 1))
    (result,) = link.ask([Statement(f"SELECT {count} = ALL (ARRAY[{numbers}]) AS alike".encode(), [count] * count)])
    assert result.rows() == [{"alike": True}]


def test_numbers_of_any_width_are_one_statement(link: Link):
    for value in (1, 2**15, 2**31, 2**62):
        link.ask([Statement(b"SELECT $1::bigint AS value", (value,))])
    assert link.ask([PREPARED])[0].rows() == [{"n": 1}]


def test_what_is_asked_several_times_at_once_is_one_statement(link: Link):
    link.ask([put(f"{n}") for n in range(10)])
    assert link.ask([PREPARED])[0].rows() == [{"n": 1}]


def test_what_stands_behind_a_failure_is_not_done(link: Link):
    link.ask([put("a")])
    with pytest.raises(errors.UniqueViolation, match="meta"):
        link.ask([Statement(b"BEGIN"), put("b"), put("a"), put("c"), Statement(b"SELECT 1 AS one", ())])
    assert link.in_transaction
    link.ask([Statement(b"ROLLBACK")])
    assert not link.in_transaction
    link.ask([put("d")])
    assert names(link) == ["a", "d"]


def test_a_statement_that_cannot_be_prepared_says_why_and_may_be_asked_again(link: Link):
    wrong = Statement(b"SELECT * FROM later WHERE name = $1", ("a",))
    for _ in range(2):
        with pytest.raises(errors.UndefinedTable):
            link.ask([put(f"{time.monotonic_ns()}"), wrong, put("never")])
    link.ask([Statement(b"CREATE TABLE later (name text)")])
    assert link.ask([wrong])[0].rows() == ()
    assert names(link) == []


def test_nothing_is_sent_when_a_value_cannot_be_stored(link: Link):
    with pytest.raises(psycopg.DataError, match="NUL"):
        link.ask([put("a"), put("b\0")])
    assert not link.lost
    assert names(link) == []


def test_a_number_too_large_is_refused_by_the_server(link: Link):
    with pytest.raises(errors.NumericValueOutOfRange):
        link.ask([Statement(b"SELECT $1::bigint AS value", (2**63,))])
    assert not link.lost


def test_much_goes_both_ways_at_once(link: Link):
    echo = b"SELECT $1::text AS value"
    statements = [Statement(echo, (f"{n:06}" * (LARGE // 6),)) for n in range(MANY)]
    with ThreadPoolExecutor(1) as thread:
        results = thread.submit(link.ask, statements).result(timeout=60)
    assert [result.rows()[0]["value"][:6] for result in results] == [f"{n:06}" for n in range(MANY)]


def test_others_work_while_one_waits_for_the_server(link: Link):
    waiting = threading.Thread(target=link.ask, args=([Statement(b"SELECT pg_sleep(0.5)", ())],))
    waiting.start()
    turns = 0
    while waiting.is_alive():
        waiting.join(0.005)
        turns += 1
    assert turns > 5


def test_a_connection_that_broke_is_lost(link: Link, database_url: str):
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert not link.lost
    with pytest.raises(psycopg.OperationalError, match="terminat"):
        link.ask([put("a"), put("b")])
    assert link.lost
    with pytest.raises(psycopg.OperationalError):
        link.ask([put("a")])


def test_a_plan_that_a_migration_made_wrong_is_made_anew(link: Link, database_url: str):
    every = Statement(b"SELECT * FROM meta WHERE name = $1", ("a",))
    link.ask([put("a"), every])
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("ALTER TABLE meta ADD COLUMN more text")
    with pytest.raises(errors.FeatureNotSupported):
        link.ask([every])
    assert link.ask([every])[0].rows() == [{"name": "a", "value": "x", "more": None}]


def test_the_server_is_not_left_with_more_and_more_statements(link: Link, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(libpq, "PREPARED_MAX", 10)
    for n in range(35):
        assert link.ask([Statement(f"SELECT $1::bigint + {n} AS value".encode(), (1,))])[0].rows() == [{"value": n + 1}]
        assert link.ask([PREPARED])[0].rows()[0]["n"] <= 11
