"""schemathesis over the served reference: every operation, with made-up values that fit it and that do not."""

import subprocess
import sys
from pathlib import Path

from tests.clients.served import KEY, Served

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES_MAX = 6
RUN_S_MAX = 90
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
)


def test_every_answer_is_one_that_the_reference_declares(gateway: Served, tmp_path: Path):
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={CONFIG}",
        "run",
        f"{gateway.url}/openapi.json",
        f"--header=Authorization: Bearer {KEY}",
        f"--checks={','.join(CHECKS)}",
        "--phases=examples,coverage,fuzzing,stateful",
        f"--max-examples={EXAMPLES_MAX}",
        "--generation-deterministic",
        "--continue-on-failure",
        "--no-color",
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert ran.returncode == 0, ran.stdout
    gateway.assert_books_are_sound()
