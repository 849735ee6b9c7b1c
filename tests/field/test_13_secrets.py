"""Class 13: secrets in logs, errors, metrics and rows, after calls of every kind."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.clients.receiver import Receiver
from tests.clients.served import FLUX, Served, free_port, served
from tests.field.chats import CHAT, CONTENT, MESSAGES, body_of
from tests.field.tenants import SCHNELL, SECRET, Tenants
from tests.field.vendor import CREDENTIAL, SIGNING_KEY, RecordingVendor

PROMPT = "a lighthouse that a search must find"
WEBHOOK_SECRET = "the-callers-own-webhook-secret"
Session = tuple[Served, Mapping[str, str], str]
CONFIG = """
[[channels]]
name = "bfl-main"
vendor = "bfl"
base_url = "{url}/bfl"
api_key = "${{BFL_API_KEY}}"
models = ["flux-*"]

[[channels]]
name = "replicate-main"
vendor = "replicate"
base_url = "{url}/replicate"
api_key = "os.environ/REPLICATE_API_TOKEN"
models = ["black-forest-labs/*"]

[[channels]]
name = "openai-main"
vendor = "openai"
base_url = "{url}/openai/v1"
api_key = "${{BFL_API_KEY}}"
models = ["gpt-4.1-nano"]
"""


@pytest.fixture(scope="module")
def session(vendor: RecordingVendor) -> Iterator[Session]:
    """Run a gateway through calls that succeed and calls that fail; give it, its secrets, and all that it answered."""
    port = free_port()
    environ = {
        "HALLEY_PORT": str(port),
        "HALLEY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "HALLEY_SECRET": SECRET,
        "HALLEY_LOG_LEVEL": "debug",
        "HALLEY_FETCH_ALLOW": "127.0.0.1",
        "BFL_API_KEY": CREDENTIAL,
        "REPLICATE_API_TOKEN": f"{CREDENTIAL}-2",
    }
    with served(environ, config=CONFIG.format(url=vendor.url)) as gateway, Receiver() as receiver:
        tenants = Tenants.settle(gateway)
        told = use(gateway, tenants, receiver)
        own = gateway.ask("GET", "/replicate/v1/webhooks/default/secret", key=tenants.alice).json["key"]
        secrets = {
            "live key": tenants.alice,
            "test key": tenants.alice_test,
            "key of the settings": gateway.key,
            "vendor's credential": CREDENTIAL,
            "vendor's signing secret": SIGNING_KEY.removeprefix("whsec_"),
            "caller's webhook secret": WEBHOOK_SECRET,
            "project's webhook secret": own.removeprefix("whsec_"),
            "master secret": SECRET,
        }
        yield gateway, secrets, told


def use(gateway: Served, tenants: Tenants, receiver: Receiver) -> str:
    """Call in every way that could leave a trace, and give all answers."""
    answers: list[str] = []

    def ask(method: str, path: str, body: object = None, **more: Any) -> None:
        reply = gateway.ask(method, path, body, **more)
        answers.append(f"{reply.headers} {reply.body!r}")

    hook = {"webhook_url": f"{receiver.url}/hook", "webhook_secret": WEBHOOK_SECRET}
    for key in (tenants.alice, tenants.alice_test):
        task, link = gateway.draw(PROMPT, key=key, **hook)
        receiver.next()
        ask("GET", f"/v1/tasks/{task}", key=key)
        ask("GET", f"/flux/v1/get_result?id={task}&key={key}", key=None)
        ask("GET", f"/user/quota?key={key}", key=None)
        ask("GET", f"/nothing?key={key}", key=None)
        ask("GET", f"/v1/tasks?limit=x&key={key}", key=None)
        ask("POST", FLUX, b"not json", key=key)
        ask("POST", FLUX, {"prompt": 5, **hook}, key=key)
        ask("POST", FLUX, {"prompt": "a", "webhook_url": {}, "webhook_secret": WEBHOOK_SECRET}, key=key)
        ask("POST", SCHNELL, {"input": {"prompt": "hold x"}, "webhook": f"{receiver.url}/hook"}, key=key)
        ask("GET", "/replicate/v1/predictions", key=key)
        ask("GET", link, key=key)
        ask("GET", link[:-3], key=key)
        ask("POST", FLUX, {"prompt": "a"}, key=f"{key}x")
        ask("POST", FLUX, {"prompt": "a"}, key=key, headers={"x-key": tenants.bob})
        for path in (CHAT, MESSAGES, CONTENT):
            ask("POST", path, body_of(path), key=key)
            ask("POST", path, body_of(path, stream=True), key=key)
            ask("POST", path, b"not json", key=key)
            ask("POST", f"{path}?key={key}", {"model": 5}, key=None)
            ask("POST", path, body_of(path), key=f"{key}x")
    for outcome in ("unauthorized", "cut_stream", "error_frame", "reset_after_send"):
        for path in (CHAT, MESSAGES, CONTENT):
            headers = {"halley-test": f"outcome={outcome}"}
            ask("POST", path, body_of(path, stream=True), key=tenants.alice_test, headers=headers)
    for outcome in ("unauthorized", "out_of_credit", "garbage", "connect_refused", "reset_after_send", "vendor_error"):
        headers = {"halley-test": f"outcome={outcome}"}
        ask("POST", FLUX, {"prompt": "a", **hook}, key=tenants.alice_test, headers=headers)
    ask("GET", "/metrics", key=None)
    ask("GET", "/openapi.json", key=None)
    gateway.revoke(gateway.new_key("bob"))
    return "\n".join(answers)


SECRETS = (
    "live key",
    "test key",
    "key of the settings",
    "vendor's credential",
    "vendor's signing secret",
    "caller's webhook secret",
    "project's webhook secret",
    "master secret",
)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_answer(session: Session, name: str):
    _, secrets, told = session
    assert secrets[name] not in told


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_log(session: Session, name: str):
    gateway, secrets, _ = session
    logged = gateway.log.removeprefix(gateway.first_words)
    assert "request" in logged
    assert secrets[name] not in logged


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_file_of_the_data(session: Session, name: str):
    gateway, secrets, _ = session
    needle = secrets[name].encode()
    holding = [path.name for path in files(gateway.data) if needle in path.read_bytes()]
    assert holding == []


def test_the_search_finds_what_is_there(session: Session):
    gateway, _, told = session
    assert PROMPT in told
    assert [path.name for path in files(gateway.data) if PROMPT.encode() in path.read_bytes()]


def test_the_data_are_the_operators_alone(session: Session):
    gateway, _, _ = session
    assert gateway.data.stat().st_mode & 0o077 == 0
    assert (gateway.data / "halley.sock").stat().st_mode & 0o077 == 0


def files(folder: Path) -> Iterator[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "halley.db" for path in found)
    yield from found
