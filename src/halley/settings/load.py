"""Finds the value of each setting: flag, then environment, then file, then default. Reports all problems at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from halley.settings.errors import SettingsError, meant
from halley.settings.file import DEFAULT_CONFIG, File, read_file
from halley.settings.model import Settings
from halley.settings.table import FOREIGN, FOREIGN_PORT, PREFIX, SETTINGS, TEST_NAMES, Setting

SHOWN_MAX = 80
"""Characters of a wrong value in a message."""


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """A value as somebody wrote it, and where."""

    source: str
    value: Any


def load_settings(flags: Mapping[str, str | None], environ: Mapping[str, str], folder: Path | None = None) -> Settings:
    """Put the settings together. `flags` maps the keys of `SETTINGS` to text; None is a flag that was not given.

    `folder` is where `halley.toml` is looked for, by default the current one. Nothing is created. An empty value in
    the environment counts as not given. Raises `SettingsError`, but not for what channels lack: see `Settings.unset`.
    """
    path, problems = _find_config(flags, environ, folder or Path())
    file = read_file(path, environ) if path else File()
    problems += [*file.problems, *_unknown_names(environ)]
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        given = _given(setting, flags, environ, file)
        if given is not None:
            _read(setting, given, values, problems)
    if problems:
        raise SettingsError(problems)
    values.update(config=path, channels=file.channels, prices=file.prices, unset=file.unset)
    return Settings(**values)


def _find_config(
    flags: Mapping[str, str | None], environ: Mapping[str, str], folder: Path
) -> tuple[Path | None, list[str]]:
    asked = flags.get("config") or environ.get("HALLEY_CONFIG")
    path = folder / (asked or DEFAULT_CONFIG)
    if path.is_file():
        return path, []
    source = "`--config`" if flags.get("config") else "`HALLEY_CONFIG`"
    return None, [f"{source}: there is no file `{asked}`"] if asked else []


def _given(setting: Setting, flags: Mapping[str, str | None], environ: Mapping[str, str], file: File) -> _Given | None:
    flag = flags.get(setting.key)
    if flag is not None:
        return _Given(source=f"`{setting.flag}`", value=flag)
    for name in (setting.env, *setting.aliases):
        value = environ.get(name, "").strip()
        if value and not (name == "HALLEY_PORT" and value.startswith(FOREIGN_PORT)):
            return _Given(source=f"`{name}`", value=value)
    if setting.key in file.values:
        return _Given(source=f"`{setting.key}` in `{file.path}`", value=file.values[setting.key])
    return None


def _read(setting: Setting, given: _Given, values: dict[str, Any], problems: list[str]) -> None:
    try:
        values[setting.field] = setting.kind.read(_text(setting, given.value))
    except ValueError as error:
        # A password may stand before an `@`, wherever a URL is wanted.
        shown = "the value given" if setting.kind.secret or "@" in str(given.value) else f"`{_short(given.value)}`"
        problems.append(f"{given.source}: {shown} will not do; give {error}")


def _text(setting: Setting, value: Any) -> str:
    """Spell a value of the file as the environment would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and setting.kind.listed:
        return ",".join(_items(value))  # pyright: ignore[reportUnknownArgumentType] - TOML is untyped
    if isinstance(value, list | dict):
        raise ValueError(f"a single value ({setting.kind.title})")  # noqa: TRY004 - the caller's word for a wrong value
    return str(value)


def _items(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if not isinstance(value, str):
            raise ValueError("a list of texts")  # noqa: TRY004 - the caller's word for a wrong value
        yield value


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = {setting.env for setting in SETTINGS}
    names = (name for name in environ if name.startswith(PREFIX) and not FOREIGN.fullmatch(name))
    wrong = sorted(name for name in names if name not in known | TEST_NAMES)
    return [f"`{name}` in the environment is no setting of Halley{meant(name, known)}" for name in wrong]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
