"""A real model on this machine, asked through the gateway in all three formats, whole and streamed."""

from collections.abc import Iterator

import pytest
from tests.clients.clients import program
from tests.clients.local_model import KEY, MODEL, LocalModel, local_model
from tests.clients.served import Served, served

CREDIT_NANOS = 10_000_000_000
TOKENS_MAX = 24
PROMPT = "Name three colours."
CONFIG = """
[[channels]]
name = "local"
vendor = "vllm"
base_url = "{url}/v1"
api_key = "{key}"
models = ["{model}"]

[[prices]]
model = "{model}"
input_token = "1"
output_token = "2"
"""


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    with local_model() as running:
        yield running


@pytest.fixture(scope="module")
def fronted(model: LocalModel) -> Iterator[Served]:
    """A gateway with the model behind it."""
    config = CONFIG.format(url=model.url, key=KEY, model=MODEL)
    with served({"HALLEY_FETCH_ALLOW": "127.0.0.1"}, config=config) as running:
        yield running
        running.assert_books_are_sound()


@pytest.fixture(scope="module")
def live_key(fronted: Served) -> str:
    """Live: a test key would be answered by a simulator."""
    fronted.new_account("somebody")
    fronted.console("accounts.credit", account="somebody", amount_nanos=CREDIT_NANOS)
    return fronted.new_key("somebody", livemode=True)


def test_the_local_model_answers_the_openai_client_by_itself(model: LocalModel):
    given = {"key": KEY, "url": model.url, "model": MODEL, "tokens_max": TOKENS_MAX, "prompt": PROMPT}
    with program("sdks", "local_clients.py", **given) as clients:
        ran = clients("openai_whole", "openai_streamed")
    _assert_a_short_answer(ran["openai_whole"])
    _assert_a_stream_of_it(ran["openai_whole"], ran["openai_streamed"])


@pytest.mark.parametrize(
    "client",
    [
        pytest.param("openai", id="openai"),
        pytest.param("anthropic", id="anthropic"),
        pytest.param("google", id="gemini"),
    ],
)
def test_the_local_model_answers_in_each_format_whole_and_streamed(fronted: Served, live_key: str, client: str):
    given = {"key": live_key, "url": fronted.url, "model": MODEL, "tokens_max": TOKENS_MAX, "prompt": PROMPT}
    whole, streamed = f"{client}_whole", f"{client}_streamed"
    with program("sdks", "local_clients.py", **given) as clients:
        ran = clients(whole, streamed)
    _assert_a_short_answer(ran[whole])
    _assert_a_stream_of_it(ran[whole], ran[streamed])


def _assert_a_short_answer(whole: dict[str, object]) -> None:
    assert isinstance(whole["text"], str)
    assert whole["text"].strip()
    assert whole["ended_by_length"] is True
    assert whole["output_tokens"] == TOKENS_MAX


def _assert_a_stream_of_it(whole: dict[str, object], streamed: dict[str, object]) -> None:
    """At temperature 0 the same words come again, a piece at a time."""
    assert streamed["text"] == whole["text"]
    assert streamed["ended_by_length"] is True
    assert streamed["output_tokens"] == TOKENS_MAX
    assert streamed["input_tokens"] == whole["input_tokens"]
    assert isinstance(streamed["pieces"], int)
    assert streamed["pieces"] > TOKENS_MAX // 2
