import stat
from ipaddress import ip_network
from pathlib import Path
from traceback import format_exception

import msgspec
import pytest

from halley.settings import (
    SETTINGS,
    Secret,
    Settings,
    SettingsError,
    load_settings,
    open_secrets,
    read_secrets,
    reload_file,
    secret_path,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "halley.toml"
    path.write_text(text)
    return path


def problems(folder: Path, environ: dict[str, str], flags: dict[str, str | None] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags or {}, environ, folder)
    return str(caught.value)


def test_without_configuration_the_defaults_hold(tmp_path: Path):
    settings = load_settings({}, {}, tmp_path)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("data"))
    assert settings.database_url.reveal() == "sqlite:///data/halley.db"
    assert settings.database_path == Path("data/halley.db")
    assert settings.objects_path == Path("data/objects").absolute()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path):
    write(tmp_path, "port = 1\nhost = '127.0.0.3'\ndrain_s = 3")
    settings = load_settings({"port": "3"}, {"HALLEY_PORT": "2", "HALLEY_HOST": "127.0.0.2"}, tmp_path)
    assert (settings.port, settings.host, settings.drain_s) == (3, "127.0.0.2", 3.0)


def test_a_named_file_is_read_instead_of_the_usual_one(tmp_path: Path):
    write(tmp_path, "port = 1")
    (tmp_path / "other.toml").write_text("port = 2")
    assert load_settings({}, {"HALLEY_CONFIG": "other.toml"}, tmp_path).port == 2
    assert load_settings({"config": "halley.toml"}, {"HALLEY_CONFIG": "other.toml"}, tmp_path).port == 1


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path):
    assert "`HALLEY_CONFIG`: there is no file `gone.toml`" in problems(tmp_path, {"HALLEY_CONFIG": "gone.toml"})
    assert "`--config`: there is no file `gone.toml`" in problems(tmp_path, {}, {"config": "gone.toml"})


def test_the_short_name_of_the_database_is_asked_second(tmp_path: Path):
    short = {"DATABASE_URL": "postgresql://u:p@db/short"}
    both = short | {"HALLEY_DATABASE_URL": "sqlite:///long.db"}
    assert load_settings({}, short, tmp_path).database_url.reveal() == "postgresql://u:p@db/short"
    assert load_settings({}, both, tmp_path).database_url.reveal() == "sqlite:///long.db"


def test_an_empty_value_in_the_environment_counts_as_not_given(tmp_path: Path):
    assert load_settings({}, {"HALLEY_PUBLIC_URL": "", "HALLEY_PORT": " "}, tmp_path) == Settings()


