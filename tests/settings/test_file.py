from pathlib import Path

import pytest

from halley.settings import ChannelConfig, PriceConfig, Secret, SettingsError, load_settings, read_again, reload_file

CHANNEL = """
[[channels]]
name = "main"
vendor = "acme"
"""


def load(folder: Path, text: str, environ: dict[str, str] | None = None):
    (folder / "halley.toml").write_text(text)
    return load_settings({}, environ or {}, folder)


def problem(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text, environ)
    return str(caught.value)


def test_a_channel_has_defaults(tmp_path: Path):
    assert load(tmp_path, CHANNEL).channels == (ChannelConfig(name="main", vendor="acme"),)


def test_a_channel_may_say_everything(tmp_path: Path):
    rest = 'base_url = "https://a.example/v1/"\napi_key = "k"\nmodels = ["flux-*", "x"]\npriority = 2\nweight = 0'
    assert load(tmp_path, CHANNEL + rest).channels == (
        ChannelConfig(
            name="main",
            vendor="acme",
            base_url="https://a.example/v1",
            api_key=Secret("k"),
            models=("flux-*", "x"),
            priority=2,
            weight=0,
        ),
    )


def test_a_channel_may_have_names_bounds_and_headers(tmp_path: Path):
    rest = """
model_map = { "gpt-4o" = "prod-gpt-4o", "meta/llama 3" = "x" }
"""
    assert "are no two model ids" in problem(tmp_path, CHANNEL + rest)
    rest = """
model_map = { "gpt-4o" = "prod-gpt-4o", "meta/llama-3" = "deployments/x" }
at_once_max = 64
per_minute_max = 3000
headers = { X-Team = "blue", x-auth = "Bearer ${TOKEN}!${TOKEN}", x-plain = "$TOKEN" }
"""
    found = load(tmp_path, CHANNEL + rest, {"TOKEN": "abc"}).channels[0]
    assert found.model_map == {"gpt-4o": "prod-gpt-4o", "meta/llama-3": "deployments/x"}
    assert (found.at_once_max, found.per_minute_max) == (64, 3_000)
    assert {name: value.reveal() for name, value in found.headers.items()} == {
        "x-team": "blue",
        "x-auth": "Bearer abc!abc",
        "x-plain": "$TOKEN",
    }
    assert "abc" not in repr(found)


