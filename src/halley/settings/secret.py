"""The gateway's own secret: from the settings, else from a file in the data folder, made when it is not there."""

import os
import secrets
from pathlib import Path

from halley.settings.errors import SettingsError
from halley.settings.kinds import SECRETS
from halley.settings.model import Secret, Settings

SECRET_BYTES = 32
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def secret_path(settings: Settings) -> Path:
    """Where the secret is kept unless `HALLEY_SECRET` gives it."""
    return settings.data_dir / "secret"


def read_secrets(settings: Settings) -> tuple[Secret, ...]:
    """Give the secrets, newest first; none where there are none yet. Raises `SettingsError`."""
    path = secret_path(settings)
    if settings.configured_secrets or not path.is_file():
        return settings.configured_secrets
    try:
        found = SECRETS.read(path.read_text(encoding="ascii"))
    except UnicodeDecodeError as error:
        raise SettingsError([f"`{path}` is no ASCII text; restore it from a backup, or set `HALLEY_SECRET`"]) from error
    except ValueError as error:
        raise SettingsError([f"`{path}` will not do; give {error}"]) from error
    if not found:
        raise SettingsError([f"`{path}` is empty; restore it from a backup, or set `HALLEY_SECRET`"])
    return found


def open_secrets(settings: Settings) -> tuple[Secret, ...]:
    """Give the secrets, newest first; makes folder and file at the first start."""
    found = read_secrets(settings)
    if found:
        return found
    settings.data_dir.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    _write_new(secret_path(settings), secrets.token_urlsafe(SECRET_BYTES))
    return read_secrets(settings)


def _write_new(path: Path, text: str) -> None:
    """Make the file whole or not at all; whoever is first wins, so that two starts agree."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
