import json
import socket
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.cli.conftest import Halley
from tests.database import PostgresServer

from halley.console.lock import DataLock

LEANING = """
[[channels]]
name = "one"
vendor = "openai"
api_key = "${OA_KEY}"

[[channels]]
name = "two"
vendor = "bfl"
base_url = "os.environ/BFL_URL"

[[channels]]
name = "three"
vendor = "bfl"
headers = { x-team = "${TEAM}-eu" }
"""


def test_accounts_and_keys_without_a_server(halley: Halley):
    halley("accounts", "create", "acme", "--prepaid")
    assert "$10.5 is left" in halley("accounts", "credit", "acme", "$10.50", "--idempotency-key", "a").stdout
    assert "$10.5 is left" in halley("accounts", "credit", "acme", "10.50", "--idempotency-key", "a").stdout
    made = halley(
        "keys", "create", "--account", "acme", "--live", "--budget", "5", "--period", "week", "--models", "a,b*"
    )
    key = made.stdout.strip()
    assert key.startswith("sk-")
    assert key not in made.stderr
    (row,) = json.loads(halley("keys", "list", "--json").stdout)
    assert (row["models"], row["budget_nanos"], row["budget_period"]) == (["a", "b*"], "5000000000", "week")
    assert row["id"] in halley("keys", "revoke", key).stdout
    assert "There are no keys" in halley("keys", "list").stderr
    assert "The books are sound" in halley("ledger", "verify").stdout


def test_a_model_given_by_another_name_is_told_by_its_id(halley: Halley):
    halley("accounts", "create", "acme")
    made = halley("keys", "create", "--account", "acme", "--models", "gpt-4o-2024-11-20,house-model")
    assert "`gpt-4o-2024-11-20` is another name of `gpt-4o`, which the key may use" in made.stderr
    assert "No model of the catalogue is called `house-model`" in made.stderr
    assert "called `gpt" not in made.stderr


def test_a_top_up_is_taken_back(halley: Halley):
    halley("accounts", "create", "acme")
    booked = json.loads(halley("accounts", "credit", "acme", "25", "--json").stdout)["transfer_id"]
    options = ("--corrects", booked, "--reason", "twice", "--idempotency-key", "ticket-7")
    assert "Adjusted `acme` by -$24.5: $0.5 is left" in halley("accounts", "adjust", "acme", "-24.50", *options).stdout
    assert "$0.5 is left" in halley("accounts", "adjust", "acme", "-$24.50", *options).stdout
    told = halley("accounts", "adjust", "acme", "-1", "--corrects", booked, "--reason", "x", code=1).stderr
    assert f"$0.5 is left of `{booked}` after its corrections" in told
    assert "adjust" in halley("ledger", "show", "--account", "acme").stdout
    assert "The books are sound" in halley("ledger", "verify").stdout


def test_usage_is_summed_and_shown(halley: Halley, data_dir: Path):
    made = json.loads(halley("accounts", "create", "=1+1", "--json").stdout)
    assert "Nothing was used in live mode" in halley("usage", "sum").stderr
    with closing(sqlite3.connect(data_dir / "halley.db")) as database, database:
        database.execute(
            "INSERT INTO usage (id, account_id, project_id, key_id, livemode, order_kind, order_id, model, outcome,"
            " meters, price_nanos, vendor_cost_nanos, attempts, total_us, created_at)"
            " VALUES ('use_1', ?, 'p', 'k', 1, 'answer', 'ans_1', 'gpt-4o', 'succeeded', '{}', 1500000000, 1, 1, 1,"
            " 1793534400000000)",
            (made["id"],),
        )
    options = ("--since", "2026-11-01", "--until", "2026-11-30", "--by", "account", "--by", "day")
    table = halley("usage", "sum", *options).stdout
    assert "$1.5" in table
    assert "2026-11-01" in table
    assert halley("usage", "sum", *options, "--csv").stdout.splitlines() == [
        "account,day,requests,unsuccessful,price,vendor_cost,exposure",
        "'=1+1,2026-11-01,1,0,1.5,0.000000001,0",
    ]
    assert json.loads(halley("usage", "sum", *options, "--json").stdout)["rows"][0]["of"]["account"] == "=1+1"
    assert "price        $1.5" in halley("usage", "show", "ans_1").stdout
    assert "is no time" in halley("usage", "sum", "--since", "soon", code=1).stderr


