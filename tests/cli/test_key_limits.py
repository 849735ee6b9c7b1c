import json

from tests.cli.conftest import Halley


def test_limits_are_given_shown_changed_and_lifted(halley: Halley):
    halley("accounts", "create", "acme", "--prepaid")
    key = halley(
        "keys", "create", "--account", "acme", "--requests-per-minute", "60", "--tokens-per-minute", "90000"
    ).stdout.strip()
    table = halley("keys", "list").stdout
    assert "requests/min" in table
    assert "90,000" in table
    said = halley("keys", "update", key, "--tokens-per-minute", "0").stdout
    assert "may use 60 requests and any number of tokens per minute" in said
    row = json.loads(halley("keys", "update", key, "--requests-per-minute", "5", "--json").stdout)
    assert (row["requests_per_minute"], row["tokens_per_minute"]) == (5, None)
    assert "Nothing is to be changed" in halley("keys", "update", key, code=1).stderr
    assert "-1 is not in the range" in halley("keys", "update", key, "--tokens-per-minute", "-1", code=2).stderr
