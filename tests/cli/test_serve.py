import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Halley

from halley import __version__

pytestmark = pytest.mark.slow
COMMAND = (sys.executable, "-m", "halley.cli")
ENDS_WITHIN_S = 20


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """No data yet: this is a first start."""
    return tmp_path / "data"


@pytest.fixture
def limits() -> str:
    """What the shell sets before it starts the server."""
    return ":"


@pytest.fixture
def served(tmp_path: Path, data_dir: Path, limits: str) -> Iterator[subprocess.Popen[str]]:
    environ = os.environ | {"HALLEY_DATA_DIR": str(data_dir), "HALLEY_PORT": "0", "HALLEY_ANSWER_TIMEOUT_S": "1"}
    command = ["sh", "-c", f'{limits} && exec "$@"', "sh", *COMMAND, "serve"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process
        if process.poll() is None:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if text in line:
            return read
    raise AssertionError(f"`{text}` did not come: {read}")


def order(url: str, key: str, prompt: str) -> int:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=ENDS_WITHIN_S)
    body = json.dumps({"prompt": prompt, "width": 256, "height": 256})
    connection.request("POST", "/flux/v1/flux-pro-1.1", body, {"x-key": key, "content-type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_an_operator_resolves_what_nobody_knows(served: subprocess.Popen[str], halley: Halley):
    shown = read_until(served, "curl ")
    url, key = re.findall(r"http://127\.0\.0\.1:\d+", shown)[0], re.findall(r"sk-test-\w+", shown)[0]
    assert order(url, key, "a lighthouse [[halley outcome=timeout_after_send]]") == 200
    (task,) = json.loads(halley("tasks", "list", "--state", "unknown", "--json").stdout)
    assert "cost $0.01" in halley("tasks", "resolve", task["id"], "--post", "0.01").stdout
    assert "is not unknown: it is `failed`" in halley("tasks", "resolve", task["id"], "--void", code=1).stderr
    assert json.loads(halley("tasks", "show", task["id"], "--json").stdout)["cost_nanos"] == "10000000"
    assert "The books are sound" in halley("ledger", "verify").stdout


def test_a_reload_takes_prices_from_the_file_or_refuses_all(served: subprocess.Popen[str], halley: Halley):
    read_until(served, "curl ")
    file = halley.folder / "halley.toml"
    price = '[[prices]]\nmodel = "flux-pro-1.1"\ncall = "0.07"\n'
    assert "Prices changed: 0" in halley("reload").stdout
    file.write_text(price + '[[channels]]\nname = "main"\nvendor = "nobody"\napi_key = "k"')
    assert "there is no vendor `nobody`" in halley("reload", code=1).stderr
    file.write_text(price)
    assert "Channels: none. Prices changed: 1" in halley("reload").stdout
    served.send_signal(signal.SIGTERM)
    assert served.wait(ENDS_WITHIN_S) == 0
    alone = subprocess.run(
        [*COMMAND, "reload"], env=os.environ | halley.environ, capture_output=True, text=True, check=True
    )
    assert "Prices changed: 0" in alone.stdout


def test_a_server_uses_its_own_environment_for_what_a_shell_without_it_asks(tmp_path: Path, halley: Halley):
    (tmp_path / "halley.toml").write_text('[[channels]]\nname = "main"\nvendor = "bfl"\napi_key = "${SERVICE_KEY}"')
    environ = os.environ | halley.environ | {"HALLEY_PORT": "0", "SERVICE_KEY": "k"}
    with subprocess.Popen([*COMMAND, "serve"], cwd=tmp_path, env=environ, text=True, stdout=subprocess.PIPE) as process:
        key = re.findall(r"sk-test-\w+", read_until(process, "curl "))[0]
        assert "Revoked" in halley("keys", "revoke", key).stdout
        assert "Channels: main" in halley("reload").stdout
        process.terminate()


def test_a_real_server_takes_commands_and_ends_on_a_signal(served: subprocess.Popen[str], halley: Halley):
    shown = read_until(served, "curl ")
    url = re.search(r"http://127\.0\.0\.1:\d+", shown)
    key = re.search(r"sk-test-\w+", shown)
    assert url is not None
    assert key is not None
    refused = subprocess.run(
        [*COMMAND, "serve"], env=os.environ | halley.environ, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert f"in use by `halley serve` (process {served.pid} at {url[0]})" in refused.stderr
    assert [row["name"] for row in json.loads(halley("accounts", "list", "--json").stdout)] == ["default"]
    assert "Revoked" in halley("keys", "revoke", key[0]).stdout
    assert "There is no task `nothing`" in halley("tasks", "resolve", "nothing", "--void", code=1).stderr
    served.send_signal(signal.SIGTERM)
    assert served.wait(ENDS_WITHIN_S) == 0
    assert served.stderr is not None
    first = json.loads(served.stderr.readline())
    host, port = url[0].removeprefix("http://").split(":")
    assert (first["event"], first["host"], first["port"]) == ("listening", host, int(port))
    assert first["version"] == __version__
    assert not (halley.data_dir / "halley.sock").exists()
    assert "There are no keys" in halley("keys", "list").stderr


@pytest.mark.parametrize("limits", ["ulimit -Sn 80 && ulimit -Hn 300"], ids=["300 files, 80 of them at first"])
def test_half_of_the_files_that_may_be_open_are_for_connections_and_further_ones_are_turned_away(
    served: subprocess.Popen[str],
):
    host = re.findall(r"http://([\d.:]+)", read_until(served, "curl "))[0]
    with contextlib.ExitStack() as stack:
        connections = [http.client.HTTPConnection(host, timeout=ENDS_WITHIN_S) for _ in range(160)]
        for each in connections:
            stack.callback(each.close)
        statuses = [status_of(each) for each in connections]
        again = status_of(connections[0])

    assert statuses == [200] * 150 + [503] * 10
    assert again == 200
    assert served.stderr is not None
    served.send_signal(signal.SIGTERM)
    assert served.stderr.read().count("turned away") == 1


def status_of(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/health/liveness")
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


@pytest.mark.parametrize("limits", ["exec 2>&-", "exec <&- 2>&-"], ids=["stderr", "stdin and stderr"])
def test_a_server_without_a_place_for_its_log_serves_and_ends(served: subprocess.Popen[str]):
    read_until(served, "curl ")
    served.send_signal(signal.SIGTERM)
    assert served.wait(ENDS_WITHIN_S) == 0


@pytest.mark.parametrize("limits", ["exec >&-", "exec <&- >&-"], ids=["stdout", "stdin and stdout"])
def test_a_server_without_a_place_for_its_greeting_serves_and_ends(served: subprocess.Popen[str]):
    assert served.stderr is not None
    assert any('"event": "listening"' in line for line in served.stderr)
    served.send_signal(signal.SIGTERM)
    assert served.wait(ENDS_WITHIN_S) == 0