@pytest.mark.parametrize("amount", ["0", "--", "-x", "-1e30"])
def test_a_correction_needs_an_amount(halley: Halley, amount: str):
    assert "AMOUNT" in halley("accounts", "adjust", "acme", amount, "--corrects", "x", "--reason", "x", code=2).stderr


@pytest.mark.usefixtures("serving")
def test_commands_run_in_the_server_while_it_runs(halley: Halley):
    halley("accounts", "create", "acme", "--postpaid", "--limit", "3")
    table = halley("accounts", "list").stdout
    assert "acme" in table
    assert "postpaid" in table
    key = halley("keys", "create", "--account", "acme").stdout.strip()
    assert key.startswith("sk-test-")
    assert "There is no account `nobody`" in halley("keys", "create", "--account", "nobody", code=1).stderr
    assert "The books are sound" in halley("ledger", "verify").stdout
    view = json.loads(halley("ledger", "show", "--account", "acme", "--test", "--json").stdout)
    assert [row["amount_nanos"] for row in view["transfers"]] == ["1000000000000"]


@pytest.mark.usefixtures("serving")
def test_a_command_for_another_database_does_not_land_in_this_one(halley: Halley):
    halley.environ["HALLEY_DATABASE_URL"] = "sqlite:///elsewhere.db"
    assert "uses another database" in halley("keys", "list", code=1).stderr


def test_a_holder_that_does_not_answer_is_named(halley: Halley):
    with DataLock(halley.data_dir, "halley restore"):
        message = halley("keys", "list", code=1).stderr
    assert "`halley restore` (process" in message
    assert "try again in a moment" in message


def test_a_command_on_a_database_that_another_folder_serves_is_told_so(halley: Halley):
    database = halley.data_dir / "halley.db"
    halley.environ |= {"HALLEY_DATA_DIR": "elsewhere", "HALLEY_DATABASE_URL": f"sqlite:///{database}"}
    with DataLock(halley.data_dir, "halley serve", database):
        for command in ("keys list", "migrate"):
            message = halley(*command.split(), code=1).stderr
            assert f"The database `{database}` is in use by `halley serve` (process" in message
            assert "`HALLEY_DATA_DIR`" in message


def test_a_database_that_is_not_there_wants_a_migration(halley: Halley):
    (halley.data_dir / "halley.db").unlink()
    assert "run `halley migrate`" in halley("accounts", "list", code=1).stderr
    assert "was brought up to this release" in halley("migrate").stdout
    assert "is at this release" in halley("migrate").stdout
    assert json.loads(halley("accounts", "list", "--json").stdout) == []
    assert "There are no accounts" in halley("accounts", "list").stderr


def test_a_file_that_is_no_database_is_one_line(halley: Halley):
    (halley.data_dir / "halley.db").write_bytes(b"nonsense" * 1_000)
    assert "file is not a database" in halley("accounts", "list", code=1).stderr


@pytest.mark.postgres
def test_on_postgresql_commands_write_directly(halley: Halley, postgres_server: PostgresServer):
    halley.environ["DATABASE_URL"] = postgres_server.url(postgres_server.new_empty())
    assert "run `halley migrate`" in halley("accounts", "create", "acme", code=1).stderr
    halley("migrate")
    halley("accounts", "create", "acme")
    assert "The books are sound" in halley("ledger", "verify").stdout


@pytest.mark.postgres
def test_a_postgresql_that_is_away_is_one_line(halley: Halley):
    halley.environ["DATABASE_URL"] = "postgresql://nobody:hidden@127.0.0.1:1/none"
    message = halley("accounts", "list", code=1).stderr
    assert message.startswith("Error: PostgreSQL cannot be used: ")
    assert "hidden" not in message


@pytest.mark.postgres
def test_a_migration_reads_the_url_as_the_gateway_does(halley: Halley, postgres_server: PostgresServer):
    name = postgres_server.new_empty()
    folder = postgres_server.url(name).partition("?host=")[2]
    halley.environ["DATABASE_URL"] = f"postgresql://postgres@{quote(folder, safe='')}:1,{quote(folder, safe='')}/{name}"
    assert "was brought up to this release" in halley("migrate").stdout
    assert "is at this release" in halley("migrate").stdout
    assert "There are no accounts" in halley("accounts", "list").stderr


