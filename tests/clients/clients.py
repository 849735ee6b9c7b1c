"""Runs the programs of this folder with the clients that they are about, each in that client's own environment."""

import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import IO, Any

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
ENVIRONMENTS = HERE.parents[1] / ".cache" / "clients"
RUN_S_MAX = 120
_STEP = b'{"step":'


def python(client: str, program: str, action: str, **given: object) -> Any:
    """Run an action of a Python program; it prints JSON."""
    # Some clients print as they go; the program's own word is the last line.
    return json.loads(_run([interpreter(client), str(PROGRAMS / program), action, json.dumps(given)])[-1])


def node(program: str, action: str, **given: object) -> Any:
    """Run an action of a JavaScript program."""
    return json.loads(_node(program, action, given)[-1])


def node_steps(program: str, *steps: str, **given: object) -> dict[str, Any]:
    """Run steps of a JavaScript program one after another; gives what each tells."""
    lines = _node(program, ",".join(steps), given)
    return {told["step"]: told["facts"] for told in (json.loads(line) for line in lines if line.startswith(_STEP))}


class Program:
    """A Python program that runs and takes orders: to import a client takes longer than most of what is asked of it."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], given: dict[str, object]) -> None:
        self._process = process
        self._log = log
        self._given = given

    def __call__(self, *steps: str, **given: object) -> dict[str, Any]:
        """Run steps one after another; gives what each tells."""
        order = {"steps": steps, "given": {**self._given, **given}}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        told = [self._next() for _ in steps]
        assert not [each for each in told if "failed" in each], "\n".join(each.get("failed", "") for each in told)
        return {each["step"]: each["facts"] for each in told}

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        # A client that waits for ever is ended, and with it its output.
        impatience = Timer(RUN_S_MAX, self._process.kill)
        impatience.start()
        try:
            line = next((line for line in self._process.stdout if line.startswith(_STEP)), None)
        finally:
            impatience.cancel()
        assert line is not None, self._last_words()
        return json.loads(line)

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


@contextmanager
def program(client: str, name: str, **given: object) -> Generator[Program]:
    """Start a program of steps; `given` is given to all of them."""
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [interpreter(client), str(PROGRAMS / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(),
        )
        try:
            yield Program(process, log, given)
        finally:
            # Its input ends, and so does it.
            process.communicate(timeout=RUN_S_MAX)


def interpreter(client: str) -> str:
    """Where the Python of a client is."""
    return _there(ENVIRONMENTS / client / "bin" / "python")


def _node(program: str, action: str, given: dict[str, object]) -> list[bytes]:
    folder = ENVIRONMENTS / "node"
    _there(folder / "node_modules")
    # It is read from standard input, so that it finds the packages there.
    text = (PROGRAMS / program).read_bytes()
    return _run(["node", "--input-type=module", "-", action, json.dumps(given)], folder=folder, text=text)


def _there(path: Path) -> str:
    assert path.exists(), f"{path} is missing: run `scripts/clients.sh`, as `make test` does"
    return str(path)


def _run(command: list[str], *, folder: Path | None = None, text: bytes | None = None) -> list[bytes]:
    ran = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, timeout=RUN_S_MAX, env=_environment(), check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.splitlines()


def _environment() -> dict[str, str]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    # What tiktoken would download: one of the clients brings its files along.
    ranks = (ENVIRONMENTS / "litellm").glob("lib/python*/site-packages/litellm/litellm_core_utils/tokenizers")
    return {**environ, "TIKTOKEN_CACHE_DIR": str(next(ranks, ""))}
