"""The commands `prices.list` and `prices.import`, as the command line and the local socket run them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.database import FakeIds

from halley.catalogue.prices import current_prices, sync_prices
from halley.console.commands import run_command
from halley.console.protocol import CommandFailed, Request
from halley.console.services import OwnServices
from halley.db import Database
from halley.settings import Secret, Settings
from halley.testing.clock import FakeClock


@pytest.fixture
def services(tmp_path: Path, database_url: str, db: Database, clock: FakeClock, ids: FakeIds) -> OwnServices:
    settings = Settings(data_dir=tmp_path, configured_database=Secret(database_url))
    return OwnServices(settings=settings, db=db, clock=clock, ids=ids)


async def run(services: OwnServices, command: str, **args: Any) -> Any:
    request = Request(command=command, args=msgspec.Raw(msgspec.json.encode(args)))
    return msgspec.json.decode(msgspec.json.encode(await run_command(services, request, lambda _: None)))


def price_map(folder: Path, **models: dict[str, Any]) -> str:
    path = folder / "map.json"
    path.write_text(json.dumps(models), encoding="utf-8")
    return str(path)


def entry(provider: str, dollars_per_million: float, **more: Any) -> dict[str, Any]:
    return {"litellm_provider": provider, "input_cost_per_token": dollars_per_million / 1_000_000, **more}


async def test_an_import_is_written_listed_and_audited(services: OwnServices, tmp_path: Path) -> None:
    path = price_map(tmp_path, **{"gpt-4o": entry("openai", 3), "azure/gpt-4o": entry("azure", 9)})
    found = await run(services, "prices.import", path=path)
    assert found["counts"] == {"added": 1, "changed": 0, "same": 0, "skipped": 0}
    assert found["foreign"] == {"azure": 1}
    (listed,) = await run(services, "prices.list", model="gpt-4o-2024-11-20")
    assert (listed["model"], listed["source"]) == ("gpt-4o", "import:map.json")
    assert listed["prices"]["input_token"] == "3"
    acts = await services.db.read(lambda tx: tx.all("SELECT act, subject FROM audit"))
    assert [(act["act"], act["subject"]) for act in acts] == [("prices.import", "import:map.json")]


async def test_a_dry_run_tells_the_same_and_writes_nothing(services: OwnServices, tmp_path: Path) -> None:
    path = price_map(tmp_path, **{"gpt-4o": entry("openai", 3)})
    dry = await run(services, "prices.import", path=path, dry_run=True)
    assert await run(services, "prices.list") == []
    wet = await run(services, "prices.import", path=path)
    assert (dry["rows"], dry["counts"]) == (wet["rows"], wet["counts"])


async def test_the_same_import_again_changes_nothing(services: OwnServices, tmp_path: Path) -> None:
    path = price_map(tmp_path, **{"gpt-4o": entry("openai", 3)})
    await run(services, "prices.import", path=path)
    again = await run(services, "prices.import", path=path)
    assert (again["rows"], again["counts"]["same"]) == ([], 1)


async def test_what_was_known_is_shown_beside_what_comes(services: OwnServices, tmp_path: Path, ids: FakeIds) -> None:
    wanted = {"gpt-4o": ("catalogue", {"input_token": 2_500_000_000})}
    now = services.clock.now()
    await services.db.write("seed", lambda tx: sync_prices(tx, wanted, ids, now))
    found = await run(services, "prices.import", path=price_map(tmp_path, **{"gpt-4o": entry("openai", 3)}))
    (row,) = found["rows"]
    assert (row["outcome"], row["prices"]["input_token"]) == ("changed", "3")
    assert row["before"] == {"input_token": "2.5"}


async def test_a_price_that_the_map_lacks_is_not_lost(services: OwnServices, tmp_path: Path, ids: FakeIds) -> None:
    wanted = {"o4-mini": ("catalogue", {"input_token": 1_100_000_000, "image": 10_000_000_000_000})}
    now = services.clock.now()
    await services.db.write("seed", lambda tx: sync_prices(tx, wanted, ids, now))
    found = await run(services, "prices.import", path=price_map(tmp_path, **{"o4-mini": entry("openai", 1)}))
    (row,) = found["rows"]
    assert (row["outcome"], "`image`" in row["reason"]) == ("skipped", True)
    (listed,) = await run(services, "prices.list", model="o4-mini")
    assert listed["prices"] == {"input_token": "1.1", "image": "0.01"}


async def test_prices_of_hosted_tools_stay_where_the_map_has_none(services: OwnServices, tmp_path: Path) -> None:
    searched = {"search_context_cost_per_query": {"search_context_size_medium": 0.5}}
    entries = {"gpt-4o": entry("openai", 3), "gpt-5": entry("openai", 3, **searched)}
    await run(services, "prices.import", path=price_map(tmp_path, **entries))
    kept, told = [(await run(services, "prices.list", model=model))[0]["prices"] for model in entries]
    assert (kept["web_search"], told["web_search"]) == ("0.025", "0.5")


async def test_prices_of_halley_toml_stay(
    services: OwnServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "halley.toml").write_text('[[prices]]\nmodel = "gpt-4o"\ncall = "1"\n', encoding="utf-8")
    configured = msgspec.structs.replace(services.settings, config=tmp_path / "halley.toml")
    named = msgspec.structs.replace(services, settings=configured)
    found = await run(named, "prices.import", path=price_map(tmp_path, **{"gpt-4o": entry("openai", 3)}))
    (row,) = found["rows"]
    assert (row["outcome"], "halley.toml" in row["reason"]) == ("skipped", True)
    book = await services.db.read(lambda tx: current_prices(tx, services.clock.now()))
    assert book.of("gpt-4o") is None


async def test_fields_without_a_meter_are_named(services: OwnServices, tmp_path: Path) -> None:
    path = price_map(tmp_path, **{"gpt-4o": entry("openai", 3, cost_per_smile=1)})
    assert (await run(services, "prices.import", path=path))["unknown_fields"] == {"cost_per_smile": 1}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"path": "/nowhere/map.json"}, "cannot be read by the process that has the data"),
        ({"path": "broken.json"}, "it is no price map"),
        ({"path": "good.json", "vendors": ["acme"]}, "There is no vendor `acme`; known are"),
    ],
)
async def test_what_cannot_be_imported_is_refused_by_name(
    services: OwnServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: dict[str, Any], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("[]", encoding="utf-8")
    (tmp_path / "good.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CommandFailed, match=text):
        await run(services, "prices.import", **args)


async def test_a_model_without_a_price_is_told(services: OwnServices) -> None:
    with pytest.raises(CommandFailed, match="`nobody` has no price"):
        await run(services, "prices.list", model="nobody")
