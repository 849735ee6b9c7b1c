"""Each house rule fires where it should, and stays silent beside it."""

import subprocess
import sys
from pathlib import Path

import pytest
from scripts.tidy import FILE_LINES_MAX, FUNCTION_LINES_MAX, House, Source, check, check_source

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that this file does not offend against what it tests.
LATER = "TO" + "DO"
SILENCE = "# no" + "qa"
HOUSE = House(vendors=frozenset({"acme"}))
DOC = '"""What it is for."""\n'


def rules_of(path: str, text: str, house: House = HOUSE) -> list[str]:
    return [finding.rule for finding in check_source(Source(path=path, text=text), house)]


def function_of(lines: int) -> str:
    return "def long():\n" + "    pass\n" * (lines - 1)


OFFENCES = {
    "long function": ("src/halley/a.py", DOC + function_of(FUNCTION_LINES_MAX + 1), "size"),
    "long file": ("tests/test_a.py", "a = 1\n" * (FILE_LINES_MAX + 1), "size"),
    "many parameters": ("src/halley/a.py", DOC + "def many(a, b, c, *, d, e, f, g): ...\n", "parameters"),
    "vendor as a word": ("src/halley/a.py", DOC + "# Acme sends it twice\n", "vendor"),
    "vendor in snake case": ("src/halley/a.py", DOC + "ACME_API_KEY = 1\n", "vendor"),
    "vendor in camel case": ("src/halley/a.py", DOC + "class AcmeClient: ...\n", "vendor"),
    "vendor in a text file": ("src/halley/console/help.md", "Use Acme.\n", "vendor"),
    "vendor beside the list": ("src/halley/vendors/__init__.py", DOC + "x = 'acme'\n", "vendor"),
    "vendor in another vendor": ("src/halley/vendors/other/wire.py", DOC + "x = 'acme'\n", "vendor"),
    "no issue": ("tests/test_a.py", f"# {LATER}: later\n", "unfinished"),
    "no issue in a script": (".ci/run", f"# {LATER} later\n", "unfinished"),
    "registry": ("docs/a.md", "https://py" + "pi.org/simple\n", "registry"),
    "index option": ("requirements/run.in", "--index" + "-url https://example.com\n", "registry"),
    "address in a lock": ("requirements/run.txt", "a @ https://example.com/a.whl\n", "registry"),
    "resolved address": ("package-lock.json", '"resolved"' + ': "https://example.com/a.tgz"\n', "registry"),
    "machine path": ("docs/a.md", "cd /home" + "/me/project\n", "machine-path"),
    "no docstring": ("src/halley/a.py", "x = 1\n", "docstring"),
    "float literal": ("src/halley/ledger/rules.py", DOC + "x = 1.5\n", "float"),
    "float name": ("src/halley/kernel/money.py", DOC + "def f(x: float): ...\n", "float"),
    "division": ("src/halley/ledger/store.py", DOC + "x = 1 / 2\n", "float"),
    "except Exception": ("src/halley/a.py", DOC + "try:\n    f()\nexcept Exception:\n    g()\n", "broad-except"),
    "bare except": ("src/halley/a.py", DOC + "try:\n    f()\nexcept:\n    g()\n", "broad-except"),
    "broad in a tuple": ("src/halley/a.py", DOC + "try:\n    f()\nexcept (A, Exception):\n    g()\n", "broad-except"),
    "silenced without a rule": ("src/halley/a.py", DOC + f"x = 1  {SILENCE}\n", "suppression"),
    "silenced without a reason": ("src/halley/a.py", DOC + f"x = 1  {SILENCE}: E501\n", "suppression"),
    "suppress without a reason": ("src/halley/a.py", DOC + "with suppress(KeyError):\n    f()\n", "suppression"),
    "clock in rules": ("src/halley/tasks/rules.py", DOC + "import time\n", "pure"),
    "database in a wire format": ("src/halley/vendors/acme/wire.py", DOC + "from halley import db\n", "pure"),
    "migration": ("src/halley/db/migrations/versions/1.py", DOC + "from halley.db import engine\n", "migration"),
    "broken file": ("src/halley/a.py", "def (:\n", "syntax"),
}

