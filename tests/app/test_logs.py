"""The logs of a process: what is on its stderr when it has ended."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

_PRELUDE = """
import logging, os, signal, sys
from halley.app.logs import configure_logs
from halley.kernel.clock import SystemClock
from halley.settings import load_settings
from halley.world import AccessLog
configure_logs(load_settings({{}}, {environ!r}))
access, log = AccessLog(SystemClock()), logging.getLogger("halley.access")
"""
_ANSWERS = (
    (("/v1/chat/completions", "POST", 200), "req_1", 0.0123456, "key_1", "theirs-1", None),
    (("unknown", "other", 404), "req_2", 0, None, None, "not_found"),
    (("/v1/é", "GET", 499), "req_3", 12, 'key_"2"', 'no"id', None),
)


def run(program: str, code: int = 0, **environ: str) -> list[str]:
    """Run it in a process of its own and give the lines of its stderr."""
    text = _PRELUDE.format(environ=environ) + program
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == code, done.stderr
    return done.stderr.splitlines()


def test_the_short_way_writes_byte_for_byte_what_logging_would():
    program = f"""
for answer in {_ANSWERS!r}:
    access.note(answer)
log.addHandler(logging.NullHandler())
for answer in {_ANSWERS!r}:
    access.note(answer)
"""
    lines = [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "then", line) for line in run(program)]
    assert lines[:3] == lines[3:]
    assert '"timestamp": "then", "request_id": "req_1", "method": "POST"' in lines[0]


def test_lines_keep_their_order_among_others_and_none_is_lost_at_the_end():
    program = """
for number in range(100):
    access.note((("/", "GET", 200), f"req_{number}", 0.1, None, None, None))
    if number % 10 == 0:
        logging.getLogger("halley.app").warning("between", extra={"request_id": f"req_{number}"})
"""
    facts: list[dict[str, Any]] = [json.loads(line) for line in run(program)]
    named = [each["request_id"] for each in facts]
    assert named == [name for number in range(100) for name in [f"req_{number}"] * (2 if number % 10 == 0 else 1)]


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(3)", 3), ("raise RuntimeError", 1), ("import asyncio; asyncio.run(until_signalled())", 0)],
    ids=["exit", "error", "SIGTERM"],
)
def test_the_last_answers_are_told_however_the_process_ends(end: str, code: int):
    program = f"""
async def until_signalled():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    access.note((("/", "GET", 200), "req_last", 0.1, None, None, None))
    os.kill(os.getpid(), signal.SIGTERM)
    await stopped.wait()
access.note((("/", "GET", 200), "req_last", 0.1, None, None, None))
{end}
"""
    assert any('"req_last"' in line for line in run(program, code))


def test_at_a_higher_level_answers_are_not_told():
    assert run('access.note((("/", "GET", 200), "req_1", 0.1, None, None, None))', HALLEY_LOG_LEVEL="warning") == []


def test_columns_for_people_tell_the_same():
    (line,) = run('access.note((("/", "GET", 200), "req_1", 0.1, "key_1", None, None))', HALLEY_LOG_FORMAT="console")
    assert "request" in line
    assert all(fact in line for fact in ("request_id=req_1", "status=200", "ms=100.0", "key_id=key_1"))


def test_a_field_that_sounds_like_a_secret_is_hidden():
    program = 'logging.getLogger("halley.app").info("x", extra={"api_key": "sk-1", "key_id": "key_1"})'
    (line,) = run(program)
    assert "sk-1" not in line
    assert json.loads(line)["key_id"] == "key_1"
