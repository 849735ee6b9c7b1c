"""Flags made from the table of settings, and the few that many commands share."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from halley.settings import SETTINGS, Setting, load_settings

R = TypeVar("R")
COMMON = ("config", "data_dir", "database_url")
"""What every command that touches the data takes."""
SETTING_PREFIX = "setting_"

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts. Amounts are nano-dollars.")


def with_settings(*keys: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command its `settings`, from flags of these keys, environment and file; without keys, all flags."""
    chosen = [setting for setting in SETTINGS if setting.flag and (not keys or setting.key in keys)]

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @wraps(command)
        def call(**given: Any) -> R:
            flags = {setting.key: _text(given.pop(SETTING_PREFIX + setting.key)) for setting in chosen}
            return command(settings=load_settings(flags, os.environ), **given)

        decorated: Callable[..., R] = call
        for setting in reversed(chosen):
            decorated = _option(setting)(decorated)
        return decorated

    return decorate


def common_settings(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command its `settings`, with the flags that say which data is meant."""
    return with_settings(*COMMON)(command)


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

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `12.50` or `$12.50`."""
        from halley.kernel.money import nanos_from_dollars

        if isinstance(value, int):
            return value
        try:
            return nanos_from_dollars(str(value).removeprefix("$").replace(",", ""))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DOLLARS = Dollars()