@pytest.mark.parametrize("command", [("doctor",), ("migrate",), ("serve",), ("keys", "list")], ids=" ".join)
def test_a_password_that_breaks_the_url_is_not_shown(halley: Halley, command: tuple[str, ...]):
    halley.environ["DATABASE_URL"] = "postgresql://bob:hun%ZZter2@127.0.0.1:1/none"
    shown = halley(*command, code=2).output
    assert "`DATABASE_URL`: the value given will not do" in shown
    assert "ter2" not in shown


def leaning_on_the_service(halley: Halley) -> None:
    """Write a file whose channels take from the environment of the service, which this shell does not have."""
    (halley.folder / "halley.toml").write_text(LEANING)
    (halley.folder / "map.json").write_text("{}")


@pytest.mark.parametrize(
    "command",
    [
        *("keys list", "accounts list", "tasks list", "ledger verify", "prices list", "migrate", "backup b.tar"),
        *("prices import map.json", "webhooks rotate --account acme", "accounts credit acme 1"),
    ],
)
def test_a_command_that_opens_no_channel_needs_no_vendors_key(halley: Halley, command: str):
    halley("accounts", "create", "acme")
    leaning_on_the_service(halley)
    halley(*command.split())


@pytest.mark.parametrize(("command", "code"), [("serve", 2), ("reload", 1)])
def test_what_opens_channels_names_all_that_the_environment_lacks(halley: Halley, command: str, code: int):
    leaning_on_the_service(halley)
    before = list(halley.data_dir.iterdir())
    told = halley(command, code=code).stderr
    assert "`[[channels]]` number 1 in `halley.toml`: `api_key` wants `OA_KEY` from the environment" in told
    assert "number 2 in `halley.toml`: `base_url` wants `BFL_URL` from the environment" in told
    assert "number 3 in `halley.toml`: `headers.x-team` wants `TEAM` from the environment" in told
    assert command == "reload" or list(halley.data_dir.iterdir()) == before


def test_the_doctor_tells_what_the_environment_lacks(halley: Halley):
    leaning_on_the_service(halley)
    told = halley("doctor", "--port", "0", code=1).stdout
    assert told.count("✗ config") == 3
    assert "`api_key` wants `OA_KEY` from the environment" in told


def test_a_command_by_itself_leaves_the_channels_as_they_are(halley: Halley):
    halley("accounts", "create", "acme")
    halley.environ["BFL_API_KEY"] = "k"
    assert "Channels: bfl-environment" in halley("reload").stdout
    del halley.environ["BFL_API_KEY"]
    halley("webhooks", "rotate", "--account", "acme")
    with closing(sqlite3.connect(halley.data_dir / "halley.db")) as connection:
        assert connection.execute("SELECT name, state FROM channels").fetchall() == [("bfl-environment", "enabled")]


def test_differences_in_the_books_are_told_and_exit_with_one(halley: Halley):
    halley("accounts", "create", "acme")
    with closing(sqlite3.connect(halley.data_dir / "halley.db")) as connection:
        connection.execute("UPDATE ledger_accounts SET credits_posted = credits_posted + 1")
        connection.commit()
    found = halley("ledger", "verify", code=1)
    assert "credits_posted is" in found.stdout
    assert "differences" in found.stdout
    assert json.loads(halley("ledger", "verify", "--json", code=1).stdout)["differences"]


def test_tasks_and_losses_of_an_empty_gateway(halley: Halley):
    assert "There are no such tasks" in halley("tasks", "list", "--state", "unknown").stderr
    assert "There is no task `x`" in halley("tasks", "show", "x", code=1).stderr
    assert "Nothing is lost" in halley("ledger", "show", "--lost").stderr
    assert "revenue" in halley("ledger", "show").stdout


@pytest.mark.parametrize("options", [(), ("--void", "--post"), ("--post", "1", "--attach", "x")], ids=str)
def test_a_task_is_resolved_in_one_way(halley: Halley, options: tuple[str, ...]):
    assert "exactly one of" in halley("tasks", "resolve", "x", *options, code=2).stderr


@pytest.mark.parametrize(
    "amount",
    ["25,00", "0,50", "0,500", "1,0000", "1,00,000", "1000,000", "1.000,000", "1,000.", ",5", "1_000", "\uff12\uff15"],
)
def test_a_comma_is_taken_only_between_thousands(halley: Halley, amount: str):
    halley("accounts", "create", "acme")
    for command in (
        ("accounts", "credit", "acme", amount),
        ("keys", "create", "--account", "acme", "--budget", amount),
    ):
        told = halley(*command, code=2).stderr
        assert f"`{amount}` is not an amount in US dollars; write it as `1234.50` or `1,234.50`" in told


