"""Flags made from the table of settings, and the few that many commands share."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import wraps
from typing import Any, TypeVar

import click
import msgspec

from halley.settings import SETTINGS, Setting, Settings, SettingsError, load_settings

R = TypeVar("R")
S = TypeVar("S", bound=msgspec.Struct)
COMMON = ("config", "data_dir", "database_url")
"""What every command that touches the data takes."""
SETTING_PREFIX = "setting_"
_AMOUNT = re.compile(r"(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|(?=\.))(?:\.[0-9]+)?")
"""A comma stands between thousands alone: half the world writes `0,50` for half a dollar."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts. Amounts are nano-dollars.")


def with_settings(
    *keys: str, usable: bool = True, opens_channels: bool = False
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command its `settings`, from flags of these keys, environment and file; without keys, all flags.

    `usable`: see that the places they name can be used before the command runs. `opens_channels`: see that the
    environment has what the channels of the file take from it.
    """
    chosen = [setting for setting in SETTINGS if setting.flag and (not keys or setting.key in keys)]

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @wraps(command)
        def call(**given: Any) -> R:
            flags = {setting.key: _text(given.pop(SETTING_PREFIX + setting.key)) for setting in chosen}
            settings = load_settings(flags, os.environ)
            problems = [*(settings.unset if opens_channels else ()), *(_problems(settings) if usable else ())]
            if problems:
                raise SettingsError(problems)
            return command(settings=settings, **given)

        decorated: Callable[..., R] = call
        for setting in reversed(chosen):
            decorated = _option(setting)(decorated)
        return decorated

    return decorate


def common_settings(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command its `settings`, with the flags that say which data is meant."""
    return with_settings(*COMMON)(command)


def arguments(kind: type[S], given: Mapping[str, object], names: Mapping[str, str] | None = None) -> S:
    """Make a command's arguments of what was given; `names` are those of arguments that are no option of their name."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        field = (re.findall(r"`\$\.(\w+)", str(error)) or [""])[0]
        shown = (names or {}).get(field, f"--{field.removesuffix('_nanos').replace('_', '-')}")
        raise click.UsageError(f"`{shown}` will not do; give {_wanted(str(error))}") from error


def _wanted(message: str) -> str:
    """Say in words what msgspec wants."""
    if "matching regex" in message:
        return "a text without control characters"
    if length := re.search(r"of length ([<>])= (\d+)", message):
        return f"{'at least' if length[1] == '>' else 'at most'} {length[2]} characters"
    if bound := re.search(r"`int` ([<>])= (-?\d+)", message):
        return f"{'no less' if bound[1] == '>' else 'no more'} than {bound[2]}"
    return message


def _problems(settings: Settings) -> Iterator[str]:
    """Tell what the settings themselves do not show: files where folders are needed, and places nobody can read."""
    in_the_way: dict[str, str] = {}
    for name, folder in (("HALLEY_DATA_DIR", settings.data_dir), ("HALLEY_OBJECTS_URL", settings.objects_path)):
        if folder is None:
            continue
        nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        if not nearest.is_dir():
            in_the_way.setdefault(str(nearest), name)
    for path, name in in_the_way.items():
        yield f"`{name}`: `{path}` is a file, and a folder is needed there; name another, or move it away"
    if settings.fetch_allow:
        from halley.upstream.address import FetchPolicy, Policy

        try:
            Policy(FetchPolicy(allow=settings.fetch_allow))
        except ValueError as error:
            yield str(error)


def _option(setting: Setting) -> Callable[[Callable[..., R]], Callable[..., R]]:
    assert setting.flag is not None
    name = SETTING_PREFIX + setting.key
    text = f"{setting.help} [{setting.env}; default: {setting.default.replace('`', '')}]"
    if setting.kind.switch:
        switch = f"{setting.flag}/--no-{setting.key.replace('_', '-')}"
        return click.option(switch, name, default=None, help=text)
    return click.option(setting.flag, name, default=None, help=text, metavar=setting.key.rpartition("_")[2].upper())


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


class Dollars(click.ParamType[int]):
    """An amount in US dollars, read exactly into nano-dollars."""

    name = "USD"

    def __init__(self, *, signed: bool = False) -> None:
        self._signed = signed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `12.50` or `$12.50`, and with a sign `-12.50` too."""
        if isinstance(value, int):
            return value
        is_below = self._signed and str(value).startswith("-")
        try:
            amount = _nanos(str(value)[is_below:].removeprefix("$"))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return -amount if is_below else amount


def _nanos(text: str) -> int:
    from halley.kernel.money import as_written, dollars, nanos_from_dollars
    from halley.ledger.rules import AMOUNT_MAX

    if _AMOUNT.fullmatch(text) is None:
        message = f"`{as_written(text)}` is not an amount in US dollars; write it as `1234.50` or `1,234.50`"
        raise ValueError(message)
    amount = Decimal(text.replace(",", ""))
    # The books do not go as far as an amount may.
    if amount > Decimal(AMOUNT_MAX).scaleb(-9):
        raise ValueError(f"`{as_written(text)}` is not an amount between $0 and ${dollars(AMOUNT_MAX)}")
    return nanos_from_dollars(amount)


DOLLARS = Dollars()
SIGNED_DOLLARS = Dollars(signed=True)
