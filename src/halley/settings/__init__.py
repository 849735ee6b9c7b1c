"""The gateway's settings: flag, then environment, then `halley.toml`, then default. Imports nothing of the house."""

from halley.settings.errors import SettingsError
from halley.settings.file import read_again, reload_file
from halley.settings.load import load_settings
from halley.settings.model import ChannelConfig, LogFormat, LogLevel, PriceConfig, Secret, Settings
from halley.settings.secret import open_secrets, read_secrets, secret_path
from halley.settings.table import SETTINGS, Setting

__all__ = [
    "SETTINGS",
    "ChannelConfig",
    "LogFormat",
    "LogLevel",
    "PriceConfig",
    "Secret",
    "Setting",
    "Settings",
    "SettingsError",
    "load_settings",
    "open_secrets",
    "read_again",
    "read_secrets",
    "reload_file",
    "secret_path",
]
