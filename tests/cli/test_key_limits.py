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


def test_a_key_gets_another_budget_other_models_and_another_name(halley: Halley):
    halley("accounts", "create", "acme")
    key = halley("keys", "create", "--account", "acme", "--budget", "5", "--models", "flux-*").stdout.strip()
    said = halley("keys", "update", key, "--budget", "10", "--period", "day", "--all-models", "--name", "x").stdout
    assert "may spend $10 per day, and $10 is left" in said
    assert "every model" in said
    said = halley("keys", "update", key, "--no-budget", "--models", "flux-dev,flux-2-*", "--operator").stdout
    assert "no budget of its own" in said
    assert "It may use flux-dev, flux-2-*" in said
    row = json.loads(halley("keys", "update", key, "--no-operator", "--json").stdout)
    assert (row["name"], row["operator"], row["models"]) == ("x", False, ["flux-dev", "flux-2-*"])
    both = halley("keys", "update", key, "--budget", "1", "--no-budget", code=2).stderr
    assert "either `--budget` or `--no-budget`" in both
    assert "would let the key use nothing" in halley("keys", "update", key, "--models", ",", code=2).stderr


def test_a_postpaid_account_gets_another_limit(halley: Halley):
    halley("accounts", "create", "acme", "--postpaid", "--limit", "5")
    assert "may owe up to $7.5: $7.5 is left" in halley("accounts", "update", "acme", "--limit", "7.5").stdout
    assert "without bound" in halley("accounts", "update", "acme", "--no-limit").stdout
    row = json.loads(halley("accounts", "update", "acme", "--limit", "0", "--json").stdout)
    assert row["live"]["limit_nanos"] == "0"
    assert "give either" in halley("accounts", "update", "acme", code=2).stderr
    halley("accounts", "create", "before")
    assert "is prepaid" in halley("accounts", "update", "before", "--limit", "1", code=1).stderr
