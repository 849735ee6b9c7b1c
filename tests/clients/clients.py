"""Runs the programs of this folder with the clients that they are about, each in that client's own environment."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".cache" / "clients"
RUN_S_MAX = 120


def python(client: str, program: str, action: str, **given: object) -> Any:
    """Run an action of a Python program; it prints JSON."""
    interpreter = ENVIRONMENTS / client / "bin" / "python"
    return _run([_there(interpreter), str(HERE / "programs" / program), action, json.dumps(given)])


def node(program: str, action: str, **given: object) -> Any:
    """Run an action of a JavaScript program. It is read from standard input, so that it finds the packages there."""
    folder = ENVIRONMENTS / "node"
    _there(folder / "node_modules")
    text = (HERE / "programs" / program).read_bytes()
    return _run(["node", "--input-type=module", "-", action, json.dumps(given)], folder=folder, text=text)


def _there(path: Path) -> str:
    assert path.exists(), f"{path} is missing: run `scripts/clients.sh`, as `make test` does"
    return str(path)


def _run(command: list[str], *, folder: Path | None = None, text: bytes | None = None) -> Any:
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ran = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, timeout=RUN_S_MAX, env=environ, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    # Some clients print as they go; the program's own word is the last line.
    return json.loads(ran.stdout.splitlines()[-1])