def test_names_that_kubernetes_sets_are_not_taken_for_settings(tmp_path: Path):
    environ = {"HALLEY_SERVICE_HOST": "10.0.0.1", "HALLEY_PORT_80_TCP": "x", "HALLEY_PORT": "tcp://10.0.0.1:80"}
    assert load_settings({}, environ, tmp_path) == Settings()


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("trusted_proxies", "10.0.0.0/8, ::1", "trusted_proxies", (ip_network("10.0.0.0/8"), ip_network("::1"))),
        ("fetch_allow", "a.internal,b:80", "fetch_allow", ("a.internal", "b:80")),
        ("worker", "no", "worker", False),
        ("sandbox_delay", "0.25", "sandbox_delay_s", 0.25),
        ("body_bytes_max", "1MiB", "body_bytes_max", 1_048_576),
        ("body_bytes_max", "2000000", "body_bytes_max", 2_000_000),
        ("public_url", "https://ai.example.com/", "public_url", "https://ai.example.com"),
        ("log_format", "JSON", "log_format", "json"),
        ("objects_url", "s3://bucket/halley", "configured_objects", "s3://bucket/halley"),
    ],
    ids=str,
)
def test_values_are_read_by_their_kind(tmp_path: Path, key: str, text: str, field: str, value: object):
    assert getattr(load_settings({key: text}, {}, tmp_path), field) == value


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("HALLEY_PORT", "eighty", "a whole number from 0 to 65535"),
        ("HALLEY_PORT", "65536", "a whole number"),
        ("HALLEY_DRAIN_S", "-1", "a number of seconds"),
        ("HALLEY_DRAIN_S", "nan", "a number of seconds"),
        ("HALLEY_WORKER", "maybe", "`true` or `false`"),
        ("HALLEY_HOST", "http://x", "a host name or IP address"),
        ("HALLEY_PUBLIC_URL", "ai.example.com", "an http or https URL"),
        ("HALLEY_TRUSTED_PROXIES", "proxy", "IP addresses or networks"),
        ("HALLEY_BODY_BYTES_MAX", "2TB", "a size from"),
        ("HALLEY_LOG_LEVEL", "loud", "one of `debug`"),
        ("HALLEY_OBJECTS_URL", "./objects", "`file:///folder`"),
        ("HALLEY_RETENTION_DAYS", "0", "from 1"),
    ],
)
def test_a_wrong_value_names_source_value_and_remedy(tmp_path: Path, name: str, value: str, wanted: str):
    message = problems(tmp_path, {name: value})
    assert message.startswith(f"`{name}`: `{value}` will not do; give ")
    assert wanted in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HALLEY_SECRET", "short-and-private"),
        ("HALLEY_DATABASE_URL", "mysql://user:hidden@db"),
        ("HALLEY_BOOTSTRAP_KEY", "password1"),
        ("HALLEY_PUBLIC_URL", "https://user:hidden@ai.example.com"),
    ],
)
def test_a_wrong_secret_is_not_repeated(tmp_path: Path, name: str, value: str):
    message = problems(tmp_path, {name: value})
    assert name in message
    assert value not in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hun%ZZter2secret@db/x",
        "postgresql://bob:hunter2 secret@db/x",
        "postgresql://bob:hunter2secret@[::1/x",
        "postgresql://bob:hun/ter2secret@db/x",
        "postgresql://bob:123/hunter2secret@db/x",
        "postgresql://bob:hun@ter2secret@db/x",
        "postgresql://bob:hun#ter2@secret@db/x",
        "postgresql://bob@db:hunter2secret/x",
        "postgresql://bob@db:99999/x",
        "postgresql://bob@db/x?hunter2secret=1",
        "postgresql://bob@db/x?port=secret",
    ],
)
def test_a_database_url_that_cannot_be_read_is_told_without_any_part_of_it(tmp_path: Path, url: str):
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {"HALLEY_DATABASE_URL": url}, tmp_path)
    message = str(caught.value)
    assert message.startswith("`HALLEY_DATABASE_URL`: the value given will not do; give a URL such as `postgresql://")
    assert "percent-encoded" in message
    traceback = "".join(format_exception(caught.value))
    assert [part for part in ("hun", "ter2", "secret", "bob", "99999") if part in traceback.replace("%2F", "")] == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://bob:hun%25ter2@db:5432/x?sslmode=require",
        "postgresql://bob:a#b?c@db/x",
        "postgresql:///x?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun/x",
        "postgresql://bob@[::1]:5432/x",
        "postgresql://bob@one:1,two:2/x",
    ],
)
def test_a_database_url_may_be_spelled_as_postgresql_reads_it(tmp_path: Path, url: str):
    assert load_settings({}, {"DATABASE_URL": url}, tmp_path).database_url.reveal() == url


def test_a_misspelt_name_in_the_environment_is_an_error_that_knows_better(tmp_path: Path):
    message = problems(tmp_path, {"HALLEY_PROT": "1"})
    assert message == "`HALLEY_PROT` in the environment is no setting of Halley; did you mean `HALLEY_PORT`?"


def test_a_misspelt_key_in_the_file_is_an_error_that_knows_better(tmp_path: Path):
    path = write(tmp_path, "pubic_url = 'https://x'")
    assert f"`pubic_url` in `{path}` is no setting of Halley; did you mean `public_url`?" == problems(tmp_path, {})


def test_all_problems_are_told_at_once(tmp_path: Path):
    write(tmp_path, "drain_s = 'long'")
    message = problems(tmp_path, {"HALLEY_PORT": "x", "HALLEY_NONSENSE": "1"}, {"host": "a b"})
    assert len(message.splitlines()) == 4


