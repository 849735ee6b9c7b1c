import pytest
from tests.database import FakeIds

from halley.accounts import rules
from halley.accounts.model import BudgetPeriod
from halley.kernel.clock import parse_time, rfc3339
from halley.ledger import rules as ledger_rules


def test_a_key_is_hashed_whole():
    keys = ["sk-" + "a" * 48, "sk-" + "a" * 47 + "b", "sk-" + "a" * 49, "sk-test-" + "a" * 40]
    assert len({rules.hash_key(key) for key in keys}) == len(keys)
    assert rules.hash_key("sk-abc") == "1460db1b6902f8b1fc2a40d9381a24d0fd22c3bc1b2c6f999c521da73776fbe0"


@pytest.mark.parametrize(("livemode", "prefix", "length"), [(True, "sk-", 51), (False, "sk-test-", 48)])
def test_a_new_key_tells_its_mode(ids: FakeIds, livemode: bool, prefix: str, length: int):
    text = rules.new_key_text(ids, livemode=livemode)
    assert text.startswith(prefix)
    assert text.removeprefix(prefix).isalnum()
    assert len(text) == length
    assert rules.is_test_key(text) is not livemode


def test_a_hint_shows_the_end_and_not_the_key():
    assert rules.hint("sk-" + "a" * 44 + "WXYZ") == "sk-…WXYZ"
    assert rules.hint("sk-test-" + "a" * 36 + "WXYZ") == "sk-test-…WXYZ"


def test_a_short_key_is_not_shown_by_its_hint():
    assert rules.hint("sk-abcd") == "sk-…"


@pytest.mark.parametrize(
    ("period", "now", "start"),
    [
        pytest.param(BudgetPeriod.DAY, "2026-11-01T23:59:59.999999Z", "2026-11-01T00:00:00Z", id="end of a day"),
        pytest.param(BudgetPeriod.DAY, "2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z", id="first moment of a day"),
        pytest.param(BudgetPeriod.WEEK, "2026-11-01T12:00:00Z", "2026-10-26T00:00:00Z", id="a Sunday"),
        pytest.param(BudgetPeriod.WEEK, "2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z", id="a Monday"),
        pytest.param(BudgetPeriod.MONTH, "2026-11-30T23:00:00Z", "2026-11-01T00:00:00Z", id="end of a month"),
        pytest.param(BudgetPeriod.MONTH, "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", id="a leap day"),
        pytest.param(BudgetPeriod.TOTAL, "2026-11-01T12:00:00Z", "1970-01-01T00:00:00Z", id="for ever"),
    ],
)
def test_a_budget_period_begins_in_utc(period: BudgetPeriod, now: str, start: str):
    assert rfc3339(rules.period_start(period, parse_time(now)), digits=0) == start


@pytest.mark.parametrize("livemode", [True, False])
def test_accounts_and_ledger_name_the_ledger_account_alike(livemode: bool):
    name = rules.ledger_account_id("acct_1", livemode=livemode)
    assert name == ledger_rules.ledger_account_id("acct_1", livemode=livemode)
    assert ledger_rules.owner(name) == ("acct_1", livemode)