def test_commas_between_thousands_are_read_over(halley: Halley):
    halley("accounts", "create", "acme")
    assert "$1234567.5 is left" in halley("accounts", "credit", "acme", "$1,234,567.50").stdout


@pytest.mark.parametrize("amount", ["-1", "x", "0.0000000001", "1e30", "NaN"])
def test_amounts_are_read_exactly_or_refused(halley: Halley, amount: str):
    assert "Invalid value" in halley("accounts", "credit", "acme", "--", amount, code=2).stderr


def test_backup_and_restore(halley: Halley):
    halley("accounts", "create", "acme")
    first = halley("backup", "b.tar")
    assert "does not hold the secret" in first.stderr
    assert "exists already" in halley("backup", "b.tar", code=1).stderr
    with tarfile.open(halley.folder / "b.tar") as archive:
        assert archive.getnames() == ["manifest.json", "database.db"]
    assert "Restored" in halley("restore", "b.tar", "--data-dir", "new").stdout
    assert "acme" in halley("accounts", "list", "--data-dir", "new").stdout
    assert "is not empty" in halley("restore", "b.tar", "--data-dir", "new", code=1).stderr


@pytest.mark.usefixtures("serving")
def test_a_backup_is_made_while_the_server_runs(halley: Halley):
    halley("accounts", "create", "acme")
    halley("backup", "b.tar")
    halley("restore", "b.tar", "--data-dir", "new")
    assert "acme" in halley("accounts", "list", "--data-dir", "new").stdout
    assert "in use by `halley serve`" in halley("restore", "b.tar", code=1).stderr


def test_a_backup_into_a_folder_that_is_not_there_is_one_line(halley: Halley):
    assert "`gone/b.tar`: No such file or directory" in halley("backup", "gone/b.tar", code=1).stderr


@pytest.mark.parametrize(
    ("host", "remedy"), [("192.0.2.1", "another with `--host`"), ("127.0.0.1", "another with `--port`")]
)
def test_a_place_that_cannot_be_listened_on_is_told_with_what_to_change(halley: Halley, host: str, remedy: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = halley("serve", "--host", host, "--port", port, code=2).stderr
    assert f"Cannot listen on {host}:{port}: " in message
    assert remedy in message


def test_a_worker_of_its_own_needs_postgresql(halley: Halley):
    assert "needs PostgreSQL" in halley("worker", code=2).stderr


def test_an_unknown_vendor_cannot_be_simulated(halley: Halley):
    told = halley("simulate", "nobody", code=2).stderr
    assert "There is no vendor `nobody`; there are: " in told
    assert "bfl" in told


def test_the_api_is_described(halley: Halley):
    assert json.loads(halley("openapi").stdout)["openapi"].startswith("3.1")


def test_what_is_written_is_for_our_own_user(halley: Halley):
    (halley.data_dir / "halley.db").unlink()
    halley("migrate")
    assert (halley.data_dir / "halley.db").stat().st_mode & 0o077 == 0


def test_wrong_settings_are_told_at_once(halley: Halley):
    Path("halley.toml").write_text("prot = 1")
    halley.environ["HALLEY_DRAIN_S"] = "long"
    message = halley("keys", "list", code=2).stderr
    assert "did you mean `port`" in message
    assert "`HALLEY_DRAIN_S`: `long` will not do" in message


def test_a_projects_webhooks_get_a_new_secret_and_the_doctor_tells_when_they_need_one(halley: Halley):
    halley("accounts", "create", "acme")
    halley.environ["HALLEY_SECRET"] = "of-the-first-start-" * 2
    first = halley("webhooks", "rotate", "--account", "acme").stdout.strip()
    assert first.startswith("whsec_")
    assert "✓ webhook secrets" in halley("doctor", "--port", "0").stdout

    halley.environ["HALLEY_SECRET"] = "of-the-second-start-" * 2
    told = halley("doctor", "--port", "0", code=1).stdout
    assert "1 of 1 cannot be opened: project `default` of `acme`" in told
    assert "halley webhooks rotate" in told

    made = json.loads(halley("webhooks", "rotate", "--account", "acme", "--json").stdout)
    assert (made["account"], made["project"]) == ("acme", "default")
    assert len({first, made["secret"], made["test_secret"]}) == 3
    assert "✓ webhook secrets" in halley("doctor", "--port", "0").stdout


def test_webhooks_that_were_given_up_are_asked_for_by_one_name_or_all(halley: Halley):
    halley("accounts", "create", "acme")
    assert "There are no such webhooks" in halley("webhooks", "list", "--state", "failed", "--account", "acme").stderr
    assert json.loads(halley("webhooks", "list", "--json").stdout) == []
    assert "0 that were given up are due now" in halley("webhooks", "redeliver", "--failed").stdout
    for args in ((), ("msg_1", "--failed"), ("msg_1", "--account", "acme")):
        assert "either ID, or --failed" in halley("webhooks", "redeliver", *args, code=2).stderr
    assert "no webhook `msg_1`" in halley("webhooks", "redeliver", "msg_1", code=1).stderr


def test_a_new_secret_is_for_a_project_that_there_is(halley: Halley):
    halley("accounts", "create", "acme")
    assert "no account `nobody`" in halley("webhooks", "rotate", "--account", "nobody", code=1).stderr
    args = ("webhooks", "rotate", "--account", "acme", "--project", "none")
    assert "has no project `none`" in halley(*args, code=1).stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("accounts", "create", ""), "`NAME` will not do; give at least 1 characters"),
        (("accounts", "create", "x" * 101), "`NAME` will not do; give at most 100 characters"),
        (("accounts", "create", "a\x1b[31mred"), "`NAME` will not do; give a text without control characters"),
        (("accounts", "credit", "acme", "0"), "give an amount above it"),
        (("accounts", "credit", "acme", "1", "--note", "x" * 501), "`--note` will not do; give at most 500 characters"),
        (("accounts", "credit", "acme", "2000000000"), "between $0 and $1152921504.606846976"),
        (("keys", "create", "--account", "acme", "--name", "x" * 101), "`--name` will not do; give at most 100"),
    ],
    ids=["no name", "long name", "control characters", "nothing", "long note", "too much", "long name of a key"],
)
def test_an_argument_that_will_not_do_is_named_with_what_would(halley: Halley, args: tuple[str, ...], told: str):
    halley("accounts", "create", "acme")
    assert told in halley(*args, code=2).stderr


