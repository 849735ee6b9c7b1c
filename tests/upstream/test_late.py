"""A module that is imported late is waited for in threads, by everybody who needs it at once."""

import asyncio
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from halley.upstream import late


async def test_many_who_need_a_slow_module_at_once_do_not_hold_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a_slow_module.py").write_text("import time\ntime.sleep(0.3)\nDONE = True\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    longest = 0.0

    async def use() -> None:
        await late.ready("a_slow_module")
        nonlocal longest
        began = time.perf_counter()
        assert import_module("a_slow_module").DONE
        longest = max(longest, time.perf_counter() - began)

    first = asyncio.ensure_future(use())  # noqa: TID251 - awaited below
    while "a_slow_module" not in sys.modules:  # noqa: ASYNC110 - an import tells nobody
        await asyncio.sleep(0.01)
    await asyncio.gather(first, *(use() for _ in range(8)))
    assert longest < 0.15