FINE = {
    "function at the limit": ("src/halley/a.py", DOC + function_of(FUNCTION_LINES_MAX)),
    "self is not counted": ("src/halley/a.py", DOC + "class A:\n    def f(self, a, b, c, d, e, f): ...\n"),
    "vendor at home": ("src/halley/vendors/acme/wire.py", DOC + "NAME = 'acme'\n"),
    "vendor in tests": ("tests/test_a.py", "NAME = 'acme'\n"),
    "vendor inside a word": ("src/halley/a.py", DOC + "x = 'placement acmeist'\n"),
    "vendor in the list": (
        "src/halley/vendors/__init__.py",
        DOC + "from halley.vendors import acme\nBUILT_IN = (\n    acme.VENDOR,\n)\n",
    ),
    "with an issue": ("src/halley/a.py", DOC + f"# {LATER} (#12): later\n"),
    "word in a string": ("src/halley/a.py", DOC + f"x = '{LATER}'\n"),
    "path of an address": ("docs/a.md", "https://example.com/home" + "/me/x\n"),
    "float elsewhere": ("src/halley/kernel/clock.py", DOC + "x = 1.5 / 2\n"),
    "handed on by raise": ("src/halley/a.py", DOC + "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n"),
    "handed to a future": (
        "src/halley/a.py",
        DOC + "try:\n    f()\nexcept Exception as error:\n    future.set_exception(error)\n",
    ),
    "broad at the edge": ("src/halley/cli.py", DOC + "try:\n    f()\nexcept Exception:\n    g()\n"),
    "silenced with a reason": ("src/halley/a.py", DOC + f"x = 1  {SILENCE}: E501 - the vendor's own link\n"),
    "suppress with a reason": ("src/halley/a.py", DOC + "with suppress(KeyError):  # gone is fine\n    f()\n"),
    "store may do its work": ("src/halley/tasks/store.py", DOC + "import sqlalchemy\n"),
    "migration's environment": ("src/halley/db/migrations/env.py", DOC + "from halley.db import engine\n"),
}


@pytest.mark.parametrize(("path", "text", "rule"), OFFENCES.values(), ids=OFFENCES)
def test_an_offence_is_found_by_its_rule_alone(path: str, text: str, rule: str) -> None:
    assert rules_of(path, text) == [rule]


@pytest.mark.parametrize(("path", "text"), FINE.values(), ids=FINE)
def test_what_is_fine_stays_unmentioned(path: str, text: str) -> None:
    assert rules_of(path, text) == []


def test_the_ratchet_lets_an_old_offender_stay_but_not_grow() -> None:
    house = House(ratchet={"src/halley/a.py::long": 70})
    assert rules_of("src/halley/a.py", DOC + function_of(70), house) == []
    assert rules_of("src/halley/a.py", DOC + function_of(71), house) == ["size"]


def test_the_ratchet_is_tightened_when_an_offender_shrinks() -> None:
    house = House(ratchet={"src/halley/a.py::long": 70})
    assert rules_of("src/halley/a.py", DOC + function_of(65), house) == ["ratchet"]
    assert rules_of("src/halley/a.py", DOC + function_of(10), house) == ["ratchet"]


def test_a_grant_for_a_function_that_is_gone_is_found(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/tidy_ratchet.toml").write_text('"src/halley/gone.py::old" = 70\n')
    assert [finding.rule for finding in check(tmp_path)] == ["ratchet"]


def test_only_folders_with_a_wire_format_or_a_catalogue_count_as_vendors(tmp_path: Path) -> None:
    vendors = tmp_path / "src/halley/vendors"
    for name in ("acme/wire.py", "tools/images.py"):
        (vendors / name).parent.mkdir(parents=True)
        (vendors / name).write_text(DOC)
    (tmp_path / "src/halley/a.py").write_text('"""With tools, from acme."""\n')
    assert [finding.message.split()[0] for finding in check(tmp_path)] == ["`acme`"]


def test_the_command_prints_where_and_why_and_fails(tmp_path: Path) -> None:
    (tmp_path / "src/halley").mkdir(parents=True)
    (tmp_path / "src/halley/a.py").write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/tidy.py"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("src/halley/a.py:1: docstring: open the module")