@pytest.mark.parametrize("models", [("",), (" , ",), ("", "flux-*")], ids=str)
def test_an_empty_list_of_models_makes_no_key(halley: Halley, models: tuple[str, ...]):
    halley("accounts", "create", "acme")
    options = [part for each in models for part in ("--models", each)]
    assert "leave it out for all models" in halley("keys", "create", "--account", "acme", *options, code=2).stderr
    assert json.loads(halley("keys", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    "args",
    [
        ("serve", "--data-dir", "file"),
        ("serve", "--data-dir", "file/below"),
        ("accounts", "list", "--data-dir", "file"),
        ("restore", "archive", "--data-dir", "file"),
    ],
    ids=" ".join,
)
def test_a_data_folder_that_is_a_file_is_told(halley: Halley, args: tuple[str, ...]):
    for name in ("file", "archive"):
        (halley.folder / name).touch()
    told = halley(*args, code=2).stderr
    assert f"`HALLEY_DATA_DIR`: `{halley.folder / 'file'}` is a file, and a folder is needed there" in told
    assert "HALLEY_OBJECTS_URL" not in told


def test_a_folder_of_files_that_is_a_file_is_told(halley: Halley):
    (halley.folder / "file").touch()
    halley.environ["HALLEY_OBJECTS_URL"] = f"file://{halley.folder / 'file'}"
    assert f"`HALLEY_OBJECTS_URL`: `{halley.folder / 'file'}` is a file" in halley("serve", code=2).stderr


@pytest.mark.parametrize("command", [("serve",), ("simulate", "bfl")], ids=" ".join)
def test_a_wrong_entry_of_the_guard_is_told_before_anything_runs(halley: Halley, command: tuple[str, ...]):
    assert "`%%` in HALLEY_FETCH_ALLOW" in halley(*command, "--fetch-allow", "%%", code=2).stderr


def test_what_simulators_remember_is_named_where_it_is_damaged(halley: Halley):
    path = halley.data_dir / "simulators.db"
    path.write_bytes(b"nonsense" * 1_000)
    told = halley("serve", "--port", "0", code=1).stderr
    assert f"`{path}` cannot be used: file is not a database" in told
    assert "move it away" in told
