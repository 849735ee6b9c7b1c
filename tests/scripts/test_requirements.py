"""What the package asks for, what is locked and what is explained are one list."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def names_of(lines: list[str]) -> set[str]:
    found = (re.match(r"[a-z0-9][a-z0-9-]*", line) for line in lines)
    return {match.group() for match in found if match}


def lines_of(name: str) -> list[str]:
    return (ROOT / "requirements" / name).read_text().splitlines()


def test_the_package_asks_for_what_run_in_lists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["sandbox"]
    assert names_of(asked) == names_of(lines_of("run.in"))


def test_every_direct_dependency_is_locked() -> None:
    wanted = names_of(lines_of("build.in")) | names_of(lines_of("run.in")) | names_of(lines_of("dev.in"))
    assert wanted <= names_of(lines_of("dev.txt"))


def test_the_development_lock_holds_the_gateways_lock() -> None:
    pins = [line for line in lines_of("dev.txt") if "==" in line]
    assert {line for line in lines_of("run.txt") if "==" in line} <= set(pins)


def test_every_direct_dependency_has_its_paragraph() -> None:
    explained = set(re.findall(r"^\*\*([a-z0-9-]+)\*\*", (ROOT / "docs/dev/dependencies.md").read_text(), re.MULTILINE))
    direct = names_of(lines_of("build.in")) | names_of(lines_of("run.in")) | names_of(lines_of("dev.in"))
    assert direct | {"pyright"} == explained
