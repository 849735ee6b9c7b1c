import json
import socket
from ipaddress import ip_network
from pathlib import Path

import pytest
from tests.cli.conftest import Halley

from halley.cli.checks import Check, Finding, check_all
from halley.settings import ChannelConfig, Secret, Settings

FREE = 0


def find(settings: Settings, name: str, environ: dict[str, str] | None = None) -> Check:
    return next(check for check in check_all(settings, environ or {}) if check.name == name)


def test_a_fresh_machine_has_nothing_wrong(halley: Halley, tmp_path: Path):
    halley.environ["HALLEY_DATA_DIR"] = str(tmp_path / "not-yet")
    found = json.loads(halley("doctor", "--json", "--port", "0").stdout)
    assert [check for check in found if check["finding"] == "bad"] == []
    assert not (tmp_path / "not-yet").exists()


def test_what_fails_has_a_remedy_and_the_exit_code_says_so(halley: Halley):
    (halley.data_dir / "secret").write_text("s" * 40)
    (halley.data_dir / "secret").chmod(0o644)
    text = halley("doctor", "--port", "0", code=1).stdout
    assert "✗ secret" in text
    assert f"→ chmod 600 {halley.data_dir / 'secret'}" in text


def test_a_lost_secret_is_bad_once_there_is_a_database(data_dir: Path):
    assert find(Settings(data_dir=data_dir, port=FREE), "secret").finding is Finding.BAD


def test_a_database_that_is_not_migrated_is_bad(data_dir: Path):
    (data_dir / "halley.db").write_bytes(b"")
    check = find(Settings(data_dir=data_dir, port=FREE), "database")
    assert (check.finding, "migrate" in check.remedy) == (Finding.BAD, True)


def test_a_taken_port_is_bad(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        check = find(Settings(data_dir=tmp_path, port=other.getsockname()[1]), "port")
    assert check.finding is Finding.BAD


@pytest.mark.usefixtures("serving")
def test_who_uses_the_folder_is_named(data_dir: Path):
    assert "in use by `halley serve`" in find(Settings(data_dir=data_dir, port=FREE), "data folder").detail


@pytest.mark.parametrize(
    ("channel", "finding"),
    [
        (ChannelConfig(name="c", vendor="bfl"), Finding.BAD),
        (ChannelConfig(name="c", vendor="bfl", api_key=Secret("k")), Finding.GOOD),
        (ChannelConfig(name="c", vendor="bfl", headers={"x-key": Secret("k")}), Finding.GOOD),
        (ChannelConfig(name="c", vendor="ollama"), Finding.GOOD),
    ],
    ids=["no key", "good", "a key among the headers", "none needed"],
)
def test_a_channel_needs_a_key_where_its_vendor_does(tmp_path: Path, channel: ChannelConfig, finding: Finding):
    settings = Settings(data_dir=tmp_path, port=FREE, channels=(channel,))
    assert find(settings, "channel c").finding is finding


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[channels]]\nname = "c"\nvendor = "nobody"\napi_key = "k"', "`c`: there is no vendor `nobody`"),
        (
            '[[channels]]\nname = "c"\nvendor = "azure_openai"\napi_key = "k"',
            "`azure_openai` has no address of its own",
        ),
        ('[[prices]]\nmodel = "x"\nfoo = "1"', "[[prices]] of `x`: "),
    ],
    ids=["vendor", "address", "price"],
)
def test_a_file_with_which_no_gateway_starts_is_bad(halley: Halley, text: str, told: str):
    (halley.folder / "halley.toml").write_text(text)
    before = {path: path.read_bytes() for path in halley.data_dir.iterdir()}
    shown = halley("doctor", "--port", "0", code=1).stdout
    assert "✗ config" in shown
    assert told in shown
    assert {path: path.read_bytes() for path in halley.data_dir.iterdir()} == before
    assert told in halley("serve", "--port", "0", code=2).stderr


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://bob:a#b@127.0.0.1:1/x", "PostgreSQL at 127.0.0.1: "),
        ("postgresql:///x?host=/nowhere&port=1", "PostgreSQL at /nowhere: "),
        ("postgresql://%2Fnowhere:1/x", "PostgreSQL at /nowhere: "),
    ],
)
def test_the_server_of_the_database_is_named(tmp_path: Path, url: str, where: str):
    check = find(Settings(data_dir=tmp_path, port=FREE, configured_database=Secret(url)), "database")
    assert check.detail.startswith(where)


