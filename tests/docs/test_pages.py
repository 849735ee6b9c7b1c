"""The documents name what there is, and nothing else."""

import re
from pathlib import Path

import click
import pytest
from scripts.probes import PROBES, Probe
from tests.docs.pages import NAMES, PAGES, ROOT, anchors, code_of, links

from halley.api.routes import table
from halley.cli import main
from halley.kernel import failpoints, faults
from halley.kernel.operation import Operation
from halley.kernel.order import FailureCode
from halley.settings import SETTINGS
from halley.settings.table import Setting
from halley.tasks.states import TaskState
from halley.vendors import load_vendors
from halley.vendors.simulate import Outcome
from halley.wire.formats import CHAT_FORMATS
from halley.world import Metrics
from scripts import compatibility, readme

README = ROOT / "README.md"
DEV = ROOT / "docs" / "dev"
PICTURE_BYTES_MAX = 150_000
OTHER_VARIABLES = {failpoints.ENVIRONMENT, failpoints.ENVIRONMENT_LOG, "HALLEY_SIMULATE_LIMITS"}
"""What the environment holds for tests and simulators only."""

_COMMAND = re.compile(r"(?<!\[)\bhalley ((?:[a-z]+ ?){1,2})")
_VARIABLE = re.compile(r"\bHALLEY_[A-Z_]+\b")
_FILE = re.compile(r"(?:[a-z_]+/)+[\w.-]+\.(?:py|md|toml|sh|txt|in)")
_METRIC = re.compile(r"\bhalley_[a-z_]+\b")


def commands() -> set[str]:
    """Every command of the command line: `keys create`, `serve`."""
    context = click.Context(main)
    found: set[str] = set()
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        found |= {f"{name} {below}" for below in command.commands} if isinstance(command, click.Group) else {name}
    return found


def public_faults() -> list[type[faults.Fault]]:
    own = [each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, faults.Fault)]
    return [each for each in own if each is not faults.Fault]


def test_what_is_made_from_the_code_is_current():
    found = [str(page.relative_to(ROOT)) for page, _ in readme.stale()]
    assert found == [], "run `python scripts/readme.py`"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_relative_link_leads_somewhere(page: Path):
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_command_on_a_page_exists(page: Path):
    known = commands()
    groups = {name.partition(" ")[0] for name in known if " " in name}
    for text in code_of(page):
        for words in _COMMAND.findall(text):
            first, second = (*words.split(), "")[:2]
            name = f"{first} {second}".strip() if first in groups and second else first
            assert name in known | groups, f"`halley {words.strip()}`"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_environment_name_on_a_page_exists(page: Path):
    known = OTHER_VARIABLES.union(*({setting.env, *setting.aliases} for setting in SETTINGS))
    for text in code_of(page):
        assert set(_VARIABLE.findall(text)) <= known


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_file_that_a_page_names_is_there(page: Path):
    places = (ROOT, ROOT / "src" / "halley", page.parent, ROOT / "docs")
    for text in code_of(page):
        for name in _FILE.findall(text):
            is_example = "acme" in name or "NAME" in name
            assert is_example or any((place / name).exists() for place in places), name


@pytest.mark.parametrize("name", sorted(commands()))
def test_each_command_is_documented(name: str):
    assert f"## halley {name}\n" in (ROOT / "docs" / "reference" / "cli.md").read_text()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.env)
def test_each_setting_is_documented(setting: Setting):
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert f"| `{setting.env}`" in page


def test_each_format_of_chat_has_its_table_of_compatibility():
    page = (ROOT / "docs" / "reference" / "compatibility.md").read_text()
    for operation, chat in CHAT_FORMATS.items():
        assert f"<!-- made: orders {chat.name} -->" in page
        outcomes = [compatibility.orders(operation).count(f"| {word} |") for word in OUTCOMES]
        assert all(outcomes), "a format conveys something, leaves something out and refuses something"


OUTCOMES = (compatibility.CONVEYED, compatibility.LEFT, compatibility.REFUSED)


@pytest.mark.parametrize("operation", CHAT_FORMATS)
def test_what_the_compatibility_page_calls_a_hint_is_a_small_part(operation: Operation):
    """A field that is dropped in silence would show up here as one more that is left out."""
    labels = [probe.label for probe in PROBES[operation] if _is_left_out(operation, probe)]
    assert set(labels) <= KNOWN_HINTS


KNOWN_HINTS = {
    *("`detail` of a picture", "`prediction`", "`prompt_cache_key`", "`metadata`, `user`, `store`"),
    *("`reasoning.summary`", "`include` of sealed thoughts", "sealed thoughts of earlier answers"),
    *("`cache_control`", "`service_tier`", "`metadata`", "earlier thoughts with their signature", "`labels`"),
}


def _is_left_out(source: Operation, probe: Probe) -> bool:
    others = (target for target in CHAT_FORMATS if target is not source)
    return any(compatibility.outcome(source, target, probe) == compatibility.LEFT for target in others)


def test_each_route_is_documented():
    dialects = {each.dialect.name: each.dialect for each in load_vendors().values() if each.dialect is not None}
    text = README.read_text()
    for entry in table(dialects):
        assert f"`{entry.method} {entry.path}`" in text


@pytest.mark.parametrize("kind", public_faults(), ids=lambda kind: kind.__name__)
def test_each_error_code_is_documented(kind: type[faults.Fault]):
    assert f"| `{kind.code}` |" in (DEV / "api-errors.md").read_text()


@pytest.mark.parametrize("code", FailureCode)
def test_each_reason_of_a_failure_is_documented(code: FailureCode):
    assert f"| `{code}` |" in (DEV / "tasks.md").read_text()


@pytest.mark.parametrize("state", TaskState)
def test_each_state_is_documented(state: TaskState):
    assert f"| `{state}` |" in (DEV / "tasks.md").read_text()


@pytest.mark.parametrize("outcome", Outcome)
def test_each_ending_is_documented(outcome: Outcome):
    section = README.read_text().partition("## Test mode")[2].partition("\n## ")[0]
    assert f"`{outcome}`" in section


def test_each_metric_is_documented_and_no_other():
    exposed = {sample.name for metric in Metrics().registry.collect() for sample in (metric, *metric.samples)}
    shown = {name.removesuffix("_total") for name in _METRIC.findall((DEV / "running.md").read_text())}
    names = {metric.name for metric in Metrics().registry.collect()}
    assert names <= shown
    assert shown <= {name.removesuffix("_total") for name in exposed}


def test_each_folder_of_tests_is_described():
    page = (DEV / "testing.md").read_text()
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in ROOT.glob("tests/*/**/test_*.py")}
    assert [folder for folder in sorted(folders) if f"`tests/{folder}`" not in page and folder not in DOMAINS] == []


DOMAINS = {"assets", "catalogue", "routing", "tasks", "usage", "webhooks"}
"""Those that the page means by `…`: one folder for one domain."""


def test_each_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = set(links(folder / "README.md"))
    assert {page.name for page in folder.glob("0*.md")} == listed


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda page: page.stem)
def test_each_decision_says_what_would_change_our_mind(page: Path):
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert headings == ["Context", "Choice", "What would change our mind"]


def test_the_glossary_is_in_order():
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (DEV / "glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(words, key=str.lower)


def test_pictures_are_small():
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < PICTURE_BYTES_MAX, picture.name
