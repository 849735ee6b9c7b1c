from collections.abc import Mapping

import pytest

from halley.catalogue import Catalogue, Model
from halley.catalogue.imports import Current, Line, Names, Outcome, decide, foreign, unknown_fields
from halley.catalogue.price_map import Reading
from halley.kernel.operation import Kind


def row(model: str, vendor: str, *, vendor_model: str = "", home: bool = True) -> Model:
    return Model(
        id=model,
        vendor=vendor,
        vendor_model=vendor_model or model,
        kind=Kind.CHAT,
        source="https://prices.example",
        checked="2026-11-22",
        price={"call": 1} if home else {},
        cost={"call": 1},
    )


CATALOGUE = Catalogue(
    models={
        "open-1": {
            "maker": row("open-1", "maker"),
            "host": row("open-1", "host", vendor_model="Maker/Open", home=False),
        },
        "own": {"host": row("own", "host")},
    },
    aliases={"own-2026": "own"},
)
VENDORS = {"maker": "maker", "host": "host", "host_ai": "host", "third": "third"}


def reading(provider: str, price: int = 5, **more: str) -> Reading:
    problem = more.get("problem", "")
    prices = {} if problem else {"input_token": price}
    return Reading(provider=provider, mode="chat", prices=prices, problem=problem)


def run(
    readings: Mapping[str, Reading],
    *only: str,
    prices: Mapping[str, Mapping[str, int]] | None = None,
    in_file: tuple[str, ...] = (),
) -> list[Line]:
    names = Names(catalogue=CATALOGUE, vendors=VENDORS, only=frozenset(only))
    return decide(readings, names, Current(prices=prices or {}, in_file=frozenset(in_file)))


def test_the_vendor_that_prices_a_model_is_the_one_that_is_read() -> None:
    (line,) = run({"maker/open-1": reading("maker", 5), "host_ai/Maker/Open": reading("host_ai", 9)})
    assert (line.model, line.outcome, line.vendor, line.meters) == (
        "open-1",
        Outcome.ADDED,
        "maker",
        {"input_token": 5},
    )


def test_a_vendor_that_is_asked_for_prices_all_that_it_serves() -> None:
    (line,) = run({"maker/open-1": reading("maker", 5), "host_ai/Maker/Open": reading("host_ai", 9)}, "host")
    assert (line.model, line.vendor, line.meters) == ("open-1", "host", {"input_token": 9})


def test_a_reseller_alone_is_skipped_with_the_remedy() -> None:
    (line,) = run({"host_ai/Maker/Open": reading("host_ai", 9)})
    assert line.outcome is Outcome.SKIPPED
    assert line.reason == "`maker` is where it has its price; `--vendor host` takes this one"


@pytest.mark.parametrize(
    ("before", "outcome"),
    [({}, Outcome.ADDED), ({"input_token": 1}, Outcome.CHANGED), ({"input_token": 5}, Outcome.SAME)],
)
def test_the_outcome_tells_what_was_before(before: dict[str, int], outcome: Outcome) -> None:
    (line,) = run({"own": reading("host")}, prices={"own": before} if before else {})
    assert (line.outcome, line.before) == (outcome, before)


def test_prices_of_the_file_win() -> None:
    (line,) = run({"own": reading("host")}, in_file=("own",))
    assert line.outcome is Outcome.SKIPPED
    assert "halley.toml sets its price" in line.reason


def test_an_entry_without_prices_is_skipped_with_its_reason() -> None:
    (line,) = run({"own": reading("host", problem="it is empty")})
    assert (line.outcome, line.reason) == (Outcome.SKIPPED, "it is empty")


def test_the_own_name_counts_more_than_an_alias() -> None:
    for readings in ({"own": reading("host", 5), "own-2026": reading("host", 7)}, {"own-2026": reading("host", 5)}):
        (line,) = run(readings)
        assert (line.model, line.meters) == ("own", {"input_token": 5})


def test_an_entry_with_prices_counts_more_than_one_without() -> None:
    (line,) = run({"own": reading("host", problem="zero"), "own-2026": reading("host", 5)})
    assert (line.outcome, line.meters) == (Outcome.ADDED, {"input_token": 5})


def test_a_model_that_the_catalogue_does_not_know_is_added_under_its_name() -> None:
    (line,) = run({"third/new-model": reading("third")})
    assert (line.model, line.outcome) == ("new-model", Outcome.ADDED)


def test_vendors_that_differ_over_an_unknown_model_are_skipped() -> None:
    (line,) = run({"third/new": reading("third", 1), "host/new": reading("host", 2)})
    assert (line.outcome, line.model) == (Outcome.SKIPPED, "new")
    assert line.reason.startswith("entries of host, third differ")


def test_vendors_that_agree_over_an_unknown_model_are_taken() -> None:
    (line,) = run({"third/new": reading("third", 2), "host/new": reading("host", 2)})
    assert line.outcome is Outcome.ADDED


def test_entries_of_others_are_counted_and_left_out() -> None:
    readings = {"a": reading("elsewhere"), "b": reading("elsewhere"), "c": reading(""), "own": reading("host")}
    names = Names(catalogue=CATALOGUE, vendors=VENDORS)
    assert foreign(readings.values(), names) == {"elsewhere": 2, "(none)": 1}
    assert [line.model for line in run(readings)] == ["own"]


def test_unknown_fields_are_counted_where_they_matter() -> None:
    strange = Reading(provider="host", mode="chat", prices={}, unknown=("cost_per_smile",))
    other = Reading(provider="elsewhere", mode="chat", prices={}, unknown=("cost_per_tear",))
    names = Names(catalogue=CATALOGUE, vendors=VENDORS)
    assert unknown_fields([strange, strange, other], names) == {"cost_per_smile": 2}


def test_of_two_entries_of_one_vendor_the_plain_name_counts() -> None:
    (line,) = run({"host_ai/own": reading("host_ai", 7), "own": reading("host", 5)})
    assert line.meters == {"input_token": 5}


@pytest.mark.parametrize(
    ("before", "lost"),
    [
        ({"call": 1, "input_token": 5}, "`call`"),
        ({"input_token": 5, "web_search": 1}, "`web_search`"),
        (
            {"input_token": 5, "output_token": 1, "web_search@search_context_size=low": 1},
            "`output_token`, `web_search`",
        ),
        ({"cached_input_token": 1}, ""),
        ({"call": 0}, ""),
    ],
    ids=["fee", "searches", "several", "charged as another", "free before"],
)
def test_a_price_that_holds_now_is_not_lost(before: dict[str, int], lost: str) -> None:
    (line,) = run({"own": reading("host")}, prices={"own": before})
    assert line.outcome is (Outcome.SKIPPED if lost else Outcome.CHANGED)
    assert line.reason == (f"it lacks {lost}, priced until now; set all of it under [[prices]]" if lost else "")
