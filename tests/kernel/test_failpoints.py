"""A process can be told to die at a place, and tells which places it passed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from halley.kernel.failpoints import ENVIRONMENT, ENVIRONMENT_LOG, Failpoints, failpoints_from_environment


class Died(Exception):
    pass


def _die() -> NoReturn:
    raise Died


def test_without_a_target_nothing_happens():
    points = Failpoints()
    points.hit("writer.before_commit")
    assert not points.active


def test_process_dies_at_the_place_that_was_named_and_at_no_other():
    points = Failpoints("b", die=_die)
    points.hit("a")
    with pytest.raises(Died):
        points.hit("b")


def test_process_dies_at_the_nth_time():
    points = Failpoints("a:3", die=_die)
    points.hit("a")
    points.hit("a")
    with pytest.raises(Died):
        points.hit("a")


def test_name_with_a_colon_and_no_count_is_a_name():
    with pytest.raises(Died):
        Failpoints("vendor:call", die=_die).hit("vendor:call")


def test_each_place_passed_is_logged_once(tmp_path: Path):
    log = tmp_path / "log"
    points = Failpoints(log=str(log))
    for name in ("a", "b", "a"):
        points.hit(name)
    assert log.read_text() == "a\nb\n"


def test_place_to_die_may_be_told_by_a_file_after_the_start(tmp_path: Path):
    told = tmp_path / "target"
    points = Failpoints(f"@{told}", die=_die)
    points.hit("a")
    told.write_text("a:2")
    points.hit("a")
    with pytest.raises(Died):
        points.hit("a")


def test_environment_names_target_and_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert not failpoints_from_environment().active
    monkeypatch.setenv(ENVIRONMENT_LOG, str(tmp_path / "log"))
    failpoints_from_environment().hit("a")
    assert (tmp_path / "log").read_text() == "a\n"


def test_death_is_a_real_one():
    script = "from halley.kernel.failpoints import failpoints_from_environment as f; f().hit('a'); print('alive')"
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {ENVIRONMENT: "a"}, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout) == (-signal.SIGKILL, b"")