@pytest.mark.parametrize("spelling", ["${ACME_KEY}", "os.environ/ACME_KEY"])
def test_a_key_is_taken_from_the_environment(tmp_path: Path, spelling: str):
    text = f'{CHANNEL}api_key = "{spelling}"'
    assert load(tmp_path, text, {"ACME_KEY": "abc"}).channels[0].api_key == Secret("abc")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('api_key = "${ACME}"', "api_key"),
        ('base_url = "os.environ/ACME"', "base_url"),
        ("headers = { x = 'a ${ACME}' }", "headers.x"),
    ],
)
@pytest.mark.parametrize("environ", [{}, {"ACME": ""}], ids=["missing", "empty"])
def test_a_variable_that_is_not_set_is_told_to_who_opens_channels(
    tmp_path: Path, environ: dict[str, str], line: str, key: str
):
    settings = load(tmp_path, CHANNEL + line + '\n[[prices]]\nmodel = "m"\ncall = 1', environ)
    assert settings.channels == ()
    wanted = f"`[[channels]]` number 1 in `{settings.config}`: `{key}` wants `ACME` from the environment, which is not"
    assert [each.startswith(wanted) for each in settings.unset] == [True]
    with pytest.raises(SettingsError, match="wants `ACME`"):
        reload_file(settings, environ)
    assert read_again(settings, environ) == settings


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[[channels]]\nvendor = "acme"', "`name` is missing"),
        ('[[channels]]\nname = "Main!"\nvendor = "acme"', "`name`: `Main!` will not do"),
        (CHANNEL + "wieght = 2", "`wieght` is no key of a channel; did you mean `weight`?"),
        (CHANNEL + "weight = -1", "whole number from 0"),
        (CHANNEL + "weight = true", "whole number from 0"),
        (CHANNEL + "models = []", "`models` must be a list"),
        (CHANNEL + "models = 'flux-*'", "`models` must be a list"),
        (CHANNEL + "models = [1]", "`1` is no model id"),
        (CHANNEL + "base_url = 'ftp://x'", "`base_url` must be an http"),
        (CHANNEL + "base_url = 'https://u:p@x'", "`base_url` must be an http"),
        (CHANNEL + "api_key = ''", "not empty"),
        (CHANNEL + "model_map = ['a']", "`model_map` must be a table"),
        (CHANNEL + "model_map = { a = 1 }", "`model_map`: write `a` as a text"),
        (CHANNEL + "model_map = { a = '' }", "are no two model ids"),
        (CHANNEL + "model_map = { 'gpt-*' = 'a' }", "`gpt-*` is a pattern; name each model"),
        (CHANNEL + "at_once_max = 0", "`at_once_max`: 0 would let nothing through"),
        (CHANNEL + "at_once_max = '4'", "`at_once_max`: `4` will not do; give a whole number from 1"),
        (CHANNEL + "per_minute_max = -1", "whole number from 1 to 1000000"),
        (CHANNEL + "per_minut_max = 1", "did you mean `per_minute_max`?"),
        (CHANNEL + "headers = 'x: y'", "`headers` must be a table"),
        (CHANNEL + "headers = { 'x y' = 'a' }", "`x y` is no name of a header"),
        (CHANNEL + "headers = { x = 'a', X = 'b' }", "`X` is no name of a header, or is there twice"),
        (CHANNEL + "headers = { Host = 'a' }", "`Host` is set by Halley for each call"),
        (CHANNEL + 'headers = { x = "a\\nb" }', "`headers.x` must have 1 to 8192 printable ASCII"),
        (CHANNEL + "headers = { x = ' ' }", "`headers.x` must have 1 to 8192 printable ASCII"),
        (CHANNEL + CHANNEL, "name `main` is there twice"),
        ("channels = [3]", "write it as a table"),
        ("[channels]\nname = 'x'", "write each as a table `[[channels]]`"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_channel_is_named(tmp_path: Path, text: str, wanted: str):
    assert wanted in problem(tmp_path, text)


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ('"0.04"', "0.04"),
        ("0.1", "0.1"),
        ("3", "3"),
        ("1e-9", "0.000000001"),
        ("0.30000000000000001", "0.30000000000000001"),
    ],
)
def test_prices_are_exact_however_they_are_written(tmp_path: Path, spelling: str, text: str):
    price = load(tmp_path, f'[[prices]]\nmodel = "flux-pro-1.1"\ncall = {spelling}').prices
    assert price == (PriceConfig(model="flux-pro-1.1", meters={"call": text}),)


def test_a_price_may_have_several_meters(tmp_path: Path):
    price = load(tmp_path, '[[prices]]\nmodel = "m"\ninput_token = "2.5"\noutput_token = 10').prices[0]
    assert price.meters == {"input_token": "2.5", "output_token": "10"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", "has no price"),
        ('call = "free"', "`free` is no price"),
        ("call = -1", "is no price"),
        ("call = inf", "is no price"),
        ("call = nan", "is no price"),
        ("call = true", "is no price"),
        ("call = [1]", "is no price"),
        ("call = 1e99", "is no price"),
        ('call = "0.0000000000000000001"', "more than 18 decimals"),
        ('"a b" = 1', "is no name of a meter"),
    ],
)
def test_a_wrong_price_is_named(tmp_path: Path, line: str, wanted: str):
    assert wanted in problem(tmp_path, f'[[prices]]\nmodel = "m"\n{line}')


def test_two_prices_of_one_model_are_an_error(tmp_path: Path):
    assert "model `m` is there twice" in problem(tmp_path, '[[prices]]\nmodel = "m"\ncall = 1\n' * 2)
