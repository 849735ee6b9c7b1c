"""Reads `halley.toml`: plain settings, and the channels and prices, which alone are read again by a reload."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from halley.settings.errors import SettingsError, meant
from halley.settings.model import ChannelConfig, PriceConfig, Secret, Settings
from halley.settings.table import SETTINGS

T = TypeVar("T")
DEFAULT_CONFIG = Path("halley.toml")
FILE_BYTES_MAX = 4 * 1024 * 1024
ENTRIES_MAX = 10_000
NAME_LENGTH_MAX = 200
PRIORITY_MAX = 1_000_000
WEIGHT_MAX = 1_000_000
BOUND_MAX = 1_000_000
MAP_ENTRIES_MAX = 1_000
HEADERS_MAX = 32
HEADER_LENGTH_MAX = 8_192
PRICE_DECIMALS_MAX = 18
PRICE_MAX = Decimal(1_000_000)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VENDOR = re.compile(r"[a-z][a-z0-9_]{0,63}")
_METER = re.compile(r"[a-z][a-z0-9_]{0,63}(@[A-Za-z0-9_.,=+x-]{1,200})?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[ -~]+")
_OWN_HEADERS = frozenset(
    (
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
        *("keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""What belongs to the body or the connection; a wrong one breaks each call."""
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_CHANNEL_KEYS = ChannelConfig.__struct_fields__


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says, and what is wrong with it."""

    path: Path = Path()
    values: dict[str, Any] = {}
    channels: tuple[ChannelConfig, ...] = ()
    prices: tuple[PriceConfig, ...] = ()
    unset: tuple[str, ...] = ()
    """What else would be wrong with it for who opens its channels: the environment lacks what they name."""
    problems: tuple[str, ...] = ()


class _Unset(ValueError):
    """A name that is not in the environment, which only the process that opens the channels needs to have."""


def read_file(path: Path, environ: Mapping[str, str]) -> File:
    """Read a file; what is wrong with it is collected, not raised."""
    try:
        document = _parse(path)
    except (OSError, ValueError) as error:
        return File(path=path, problems=(f"`{path}` cannot be read: {error}",))
    problems = _unknown_keys(path, document)
    unset: list[str] = []
    channels = _entries(path, document, "channels", lambda entry: _channel(entry, environ), problems, unset)
    prices = _entries(path, document, "prices", _price, problems, unset)
    problems += _repeated(path, "channels", "name", [channel.name for channel in channels])
    problems += _repeated(path, "prices", "model", [price.model for price in prices])
    values = {setting.key: document[setting.key] for setting in SETTINGS if setting.in_file and setting.key in document}
    found = File(path=path, values=values, channels=channels, prices=prices)
    return msgspec.structs.replace(found, unset=tuple(unset), problems=tuple(problems))


def reload_file(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Do as `read_again` for who opens the channels: what the environment lacks for them raises `SettingsError` too."""
    again = read_again(settings, environ)
    if again.unset:
        raise SettingsError(again.unset)
    return again


