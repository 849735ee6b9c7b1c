"""The bench itself, as short as it goes: our own loop, no package fetched."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 90


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "--load", "python", "--peers", "none", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)


@pytest.mark.slow
def test_a_quick_run_measures_and_finds_the_books_whole():
    done = bench("--quick", "--only", "halley-sqlite", "--cases", "chat")
    assert done.returncode == 0, done.stdout + done.stderr
    words = " ".join(done.stdout.split())
    assert "calls a second" in words
    assert "books of Halley, SQLite: 1 verified, sound and whole" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--cases", "chats"), "`chats` is not one of chat"), (("--only", "caddy"), "`caddy` is not one of nginx")],
    ids=["case", "system"],
)
def test_a_name_that_is_not_known_is_refused_with_those_that_are(arguments: tuple[str, ...], words: str):
    done = bench(*arguments)
    assert done.returncode in (1, 2)
    assert words in " ".join(done.stderr.split())
