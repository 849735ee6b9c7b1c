"""`halley prices` on a terminal; what it does is tested in test_commands.py."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from halley.cli import main

MAP = {
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 3e-06, "output_cost_per_token": 1e-05},
    "gpt-4": {"litellm_provider": "openai", "input_cost_per_token": 0, "cost_per_smile": 1},
    "azure/gpt-4o": {"litellm_provider": "azure", "input_cost_per_token": 9e-06},
}


@pytest.fixture(autouse=True)
def _umask_stays() -> Iterator[None]:
    """Commands narrow the process's umask; other tests of this process must not notice."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "halley.db")
    (tmp_path / "map.json").write_text(json.dumps(MAP), encoding="utf-8")
    return tmp_path


def halley(folder: Path, *args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, args, env={"HALLEY_DATA_DIR": str(folder / "data")}, prog_name="halley")
    assert result.exit_code == code, result.output
    return result


def test_an_import_shows_what_changed_and_why_the_rest_did_not(folder: Path) -> None:
    dry = halley(folder, "prices", "import", "map.json", "--dry-run")
    assert "Would be: 1 added, 0 changed, 0 same, 1 skipped (import:map.json)" in dry.stdout
    done = halley(folder, "prices", "import", "map.json")
    assert "output_token 10" in done.stdout
    assert "all its prices are 0" in done.stdout
    assert "No meter for these fields of the map: cost_per_smile (1)" in done.stderr
    assert "Entries of others left out: azure (1)" in done.stderr


def test_imported_prices_are_listed(folder: Path) -> None:
    assert "There are no prices" in halley(folder, "prices", "list").stderr
    halley(folder, "prices", "import", "map.json", "--vendor", "openai")
    assert "import:map.json" in halley(folder, "prices", "list").stdout
    (row,) = json.loads(halley(folder, "prices", "list", "gpt-4o", "--json").stdout)
    assert (row["prices"]["input_token"], row["prices"]["output_token"]) == ("3", "10")


def test_a_file_that_is_not_there_and_a_vendor_that_is_not_known_are_one_line(folder: Path) -> None:
    assert "does not exist" in halley(folder, "prices", "import", "nowhere.json", code=2).stderr
    message = halley(folder, "prices", "import", "map.json", "--vendor", "acme", code=1).stderr
    assert "There is no vendor `acme`" in message