def read_again(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Give the settings with the channels and prices that the file holds now; the rest takes a new start.

    A file that has come since the start counts too. Raises `SettingsError`: the settings of before are still good.
    """
    path = settings.config or DEFAULT_CONFIG
    if settings.config is None and not path.is_file():
        return settings
    file = read_file(path, environ)
    if file.problems:
        raise SettingsError(file.problems)
    return msgspec.structs.replace(settings, config=path, channels=file.channels, prices=file.prices, unset=file.unset)


def _parse(path: Path) -> dict[str, Any]:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ValueError(f"it is larger than {FILE_BYTES_MAX} bytes")
    return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def _unknown_keys(path: Path, document: Mapping[str, Any]) -> list[str]:
    known = {setting.key for setting in SETTINGS if setting.in_file} | {"channels", "prices"}
    wrong = (key for key in document if key not in known)
    return [f"`{key}` in `{path}` is no setting of Halley{meant(key, known)}" for key in wrong]


def _entries(
    path: Path,
    document: Mapping[str, Any],
    key: str,
    read: Callable[[dict[str, Any]], T],
    problems: list[str],
    unset: list[str],
) -> tuple[T, ...]:
    entries = document.get(key, [])
    if not isinstance(entries, list) or len(entries) > ENTRIES_MAX:  # pyright: ignore[reportUnknownArgumentType] - TOML is untyped
        problems.append(f"`{key}` in `{path}`: write each as a table `[[{key}]]`, at most {ENTRIES_MAX}")
        return ()
    found: list[T] = []
    for number, entry in enumerate(entries, start=1):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - TOML is untyped
        try:
            found.append(read(_table(entry, key)))
        except ValueError as error:
            wrong = unset if isinstance(error, _Unset) else problems
            wrong.append(f"`[[{key}]]` number {number} in `{path}`: {error}")
    return tuple(found)


def _table(entry: Any, key: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"write it as a table `[[{key}]]`")  # noqa: TRY004 - the caller's word for a wrong value
    return entry  # pyright: ignore[reportUnknownVariableType] - TOML is untyped


def _channel(entry: dict[str, Any], environ: Mapping[str, str]) -> ChannelConfig:
    for key in entry:
        if key not in _CHANNEL_KEYS:
            raise ValueError(f"`{key}` is no key of a channel{meant(key, _CHANNEL_KEYS)}")
    base_url = _optional_text(entry, "base_url", environ)
    if base_url is not None and not re.match(r"https?://[^/?#@\s]+[^?#@\s]*$", base_url):
        raise ValueError("`base_url` must be an http or https URL without credentials or query")
    api_key = _optional_text(entry, "api_key", environ)
    return ChannelConfig(
        name=_word(entry, "name", _NAME, "lower-case letters, digits, `.`, `_`, `-`"),
        vendor=_word(entry, "vendor", _VENDOR, "lower-case letters, digits, `_`"),
        base_url=base_url.rstrip("/") if base_url else None,
        api_key=Secret(api_key) if api_key else None,
        models=_models(entry),
        model_map=_model_map(entry),
        priority=_number(entry, "priority", 0, -PRIORITY_MAX, PRIORITY_MAX),
        weight=_number(entry, "weight", 1, 0, WEIGHT_MAX),
        at_once_max=_bound(entry, "at_once_max"),
        per_minute_max=_bound(entry, "per_minute_max"),
        headers=_headers(entry, environ),
    )


def _price(entry: dict[str, Any]) -> PriceConfig:
    model = _word(entry, "model", re.compile(r"[^\s]{1,200}"), "a model id")
    meters = {meter: _amount(meter, value) for meter, value in entry.items() if meter != "model"}
    if not meters:
        raise ValueError(f'`{model}` has no price; give one in US dollars, e.g. `call = "0.04"`')
    return PriceConfig(model=model, meters=meters)


def _amount(meter: str, value: Any) -> str:
    if not _METER.fullmatch(meter):
        raise ValueError(f"`{meter}` is no name of a meter: lower-case letters, digits, `_`")
    try:
        amount = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount <= PRICE_MAX:
        raise ValueError(f'`{meter}`: `{value}` is no price; give US dollars from 0 to {PRICE_MAX}, e.g. "0.04"')
    text = format(amount, "f")
    if len(text.partition(".")[2]) > PRICE_DECIMALS_MAX:
        raise ValueError(f"`{meter}`: `{value}` has more than {PRICE_DECIMALS_MAX} decimals")
    return text


def _word(entry: dict[str, Any], key: str, pattern: re.Pattern[str], wanted: str) -> str:
    value = entry.get(key)
    if value is None:
        raise ValueError(f"`{key}` is missing")
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"`{key}`: `{value}` will not do; give {wanted}")
    return value


def _optional_text(entry: dict[str, Any], key: str, environ: Mapping[str, str]) -> str | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"`{key}` must be a text that is not empty")
    return _resolved(value.strip(), key, environ)


def _resolved(text: str, key: str, environ: Mapping[str, str]) -> str:
    """Put in the environment's value for a text that is wholly `${NAME}` or `os.environ/NAME`."""
    found = _VARIABLE.fullmatch(text)
    if found is None:
        return text
    return _from_environment(found[1] or found[2], key, environ)


def _from_environment(name: str, key: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise _Unset(f"`{key}` wants `{name}` from the environment, which is not set there: export it")
    return value


def _models(entry: dict[str, Any]) -> tuple[str, ...]:
    value = entry.get("models", ["*"])
    if not isinstance(value, list) or not value:
        raise ValueError('`models` must be a list of patterns, e.g. `["flux-*"]`; leave it out for all')
    models: list[str] = []
    for item in value:  # pyright: ignore[reportUnknownVariableType] - TOML is untyped
        if not isinstance(item, str) or not 0 < len(item) <= NAME_LENGTH_MAX:
            raise ValueError(f"`models`: `{item}` is no model id or pattern")
        models.append(item)
    return tuple(models)


def _model_map(entry: dict[str, Any]) -> dict[str, str]:
    example = '{ "gpt-4o" = "prod-gpt-4o" }'
    names = _text_map(entry, "model_map", MAP_ENTRIES_MAX, example)
    for model, name in names.items():
        if not all(re.fullmatch(rf"\S{{1,{NAME_LENGTH_MAX}}}", each) for each in (model, name)):
            raise ValueError(f"`model_map`: `{model}` = `{name}` are no two model ids; give e.g. `{example}`")
        if "*" in model:
            raise ValueError(f"`model_map`: `{model}` is a pattern; name each model, e.g. `{example}`")
    return names


def _headers(entry: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Secret]:
    found: dict[str, Secret] = {}
    for name, text in _text_map(entry, "headers", HEADERS_MAX, '{ x-team = "${TEAM}" }').items():
        key = f"headers.{name}"
        if not _HEADER.fullmatch(name) or name.lower() in found:
            raise ValueError(f"`headers`: `{name}` is no name of a header, or is there twice")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"`headers`: `{name}` is set by Halley for each call; leave it out")
        value = _REFERENCE.sub(lambda match, key=key: _from_environment(match[1], key, environ), text).strip()
        if not _HEADER_VALUE.fullmatch(value) or len(value) > HEADER_LENGTH_MAX:
            raise ValueError(f"`{key}` must have 1 to {HEADER_LENGTH_MAX} printable ASCII characters")
        found[name.lower()] = Secret(value)
    return found


def _text_map(entry: dict[str, Any], key: str, entries_max: int, example: str) -> dict[str, str]:
    value: object = entry.get(key, {})
    if not isinstance(value, dict) or len(value) > entries_max:  # pyright: ignore[reportUnknownArgumentType] - TOML is untyped
        raise ValueError(f"`{key}` must be a table of at most {entries_max} texts, e.g. `{key} = {example}`")
    texts: dict[str, str] = {}
    for name, text in value.items():  # pyright: ignore[reportUnknownVariableType] - TOML is untyped
        if not isinstance(name, str) or not isinstance(text, str):
            raise ValueError(f"`{key}`: write `{name}` as a text, e.g. `{key} = {example}`")  # noqa: TRY004 - the file, not our own code
        texts[name] = text
    return texts


def _bound(entry: dict[str, Any], key: str) -> int | None:
    if key not in entry:
        return None
    if entry[key] == 0:
        raise ValueError(f"`{key}`: 0 would let nothing through; leave it out for no bound, or set `weight = 0`")
    return _number(entry, key, 1, 1, BOUND_MAX)


def _number(entry: dict[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = entry.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"`{key}`: `{value}` will not do; give a whole number from {low} to {high}")
    return value


def _repeated(path: Path, table: str, key: str, values: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    twice = [value for value in values if value in seen or seen.add(value)]
    return [f"`[[{table}]]` in `{path}`: {key} `{value}` is there twice" for value in twice]