def test_a_key_in_the_environment_lights_its_vendor_up(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, port=FREE)
    assert "`BFL_API_KEY`" in find(settings, "channel bfl", {"BFL_API_KEY": "k"}).detail
    assert find(settings, "channels").finding is Finding.DOUBTFUL


def test_a_wrong_entry_of_the_guard_is_bad(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, port=FREE, fetch_allow=("http://x/path",))
    assert find(settings, "fetch allow").finding is Finding.BAD


def test_a_public_url_without_tls_is_doubtful(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, port=FREE, public_url="http://localhost:8000")
    assert find(settings, "public URL").finding is Finding.DOUBTFUL


def test_what_simulators_remember_is_looked_at(data_dir: Path):
    (data_dir / "simulators.db").write_bytes(b"nonsense" * 1_000)
    check = find(Settings(data_dir=data_dir, port=FREE), "simulators")
    assert (check.finding, "move it away" in check.remedy) == (Finding.BAD, True)


def test_a_data_folder_that_is_a_file_is_bad(halley: Halley):
    (halley.folder / "file").touch()
    assert f"{halley.folder / 'file'} is a file" in halley("doctor", "--data-dir", "file", code=1).stdout


def test_a_webhook_secret_sealed_with_an_older_secret_is_counted(halley: Halley):
    halley("accounts", "create", "acme")
    halley.environ["HALLEY_SECRET"] = "of-the-first-start-" * 2
    halley("webhooks", "rotate", "--account", "acme")
    halley.environ["HALLEY_SECRET"] = f"{'of-the-second-start-' * 2},{'of-the-first-start-' * 2}"
    assert "1, 1 of them sealed with an older secret" in halley("doctor", "--port", "0").stdout


def test_channels_that_cannot_be_tried_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert "cannot be tried" in find(Settings(data_dir=tmp_path, port=FREE), "config").detail


def test_a_server_whose_tasks_nobody_would_work_on_does_not_start(halley: Halley):
    told = "nobody would work on tasks and webhooks"
    assert told in halley("serve", "--no-worker", "--port", "0", code=2).stderr
    assert told in halley("doctor", "--no-worker", "--port", "0", code=1).stdout


@pytest.mark.parametrize(
    ("host", "proxies", "finding"),
    [
        ("127.0.0.1", ("10.0.0.0/8",), Finding.DOUBTFUL),
        ("localhost", ("10.0.0.0/8", "192.0.2.7"), Finding.DOUBTFUL),
        ("::1", ("fd00::/8",), Finding.DOUBTFUL),
        ("127.0.0.1", ("127.0.0.1", "10.0.0.0/8"), Finding.GOOD),
        ("0.0.0.0", ("10.0.0.0/8",), Finding.GOOD),  # noqa: S104 - looked at, not bound
        ("127.0.0.1", (), Finding.GOOD),
    ],
    ids=str,
)
def test_a_proxy_that_cannot_reach_the_gateway_is_doubtful(
    tmp_path: Path, host: str, proxies: tuple[str, ...], finding: Finding
):
    trusted = tuple(ip_network(each) for each in proxies)
    settings = Settings(data_dir=tmp_path, host=host, port=FREE, trusted_proxies=trusted)
    check = find(settings, "trusted proxies")
    assert (check.finding, "`HALLEY_HOST`" in check.remedy) == (finding, finding is Finding.DOUBTFUL)
