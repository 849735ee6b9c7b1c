import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Halley

from halley import __version__
from halley.cli import SUBCOMMANDS
from halley.cli.reference import reference
from halley.cli.serve import example, print_welcome
from halley.settings import SETTINGS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
HEAVY = ("rich", "msgspec", "sqlalchemy", "alembic", "aiohttp", "psycopg", "PIL", "uvicorn", "asyncio", "tomllib")


def test_the_version_is_told(halley: Halley):
    assert halley("--version").stdout == f"halley {__version__}\n"


def test_version_and_help_import_nothing_heavy():
    code = f"""
import sys
from halley.cli import main
for args in (["--version"], ["--help"]):
    try:
        main(args, prog_name="halley")
    except SystemExit as end:
        assert end.code == 0, end.code
print(*sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_help_lists_every_command(halley: Halley):
    text = halley("--help").stdout
    assert all(f"  {name} " in text for name in SUBCOMMANDS)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_has_help(halley: Halley, name: str):
    assert "Usage: halley" in halley(name, "--help").stdout


def test_a_misspelt_command_is_corrected(halley: Halley):
    assert "No such command `account`. Did you mean `accounts`?" in halley("account", code=2).stderr


def test_serve_has_a_flag_for_every_setting_that_may_be_seen(halley: Halley):
    text = halley("serve", "--help").stdout
    assert [setting.env for setting in SETTINGS if setting.flag and setting.flag not in text] == []
    assert "--secret" not in text
    assert "--bootstrap-key" not in text


def test_the_reference_page_is_what_the_commands_say():
    assert PAGE.read_text() == reference(), "run `python -m halley.cli.reference > docs/reference/cli.md`"


def test_the_first_start_shows_key_secret_and_a_line_to_paste(capsys: pytest.CaptureFixture[str]):
    print_welcome("http://127.0.0.1:8000", test_key="sk-test-1", setup_secret="setup-1")
    shown = capsys.readouterr().out
    assert "Halley serves http://127.0.0.1:8000\n" in shown
    assert "sk-test-1" in shown
    assert "setup-1" in shown
    assert f"\n{example('http://127.0.0.1:8000', 'sk-test-1')}\n" in shown


def test_a_later_start_shows_no_key(capsys: pytest.CaptureFixture[str]):
    print_welcome("http://127.0.0.1:8000")
    assert "curl" not in capsys.readouterr().out


def test_the_example_is_one_line_of_shell():
    line = example("http://127.0.0.1:8000", "sk-test-1")
    assert line.startswith("curl -sS http://127.0.0.1:8000/flux/v1/flux-pro-1.1 -H 'x-key: sk-test-1' ")
    assert "\n" not in line