def test_the_file_may_give_lists_and_must_not_give_tables(tmp_path: Path):
    write(tmp_path, "trusted_proxies = ['10.0.0.0/8']\nfetch_allow = 'a,b'")
    assert load_settings({}, {}, tmp_path).fetch_allow == ("a", "b")
    write(tmp_path, "port = [1]")
    assert "a single value (whole number" in problems(tmp_path, {})
    write(tmp_path, "fetch_allow = [1]")
    assert "a list of texts" in problems(tmp_path, {})


def test_a_file_that_is_no_toml_or_too_large_is_an_error(tmp_path: Path):
    write(tmp_path, "port = ")
    assert "cannot be read: Invalid value" in problems(tmp_path, {})
    write(tmp_path, "#" * (4 * 1024 * 1024 + 1))
    assert "larger than" in problems(tmp_path, {})


def test_secrets_never_show(tmp_path: Path):
    environ = {
        "HALLEY_SECRET": "a" * 31 + "Z," + "b" * 31 + "Z",
        "HALLEY_DATABASE_URL": "postgresql://u:aaaZ@db/x",
        "HALLEY_BOOTSTRAP_KEY": "sk-test-aaaZ5678",
        "KEY": "channel-aaaZ",
    }
    write(tmp_path, '[[channels]]\nname = "c"\nvendor = "v"\napi_key = "${KEY}"')
    settings = load_settings({}, environ, tmp_path)
    shown = f"{settings!r} {settings} {settings.database_url} {settings.configured_secrets!s} {settings.channels!r}"
    assert "aaaZ" not in shown
    assert [len(secret.reveal()) for secret in settings.configured_secrets] == [32, 32]


def test_a_secret_is_neither_encoded_nor_pickled():
    import pickle

    with pytest.raises(TypeError):
        msgspec.json.encode(Secret("x"))
    with pytest.raises(TypeError):
        pickle.dumps(Secret("x"))


def test_secrets_are_equal_by_their_text():
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_the_first_start_makes_a_secret_that_only_we_may_read(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "new" / "data")
    assert read_secrets(settings) == ()
    made = open_secrets(settings)
    assert open_secrets(settings) == made == read_secrets(settings)
    assert len(made) == 1
    assert stat.S_IMODE(secret_path(settings).stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir()] == ["secret"]


def test_a_configured_secret_makes_no_file(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, configured_secrets=(Secret("x" * 32),))
    assert open_secrets(settings) == settings.configured_secrets
    assert not secret_path(settings).exists()


@pytest.mark.parametrize("text", ["", "short"], ids=["empty", "short"])
def test_a_damaged_secret_file_is_an_error_and_is_not_replaced(tmp_path: Path, text: str):
    settings = Settings(data_dir=tmp_path)
    secret_path(settings).write_text(text)
    with pytest.raises(SettingsError, match="secret"):
        open_secrets(settings)
    assert secret_path(settings).read_text() == text


def test_a_secret_file_that_is_no_text_is_told_in_words(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    secret_path(settings).write_bytes(bytes(range(100, 200)))
    with pytest.raises(SettingsError, match="is no ASCII text; restore it"):
        open_secrets(settings)


def test_a_reload_reads_channels_and_prices_and_nothing_else(tmp_path: Path):
    path = write(tmp_path, "port = 1")
    settings = load_settings({}, {}, tmp_path)
    path.write_text('port = 2\n[[channels]]\nname = "c"\nvendor = "v"\n[[prices]]\nmodel = "m"\ncall = 1')
    again = reload_file(settings, {})
    assert (again.port, len(again.channels), len(again.prices)) == (1, 1, 1)
    path.write_text("channels = 3")
    with pytest.raises(SettingsError, match="channels"):
        reload_file(settings, {})


def test_a_reload_finds_a_file_that_came_after_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({}, {})
    assert reload_file(settings, {}) is settings
    write(tmp_path, '[[prices]]\nmodel = "m"\ncall = 1')
    assert len(reload_file(settings, {}).prices) == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8000"), ("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000")],  # noqa: S104 - nothing is bound
)
def test_the_bound_address_is_a_url_that_works_from_here(host: str, url: str):
    assert Settings(host=host).bound_url == url


def test_each_setting_has_one_place():
    assert len({setting.env for setting in SETTINGS}) == len({setting.field for setting in SETTINGS}) == len(SETTINGS)
    fields = set(Settings.__struct_fields__) - {"channels", "prices", "unset"}
    assert {setting.field for setting in SETTINGS} == fields
